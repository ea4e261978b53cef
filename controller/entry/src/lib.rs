//! The entry program: it starts a tenant's process with secrets in its environment.
//!
//! Programs that want a password in a variable are common, and a variable in a service's spec can be read by whoever reads the spec.
//! So the value is never there: the service has the secret as a file, as always, and starts this program, which reads the file,
//! sets the variable and becomes the real program:
//!
//! ```text
//! /.skep/entry DATABASE_URL=/run/secrets/database -- /usr/bin/shop serve
//! ```
//!
//! It replaces itself (`execve`), so the process keeps its number, gets its signals, and ends with its own status. The processes that the
//! edge sends requests to are *drained*: there it starts the program and stays as the first process of the container. Requests come for
//! a while after the engine has asked a task to stop, because the edge does not hear of it at once; so that signal waits, and the
//! program hears of it when nobody sends it anything any more:
//!
//! ```text
//! /.skep/entry --drain=15:8000 -- /usr/bin/shop serve
//! ```
//!
//! Every other signal is passed on at once, and so is this one when it comes a second time. Orphans are reaped. The status is the program's, or 128 and
//! the number of the signal that ended it. What it cannot do it
//! says on standard error, without any value, and ends with 125, or with 126 and 127 as shells do when the program cannot be run or found.
//!
//! As the health check of processes that have none it says whether their container can be reached at a port: `/.skep/entry --listens=8080`.
//!
//! Images of tenants hold nothing that can be relied on, not even a shell. So the program needs nothing but the kernel, and is small
//! enough to come with the service as a Swarm config (both engines show those as executable files, unlike secrets).
//! It is built by `build.rs` from [`src/program`](https://github.com/skep-dev/skep/tree/main/controller/entry/src/program): `main.rs` does
//! what only unsafe code can, and `launch.rs`, `drain.rs` and `listens.rs` decide. These are modules here as well, to be tested like any other code.
//!
//! A variable holds no more than the kernel takes in one string (131,071 bytes with its name), no NUL, and not the line break that
//! editors leave at the end of a file.

#[cfg(test)]
#[path = "program/drain.rs"]
mod drain;
#[cfg(test)]
#[path = "program/launch.rs"]
#[expect(dead_code, reason = "the program uses all of it; here it is only tested")]
mod launch;
#[cfg(test)]
#[path = "program/listens.rs"]
mod listens;

/// The program, for the architecture that this was built for.
pub const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/entry"));
