//! Fuzz targets: whatever comes in, it is answered.
//!
//! A target is a function over bytes that says what was not as it should be. [`campaign`] feeds it: first every input that
//! ever failed (`corpus/<target>/`), then inputs that are made from whole ones ([`manifests`], [`scalars`], the examples) by
//! changing them ([`mutate`]). Coverage is not measured, because that needs a compiler of another channel; inputs have the
//! form of what they are for instead, so that most of them get past the first check. The functions have the signature that
//! libFuzzer wants, should that day come.
//!
//! What is asked of every target: no panic, no overflow (tests are built with checks), cost in proportion to the input
//! ([`meter`]), errors that say where and what to do, and that what was accepted is accepted again as it is printed.
//! [`hostile`] lists inputs that are made to hurt, and the refusal that each must get.

pub mod campaign;
pub mod hostile;
pub mod manifests;
pub mod meter;
pub mod mutate;
pub mod random;
pub mod scalars;
pub mod targets;
pub mod writing;

pub use campaign::Campaign;
pub use random::Random;
