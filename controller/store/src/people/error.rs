//! The rules about people that a request can break.

use skep_schemas::{EmailAddress, Role};

/// Why something about people was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeopleError {
    /// Nobody with that address is a member.
    #[error("{email} is not a member")]
    NotMember {
        /// The address.
        email: EmailAddress,
    },
    /// Somebody with that address is a member already.
    #[error("{email} is a member already")]
    MemberAlready {
        /// The address.
        email: EmailAddress,
    },
    /// The member's role is above that of whoever asks.
    #[error("{email} is {role} there, which is above the role of whoever asks")]
    MemberAbove {
        /// The address.
        email: EmailAddress,
        /// The member's role.
        role: Role,
    },
    /// The last owner was to go, or to become less.
    #[error("nobody else is owner")]
    LastOwner,
    /// Nobody has that address.
    #[error("nobody with the address {email} is known")]
    NoSuchPerson {
        /// The address.
        email: EmailAddress,
    },
    /// The address belongs to somebody whom the same issuer knows by another subject.
    #[error("{email} is the address of an account that belongs to somebody else at the same issuer")]
    AddressOfAnother {
        /// The address.
        email: EmailAddress,
    },
    /// As many invitations are open as may be.
    #[error("{found} invitations are open, and {limit} may be")]
    TooManyInvitations {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
}
