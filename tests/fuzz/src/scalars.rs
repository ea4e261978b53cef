//! Scalars by the names that the JSON Schemas give them: values at their limits, values beyond, and what must hold of each.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::sync::OnceLock;

use regex::Regex;
use serde_json::Value as Json;
use skep_schemas::scalar::{self, Scalar};
use skep_schemas::{
    Bytes, Cpu, CronExpression, Duration, EnvName, FieldPointer, FileName, HookUrl, Host, ImageDigest,
    ImageRef, MountPath, OidcIssuer, OrgName, ProcessName, PublicKey, Region, ResourceName, ScalarError,
    Subject, SubjectPattern, TimeZoneName,
};

use crate::random::Random;

/// The longest sentence about one value, whatever the value is: forty characters of it, each of which may need eight to be shown.
const SENTENCE_MAX: usize = 600;
/// The digest of an image.
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// A public key.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";

/// Values of a scalar type: of the usual sort, and at its limits.
pub fn good(name: &str) -> Vec<String> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let label = |max: usize| vec!["a".to_owned(), "web".to_owned(), "x-1".to_owned(), "9".repeat(max)];
    match name {
        "org-name" => label(20),
        "resource-name" | "region" => label(30),
        "process-name" => label(11),
        "env-name" => vec!["A".to_owned(), "LOG_LEVEL".to_owned(), "_z9".to_owned(), "V".repeat(128)],
        "file-name" => vec!["db-url".to_owned(), "_a.b".to_owned(), "f".repeat(128)],
        "mount-path" => {
            vec!["/data".to_owned(), "/var/lib/x.y_z-1".to_owned(), format!("/{}", "p".repeat(254))]
        }
        "host" => {
            vec!["a.io".to_owned(), "shop.example.com".to_owned(), "xn--bcher-kva.ch".to_owned(), long_host()]
        }
        "cpu" => texts(&["1m", "500m", "0.5", "2", "1.25", "1024"]),
        "bytes" => texts(&["6Mi", "500M", "1Gi", "7G", "6144Ki", "1024Ti"]),
        "duration" => texts(&["10s", "1m30s", "90s", "1500ms", "2h", "720h"]),
        "image-ref" => {
            let mut images =
                texts(&["shop:2", "shop", "ghcr.io/acme/web:1.4", "127.0.0.1:5000/shop/web", "a/b/c"]);
            images.push(format!("shop@{DIGEST}"));
            images
        }
        "image-digest" => texts(&[DIGEST]),
        "public-key" => texts(&[KEY]),
        "hook-url" => texts(&["https://scanner.acme.test/skep", "https://a", "http://10.0.0.7:9000/a/b;c=1"]),
        "oidc-issuer" => texts(&["https://accounts.google.com", "https://id.acme.test:8443/realms/x"]),
        "subject" => texts(&[
            "release@acme.example",
            "https://github.com/acme/shop/.github/workflows/a.yml@refs/tags/v1",
        ]),
        "subject-pattern" => texts(&["*@acme.example", "https://github.com/acme/*@refs/tags/*"]),
        "field-pointer" => {
            texts(&["/Labels/team", "/Mode/Replicated/Replicas", "/A/*/b~1c", "/TaskTemplate"])
        }
        "cron-expression" => texts(&[
            "* * * * *",
            "0 3 * * *",
            "*/15 8-18 1,15 JAN-MAR MON-FRI",
            "59 23 31 12 7",
            "0 0 29 2 *",
        ]),
        "time-zone" => texts(&["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3"]),
        _ => Vec::new(),
    }
}

