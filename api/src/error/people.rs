//! How broken rules about people are told.

use skep_schemas::codes::Code;
use skep_store::PeopleError;

use super::{About, ApiError};

impl From<PeopleError> for ApiError {
    fn from(error: PeopleError) -> Self {
        let problem = error.to_string();
        let refused = |code, help: &'static str| Self::Refused {
            code,
            problem: problem.as_str().into(),
            help: help.into(),
            about: About::Nothing,
            diagnostics: Vec::new(),
        };
        match error {
            PeopleError::NotMember { .. } => {
                Self::NoneSuch { problem, help: "see who is with `skep member list`, or invite the person" }
            }
            // Whoever asks is not who he says: that is no account of his.
            PeopleError::AddressOfAnother { .. } => Self::Unauthorized,
            PeopleError::NoSuchPerson { .. } => {
                Self::NoneSuch { problem, help: "see who is with `skep person list`" }
            }
            PeopleError::MemberAlready { .. } => {
                refused(Code::NameTaken, "give the member another role with `skep member set`")
            }
            PeopleError::MemberAbove { .. } => {
                Self::invalid(problem, "ask somebody with that role: nobody decides about who is above him")
            }
            PeopleError::LastOwner => refused(Code::LastOwner, "make somebody else an owner first"),
            PeopleError::TooManyInvitations { .. } => {
                refused(Code::QuotaExceeded, "take back those that nobody will accept")
            }
        }
    }
}
