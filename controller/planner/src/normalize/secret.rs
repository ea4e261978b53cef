//! The fields of a secret's spec. Only labels can change in place; its value is never told.

use super::field::Absent::{Empty, Open};
use super::field::Kind::{Map, Object, Text};
use super::field::fields;

fields! {
    /// Every field of a secret's spec.
    pub const SECRET;
    Skep   25 "/Name": Text, Open, AsSent, r#""acme_other""#; "cannot be changed in place"
    Skep   25 "/Labels": Map, Empty, AsSent, r#"{"by": "hand"}"#; "convert/service.go annotationsFromGRPC: never null"
    Skep   25 "/Labels/*": Text, Open, AsSent, r#""hand""#; "an empty value is kept"
    Swarm  25 "/Data": Text, Empty, AsSent, ""; "never answered; the executor sends it"
    Nobody 31 "/Driver": Object, Empty, Refused, r#"{"Name": "vault"}"#; "cannot be changed in place; tried: of a plugin that is not there the engine panics"
    Nobody 31 "/Driver/Name": Text, Empty, Refused, r#""vault""#; "convert/service.go driverToGRPC"
    Nobody 31 "/Driver/Options": Map, Empty, Refused, r#"{"path": "a"}"#; "convert/service.go driverToGRPC"
    Nobody 31 "/Driver/Options/*": Text, Open, Refused, r#""b""#; "convert/service.go driverToGRPC"
    Nobody 37 "/Templating": Object, Empty, AsSent, r#"{"Name": "golang"}"#; "convert/secret.go; tried: an update takes another one and forgets it"
    Nobody 37 "/Templating/Name": Text, Empty, AsSent, r#""golang""#; "convert/secret.go"
    Nobody 37 "/Templating/Options": Map, Empty, AsSent, r#"{"a": "b"}"#; "convert/secret.go"
    Nobody 37 "/Templating/Options/*": Text, Open, AsSent, r#""c""#; "convert/secret.go"
}
