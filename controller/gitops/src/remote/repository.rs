//! A repository behind an address: how it is reached, and with which credentials.
//!
//! The conversation ([`super::wire`]) is one for threads that wait, because Git's libraries are; what it reads and writes is asynchronous. So each look has
//! a thread of its own while it lasts, and [`Line`] is where the two meet: everything waits there, and nothing longer than the deadline.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use skep_outbound::Outbound;
use tokio::runtime::Handle;

use super::wire::{self, Wanted};
use super::{Ask, Look, Reference, Remote, https, ssh};
use crate::address::Address;
use crate::error::FetchError;
use crate::limits::Budget;

/// What a repository is read with.
#[derive(Clone)]
pub enum Credentials {
    /// Nothing: it is everybody's.
    None,
    /// A name and a password, for https.
    Basic {
        /// The name.
        username: String,
        /// The password, or a token.
        password: SecretString,
    },
    /// A token, for https.
    Token(SecretString),
    /// A deploy key, for ssh.
    Key {
        /// The private key, in the form of OpenSSH, without a passphrase.
        private: SecretString,
        /// The keys of the host, in the form of OpenSSH's `known_hosts`.
        known_hosts: String,
    },
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "Credentials::None",
            Self::Basic { .. } => "Credentials::Basic",
            Self::Token(_) => "Credentials::Token",
            Self::Key { .. } => "Credentials::Key",
        })
    }
}

/// A repository of Git.
#[derive(Clone)]
pub struct Repository {
    outbound: Outbound,
    address: Address,
    credentials: Credentials,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repository({}, {:?})", self.address, self.credentials)
    }
}

impl Repository {
    /// The repository at an address.
    pub fn new(outbound: Outbound, address: Address, credentials: Credentials) -> Self {
        Self { outbound, address, credentials }
    }
}

#[async_trait]
impl Remote for Repository {
    async fn look(&self, ask: &Ask<'_>) -> Result<Look, FetchError> {
        if let (Reference::Commit(commit), Some(synced)) = (ask.reference, ask.synced)
            && commit == synced
        {
            return Ok(Look::Unchanged);
        }
        let wanted = Wanted {
            reference: ask.reference.clone(),
            selection: ask.selection.clone(),
            synced: ask.synced.cloned(),
        };
        let budget = Arc::new(Budget::new(ask.limits));
        let line = Line { runtime: Handle::current(), budget: Arc::clone(&budget) };
        // Dropped with this future, by whoever no longer waits for it.
        let _abandoning = Abandoning(Arc::clone(&budget));
        let repository = self.clone();
        let talk = tokio::task::spawn_blocking(move || repository.talk(line, &wanted));
        // Everything in it has the same deadline; this one is for what was forgotten.
        match tokio::time::timeout_at(budget.deadline(), talk).await {
            Ok(Ok(looked)) => looked,
            // Git's libraries end a thread where they did not expect what a server sends.
            Ok(Err(_)) => Err(FetchError::Corrupt { why: "it is not as Git's protocol has it".to_owned() }),
            Err(_) => Err(budget.timed_out()),
        }
    }
}

impl Repository {
    fn talk(self, line: Line, wanted: &Wanted) -> Result<Look, FetchError> {
        let budget = Arc::clone(&line.budget);
        match &self.address {
            Address::Https { url } => {
                let transport = https::transport(self.outbound, url, &self.credentials, line)?;
                wire::look(transport, wanted, &budget)
            }
            Address::Ssh { user, host, port, path } => {
                let Credentials::Key { private, known_hosts } = &self.credentials else {
                    let why = "an address of ssh wants a deploy key and `knownHosts`";
                    return Err(FetchError::Unusable { why });
                };
                let place = ssh::Place { user, host, port: *port, path };
                let transport = ssh::transport(&self.outbound, place, private, known_hosts, &line)?;
                wire::look(transport, wanted, &budget)
            }
        }
    }
}

/// Ends a look when whoever waits for it does no more.
struct Abandoning(Arc<Budget>);

impl Drop for Abandoning {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Where a thread waits for what is asynchronous.
#[derive(Debug, Clone)]
pub(super) struct Line {
    runtime: Handle,
    pub(super) budget: Arc<Budget>,
}

impl Line {
    /// Waits, and no longer than there is time.
    pub(super) fn wait<T, E: Into<FetchError>>(
        &self,
        what: impl Future<Output = Result<T, E>>,
    ) -> Result<T, FetchError> {
        self.budget.on_time()?;
        self.runtime.block_on(async {
            tokio::select! {
                result = what => result.map_err(Into::into),
                () = tokio::time::sleep_until(self.budget.deadline()) => Err(self.budget.timed_out()),
                () = self.budget.abandoned() => Err(self.budget.timed_out()),
            }
        })
    }
}
