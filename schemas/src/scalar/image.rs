//! Image references and digests, after the distribution reference grammar
//! (`distribution/reference`: `[domain/]path[:tag][@digest]`).

use std::fmt;

use super::names::excerpt;
use super::{Scalar, ScalarError, scalar_impls};

/// The grammar's own limit for the name part.
const NAME_MAX: usize = 255;
/// The grammar's own limit for a tag.
const TAG_MAX: usize = 128;
/// The registry of names that have none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Its other name.
const DEFAULT_REGISTRY_ALIAS: &str = "index.docker.io";

/// A content digest, `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageDigest(String);

impl ImageDigest {
    /// The whole digest, algorithm included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Scalar for ImageDigest {
    const NAME: &'static str = "image-digest";
    const DESCRIPTION: &'static str = "Content digest of an image: sha256: and 64 hexadecimal digits.";
    const PATTERN: &'static str = "^sha256:[0-9a-f]{64}$";

    fn parse(text: &str) -> Result<Self, ScalarError> {
        let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64);
        if hex.is_some_and(|hex| hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))) {
            return Ok(Self(text.to_owned()));
        }
        Err(ScalarError::new(
            format!("`{}` is not an image digest", excerpt(text)),
            "write `sha256:` and 64 lower-case hexadecimal digits",
        ))
    }
}

scalar_impls!(ImageDigest);

/// An image reference as a user writes it: name, and a tag, a digest or both.
///
/// A reference without tag and digest means `latest` to the engine; it is kept as written, and [`ImageRef::tag`] says
/// `latest` for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    name: String,
    tag: Option<String>,
    digest: Option<ImageDigest>,
}

impl ImageRef {
    /// Registry and repository, without tag and digest.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The registry that the engine would ask, in lower case and with the port that is written.
    pub fn registry(&self) -> String {
        match self.name.split_once('/') {
            Some((first, _)) if is_registry(first) && first != DEFAULT_REGISTRY_ALIAS => {
                first.to_ascii_lowercase()
            }
            _ => DEFAULT_REGISTRY.to_owned(),
        }
    }

    /// Registry and repository as the engine understands them: `docker.io/library/nginx` for `nginx`
    /// (`distribution/reference`, `splitDockerDomain`).
    pub fn full_name(&self) -> String {
        let registry = self.registry();
        let path = match self.name.split_once('/') {
            Some((first, path)) if is_registry(first) => path,
            _ => &self.name,
        };
        let library = if registry == DEFAULT_REGISTRY && !path.contains('/') { "library/" } else { "" };
        format!("{registry}/{library}{path}")
    }

