//! The state machine: anything that can happen, in any order, and what has to hold after each step.
//!
//! A [`Story`] is a seed and a list of [`Action`]s: people apply, delete and meddle, tasks die, events are lost, calls and statements
//! go wrong, processes crash and take over from each other, nodes fail, time passes. Stories are drawn by proptest from a number, and
//! are made small when they fail. A story is played in a [`World`](crate::World), which has one thread and one time, so that the
//! same story goes the same way each time.
//!
//! ```text
//! action   what can happen, and how likely it is        witness   what holds after each step
//! player   plays a story in a world                     rest      what holds when faults have stopped
//! kept     stories that failed once; they are played first, for ever
//! ```

mod action;
mod kept;
mod player;
mod rest;
mod witness;

pub use action::{Action, Change, Edit, Story, Target};
pub use kept::{keep, kept};
pub use player::{Failure, Player, story};
