//! The database's URL, and its password in a file of its own.
//!
//! Swarm gives a password to a service as a file, and Postgres' own image reads it there. A URL with the password in it would have
//! to be a second secret that must be kept equal to the first; so the URL names the user, and the file the password.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use secrecy::{ExposeSecret, SecretString};

use crate::client::escape;

/// Far more than any password; a longer file is another file.
const PASSWORD_MAX: u64 = 4096;

/// The URL with the password that is in the file. One line end after it is not part of it.
pub(crate) fn with_password(url: &SecretString, path: &Path) -> Result<SecretString> {
    let password = read(path)?;
    let (scheme, rest) = url.expose_secret().split_once("://").context("the database's URL has no scheme")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let Some((user, host)) = authority.rsplit_once('@').filter(|(user, _)| !user.is_empty()) else {
        bail!(
            "the database's URL names no user whose password it could be\nhelp: write it as postgres://USER@HOST/DATABASE"
        )
    };
    let query = tail.split_once('?').map(|(_, query)| query).unwrap_or_default();
    ensure!(
        !user.contains(':') && !query.split('&').any(|pair| pair.starts_with("password=")),
        "the database's URL has a password already\nhelp: leave it out of the URL, or give no password file"
    );
    let password = escape(password.expose_secret());
    Ok(SecretString::from(format!("{scheme}://{user}:{password}@{host}{tail}")))
}

fn read(path: &Path) -> Result<SecretString> {
    let at = || format!("the password file {}", path.display());
    let file = File::open(path).with_context(|| format!("cannot open {}", at()))?;
    let mut text = String::new();
    // One byte more than is allowed, so that too long is told from just long enough.
    let mut limited = file.take(PASSWORD_MAX.saturating_add(1));
    let length = limited.read_to_string(&mut text).with_context(|| format!("cannot read {}", at()))?;
    ensure!(
        u64::try_from(length).is_ok_and(|length| length <= PASSWORD_MAX),
        "{} holds more than {PASSWORD_MAX} bytes",
        at()
    );
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    ensure!(!password.is_empty(), "{} is empty", at());
    Ok(SecretString::from(password.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn joined(url: &str, content: &[u8]) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, content).unwrap();
        with_password(&SecretString::from(url.to_owned()), &path)
            .map(|url| url.expose_secret().to_owned())
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn the_password_goes_between_user_and_host_whatever_is_in_it() {
        let joined =
            |content: &[u8]| joined("postgres://skep@db:5432/skep?sslmode=require", content).unwrap();
        assert_eq!(joined(b"plain"), "postgres://skep:plain@db:5432/skep?sslmode=require");
        assert_eq!(
            joined(b"p@s:s/w?r#d%\n"),
            "postgres://skep:p%40s%3As%2Fw%3Fr%23d%25@db:5432/skep?sslmode=require"
        );
        assert_eq!(
            joined("schlüssel".as_bytes()),
            "postgres://skep:schl%C3%BCssel@db:5432/skep?sslmode=require"
        );
    }

    #[test]
    fn only_one_line_end_is_taken_off() {
        for (content, password) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a%0A"), (" a ", "%20a%20")] {
            assert_eq!(
                joined("postgres://u@h", content.as_bytes()).unwrap(),
                format!("postgres://u:{password}@h")
            );
        }
    }

    #[test]
    fn a_url_with_a_password_or_without_a_user_is_refused_and_nothing_secret_is_shown() {
        for url in ["postgres://u:canary@h/d", "postgres://u:@h/d", "postgres://u@h/d?password=canary"] {
            let error = joined(url, b"canary").unwrap_err();
            assert!(error.contains("has a password already") && !error.contains("canary"), "{error}");
        }
        for url in ["postgres://h/d", "postgres://@h/d", "postgres:///d?host=/run/u@h"] {
            let error = joined(url, b"canary").unwrap_err();
            assert!(error.contains("names no user") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_file_that_holds_no_password_is_refused() {
        for content in [&b""[..], b"\n", b"\xff\xfe", &[b'x'; 5000]] {
            let error = joined("postgres://u@h", content).unwrap_err();
            assert!(error.contains("the password file"), "{error}");
        }
    }
}