    /// The tag that the engine would take; `None` when only a digest is given.
    pub fn tag(&self) -> Option<&str> {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => Some(tag),
            (None, None) => Some("latest"),
            (None, Some(_)) => None,
        }
    }

    /// The digest, when the reference is pinned.
    pub fn digest(&self) -> Option<&ImageDigest> {
        self.digest.as_ref()
    }

    /// The same reference pinned to a digest.
    pub fn pinned(&self, digest: ImageDigest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The content of that digest in the same repository, whatever tags it has.
    pub fn by_digest(&self, digest: ImageDigest) -> Self {
        Self { tag: None, ..self.pinned(digest) }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl Scalar for ImageRef {
    const NAME: &'static str = "image-ref";
    const DESCRIPTION: &'static str = "Image reference: [registry/]repository[:tag][@sha256:…].";
    const PATTERN: &'static str =
        r"^[A-Za-z0-9][A-Za-z0-9._/:-]{0,254}(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$";

    fn parse(text: &str) -> Result<Self, ScalarError> {
        let bad = |why: &str| {
            ScalarError::new(
                format!("`{}` is not an image reference: {why}", excerpt(text)),
                "write `[registry/]repository[:tag][@sha256:…]`, for example `ghcr.io/acme/shop:1.4`",
            )
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (
                rest,
                Some(
                    digest
                        .parse::<ImageDigest>()
                        .map_err(|_| bad("what follows `@` is not a sha256 digest"))?,
                ),
            ),
            None => (text, None),
        };
        // A colon after the last slash begins a tag; one before it is a registry's port.
        let tag_at = rest.rfind(':').filter(|at| !rest.split_at(*at).1.contains('/'));
        let (name, tag) = match tag_at {
            Some(at) => {
                let (name, tag) = rest.split_at(at);
                (name, Some(tag.trim_start_matches(':')))
            }
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !valid_tag(tag)) {
            return Err(bad("the tag may hold letters, digits, `_`, `.` and `-` only"));
        }
        check_name(name).map_err(bad)?;
        Ok(Self { name: name.to_owned(), tag: tag.map(str::to_owned), digest })
    }
}

scalar_impls!(ImageRef);

fn valid_tag(tag: &str) -> bool {
    let head = tag.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    head && tag.len() <= TAG_MAX
        && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// Is the first part of a name, which has others, a registry? It is when it has a dot, a port, or is localhost.
fn is_registry(first: &str) -> bool {
    first.contains('.') || first.contains(':') || first == "localhost"
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err("the repository is empty or longer than 255 characters");
    }
    let mut parts = name.split('/').peekable();
    // Registries may use upper case and a port.
    if let Some(first) = parts.peek()
        && name.contains('/')
        && is_registry(first)
    {
        let (host, port) = first.split_once(':').map_or((*first, None), |(host, port)| (host, Some(port)));
        let label_ok = |label: &str| {
            let edge_ok = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            let inner_ok = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            edge_ok(label.chars().next()) && edge_ok(label.chars().last()) && inner_ok
        };
        let host_ok = host.split('.').all(label_ok);
        let port_ok = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|p| p > 0));
        if !host_ok || !port_ok {
            return Err("the registry is not a host name with an optional port");
        }
        parts.next();
    }
    for part in parts {
        let edge_ok = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let inner_ok = part.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-'));
        if !edge_ok(part.chars().next()) || !edge_ok(part.chars().last()) || !inner_ok {
            return Err(
                "each part of the repository is lower-case letters and digits, with `.`, `_` or `-` inside",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_port_is_not_a_tag() {
        let image: ImageRef = "127.0.0.1:5000/shop/web".parse().unwrap();
        assert_eq!((image.name(), image.tag()), ("127.0.0.1:5000/shop/web", Some("latest")));
        let image: ImageRef = "127.0.0.1:5000/shop/web:1.4".parse().unwrap();
        assert_eq!((image.name(), image.tag()), ("127.0.0.1:5000/shop/web", Some("1.4")));
    }

    #[test]
    fn every_spelling_has_the_full_name_that_the_engine_takes_it_for() {
        for (text, full) in [
            ("nginx", "docker.io/library/nginx"),
            ("library/nginx:1", "docker.io/library/nginx"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("index.docker.io/nginx", "docker.io/library/nginx"),
            ("acme/shop", "docker.io/acme/shop"),
            ("GHCR.io/acme/shop:1", "ghcr.io/acme/shop"),
            ("localhost/shop", "localhost/shop"),
            ("registry:5000/shop", "registry:5000/shop"),
        ] {
            assert_eq!(text.parse::<ImageRef>().unwrap().full_name(), full, "{text}");
        }
    }

    #[test]
    fn tag_and_digest_are_kept_and_shown_as_written() {
        let text = format!("ghcr.io/acme/web:1.4@sha256:{}", "a".repeat(64));
        let image: ImageRef = text.parse().unwrap();
        assert_eq!(image.to_string(), text);
        assert_eq!(image.tag(), Some("1.4"));
    }

    #[test]
    fn references_that_the_engine_would_refuse_are_refused() {
        for text in [
            "",
            "UPPER/case",
            "a:",
            "a:b:c",
            "a@sha256:12",
            "-a",
            "a/",
            "/a",
            "a b",
            "x.y:99999/a",
            "-x.y/a",
            ".x/a",
            "x..y/a",
            "a:$(id)",
        ] {
            assert!(text.parse::<ImageRef>().is_err(), "{text}");
        }
    }
}
