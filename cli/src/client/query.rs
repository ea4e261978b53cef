//! Query strings, from the same types that the server reads them into.

use serde::Serialize;
use serde_json::Value;

/// The path with the fields of a query that are set.
pub(crate) fn with_query<Q: Serialize>(path: &str, query: &Q) -> Result<String, serde_json::Error> {
    let Value::Object(fields) = serde_json::to_value(query)? else { return Ok(path.to_owned()) };
    let pairs: Vec<String> = fields
        .iter()
        .filter_map(|(name, value)| match value {
            Value::Null => None,
            Value::String(text) => Some(format!("{name}={}", escape(text))),
            other => Some(format!("{name}={}", escape(&other.to_string()))),
        })
        .collect();
    if pairs.is_empty() { Ok(path.to_owned()) } else { Ok(format!("{path}?{}", pairs.join("&"))) }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
pub(crate) fn escape(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use skep_api::wire::{ListQuery, WriteQuery};

    use super::*;

    #[test]
    fn fields_that_are_not_set_are_left_out_and_values_are_escaped() {
        let query = ListQuery {
            label_selector: Some("a=b,!c&d é".into()),
            watch: true,
            since: Some("7".into()),
            ..ListQuery::default()
        };
        assert_eq!(
            with_query("/v1/plans", &query).unwrap(),
            "/v1/plans?labelSelector=a%3Db%2C%21c%26d%20%C3%A9&watch=true&since=7"
        );
        assert_eq!(with_query("/v1/plans", &WriteQuery::default()).unwrap(), "/v1/plans");
    }
}
