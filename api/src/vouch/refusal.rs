//! Why a token of somebody else is not believed. It is logged for whoever runs the server; whoever sent it is told that it is not valid.

use super::fetch::FetchError;
use super::keys::KeyError;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it is no token")]
    Malformed,
    #[error("its issuer is not one of those that are believed")]
    UnknownIssuer,
    #[error("its header cannot be read: {0}")]
    Header(#[source] jsonwebtoken::errors::Error),
    #[error("it is not signed with the algorithm that its issuer is pinned to")]
    Algorithm,
    #[error("its header names a key of its own, or rules of its own")]
    HeaderField,
    #[error(transparent)]
    Key(KeyError),
    #[error("its issuer did not redeem the code of a login: {0}")]
    Provider(FetchError),
    #[error("{0}")]
    Token(#[source] jsonwebtoken::errors::Error),
    #[error("it is valid for longer than a token may be that cannot be taken back")]
    TooLong,
    #[error("its claim `{0}` is not as it has to be")]
    Claim(&'static str),
    #[error("it tells no address")]
    NoAddress,
    #[error("it does not say that its address was verified")]
    NotVerified,
}

impl Refusal {
    /// Could nobody be believed just now?
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Key(KeyError::Unreadable(_)) => true,
            // What is wrong with a code is told with 400 or 401 (RFC 6749 §5.2).
            Self::Provider(FetchError::Refused(status)) => !status.is_client_error(),
            Self::Provider(_) => true,
            _ => false,
        }
    }
}
