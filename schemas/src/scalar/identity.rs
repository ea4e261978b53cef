//! Identities of those who sign without a key of their own: who vouches for somebody, and who he is.
//!
//! Both are compared as texts with what a certificate says, so what would never match there is refused here. A pattern of subjects says at least
//! where they come from: an issuer vouches for everybody who has an account with it.

use std::fmt;

use super::names::excerpt;
use super::pattern::stars_match;
use super::{Host, Scalar, ScalarError, scalar_impls};

/// More than any issuer has.
const ISSUER_MAX: usize = 255;
/// A workflow of a repository with long names, and a long branch.
const SUBJECT_MAX: usize = 512;

/// Who vouches for an identity: an issuer of OpenID Connect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OidcIssuer(String);

/// Who somebody is, in the words of his issuer: an address, or the URL of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(String);

/// A pattern of subjects; `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectPattern(String);

impl OidcIssuer {
    /// As certificates have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Subject {
    /// As certificates have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SubjectPattern {
    /// Does it match the whole of this subject?
    pub fn matches(&self, subject: &str) -> bool {
        // A workflow's branch may be called `x@acme.example`, and is no address.
        let is_url = |text: &str| text.contains("://");
        is_url(&self.0) == is_url(subject) && stars_match(&self.0, subject)
    }
}

impl fmt::Display for OidcIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SubjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Scalar for OidcIssuer {
    const NAME: &'static str = "oidc-issuer";
    const DESCRIPTION: &'static str =
        "Issuer of OpenID Connect, as certificates name it: `https://token.actions.githubusercontent.com`.";
    const PATTERN: &'static str = r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$";

