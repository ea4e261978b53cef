//! The error codes: one table for the whole product.
//!
//! Every problem that Skep reports, on the command line or in an API answer, has one of these codes. A code never changes
//! its meaning and is never used again for another. Its explanation (cause, wrong example, right example) is the file
//! `codes/SKnnnn.md`, which is part of the program: `skep explain SK0104` prints it, and a test reads the examples.
//!
//! Ranges: SK01 reading manifests, SK02 references and limits, SK03 conflicts, SK04 permission, SK05 the engine and
//! roll-outs, SK06 requests, SK07 the server.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! codes {
    ($($name:ident $code:literal $status:literal $title:literal;)*) => {
        /// The code of an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// All codes, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as users see it, for example `SK0104`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it means, in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// The HTTP status of an API answer that carries it.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The long explanation, in Markdown: cause, wrong example, right example.
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!("codes/", $code, ".md")),)* }
            }
        }
    };
}

codes! {
    Syntax              "SK0101" 400 "the text is not valid YAML or JSON";
    TooLarge            "SK0102" 413 "the manifest is too large";
    TooComplex          "SK0103" 413 "the manifest is nested too deeply or unfolds to too much";
    UnknownField        "SK0104" 422 "unknown field";
    DuplicateField      "SK0105" 422 "a field is written twice";
    MissingField        "SK0106" 422 "a required field is missing";
    WrongType           "SK0107" 422 "a value has the wrong type";
    InvalidName         "SK0108" 422 "a name is not well-formed";
    InvalidQuantity     "SK0109" 422 "a quantity is not well-formed";
    InvalidHost         "SK0110" 422 "a host name is not well-formed";
    InvalidImage        "SK0111" 422 "an image reference is not well-formed";
    InvalidPath         "SK0112" 422 "a path or file name is not allowed";
    OutOfRange          "SK0113" 422 "a number is out of range";
    UnknownKind         "SK0114" 422 "unknown kind";
    UnsupportedVersion  "SK0115" 422 "unsupported apiVersion";
    UnknownChoice       "SK0116" 422 "a value is not one of the choices";
    InvalidSpec         "SK0117" 422 "a spec contradicts itself or a limit";
    InvalidLabel        "SK0118" 422 "a label or annotation is not well-formed";
    ReservedPrefix      "SK0119" 422 "a label or annotation uses the reserved prefix";
    OrgMissing          "SK0120" 422 "no organisation is named";
    OrgRefused          "SK0121" 422 "a platform kind takes no organisation";
    DuplicateResource   "SK0122" 422 "a resource is written twice in one batch";
    UnsupportedYaml     "SK0123" 422 "a YAML feature that manifests do not use";
    NothingToRead       "SK0124" 400 "no manifest was found";
    Unreadable          "SK0125" 400 "a source cannot be read";
    InvalidSchedule     "SK0126" 422 "a schedule is not well-formed";
    InvalidReference    "SK0127" 422 "a reference in a variable is not well-formed";

    ReferenceMissing    "SK0201" 422 "a resource that is referred to does not exist";
    OrganizationMissing "SK0202" 404 "the organisation does not exist";
    QuotaExceeded       "SK0203" 422 "more than the plan allows";
    SecretValueMissing  "SK0204" 422 "a new secret has no value";
    PolicyDenied        "SK0205" 422 "a policy does not allow it";

    RevisionConflict    "SK0301" 409 "the resource changed in the meantime";
    PreconditionFailed  "SK0302" 412 "the condition of the request does not hold";
    HostTaken           "SK0303" 409 "the host name belongs to another domain";
    Deleting            "SK0304" 409 "the resource is being deleted";
    ManagedElsewhere    "SK0305" 409 "another writer maintains the resource";
    PlanMoved           "SK0306" 409 "the world has moved since the plan was made";
    NameTaken           "SK0307" 409 "the name is in use";
    LastOwner           "SK0308" 409 "somebody has to stay owner";
    RegistryTaken       "SK0309" 409 "the organisation has a credential for the registry";
    OwnedByAnother      "SK0310" 409 "the number belongs to somebody else";

    Unauthorized        "SK0401" 401 "no valid token";
    FeatureClosed       "SK0402" 403 "the feature is switched off";
    Forbidden           "SK0403" 403 "the token does not permit this";

    EngineUnavailable   "SK0501" 503 "the Docker engine does not answer";
    RolloutFailed       "SK0502" 500 "a roll-out failed";
    WaitTimedOut        "SK0503" 504 "waiting took too long";

    NotFound            "SK0601" 404 "no such resource";
    InvalidQuery        "SK0602" 400 "a parameter of the request is not valid";
    CursorExpired       "SK0603" 410 "the cursor or revision is too old";
    PayloadTooLarge     "SK0604" 413 "the request body is too large";
    UnsupportedMedia    "SK0605" 415 "the content type is not supported";
    AddressMismatch     "SK0606" 422 "body and URL name different resources";
    UnknownRoute        "SK0607" 404 "no such path or method";
    KeyReused           "SK0608" 422 "the idempotency key is another request's";
    KeyInUse            "SK0609" 409 "a request with this idempotency key is being worked on";
    AnswerNotKept       "SK0610" 409 "the request was done before, and its answer is not kept";
    NotServed           "SK0611" 501 "the route is not served yet";

    Internal            "SK0701" 500 "an internal error";
    Unavailable         "SK0702" 503 "the server cannot answer now";
    TooManyRequests     "SK0703" 429 "too many requests";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No error has that code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an error code")]
pub struct UnknownCode {
    /// What was given.
    pub text: String,
}

impl std::str::FromStr for Code {
    type Err = UnknownCode;

    /// Reads `SK0104`, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let found = Self::ALL.iter().find(|code| code.as_str().eq_ignore_ascii_case(text));
        found.copied().ok_or_else(|| UnknownCode { text: text.to_owned() })
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^SK[0-9]{4}$", "description": "The code of an error; `skep explain` documents each." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_none_is_used_twice() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
    }

    #[test]
    fn every_explanation_opens_with_its_code_and_title_and_shows_right_and_wrong() {
        for code in Code::ALL {
            let text = code.explanation();
            assert!(text.starts_with(&format!("# {code}: {}\n", code.title())), "{code}");
            assert!(text.contains("\nWrong:\n") && text.contains("\nRight:\n"), "{code}");
        }
    }

    #[test]
    fn a_code_reads_back_from_what_it_is_shown_as() {
        for code in Code::ALL {
            assert_eq!(code.as_str().to_lowercase().parse::<Code>(), Ok(*code));
        }
        assert!("SK9999".parse::<Code>().is_err());
    }
}
