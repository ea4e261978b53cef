//! The store: desired state, status and everything Skep remembers, in Postgres.
//!
//! ```text
//! apply, delete ──> resource ──trigger──> change_log ──commit──> one dense revision, one NOTIFY
//!                                              └──> changes / Watcher ──> keys to look at again
//! snapshot      ──> one consistent view for the planner
//! begin_plan, step_*, write_status, finalize ──> fenced writes of the controller
//! ```
//!
//! Guarantees:
//! - A batch of manifests is one transaction: all of it or nothing. A batch that changes nothing writes nothing.
//! - A resource has one owner, and nobody else writes or deletes it ([`OwnershipError`]).
//! - Every transaction that changes resources has one revision, dense and in commit order (invariant I8). A reader that
//!   follows [`ScopedStore::changes`] or a [`Watcher`] misses nothing and sees nothing out of order, or is told to list again.
//! - Rows go only when their finalizers are gone, and finalizers only when the inventory is empty (invariants I3, I12).
//! - Writes of the controller carry a [`Fence`] and fail once the lease has another holder (invariant I9).
//! - What is asked in an organisation's name goes through a [`ScopedStore`], whose connections the database itself holds to that organisation.
//! - Secret values are sealed before they reach the database and leave it only through [`Store::open_secret`] (invariant I13).
//!
//! Only this crate knows SQL. The schema and the reasons for it are in `migrations/`.

mod ahead;
mod apply;
mod audit;
mod cancel;
mod credential;
mod delete;
mod drift;
mod environment;
mod error;
mod event;
mod finalize;
mod formation;
mod gate;
mod gathered;
mod generate;
mod intervention;
mod inventory;
mod journal;
mod keyed;
mod last_lines;
mod lease;
mod left_image;
mod link;
mod list;
mod master_keys;
mod member;
mod migrate;
mod notification;
mod options;
mod ownership;
mod people;
mod policy;
mod principal;
mod print;
mod quota;
mod release;
mod report;
mod rollback;
mod row;
mod run;
mod safety;
mod scan;
mod schedule;
mod scoped;
mod seal;
mod secret;
mod secret_exam;
mod secret_history;
mod secret_rotation;
mod signature;
mod snapshot;
mod store;
mod subnet;
mod suspension;
mod sweep;
mod time;
mod token;
mod watch;

pub use apply::{APPLY_MAX, Applied, ApplyItem, Outcome, Precondition};
pub use audit::{
    AUDIT_PAGE_MAX, Actor, AuditChain, AuditEntry, AuditHead, AuditKey, AuditOutcome, AuditPage, AuditQuery,
    AuditSeal, Denied, Origin, Sealed,
};
pub use delete::{DeleteItem, Deletion};
pub use drift::{
    Corrected, DriftBell, DriftFilter, DriftHistory, DriftOutcome, DriftRecord, Ended, Looked, Noted, Noticed,
};
pub use error::{Operation, StoreError};
pub use event::{Event, NewEvent, Severity};
pub use finalize::Finalized;
pub use formation::{FormationChange, FormationError, Scale};
pub use gate::Gate;
pub use intervention::Intervention;
pub use journal::{
    PLANS_MAX, PlanHistory, PlanId, PlanOutcome, PlanRecord, StepHistory, StepOutcome, StepState,
    UnfinishedPlan, UnfinishedStep,
};
pub use keyed::{ABANDONED_AFTER, ANSWER_MAX, Begun, KEPT_FOR, KeptAnswer, KeyedRequest, RequestPrint};
pub use lease::Fence;
pub use left_image::LeftImage;
pub use link::Link;
pub use list::{LIST_MAX, ListPage, ListPosition, ListQuery, ScopeFilter};
pub use master_keys::{
    ClosedOrganization, FURTHER_KEYS_MAX, MasterKeyStanding, MasterKeyUse, MasterKeys, Rotation, TooManyKeys,
};
pub use member::{Beat, Member};
pub use notification::{Attempt, Claimed, Delivery, DeliveryState, MessageId, Notice, Resend};
pub use options::StoreOptions;
pub use ownership::{Ownership, OwnershipError, Theirs, Tried, Writer};
pub use people::{
    InvitationInfo, MemberInfo, NewInvitation, PEOPLE_MAX, PeopleError, Person, PersonId, SessionId,
    SessionInfo, Subject,
};
pub use principal::{Grant, Principal};
pub use print::Print;
pub use quota::Standing;
pub use release::RecordedRelease;
pub use run::{RecordedRun, RunRequest};
pub use safety::{Census, Confirmation, Hold, HoldId, Orphan, RECOVERED_MAX};
pub use schedule::RecordedSchedule;
pub use scoped::ScopedStore;
pub use seal::{MasterKey, MasterKeyError};
pub use secret::{SecretCurrent, SecretOrigin};
pub use secret_exam::{Examined, Unreadable, ValuePosition};
pub use secret_history::{SecretHistory, SecretObject, SecretUse, SecretVersion};
pub use secret_rotation::Rotated;
pub use snapshot::{Dependents, DomainClaim, KeyEntry, Snapshot};
pub use store::{Connections, Store};
pub use sweep::{Retention, Swept};
pub use token::{NewToken, TokenInfo};
pub use watch::{CHANGES_MAX, Change, ChangeOp, Cursor, CursorError, Page, WatchEvent, WatchStats, Watcher};