    fn parse(text: &str) -> Result<Self, ScalarError> {
        let bad = |why: &str| {
            ScalarError::new(
                format!("`{}` is not an issuer: {why}", excerpt(text)),
                "write the URL that stands in the certificate, such as `https://accounts.google.com`; cosign calls it --certificate-oidc-issuer",
            )
        };
        let rest = text.strip_prefix("https://").ok_or_else(|| bad("it does not begin with `https://`"))?;
        if text.len() > ISSUER_MAX {
            return Err(bad("it is longer than 255 characters"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) =
            authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        if Host::parse(&host.to_ascii_lowercase()).is_err() {
            return Err(bad("after `https://` stands no host"));
        }
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err(bad("what stands after the colon is no port"));
        }
        if !path.chars().all(|c| c.is_ascii_alphanumeric() || "._~/-".contains(c)) {
            return Err(bad("its path has other characters than letters, digits and `._~/-`"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Scalar for Subject {
    const NAME: &'static str = "subject";
    const DESCRIPTION: &'static str = "Who signs, as certificates name him: `release@acme.example`, or the URL of a workflow with its branch or tag.";
    const PATTERN: &'static str = r"^[A-Za-z0-9._~:/?#@!&'()+,;=%-]{1,512}$";

    fn parse(text: &str) -> Result<Self, ScalarError> {
        let text = url_or_address("subject", text)?;
        if text.contains('*') {
            return Err(ScalarError::new(
                format!("`{}` has a `*`, and a subject is compared as it is written", excerpt(text)),
                "write it as `subjectPattern` if the `*` stands for any characters",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Scalar for SubjectPattern {
    const NAME: &'static str = "subject-pattern";
    const DESCRIPTION: &'static str = "Pattern of those who sign: `https://github.com/acme/*@refs/tags/*`, `*@acme.example`; `*` stands for any characters. The host of a URL and the domain of an address are written out.";
    const PATTERN: &'static str = r"^[A-Za-z0-9._~:/?#@!&'()+,;=%*-]{1,512}$";

    fn parse(text: &str) -> Result<Self, ScalarError> {
        let text = url_or_address("pattern of subjects", text)?;
        let bad = |why: &str, help: &str| Err(ScalarError::new(format!("`{}` {why}", excerpt(text)), help));
        if !text.contains('*') {
            return bad("has no `*`", "write it as `subject`");
        }
        let from = match text.split_once("://") {
            Some((scheme, rest)) => rest.split_once('/').map(|(host, _)| [scheme, host].concat()),
            None => text.rsplit_once('@').map(|(_, domain)| domain.to_owned()),
        };
        if from.is_none_or(|from| from.is_empty() || from.contains('*')) {
            return bad(
                "does not say where its subjects come from",
                "write out the host, as in `https://github.com/acme/*`, or the domain, as in `*@acme.example`",
            );
        }
        Ok(Self(text.to_owned()))
    }
}

scalar_impls!(OidcIssuer);
scalar_impls!(Subject);
scalar_impls!(SubjectPattern);

/// What URLs and addresses consist of, and a `*`.
fn url_or_address<'a>(what: &str, text: &'a str) -> Result<&'a str, ScalarError> {
    let bad = |why: &str| {
        ScalarError::new(
            format!("`{}` is not a {what}: {why}", excerpt(text)),
            "write the address or the URL that stands in the certificate; cosign calls it --certificate-identity",
        )
    };
    if text.is_empty() || text.len() > SUBJECT_MAX {
        return Err(bad("it has to have 1 to 512 characters"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._~:/?#@!&'()+,;=%*-".contains(c);
    match text.chars().find(|c| !allowed(*c)) {
        Some(other) => Err(bad(&format!("it contains the character {other:?}"))),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKFLOW: &str = "https://github.com/acme/shop/.github/workflows/release.yml@refs/tags/v1.2";

    #[test]
    fn a_pattern_matches_whole_subjects_and_says_where_they_come_from() {
        for (pattern, subject, matches) in [
            ("https://github.com/acme/shop/.github/workflows/release.yml@refs/tags/*", WORKFLOW, true),
            ("https://github.com/acme/*@refs/tags/v*", WORKFLOW, true),
            ("https://github.com/acme/*@refs/heads/main", WORKFLOW, false),
            ("https://github.com/acm/*", WORKFLOW, false),
            ("*@acme.example", "release@acme.example", true),
            ("*@acme.example", "release@acme.example.evil.example", false),
            ("*@acme.example", "release@notacme.example", false),
            ("*@acme.example", "https://github.com/x/y@refs/heads/x@acme.example", false),
        ] {
            let parsed: SubjectPattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(subject), matches, "{pattern} {subject}");
        }
        for pattern in [
            "*",
            "https://*",
            "https://*/acme",
            "*://github.com/x",
            "acme*",
            "*@*",
            "*@",
            "https://github.com*",
        ] {
            let error = pattern.parse::<SubjectPattern>().unwrap_err();
            assert!(error.problem.contains("where its subjects come from"), "{pattern}: {error}");
        }
        assert!(WORKFLOW.parse::<SubjectPattern>().unwrap_err().help.contains("`subject`"));
    }

    #[test]
    fn an_issuer_is_an_address_and_a_subject_is_what_a_certificate_can_say() {
        for issuer in [
            "https://accounts.google.com",
            "https://github.com/login/oauth",
            "https://id.acme.test:8443/realms/x",
        ] {
            assert_eq!(issuer.parse::<OidcIssuer>().unwrap().as_str(), issuer);
        }
        for issuer in [
            "",
            "accounts.google.com",
            "http://accounts.google.com",
            "https://",
            "https:///x",
            "https://a b.example",
            "https://a.example:99999",
            "https://a.example/?x",
            "https://u@a.example",
            "https://*.example",
        ] {
            assert!(issuer.parse::<OidcIssuer>().unwrap_err().help.contains("oidc-issuer"), "{issuer}");
        }
        for subject in [WORKFLOW, "release@acme.example", "spiffe://acme.example/builder"] {
            assert_eq!(subject.parse::<Subject>().unwrap().as_str(), subject);
        }
        for subject in ["", "a b", "a\nb", "$(id)", "`id`", "\u{430}cme@acme.example", &"a".repeat(513)] {
            assert!(subject.parse::<Subject>().is_err(), "{subject:?}");
        }
        assert!("*@acme.example".parse::<Subject>().unwrap_err().help.contains("subjectPattern"));
    }
}
