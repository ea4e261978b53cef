//! Who asks: the bearer of a token, or a person in a session.

use secrecy::{ExposeSecret, SecretString};
use skep_schemas::{EmailAddress, Role, Scope};

use crate::credential::{Credential, hash};
use crate::error::{Operation, StoreError};
use crate::people::{PersonId, SessionId};
use crate::store::Store;

/// So much, there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Where.
    pub reach: Scope,
    /// How much.
    pub role: Role,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Whoever has a token.
    Token {
        /// The token's name.
        name: String,
        /// What it allows.
        grant: Grant,
    },
    /// A person.
    Person {
        /// Who.
        id: PersonId,
        /// The session; none for one who comes with somebody else's word each time.
        session: Option<SessionId>,
        /// The address.
        email: EmailAddress,
        /// How the person is called.
        display_name: Option<String>,
        /// What the person may do: at most one grant for each organisation, and one for the platform. May be none at all.
        grants: Vec<Grant>,
    },
}

impl Principal {
    /// The name that the audit tells: that of the token, or the person's address.
    pub fn name(&self) -> &str {
        match self {
            Self::Token { name, .. } => name,
            Self::Person { email, .. } => email.as_str(),
        }
    }
}

impl Store {
    /// Who a token, or that of a session, stands for; `None` for one that is not valid.
    pub async fn authenticate(&self, token: &SecretString) -> Result<Option<Principal>, StoreError> {
        let text = token.expose_secret();
        let found = if Credential::Token.is_one(text) {
            self.bearer_of_token(&hash(text)).await
        } else if Credential::Session.is_one(text) {
            self.person_in_session(&hash(text)).await
        } else {
            return Ok(None);
        };
        found.map_err(|fault| fault.during(Operation::Token))
    }
}

/// A role, as a column has it.
pub(crate) fn role(word: &str) -> Result<Role, StoreError> {
    word.parse().map_err(|why| StoreError::corrupt(format!("the role {word}"), why))
}

/// Where something is valid, from the name of the organisation, if it is one's.
pub(crate) fn reach(org: Option<String>, of: &str) -> Result<Scope, StoreError> {
    let Some(org) = org else { return Ok(Scope::Platform) };
    org.parse().map(Scope::Org).map_err(|why| StoreError::corrupt(format!("where {of} is valid"), why))
}
