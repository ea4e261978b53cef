//! Which server to talk to, as whom, and in which organisation.
//!
//! Each answer is taken from the first place that gives one: the command line, the environment (`SKEP_SERVER`, `SKEP_TOKEN`,
//! `SKEP_ORG`, `SKEP_CA`), the chosen context of the configuration file. Guarantees: a token is never sent in the clear to
//! another machine unless that was asked for, and a context's token and authority are used for that context's server alone.

use std::fmt;
use std::path::{Path, PathBuf};

use http::Uri;
use secrecy::{ExposeSecret, SecretString};
use skep_schemas::OrgName;

use crate::config::{ConfigError, ConfigFile, ContextEntry};

/// The server when none is named: `skep serve` and `skep dev` on this machine.
const DEFAULT_SERVER: &str = "http://127.0.0.1:7700";

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    /// `--server`
    pub(crate) server: Option<String>,
    /// `--token`
    pub(crate) token: Option<SecretString>,
    /// `--org`
    pub(crate) org: Option<OrgName>,
    /// `--ca`
    pub(crate) ca: Option<PathBuf>,
    /// `--context`
    pub(crate) context: Option<String>,
    /// `--insecure`
    pub(crate) insecure: bool,
}

/// The answers.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Where the API is.
    pub(crate) server: Server,
    /// Who is asking.
    pub(crate) token: Option<SecretString>,
    /// The organisation of what names none.
    pub(crate) org: Option<OrgName>,
    /// The authorities that the server's certificate may come from, as a PEM file; the system's when absent.
    pub(crate) ca: Option<PathBuf>,
}

/// Why there is no usable context.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextError {
    /// The configuration file is not as it should be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server's address is not one.
    #[error(
        "`{text}` is not the address of a server: {why}\nhelp: write it like `https://skep.example.com` or `http://127.0.0.1:7700`"
    )]
    Server {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A context was named that the file does not have.
    #[error("there is no context `{name}`\nhelp: {known}")]
    UnknownContext {
        /// The name.
        name: String,
        /// Those that there are, in words.
        known: String,
    },
    /// `SKEP_ORG` is not a name.
    #[error("SKEP_ORG: {}\nhelp: {}", why.problem, why.help)]
    Org {
        /// What is wrong.
        why: skep_schemas::ScalarError,
    },
    /// A token would travel in the clear.
    #[error(
        "the token would be sent unencrypted to {host}\nhelp: use https, or add --insecure if the network in between is yours"
    )]
    Insecure {
        /// To whom.
        host: String,
    },
    /// A token cannot be sent.
    #[error("the token holds characters that no token has\nhelp: check SKEP_TOKEN for line ends and quotes")]
    Token,
    /// The file that holds the token cannot be read.
    #[error("cannot read the token file {path}")]
    TokenFile {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// The address of an API, checked: scheme, host and port, without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    uri: Uri,
    host: String,
    encrypted: bool,
}

impl Server {
    /// From an address.
    pub(crate) fn parse(text: &str) -> Result<Self, ContextError> {
        let refuse = |why| ContextError::Server { text: text.to_owned(), why };
        let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| refuse("it is not a URL"))?;
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refuse("it begins with neither http:// nor https://")),
        };
        let host =
            uri.host().filter(|host| !host.is_empty()).ok_or_else(|| refuse("it names no host"))?.to_owned();
        if uri.path() != "/" && !uri.path().is_empty() || uri.query().is_some() {
            return Err(refuse("it has a path"));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refuse("it holds a user name"));
        }
        Ok(Self { uri, host, encrypted })
    }

    /// The URL of a path with its query, which begins with `/`.
    pub(crate) fn url(&self, path: &str) -> Result<Uri, http::Error> {
        let authority = self.uri.authority().map_or("", http::uri::Authority::as_str);
        let scheme = self.uri.scheme_str().unwrap_or("http");
        Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build()
    }

    /// Is what is sent encrypted?
    pub(crate) const fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Does only this machine see what is sent?
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri.to_string().trim_end_matches('/'))
    }
}

/// Finds the answers. `env` looks a variable up; an empty one counts as absent.
pub(crate) fn resolve(
    flags: Flags,
    env: impl Fn(&str) -> Option<String>,
    config: &ConfigFile,
) -> Result<Context, ContextError> {
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    let entry = chosen(flags.context.or_else(|| env("SKEP_CONTEXT")), config)?;
    let named = flags.server.or_else(|| env("SKEP_SERVER"));
    let server = Server::parse(
        named.as_deref().or(entry.and_then(|entry| entry.server.as_deref())).unwrap_or(DEFAULT_SERVER),
    )?;
    // The context's credentials are its server's: they must not go to a server that was named in its place.
    let of_server = match entry {
        Some(entry) if named.is_some() && !same_server(entry, &server) => None,
        entry => entry,
    };
    let token = match flags.token.or_else(|| env("SKEP_TOKEN").map(SecretString::from)) {
        Some(token) => Some(token),
        None => of_server.map(token_of).transpose()?.flatten(),
    };
    if let Some(token) = &token {
        let text = token.expose_secret();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ContextError::Token);
        }
        if !server.encrypted && !server.is_loopback() && !flags.insecure {
            return Err(ContextError::Insecure { host: server.host });
        }
    }
    let org = match flags.org {
        Some(org) => Some(org),
        None => match env("SKEP_ORG") {
            Some(org) => Some(org.parse().map_err(|why| ContextError::Org { why })?),
            None => entry.and_then(|entry| entry.org.clone()),
        },
    };
    let ca = flags.ca.or_else(|| env("SKEP_CA").map(PathBuf::from));
    let ca = ca.or_else(|| of_server.and_then(|entry| entry.ca.clone()));
    Ok(Context { server, token, org, ca })
}

fn chosen(name: Option<String>, config: &ConfigFile) -> Result<Option<&ContextEntry>, ContextError> {
    let Some(name) = name.or_else(|| config.current_context.clone()) else { return Ok(None) };
    match config.contexts.get(&name) {
        Some(entry) => Ok(Some(entry)),
        None => {
            let names: Vec<&str> = config.contexts.keys().map(String::as_str).collect();
            let known = match names.as_slice() {
                [] => "the configuration file has no contexts".to_owned(),
                names => format!("those that exist: {}", names.join(", ")),
            };
            Err(ContextError::UnknownContext { name, known })
        }
    }
}

/// Is the entry about this server?
pub(crate) fn same_server(entry: &ContextEntry, server: &Server) -> bool {
    let own = Server::parse(entry.server.as_deref().unwrap_or(DEFAULT_SERVER));
    own.is_ok_and(|own| own == *server)
}

fn token_of(entry: &ContextEntry) -> Result<Option<SecretString>, ContextError> {
    match (&entry.token, &entry.token_file) {
        (Some(token), _) => Ok(Some(token.clone())),
        (None, Some(path)) => read_token(path).map(Some),
        (None, None) => Ok(None),
    }
}

fn read_token(path: &Path) -> Result<SecretString, ContextError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ContextError::TokenFile { path: path.to_owned(), source })?;
    Ok(SecretString::from(text.trim().to_owned()))
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
