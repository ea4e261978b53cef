//! Addresses that Skep sends messages to.
//!
//! A tenant writes them and a server inside follows them. Whether what they lead to may be asked is decided where it is asked; here they get one
//! form, in which the host that is read is the host that is asked: no user, no brackets, no second spelling, and nothing in it that is secret.

use super::names::excerpt;
use super::{ScalarError, text_scalar};

const URL_MAX: usize = 500;

text_scalar! {
    /// Where a message is sent: `https`, a host in lower case, a port if it needs one, and a path.
    HookUrl, "hook-url", "Address that messages are sent to, for example https://scanner.acme.test/skep.",
    r"^https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?$", hook_url
}

impl HookUrl {
    /// Who is asked: its host, with the port if one is written.
    pub fn host(&self) -> &str {
        let rest = self.as_str().split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }
}

fn hook_url(text: &str) -> Result<(), ScalarError> {
    let bad = |why: &str, help: &str| {
        Err(ScalarError::new(
            format!("`{}` is no address that a message could be sent to: {why}", excerpt(text)),
            help,
        ))
    };
    let help = "write `https://`, a host in lower case, a port if it needs one, and a path: `https://scanner.acme.test/skep`";
    if text.len() > URL_MAX {
        return bad("it is longer than 500 characters", help);
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else { return bad("it begins neither with `https://` nor with `http://`", help) };
    if rest.contains(['?', '#']) {
        return bad(
            "it has a `?` or a `#`",
            "leave it out; what only the two sides may know is the value of a Secret",
        );
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    if authority.contains('@') {
        return bad("it names a user", "leave that out; requests are signed with the value of a Secret");
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    if !edge(host.chars().next()) || !edge(host.chars().last()) || !host.chars().all(inside) {
        return bad("its host is none", help);
    }
    let is_number = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    if port.is_some_and(|port| !is_number(port)) {
        return bad("its port is none", help);
    }
    let of_path = |c: char| c.is_ascii_alphanumeric() || "/._~!$&'()*+,;=:@%-".contains(c);
    if !path.chars().all(of_path) {
        return bad("its path has other characters than those of addresses", help);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form_and_nothing_secret_in_it() {
        for (text, host) in [
            ("https://scanner.acme.test", "scanner.acme.test"),
            ("https://scanner.acme.test:8443/skep/v1", "scanner.acme.test:8443"),
            ("http://10.0.0.7:9000/", "10.0.0.7:9000"),
        ] {
            assert_eq!(text.parse::<HookUrl>().unwrap().host(), host);
        }
        for text in [
            "",
            "scanner.acme.test",
            "ftp://scanner.acme.test",
            "https://",
            "https:///path",
            "https://Scanner.acme.test",
            "https://robot:pw@scanner.acme.test/",
            "https://scanner.acme.test/?token=1",
            "https://scanner.acme.test/#a",
            "https://scanner.acme.test:0/",
            "https://scanner.acme.test:+80/",
            "https://[::1]/",
            "https://a b/",
            "https://a/\u{202e}",
            "https://a.test\\@b.test/",
        ] {
            assert!(text.parse::<HookUrl>().is_err(), "{text}");
        }
    }
}