/// Texts that no value of the type is written as.
pub fn bad(name: &str) -> Vec<String> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let everywhere = ["", " ", "\0", "a\nb", "\u{202e}x", "\u{1b}[2J", "`", "$(id)"];
    let mut all = texts(&everywhere);
    all.push("x".repeat(5000));
    all.extend(match name {
        "org-name" | "resource-name" | "process-name" | "region" => {
            texts(&["Shop", "-a", "a-", "a_b", "a.b", "é", "1234567890123456789012345678901"])
        }
        "env-name" => texts(&["1A", "A-B", "A=B", "é"]),
        "file-name" => texts(&["../x", ".hidden", "a/b", "-x"]),
        "mount-path" => texts(&[
            "data",
            "/",
            "/a/../b",
            "/a//b",
            "/a/",
            "/proc/x",
            "/sys",
            "/run/secrets/x",
            "/run",
            "/a b",
        ]),
        "host" => {
            texts(&["localhost", "*.a.io", "A.io", "a..b", "a.b.", "-a.b", "10.0.0.1", "a.b`) || Host(`c"])
        }
        "cpu" => {
            texts(&["0", "0m", "-1", "1025", "1.2345", "1e3", "1.", ".5", "NaN", "99999999999999999999m"])
        }
        "bytes" => texts(&["0Mi", "256", "1.5Gi", "-1Gi", "1025Ti", "99999999999999999999Ti", "1Pi"]),
        "duration" => texts(&["30", "-1s", "1d", "721h", "18446744073709551615h", "1.5h", "s"]),
        "image-ref" => texts(&["UPPER/case", "a:", "a:b:c", "a@sha256:12", "/a", "a/", "x.y:99999/a", "a b"]),
        "image-digest" => texts(&["sha256:12", "md5:aa"]),
        "public-key" => texts(&[
            "cosign.pub",
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ]),
        "hook-url" => texts(&[
            "scanner.acme.test",
            "https://",
            "https://User@a",
            "https://a/?b",
            "https://a:99999",
            "ftp://a",
            "https://a/#b",
        ]),
        "oidc-issuer" => texts(&[
            "accounts.google.com",
            "http://a.example",
            "https://",
            "https://a.example/?x",
            "https://*.example",
        ]),
        "subject" => texts(&["", "a b", "*@acme.example", "a\nb"]),
        "subject-pattern" => texts(&["*", "https://*", "a@acme.example", "*@*"]),
        "field-pointer" => texts(&["Labels", "/", "/a//b", "/a/"]),
        "cron-expression" => texts(&[
            "* * * *",
            "60 * * * *",
            "@daily",
            "0 0 L * *",
            "0 0 30 2 *",
            "* * * * * *",
            "0 3 * * * UTC",
        ]),
        "time-zone" => texts(&["Europe/Atlantis", "europe/berlin", "/UTC", "UTC/", "+01:00", "../UTC"]),
        _ => Vec::new(),
    });
    all
}

/// Any text for a scalar: mostly a value of it.
pub fn any(name: &str, random: &mut Random) -> String {
    let from = if random.once_in(12) { bad(name) } else { good(name) };
    if from.is_empty() { "x".to_owned() } else { random.pick(&from).clone() }
}

fn long_host() -> String {
    // 253 characters, the most that a name may have.
    let label = "h".repeat(62);
    format!("{label}.{label}.{label}.{label}.x")
}

/// What is asked of a text that was tried as one type.
type Oracle = fn(&str) -> Result<(), String>;

/// Every scalar type by its name, and what is asked of a text that is read as one.
pub fn oracles() -> &'static BTreeMap<&'static str, Oracle> {
    static ORACLES: OnceLock<BTreeMap<&'static str, Oracle>> = OnceLock::new();
    fn of<S: Judged>() -> (&'static str, Oracle) {
        (S::NAME, judge::<S>)
    }
    ORACLES.get_or_init(|| {
        BTreeMap::from([
            of::<OrgName>(),
            of::<ResourceName>(),
            of::<ProcessName>(),
            of::<Region>(),
            of::<EnvName>(),
            of::<FileName>(),
            of::<MountPath>(),
            of::<Host>(),
            of::<Cpu>(),
            of::<Bytes>(),
            of::<Duration>(),
            of::<ImageRef>(),
            of::<ImageDigest>(),
            of::<PublicKey>(),
            of::<HookUrl>(),
            of::<OidcIssuer>(),
            of::<Subject>(),
            of::<SubjectPattern>(),
            of::<FieldPointer>(),
            of::<CronExpression>(),
            of::<TimeZoneName>(),
        ])
    })
}

