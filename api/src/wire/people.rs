//! People, members, invitations and sessions.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::{Duration, EmailAddress, OrgName, Role};

use super::GrantView;

/// Which people are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PeopleQuery {
    /// Those after this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<EmailAddress>,
}

/// An account to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PersonRequest {
    /// The address. Whoever makes the account vouches that it is this person's.
    pub email: EmailAddress,
    /// How the person is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonView {
    /// The address, in lower case.
    pub email: EmailAddress,
    /// How the person is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// People, by address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonList {
    /// The people.
    pub items: Vec<PersonView>,
    /// Where the next page begins: the `after` of its query. Absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<EmailAddress>,
}

/// A person who was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemovedPerson {
    /// The address.
    pub email: EmailAddress,
}

/// A session to be made for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionRequest {
    /// When it ends: a length such as `12h`, at most 30 days.
    pub expires_in: Duration,
}

/// Where people log in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginView {
    /// The identity provider; absent if people do not log in by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<LoginProvider>,
}

/// An OpenID provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginProvider {
    /// Its name, which is where its description is.
    pub issuer: String,
    /// By what it knows the command.
    pub client_id: String,
}

/// Where people log in on the pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebLoginView {
    /// The identity provider; absent if people do not log in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<WebLogin>,
}

/// An OpenID provider, as a page sends people there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebLogin {
    /// Its name.
    pub issuer: String,
    /// By what it knows the pages.
    pub client_id: String,
    /// Where people log in.
    pub authorization_endpoint: String,
}

/// What came back to the page from a login. It has no `Debug`: together it is worth a session, once.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebLoginCode {
    /// What the provider gave.
    pub code: String,
    /// What proves that the login is redeemed by whoever began it (PKCE).
    pub code_verifier: String,
    /// For which login the ID token has to be made.
    pub nonce: String,
    /// Where the provider sent the browser back to.
    pub redirect_uri: String,
}

/// A session to be made for whoever asks, with the ID token of a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginRequest {
    /// When it ends: a length such as `12h`, at most 30 days. Without one after twelve hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Duration>,
}

/// A session that was just made. It has no `Debug`: its text is told once, here.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeSession {
    /// What to send as a token. It is kept nowhere and cannot be shown again.
    pub token: String,
    /// Whose it is.
    pub email: EmailAddress,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A session as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// Its number.
    pub id: i64,
    /// By what it came about.
    pub origin: String,
    /// Is it the one that asks?
    pub current: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
}

/// Sessions, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionList {
    /// The sessions.
    pub items: Vec<SessionView>,
}

/// A session that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndedSession {
    /// Its number.
    pub id: i64,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    /// The address.
    pub email: EmailAddress,
    /// How the person is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// How much the person may do.
    pub role: Role,
    /// Who gave that role: of somebody who accepted an invitation, the one who made it.
    pub given_by: String,
    /// Since when the person has it.
    pub since: Timestamp,
}

/// Members, by address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberList {
    /// The members.
    pub items: Vec<MemberView>,
}

/// Another role of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleChange {
    /// The role; not more than that of whoever asks.
    pub role: Role,
}

/// Where to end one's own membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeaveRequest {
    /// The organisation; absent for the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
}

/// A membership that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemovedMember {
    /// The address.
    pub email: EmailAddress,
}

/// An invitation to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InvitationRequest {
    /// Whom to invite: nobody with another address can accept it.
    pub email: EmailAddress,
    /// What the person will be; not more than whoever asks.
    pub role: Role,
    /// When it ends by itself: a length such as `72h`, at most 30 days. Without one after a week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Duration>,
}

/// An invitation that was just made. It has no `Debug`: its text is told once, here.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeInvitation {
    /// What to send to the person. It is kept nowhere and cannot be shown again.
    pub code: String,
    /// Whom it is for.
    pub email: EmailAddress,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// An invitation as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationView {
    /// Its number.
    pub id: i64,
    /// Whom it is for.
    pub email: EmailAddress,
    /// What the person will be.
    pub role: Role,
    /// Who made it.
    pub made_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// Invitations, by address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationList {
    /// The invitations.
    pub items: Vec<InvitationView>,
}

/// An invitation that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokedInvitation {
    /// Whom it was for.
    pub email: EmailAddress,
}

/// An invitation to be accepted. It has no `Debug`: the code is worth a role.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcceptInvitation {
    /// What was sent.
    pub code: String,
}

/// What an invitation gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// So much, there.
    pub grant: GrantView,
}
