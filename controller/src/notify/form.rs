//! The forms in which a message is sent: as it is kept, and as Slack takes it.

use serde::Deserialize;
use serde_json::json;

/// What of a message is for people.
#[derive(Deserialize)]
struct Kept {
    #[serde(rename = "type")]
    message_type: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    organization: String,
    kind: String,
    name: String,
    message: String,
}

/// The same for Slack. What is special there is written so that it is not: a tenant's text can neither ping a channel nor hide an address behind another.
pub(super) fn slack(body: &str) -> Result<String, serde_json::Error> {
    let Kept { message_type, data } = serde_json::from_str(body)?;
    let Data { organization, kind, name, message } = data;
    let text = format!("{message_type}: {organization}/{kind}/{name}: {message}");
    Ok(json!({ "text": harmless(&text), "mrkdwn": false }).to_string())
}

/// Slack asks for three characters to be written so, and reads nothing else as a command then. Others that take the same messages read `@channel`
/// in plain text, too: a space without width parts the two.
fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => harmless.push_str("&amp;"),
            '<' => harmless.push_str("&lt;"),
            '>' => harmless.push_str("&gt;"),
            '@' => harmless.push_str("@\u{200b}"),
            other => harmless.push(other),
        }
    }
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_text_is_no_command_in_slack() {
        let body = json!({ "type": "run.failed", "timestamp": "2026-01-01T00:00:00Z", "data": {
            "organization": "acme", "kind": "Environment", "name": "shop", "reason": "RunFailed",
            "severity": "warning", "message": "<!channel> & @here <https://evil.test|your bank>",
        }});
        let sent: serde_json::Value = serde_json::from_str(&slack(&body.to_string()).unwrap()).unwrap();
        assert_eq!(
            sent["text"],
            "run.failed: acme/Environment/shop: &lt;!channel&gt; &amp; @\u{200b}here &lt;https://evil.test|your bank&gt;"
        );
        assert_eq!(sent["mrkdwn"], false);
    }
}
