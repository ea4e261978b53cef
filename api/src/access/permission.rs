//! Permissions: what can be asked for, and the one table that says which role it takes.
//!
//! Deny is what is left over: whoever has no role that the table names for an action on a kind may not do it. The match is
//! exhaustive, so a new permission or kind does not compile before it is decided on.

use std::fmt;

use skep_schemas::{Kind, Role};

/// Something that a token may permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// See resources, their status, events and releases, and plans.
    Read,
    /// Apply manifests.
    Write,
    /// Delete resources.
    Delete,
    /// Confirm what is on hold and adopt what others made, which may change a whole Swarm.
    Confirm,
    /// Pause, resume, and ask to try again: changes what is done about a resource, not what is wanted.
    Intervene,
    /// Give a secret another value, or a former one again.
    RotateSecrets,
    /// See what processes print, which may be personal data.
    ReadLogs,
    /// See the server's metrics, which tell of all organisations.
    ReadMetrics,
    /// See what the server is doing, with the keys of all organisations.
    Debug,
    /// See, make and revoke tokens.
    ManageTokens,
    /// See who is a member.
    ReadMembers,
    /// Invite people, change members' roles and remove members.
    ManageMembers,
    /// See all people, make and remove them, and make sessions in their name.
    ManagePeople,
    /// Accept invitations, and see and end one's own sessions.
    BeSomebody,
    /// See who did what, and what was denied to whom.
    ReadAudit,
    /// See which master key is in force, and put another in its place.
    ManageMasterKey,
    /// Have the installation examined, which names what is wrong in any organisation.
    Diagnose,
    /// See what the API is: its version and description; and who asks.
    Describe,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read resources",
            Self::Write => "write resources",
            Self::Delete => "delete resources",
            Self::Confirm => "confirm what is on hold and adopt what others made",
            Self::Intervene => "pause, resume and retry resources",
            Self::RotateSecrets => "rotate secrets",
            Self::ReadLogs => "read logs",
            Self::ReadMetrics => "read metrics",
            Self::Debug => "see what the server is doing",
            Self::ManageTokens => "see, make and revoke tokens",
            Self::ReadMembers => "see members",
            Self::ManageMembers => "invite people and manage members",
            Self::ManagePeople => "manage people",
            Self::BeSomebody => "do what a person does for himself",
            Self::ReadAudit => "read the audit",
            Self::ManageMasterKey => "see and change the master key",
            Self::Diagnose => "examine the installation",
            Self::Describe => "read the description of the API",
        })
    }
}

impl Permission {
    /// The word for it in the audit.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Confirm => "confirm",
            Self::Intervene => "intervene",
            Self::RotateSecrets => "rotate-secrets",
            Self::ReadLogs => "read-logs",
            Self::ReadMetrics => "read-metrics",
            Self::Debug => "debug",
            Self::ManageTokens => "manage-tokens",
            Self::ReadMembers => "read-members",
            Self::ManageMembers => "manage-members",
            Self::ManagePeople => "manage-people",
            Self::BeSomebody => "be-somebody",
            Self::ReadAudit => "read-audit",
            Self::ManageMasterKey => "manage-master-key",
            Self::Diagnose => "diagnose",
            Self::Describe => "describe",
        }
    }
}

/// What a permission takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A valid token, or a session, whatever it allows.
    Anyone,
    /// To be a person.
    Person,
    /// Any role anywhere.
    AnyRole,
    /// At least this role where the resource is, or on the platform.
    Within(Role),
    /// At least this role on the platform: it concerns all organisations.
    OnPlatform(Role),
}

impl Permission {
    /// All.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 18] = [
        Self::Read,
        Self::Write,
        Self::Delete,
        Self::Confirm,
        Self::Intervene,
        Self::RotateSecrets,
        Self::ReadLogs,
        Self::ReadMetrics,
        Self::Debug,
        Self::ManageTokens,
        Self::ReadMembers,
        Self::ManageMembers,
        Self::ManagePeople,
        Self::BeSomebody,
        Self::ReadAudit,
        Self::ManageMasterKey,
        Self::Diagnose,
        Self::Describe,
    ];

    /// What it takes to exercise it on a kind; no kind where none is named.
    pub(crate) const fn needs(self, kind: Option<Kind>) -> Needs {
        use Needs::{AnyRole, Anyone, OnPlatform, Person, Within};
        match self {
            Self::Describe => Anyone,
            Self::BeSomebody => Person,
            Self::Read => match kind {
                // What can be chosen from; every tenant does.
                Some(kind) if kind.is_of_catalog() => AnyRole,
                _ => Within(Role::Viewer),
            },
            Self::ReadLogs | Self::RotateSecrets => Within(Role::Deployer),
            Self::Write => match kind {
                Some(Kind::App | Kind::Environment | Kind::Domain | Kind::Secret) => Within(Role::Deployer),
                // A password of the organisation goes wherever a credential says, and what happens in it wherever a notification does.
                Some(
                    Kind::DriftPolicy
                    | Kind::ImagePolicy
                    | Kind::RegistryCredential
                    | Kind::NetworkPolicy
                    | Kind::Notification,
                ) => Within(Role::Admin),
                // They say how much a tenant may use. Where no kind is named, it is the most that could be meant.
                Some(
                    Kind::Organization
                    | Kind::Platform
                    | Kind::Plan
                    | Kind::IsolationTier
                    | Kind::Buildpack
                    | Kind::Stack
                    | Kind::Template,
                )
                | None => OnPlatform(Role::Admin),
            },
            // Whoever may write something there need not be one who may take it away.
            Self::Delete => match Self::Write.needs(kind) {
                Within(_) => Within(Role::Admin),
                needs => needs,
            },
            Self::Intervene => match kind {
                Some(Kind::Organization) => Within(Role::Admin),
                _ => Within(Role::Deployer),
            },
            Self::ReadMembers => Within(Role::Viewer),
            Self::ManageTokens | Self::ManageMembers | Self::ReadAudit => Within(Role::Admin),
            // Whoever makes a session in somebody's name has that person's rights.
            Self::ManagePeople => OnPlatform(Role::Owner),
            Self::ReadMetrics => OnPlatform(Role::Viewer),
            Self::Confirm | Self::Debug | Self::ManageMasterKey | Self::Diagnose => OnPlatform(Role::Admin),
        }
    }
}
