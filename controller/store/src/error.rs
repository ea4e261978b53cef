//! What can go wrong, one variant per operation and per broken rule.
//!
//! Database constraints protect the rules; this module gives their violations names. Callers decide by variant and by
//! [`StoreError::is_transient`], never by text.

mod disposition;
mod fault;
mod operation;

use std::net::Ipv4Addr;

use skep_planner::policy::Violation;
use skep_planner::quota::Excess;
use skep_planner::release::ReleaseVersion;
use skep_planner::{InstanceId, ObjectRef};
use skep_schemas::{Feature, Generation, Host, OrgName, ProcessName, Registry, ResourceKey, Revision, Uid};

pub(crate) use self::fault::{Fault, must_run_again, violated};
pub use self::operation::Operation;
use crate::formation::FormationError;
use crate::ownership::OwnershipError;
use crate::people::PeopleError;

/// Why an operation of the store did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    // Rules that a request broke.
    /// The resource was written by someone else in the meantime.
    #[error("{key} is not at revision {expected} any more")]
    RevisionConflict {
        /// The resource.
        key: ResourceKey,
        /// What the writer had read.
        expected: Revision,
        /// What is stored; none when the resource is gone.
        found: Option<Revision>,
    },
    /// The resource was to be new and exists.
    #[error("{key} already exists")]
    AlreadyExists {
        /// The resource.
        key: ResourceKey,
    },
    /// There is no such resource.
    #[error("{key} does not exist")]
    NotFound {
        /// The resource.
        key: ResourceKey,
    },
    /// The resource is being deleted and cannot be written until it is gone.
    #[error("{key} is being deleted")]
    Deleting {
        /// The resource; the organisation when that is what is being deleted.
        key: ResourceKey,
    },
    /// The organisation of a resource does not exist.
    #[error("organisation {org} does not exist")]
    OrgMissing {
        /// The organisation.
        org: OrgName,
    },
    /// A new Secret has no value.
    #[error("{key} is new and has no value")]
    SecretValueMissing {
        /// The secret.
        key: ResourceKey,
    },
    /// A Secret is to be rotated that is not made at random, and no value came with it.
    #[error("the value of {key} is not made at random, and no other one is given")]
    SecretNotGenerated {
        /// The secret.
        key: ResourceKey,
    },
    /// A Secret is to be rotated that is made at random, and a value came with it.
    #[error("the value of {key} is made at random, and another one is given")]
    SecretGenerated {
        /// The secret.
        key: ResourceKey,
    },
    /// The value that a Secret is to have is the one that it has.
    #[error("{key} has this value already")]
    SecretValueSame {
        /// The secret.
        key: ResourceKey,
    },
    /// An environment has no such release, or none any more.
    #[error("{key} has no release {version}")]
    ReleaseMissing {
        /// The environment.
        key: ResourceKey,
        /// The number.
        version: ReleaseVersion,
    },
    /// It is known how a release went, so that it can no longer be cancelled.
    #[error("release {version} of {key} is {went}, and no longer being rolled out")]
    ReleaseOver {
        /// The environment.
        key: ResourceKey,
        /// The number.
        version: ReleaseVersion,
        /// How it went.
        went: &'static str,
    },
    /// An environment has no release yet in which anything could run.
    #[error("{key} has no release yet")]
    NothingRuns {
        /// The environment.
        key: ResourceKey,
    },
    /// A release has no such process, or several of which none was named.
    #[error("release {release} of {key} has {}", no_process(.asked.as_ref(), .has))]
    ProcessMissing {
        /// The environment.
        key: ResourceKey,
        /// The release.
        release: ReleaseVersion,
        /// What was asked for.
        asked: Option<ProcessName>,
        /// The processes that it has.
        has: Vec<ProcessName>,
    },
    /// An environment has as many runs that are not over as it may.
    #[error("{key} has {limit} runs that are not over")]
    TooManyRuns {
        /// The environment.
        key: ResourceKey,
        /// How many it may have.
        limit: usize,
    },
    /// So many messages of a Notification wait that no more is added.
    #[error("{limit} messages of {key} wait already")]
    TooManyMessages {
        /// The Notification.
        key: ResourceKey,
        /// How many may wait.
        limit: i64,
    },
    /// Another one owns the resource.
    #[error(transparent)]
    Ownership(Box<OwnershipError>),
    /// A rule about how much of an environment runs.
    #[error(transparent)]
    Formation(Box<FormationError>),
    /// A former value of a Secret is not kept any more, or never was.
    #[error("version {version} of {key} is not kept")]
    SecretVersionMissing {
        /// The secret.
        key: ResourceKey,
        /// The version.
        version: u32,
    },
    /// Another Domain has the host. It is not told whose.
    #[error("host {host} belongs to another domain")]
    HostTaken {
        /// The host.
        host: Host,
    },
    /// Another credential of the organisation is for the registry.
    #[error("{key} is for {registry}, and so is {}", by.as_deref().map_or("another".to_owned(), |by| format!("RegistryCredential/{by}")))]
    RegistryTaken {
        /// The credential that asks for it.
        key: ResourceKey,
        /// The registry.
        registry: Registry,
        /// The name of the one that has it, if that is known.
        by: Option<String>,
    },
    /// A batch names one resource twice.
    #[error("{key} appears twice in one batch")]
    DuplicateKey {
        /// The resource.
        key: ResourceKey,
    },
    /// The organisation would have more than its plan allows.
    #[error("organisation {org} would have {}", listed(excess))]
    QuotaExceeded {
        /// The organisation.
        org: OrgName,
        /// Of what how much more.
        excess: Vec<Excess>,
    },
    /// Something new needs a feature that is switched off.
    #[error("{key} needs the feature `{feature}`, which {by} has switched off")]
    FeatureClosed {
        /// What needs it.
        key: ResourceKey,
        /// The feature.
        feature: Feature,
        /// The resource that says so; only the platform writes it.
        by: ResourceKey,
    },
    /// A policy does not allow what a manifest asks for.
    #[error("{key}: {}", listed(violations))]
    PolicyDenied {
        /// The resource.
        key: ResourceKey,
        /// Whose rules, and why.
        violations: Vec<Violation>,
    },
    /// An organisation, or the platform, has as many tokens as it may have.
    #[error("there are {found} tokens, and {limit} may be")]
    TooManyTokens {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// More than one operation may touch.
    #[error("{found} {what} are too many, the limit is {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A live token has the name.
    #[error("a token named {name} exists")]
    TokenNameTaken {
        /// The name.
        name: String,
    },

    /// A rule about people.
    #[error(transparent)]
    People(#[from] PeopleError),

    // Rules that protect the controller from itself.
    /// The lease has another holder, so the write was not made.
    #[error("lease {name} has moved on from epoch {epoch}")]
    Fenced {
        /// The lease.
        name: String,
        /// The epoch that the writer held.
        epoch: i64,
    },
    /// The resource is gone.
    #[error("resource {uid} is gone")]
    ResourceGone {
        /// The resource.
        uid: Uid,
    },
    /// The spec changed after the plan was made.
    #[error("the plan for {key} is for generation {planned}, the spec is at {current}")]
    PlanStale {
        /// The resource.
        key: ResourceKey,
        /// The plan's generation.
        planned: Generation,
        /// The stored generation.
        current: Generation,
    },
    /// Somebody returned the environment to another release, or ended that, after the plan was made.
    #[error("the plan for {key} is from before its rollback, or after it")]
    RollbackStale {
        /// The environment.
        key: ResourceKey,
    },
    /// Somebody cancelled the release after the plan was made that says how it went.
    #[error("the plan for {key} is from before release {version} was cancelled")]
    CancelStale {
        /// The environment.
        key: ResourceKey,
        /// The number.
        version: ReleaseVersion,
    },
    /// The number of the new release was taken in the meantime.
    #[error("release {version} of {key} exists already")]
    ReleaseTaken {
        /// The environment.
        key: ResourceKey,
        /// The number.
        version: ReleaseVersion,
    },
    /// Another resource's inventory has the object.
    #[error("{object} is in the inventory of another resource")]
    ObjectTaken {
        /// The object.
        object: ObjectRef,
    },
    /// Another edge task has the address.
    #[error("address {address} is given to another edge task of {owner}")]
    AddressTaken {
        /// The organisation's uid.
        owner: Uid,
        /// The address.
        address: Ipv4Addr,
    },
    /// The resource was to be finalised, and nobody asked for its deletion.
    #[error("resource {uid} is not being deleted")]
    NotDeleting {
        /// The resource.
        uid: Uid,
    },
    /// The resource was to be finalised, and the inventory still has objects of it.
    #[error("resource {uid} still owns {objects} objects")]
    StillOwns {
        /// The resource.
        uid: Uid,
        /// How many.
        objects: i64,
    },
    /// The organisation was to be finalised, and still has resources.
    #[error("organisation {org} still has {resources} resources")]
    OrgNotEmpty {
        /// The organisation.
        org: String,
        /// How many.
        resources: i64,
    },
    /// No free subnet is left.
    #[error("no free subnet is left in the network pool")]
    SubnetsExhausted,
    /// Other writers kept creating the same resources.
    #[error("other writers keep creating the same resources")]
    Raced,
    /// No such plan or step, or the step is not in a state in which that can be said of it.
    #[error("step {index} of plan {plan} cannot become {state}")]
    StepUnexpected {
        /// The plan.
        plan: i64,
        /// The step.
        index: usize,
        /// What it was to become.
        state: &'static str,
    },

    // Readers that fell behind, and data that cannot be read.
    /// Changes after the cursor were removed, or history was rewritten: list again.
    #[error("the cursor is older than the changes that are kept; list again")]
    CursorExpired,
    /// The organisation has no data key.
    #[error("organisation {org_uid} has no data key")]
    KeyMissing {
        /// The organisation's uid.
        org_uid: Uid,
    },
    /// The organisation's data key was wrapped by a master key that this process does not have.
    #[error(
        "the data key of organisation {org_uid} was wrapped by master key {master_key}, which is not given"
    )]
    KeyClosed {
        /// The organisation's uid.
        org_uid: Uid,
        /// The master key's id.
        master_key: String,
    },
    /// The organisation's data key was damaged, or wrapped for another organisation.
    #[error("the data key of organisation {org_uid} cannot be opened")]
    KeyUnreadable {
        /// The organisation's uid.
        org_uid: Uid,
    },
    /// A sealed value cannot be opened.
    #[error("version {version} of secret {uid} cannot be opened: {why}")]
    SecretUnreadable {
        /// The secret.
        uid: Uid,
        /// The version.
        version: u32,
        /// Why, without anything about the value.
        why: &'static str,
    },
    /// Sealing failed, which only a broken crypto library can cause.
    #[error("sealing failed")]
    Seal,
    /// A row holds what this version cannot read.
    #[error("stored {what} cannot be read: {why}")]
    Corrupt {
        /// What it is, with its id.
        what: String,
        /// Why it cannot be read.
        why: String,
    },

    // The database as a whole.
    /// The URL is not one of a Postgres database.
    #[error("the database URL is not valid")]
    Url(#[source] sqlx::Error),
    /// No connection.
    #[error("cannot connect to the database")]
    Connect(#[source] sqlx::Error),
    /// The migrations did not run.
    #[error("cannot migrate the database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database has a migration that this version does not know.
    #[error("the database was migrated to {found} by a newer version; this one knows up to {known}")]
    NewerDatabase {
        /// The newest migration of the database.
        found: i64,
        /// The newest that this version knows.
        known: i64,
    },
    /// The master key in force is not among those that are given.
    #[error("master key {id} is in force for instance {instance}, and it is not given")]
    WrongMasterKey {
        /// The instance.
        instance: InstanceId,
        /// The key in force.
        id: String,
    },
    /// A master key that is needed is not given.
    #[error("this server does not have master key {id}")]
    MasterKeyMissing {
        /// The key.
        id: String,
    },
    /// A master key that was replaced does not come into force again.
    #[error("master key {id} was replaced by another one and does not return")]
    MasterKeyReplaced {
        /// The key.
        id: String,
    },
    /// Not every controller could open what the key would wrap.
    #[error("not every server has master key {id}: {} do not", without.join(", "))]
    MasterKeyNotEverywhere {
        /// The key.
        id: String,
        /// The controllers without it.
        without: Vec<String>,
    },
    /// The role that organisations' requests run as is missing, and this login may not make it.
    #[error(
        "organisations' requests need a role of the database that this login may not make; an administrator has to run once: {statement}"
    )]
    TenantRoleMissing {
        /// What makes it.
        statement: String,
    },
    /// An operation that was to happen together with others ended without an answer: it may have happened or not.
    #[error("database: cannot tell whether it came to this: {operation}")]
    Lost {
        /// What was to be done.
        operation: Operation,
    },
    /// A database operation that failed.
    #[error("database: cannot {operation}")]
    Database {
        /// What was to be done.
        operation: Operation,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
}

fn listed(all: &[impl std::fmt::Display]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn no_process(asked: Option<&ProcessName>, has: &[ProcessName]) -> String {
    let has: Vec<&str> = has.iter().map(ProcessName::as_str).collect();
    match asked {
        Some(asked) => format!("no process {asked}; it has {}", has.join(", ")),
        None => format!("several processes: {}", has.join(", ")),
    }
}
