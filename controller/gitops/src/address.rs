//! Where a repository is: https or ssh, and nothing else.

use std::fmt;

/// The address of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `https://host[:port]/path`; `http` only where the operator allows the host without TLS.
    Https {
        /// The whole address, without credentials.
        url: String,
    },
    /// `ssh://[user@]host[:port]/path`, or `user@host:path`.
    Ssh {
        /// Who logs in; `git` unless it is written.
        user: String,
        /// The host, without brackets.
        host: String,
        /// The port.
        port: u16,
        /// The path, as the server is told it.
        path: String,
    },
}

/// An address that is not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no address of a repository: {why}; write https://HOST/PATH or ssh://git@HOST/PATH")]
pub struct AddressError {
    why: &'static str,
}

/// The longest address.
const LONGEST: usize = 1024;
/// The port of ssh.
const SSH: u16 = 22;

impl Address {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > LONGEST || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(AddressError { why: "it is too long, or has spaces or control characters in it" });
        }
        match text.split_once("://") {
            Some(("https" | "http", rest)) => https(text, rest),
            Some(("ssh", rest)) => ssh(rest),
            Some(_) => Err(AddressError { why: "only https and ssh are spoken" }),
            None => scp(text),
        }
    }

    /// The host.
    pub fn host(&self) -> &str {
        match self {
            Self::Https { url } => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                rest.split('/').next().unwrap_or_default()
            }
            Self::Ssh { host, .. } => host,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Https { url } => f.write_str(url),
            Self::Ssh { user, host, port, path } => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                let port = if *port == SSH { String::new() } else { format!(":{port}") };
                write!(f, "ssh://{user}@{host}{port}/{}", path.trim_start_matches('/'))
            }
        }
    }
}

fn https(text: &str, rest: &str) -> Result<Address, AddressError> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(AddressError {
            why: "it has a name or password in it; give `credentials` a Secret instead",
        });
    }
    if authority.is_empty() || path.is_empty() {
        return Err(AddressError { why: "it names no host or no repository" });
    }
    if path.contains(['?', '#']) {
        return Err(AddressError { why: "it has a query in it" });
    }
    let whole = text.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some());
    if !whole {
        return Err(AddressError { why: "its host or path is none" });
    }
    Ok(Address::Https { url: text.trim_end_matches('/').to_owned() })
}

fn ssh(rest: &str) -> Result<Address, AddressError> {
    let (authority, path) = rest.split_once('/').ok_or(AddressError { why: "it names no repository" })?;
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (user, place),
        None => ("git", authority),
    };
    let (host, port) = match place.strip_prefix('[') {
        Some(inner) => {
            let (host, port) = inner.split_once(']').ok_or(AddressError { why: "its host is none" })?;
            (host, port.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port.map_or(Ok(SSH), str::parse).map_err(|_| AddressError { why: "its port is none" })?;
    // `/~user/repo` is relative to somebody's home, as Git has it.
    let path = if path.starts_with('~') { path.to_owned() } else { format!("/{path}") };
    checked(user, host, port, &path)
}

/// `git@host:path`, which is relative to the home of the user.
fn scp(text: &str) -> Result<Address, AddressError> {
    let missing = AddressError { why: "it names no way to reach it" };
    let (authority, path) = text.split_once(':').ok_or(missing.clone())?;
    let (user, host) = authority.split_once('@').ok_or(missing)?;
    checked(user, host, SSH, path)
}

/// The path is an argument of a command at the other side, where a shell reads it: only what no shell takes for anything but a letter.
fn checked(user: &str, host: &str, port: u16, path: &str) -> Result<Address, AddressError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if user.is_empty() || user.starts_with('-') || !user.chars().all(plain) {
        return Err(AddressError {
            why: "its user has something but letters, digits, `.`, `_` and `-` in it",
        });
    }
    let of_host = |c: char| plain(c) || c == ':';
    if host.is_empty() || host.starts_with('-') || !host.chars().all(of_host) {
        return Err(AddressError { why: "its host is none" });
    }
    let of_path = |c: char| plain(c) || "/~+@%".contains(c);
    if path.trim_matches('/').is_empty() || path.starts_with('-') || !path.chars().all(of_path) {
        return Err(AddressError {
            why: "its path is empty, or has something in it that a shell at the server would not take for a letter",
        });
    }
    let (user, host) = (user.to_owned(), host.to_ascii_lowercase());
    Ok(Address::Ssh { user, host, port, path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_ssh_are_read_and_nothing_else_is() {
        let shown = |text: &str| Address::parse(text).map(|address| address.to_string());
        for (text, expected) in [
            ("https://git.example/acme/shop.git/", "https://git.example/acme/shop.git"),
            ("ssh://git@git.example/acme/shop.git", "ssh://git@git.example/acme/shop.git"),
            ("ssh://git.example:2222/a", "ssh://git@git.example:2222/a"),
            ("ssh://me@[2001:db8::1]:2222/a", "ssh://me@[2001:db8::1]:2222/a"),
            ("git@git.example:acme/shop.git", "ssh://git@git.example/acme/shop.git"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "shop",
            "/srv/git/shop",
            "file:///srv/git",
            "git://host/a",
            "ext::sh -c id",
            "https://user:canary@host/a",
            "https://host",
            "https:///a",
            "https://host/a?b=canary",
            "ssh://host",
            "ssh://-oProxyCommand=id/a",
            "ssh://git@host/a'b",
            "ssh://git@host/a$(id)",
            "ssh://git@host:port/a",
            "-x@host:a",
            "git@host:-a",
            "git@host:a b",
            "https://host/a\nb",
        ] {
            let error = Address::parse(wrong).expect_err(wrong).to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
