//! Manifests of a Git repository or of a directory: fetched, read, and nothing more.
//!
//! A [`Remote`] is looked at ([`Remote::look`]) and answers with [`Files`]: what lies below a path and fits the globs, in memory.
//! [`read`] makes [`Document`]s of them with the reader of `skep apply`. Which of them are wanted, and what is no longer wanted, others
//! decide (docs/git-sources.md): nothing here knows a store or a Swarm.
//!
//! Guarantees, whatever a server sends:
//!
//! - No process is started, and nothing of the machine is read: no `.gitconfig`, no credential helper, no agent, no `~/.ssh`, no proxy of the
//!   environment. Every connection goes through [`skep_outbound`], which asks nothing that is inside.
//! - There is no checkout. Trees are read from the pack, in memory; a symlink, a submodule or a name that means something to a file
//!   system is an entry that is refused or told, and never a path.
//! - What is received and what is made of it is counted while it is ([`Limits`]), and one deadline is over all of it.
//! - An error says what is wrong and what to do ([`FetchError`]), whether it may pass by itself ([`Disposition`]), and holds nothing of a
//!   credential.
//!
//! | file | job |
//! |---|---|
//! | `remote/` | one way to reach files each: https, ssh, a directory; `wire.rs` is Git's conversation over the first two |
//! | `pack/` | a pack in memory: objects by id, inflated within limits |
//! | `tree.rs` | from a commit's tree to files |
//! | `gather.rs` | what is taken, for all remotes alike |
//! | `read.rs` | from files to documents |

mod address;
mod error;
mod gather;
mod limits;
mod pack;
mod read;
mod remote;
mod selection;
mod tree;

pub use address::{Address, AddressError};
pub use error::{Disposition, FetchError};
pub use gather::{File, Files, Note, Passed};
pub use limits::{Bound, Limits};
pub use read::{Document, Unread, read};
pub use remote::{
    Ask, Commit, Credentials, DEEPEST, Directory, Fetched, History, Look, Reference, ReferenceError, Remote,
    Repository,
};
pub use selection::{Selection, SelectionError};