trait Judged: Scalar + Display + PartialEq + Debug + serde_json_value::Both {}
impl<S: Scalar + Display + PartialEq + Debug + serde_json_value::Both> Judged for S {}

/// Writing to JSON and reading from it, as one bound.
mod serde_json_value {
    use serde_json::Value as Json;

    pub(super) trait Both: Sized {
        fn write(&self) -> Result<Json, serde_json::Error>;
        fn read(json: Json) -> Result<Self, serde_json::Error>;
    }

    impl<T: serde::Serialize + serde::de::DeserializeOwned> Both for T {
        fn write(&self) -> Result<Json, serde_json::Error> {
            serde_json::to_value(self)
        }

        fn read(json: Json) -> Result<Self, serde_json::Error> {
            serde_json::from_value(json)
        }
    }
}

fn judge<S: Judged>(text: &str) -> Result<(), String> {
    let known = scalar::parser(S::NAME).ok_or_else(|| format!("the reader knows no {}", S::NAME))?;
    let value = match S::parse(text) {
        Ok(value) => value,
        Err(error) => {
            if known(text).is_ok() {
                return Err(format!("{}: the reader takes what the type refuses", S::NAME));
            }
            return sentences(&error);
        }
    };
    let shown = value.to_string();
    let again =
        S::parse(&shown).map_err(|error| format!("{}: {text:?} is shown as {shown:?}: {error}", S::NAME))?;
    if again != value || again.to_string() != shown {
        return Err(format!("{}: {text:?} is shown as {shown:?}, which reads as {again:?}", S::NAME));
    }
    let json = value.write().map_err(|error| error.to_string())?;
    let read =
        S::read(json.clone()).map_err(|error| format!("{}: {json} does not read back: {error}", S::NAME))?;
    if read != value || json != Json::String(shown) {
        return Err(format!("{}: {text:?} is {json} as JSON", S::NAME));
    }
    if !pattern::<S>()?.is_match(text) {
        return Err(format!("{}: an editor refuses {text:?}, which is accepted", S::NAME));
    }
    Ok(())
}

fn pattern<S: Judged>() -> Result<Regex, String> {
    static PATTERNS: OnceLock<std::sync::Mutex<BTreeMap<&'static str, Regex>>> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(Default::default);
    let mut patterns = patterns.lock().map_err(|error| error.to_string())?;
    if let Some(known) = patterns.get(S::NAME) {
        return Ok(known.clone());
    }
    let made = Regex::new(S::PATTERN).map_err(|error| error.to_string())?;
    patterns.insert(S::NAME, made.clone());
    Ok(made)
}

/// A refusal says what is wrong and what to do, in sentences that are short and harmless to a terminal.
pub fn sentences(error: &ScalarError) -> Result<(), String> {
    for text in [&error.problem, &error.help] {
        sentence(text)?;
    }
    Ok(())
}

/// One sentence for a person.
pub fn sentence(text: &str) -> Result<(), String> {
    if text.chars().count() > SENTENCE_MAX {
        return Err(format!("a sentence of {} characters: {text:?}", text.chars().count()));
    }
    harmless(text)
}

/// Words that a terminal can show.
pub fn harmless(text: &str) -> Result<(), String> {
    match text.chars().find(|c| moves_the_cursor(*c)) {
        Some(bad) => Err(format!("a sentence with {bad:?}: {text:?}")),
        None if text.is_empty() => Err("a refusal without words".to_owned()),
        None => Ok(()),
    }
}

/// Control characters, and those that change the direction of writing.
pub fn moves_the_cursor(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_value_is_what_it_is_listed_as() -> Result<(), String> {
        for (name, judge) in oracles() {
            let known = scalar::parser(name).ok_or("a parser")?;
            assert!(!good(name).is_empty(), "no value of {name} is listed");
            for text in good(name) {
                known(&text).map_err(|error| format!("{name}: {error}"))?;
                judge(&text)?;
            }
            for text in bad(name) {
                assert!(known(&text).is_err(), "{name}: {text:?} is accepted");
                judge(&text)?;
            }
        }
        Ok(())
    }
}
