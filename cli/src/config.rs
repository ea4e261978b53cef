//! The configuration file: named contexts, each a server with what it takes to talk to it.
//!
//! It is read strictly (a misspelt field is an error with its place, never ignored) and written only by `skep config
//! use-context`, which replaces it in one step. Tokens are shown by nobody.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use skep_schemas::OrgName;

/// Far more than any number of contexts needs; a larger file is another file.
const FILE_MAX: u64 = 256 * 1024;

/// The whole file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// The context that is used when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current_context: Option<String>,
    /// The contexts by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) contexts: BTreeMap<String, ContextEntry>,
}

/// One context.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ContextEntry {
    /// The server's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
    /// The token.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "exposed",
        deserialize_with = "hidden"
    )]
    pub(crate) token: Option<SecretString>,
    /// A file with the token, in place of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    /// The organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) org: Option<OrgName>,
    /// A PEM file with the authorities of the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
}

/// The file is the one place where a token is written down.
fn exposed<S: Serializer>(token: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    token.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
}

fn hidden<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|token| token.map(SecretString::from))
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// It cannot be read or written.
    #[error("cannot {what} {path}")]
    Io {
        /// Read or write.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It does not say what it should.
    #[error("{path}{place}: {why}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// `:line:column`, where that is known.
        place: String,
        /// What is wrong.
        why: String,
    },
}

/// Where the file is: `SKEP_CONFIG`, or `skep/config.yaml` in the user's configuration directory. `None` when there is no such
/// directory.
pub(crate) fn path(env: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let env = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = || {
        let xdg = env("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        xdg.or_else(|| env("HOME").map(|home| home.join(".config")))
    };
    env("SKEP_CONFIG").or_else(|| base().map(|base| base.join("skep").join("config.yaml")))
}

impl ConfigFile {
    /// Reads the file; one that does not exist is empty.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Io { what: "read", path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        let open_to_others = file.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
        let mut text = String::new();
        file.take(FILE_MAX).read_to_string(&mut text).map_err(failed)?;
        let config = Self::parse(&text, path)?;
        if open_to_others && config.contexts.values().any(|entry| entry.token.is_some()) {
            tracing::warn!("{} holds a token and can be read by others; chmod 600 it", path.display());
        }
        Ok(config)
    }

    /// Reads the text of the file at `path`.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        // Without the library's source snippet: the line may hold a token.
        serde_saphyr::from_str(text).map_err(|error| {
            let place =
                error.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default();
            ConfigError::Content {
                path: path.to_owned(),
                place,
                why: reason(&error.without_snippet().to_string()),
            }
        })
    }

    /// Replaces the file in one step; only its owner can read it.
    pub(crate) fn save(&self, path: &Path) -> Result<(), ConfigError> {
        let failed = |source| ConfigError::Io { what: "write", path: path.to_owned(), source };
        let text = serde_saphyr::to_string(self).map_err(|error| failed(std::io::Error::other(error)))?;
        let part = path.with_extension("yaml.part");
        let write = || -> std::io::Result<()> {
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir)?;
            }
            let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, path)
        };
        write().map_err(failed)
    }

    /// The same without its tokens, to be shown.
    pub(crate) fn redacted(&self) -> Self {
        let mut shown = self.clone();
        for entry in shown.contexts.values_mut() {
            entry.token = entry.token.as_ref().map(|_| SecretString::from("[REDACTED]".to_owned()));
        }
        shown
    }
}

/// The first line of the reader's message, without the place that it repeats.
fn reason(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    match first.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest.to_owned(),
        _ => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        ConfigFile::parse(text, Path::new("config.yaml")).unwrap_err().to_string()
    }

    #[test]
    fn a_misspelt_field_is_an_error_with_its_place() {
        let error = refused("contexts:\n  prod:\n    sever: https://x\n");
        assert!(error.starts_with("config.yaml:3:5: ") && error.contains("sever"), "{error}");
    }

    #[test]
    fn a_field_written_twice_and_a_bad_organisation_are_errors() {
        assert!(refused("currentContext: a\ncurrentContext: b\n").starts_with("config.yaml:2"));
        assert!(refused("contexts:\n  prod:\n    org: Acme\n").contains("contains `A`"));
    }

    #[test]
    fn an_error_never_shows_the_token_beside_it() {
        for text in ["contexts: {p: {token: canary-4711, x: 1}}", "contexts:\n  p: {token: [canary-4711]}\n"]
        {
            let error = refused(text);
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn what_is_saved_reads_back_and_only_the_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("skep/config.yaml");
        let config = ConfigFile::parse(
            "currentContext: p\ncontexts:\n  p:\n    server: https://x\n    token: secret\n",
            &path,
        );
        config.unwrap().save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = ConfigFile::load(&path).unwrap();
        assert_eq!(read.contexts["p"].token.as_ref().unwrap().expose_secret(), "secret");
        assert!(!serde_saphyr::to_string(&read.redacted()).unwrap().contains("secret"));
    }

    #[test]
    fn the_place_of_the_file_follows_the_user() {
        let env = |pairs: &'static [(&'static str, &'static str)]| {
            move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(path(env(&[("HOME", "/h")])).unwrap(), Path::new("/h/.config/skep/config.yaml"));
        assert_eq!(
            path(env(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")])).unwrap(),
            Path::new("/x/skep/config.yaml")
        );
        assert_eq!(path(env(&[("HOME", "/h"), ("SKEP_CONFIG", "/c.yaml")])).unwrap(), Path::new("/c.yaml"));
        assert_eq!(path(|_| None), None);
    }
}
