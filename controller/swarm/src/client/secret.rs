//! The one request that carries a secret's value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretSlice};
use serde::Serialize;
use skep_planner::swarm::SecretSpec;

/// Room for the rest of the request, so that the buffer is not copied while it grows.
const SPEC_ROOM: usize = 16 * 1024;

#[derive(Serialize)]
struct CreateSecret<'a> {
    #[serde(flatten)]
    spec: &'a SecretSpec,
    #[serde(rename = "Data")]
    data: &'a str,
}

/// The body of the request, wiped when it has been sent.
pub(super) fn create_body(spec: &SecretSpec, value: &SecretSlice<u8>) -> Result<Bytes, serde_json::Error> {
    let encoded = Zeroizing::new(STANDARD.encode(value.expose_secret()));
    let mut body = Zeroizing::new(Vec::with_capacity(encoded.len() + SPEC_ROOM));
    serde_json::to_writer(&mut *body, &CreateSecret { spec, data: &encoded })?;
    Ok(Bytes::from_owner(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_in_the_body_in_base64() {
        let spec = SecretSpec { name: "token".to_owned(), ..SecretSpec::default() };
        let body = create_body(&spec, &SecretSlice::from(b"hello".to_vec())).expect("writable");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("json");
        assert_eq!(body, serde_json::json!({"Name": "token", "Data": "aGVsbG8="}));
    }
}
