//! How a process connects to its database.

use std::time::Duration;

use crate::master_keys::MasterKeys;

/// The most connections of one process: API requests and reconcile workers share them, and each holds one for milliseconds.
const POOL_SIZE: u32 = 10;
/// The most connections that all organisations' requests share, beside those. So few that they leave the controller the database, and enough
/// for more requests than such a number of connections answers in the time that rates allow.
const TENANT_POOL_SIZE: u32 = 6;
/// A statement that takes longer is a defect; it must not hold its locks.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Waiting longer for a lock means that its holder hangs.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// A transaction whose process went silent is ended: it may hold what others need.
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);
/// Waiting longer for a free connection is better answered with an error.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a process connects to its database. Start from [`StoreOptions::new`].
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The most connections of the controller and of the platform.
    pub pool_size: u32,
    /// The most connections of organisations' requests.
    pub tenant_pool_size: u32,
    /// The longest statement.
    pub statement_timeout: Duration,
    /// The longest wait for a lock.
    pub lock_timeout: Duration,
    /// The longest pause inside a transaction.
    pub idle_in_transaction_timeout: Duration,
    /// The longest wait for a connection.
    pub acquire_timeout: Duration,
    /// Is a connection that was idle for a moment asked whether it still answers before it is used? A round trip each time, and without
    /// it the first statement after a restart of the server fails on every connection.
    pub ask_before_use: bool,
    /// What data keys are wrapped with.
    pub master_keys: MasterKeys,
}

impl StoreOptions {
    /// The usual limits.
    pub fn new(master_keys: impl Into<MasterKeys>) -> Self {
        Self {
            pool_size: POOL_SIZE,
            tenant_pool_size: TENANT_POOL_SIZE,
            statement_timeout: STATEMENT_TIMEOUT,
            lock_timeout: LOCK_TIMEOUT,
            idle_in_transaction_timeout: IDLE_IN_TRANSACTION_TIMEOUT,
            acquire_timeout: ACQUIRE_TIMEOUT,
            ask_before_use: true,
            master_keys: master_keys.into(),
        }
    }
}
