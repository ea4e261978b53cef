//! References in the values of variables: `${domain.www.url}`.
//!
//! A value is text with references in it. What a reference names is of the environment that has the variable, so none leads to another
//! organisation: there is no way to write one. `$${` stands for the text `${`; any other `${` that is no reference is an error, so that a
//! misspelt one never reaches a program as text. Here references are read and written; what they stand for the planner says when it makes a release.

use std::collections::BTreeMap;
use std::fmt;

use crate::manifest::suggest::nearest;
use crate::scalar::{ProcessName, ResourceName, Scalar, ScalarError, excerpt, scalar_impls};

/// The most references of one value: what they stand for may be longer than they are, and what a value grows to has to have a bound.
pub const REFERENCES_MAX: usize = 16;

const OPEN: &str = "${";
const ESCAPED: &str = "$${";

/// What a variable takes from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// Of a Domain that leads to the environment.
    Domain {
        /// The Domain.
        domain: ResourceName,
        /// What of it.
        field: DomainField,
    },
    /// Of a process of the environment, as the others of its organisation find it.
    Process {
        /// The process.
        process: ProcessName,
        /// What of it.
        field: ProcessField,
    },
    /// Of the environment itself.
    Environment {
        /// What of it.
        field: EnvironmentField,
    },
}

/// The word that a reference begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Namespace {
    Domain,
    Process,
    Environment,
    /// Kept for a kind that is to come.
    Addon,
    /// Never: values of secrets stand in no release.
    Secret,
}

macro_rules! words {
    ($(#[$doc:meta])* $vis:vis $ty:ident { $($(#[$variant_doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $ty {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $ty {
            const WORDS: &'static [&'static str] = &[$($word,)*];

            const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            fn of_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// What can be taken from a Domain.
    pub DomainField {
        /// Its host name.
        Host "host",
        /// The address under which clients reach it, such as `https://www.acme.example`.
        Url "url",
    }
}

words! {
    /// What can be taken from a process.
    pub ProcessField {
        /// Its name inside the organisation's network.
        Host "host",
        /// The number of its first port.
        Port "port",
    }
}

words! {
    /// What can be taken from the environment itself.
    pub EnvironmentField {
        /// Its name.
        Name "name",
    }
}

impl Namespace {
    /// What is told to whoever writes another word.
    const SERVED: [&'static str; 3] = ["domain", "process", "environment"];
    /// What another word may have been meant to be.
    const WORDS: [&'static str; 4] = ["domain", "process", "environment", "addon"];

    fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "domain" => Self::Domain,
            "process" => Self::Process,
            "environment" => Self::Environment,
            "addon" => Self::Addon,
            "secret" => Self::Secret,
            _ => return None,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain { domain, field } => write!(f, "domain.{domain}.{}", field.as_str()),
            Self::Process { process, field } => write!(f, "process.{process}.{}", field.as_str()),
            Self::Environment { field } => write!(f, "environment.{}", field.as_str()),
        }
    }
}

impl Scalar for Reference {
    const NAME: &'static str = "reference";
    const DESCRIPTION: &'static str = "What stands between `${` and `}`: `domain.NAME.host`, `domain.NAME.url`, `process.NAME.host`, `process.NAME.port` or `environment.name`.";
    const PATTERN: &'static str = r"^[a-z]+(\.[a-z0-9-]+){1,2}$";

    fn parse(text: &str) -> Result<Self, ScalarError> {
        let (word, rest) = text.split_once('.').unwrap_or((text, ""));
        match Namespace::of_word(word) {
            Some(Namespace::Domain) => {
                let (name, field) = name_and_field(text, rest, "a Domain")?;
                let field = DomainField::of_word(field)
                    .ok_or_else(|| no_such_field(text, "a Domain", field, DomainField::WORDS))?;
                Ok(Self::Domain { domain: named(text, name)?, field })
            }
            Some(Namespace::Process) => {
                let (name, field) = name_and_field(text, rest, "a process")?;
                let field = ProcessField::of_word(field)
                    .ok_or_else(|| no_such_field(text, "a process", field, ProcessField::WORDS))?;
                Ok(Self::Process { process: named(text, name)?, field })
            }
            Some(Namespace::Environment) => {
                let field = EnvironmentField::of_word(rest)
                    .ok_or_else(|| no_such_field(text, "the environment", rest, EnvironmentField::WORDS))?;
                Ok(Self::Environment { field })
            }
            Some(Namespace::Addon) => Err(ScalarError::new(
                format!("`${{{}}}` refers to an addon, and Skep has no addons yet", excerpt(text)),
                "run the service as an environment of its own, and give its address in a Secret",
            )),
            Some(Namespace::Secret) => Err(ScalarError::new(
                format!(
                    "`${{{}}}` would write the value of a secret where everybody may read it",
                    excerpt(text)
                ),
                "list the Secret under `secrets`, with `env` for the variable that has its value",
            )),
            None => Err(unknown_namespace(text, word, rest)),
        }
    }
}

scalar_impls!(Reference);

/// The name and the field behind the first word.
fn name_and_field<'a>(text: &str, rest: &'a str, what: &str) -> Result<(&'a str, &'a str), ScalarError> {
    let whole = rest.split_once('.').filter(|(name, field)| !name.is_empty() && !field.is_empty());
    whole.ok_or_else(|| {
        let word = text.split('.').next().unwrap_or_default();
        ScalarError::new(
            format!("`${{{}}}` does not say what of {what} is meant", excerpt(text)),
            format!("write it as `${{{word}.NAME.FIELD}}`"),
        )
    })
}

fn named<S: Scalar>(text: &str, name: &str) -> Result<S, ScalarError> {
    let named = S::parse(name);
    named.map_err(|why| ScalarError::new(format!("in `${{{}}}` {}", excerpt(text), why.problem), why.help))
}

fn no_such_field(text: &str, what: &str, field: &str, known: &[&str]) -> ScalarError {
    let problem = format!("`${{{}}}`: {what} has no `{}`", excerpt(text), excerpt(field));
    let before = text.strip_suffix(field).unwrap_or_default();
    let meant = nearest(field, known.iter().copied());
    ScalarError::new(
        problem,
        match meant.filter(|_| !field.is_empty()) {
            Some(meant) => format!("did you mean `${{{}{meant}}}`?", excerpt(before)),
            None => format!("it has: {}", known.join(", ")),
        },
    )
}

fn unknown_namespace(text: &str, word: &str, rest: &str) -> ScalarError {
    let problem = format!("`${{{}}}` is no reference", excerpt(text));
    let meant = nearest(word, Namespace::WORDS).map(|word| format!("{word}.{rest}"));
    ScalarError::new(
        problem,
        match meant.filter(|meant| Reference::parse(meant).is_ok()) {
            Some(meant) => format!("did you mean `${{{meant}}}`? For the text itself write `$${{`"),
            None => format!(
                "write `$${{` for the text `${{`; a reference begins with one of {}",
                Namespace::SERVED.join(", ")
            ),
        },
    )
}

/// The value of a variable as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Reference(Reference),
}

impl ValueTemplate {
    /// Reads a value. Everything that is wrong with it is told at once.
    pub fn parse(value: &str) -> Result<Self, Vec<ScalarError>> {
        let mut parts = Vec::new();
        let mut wrong = Vec::new();
        let mut rest = value;
        while let Some(at) = rest.find(OPEN) {
            let (before, from) = rest.split_at(at);
            if let Some(text) = before.strip_suffix('$') {
                parts.push(Part::Text(format!("{text}{OPEN}")));
                rest = from.strip_prefix(OPEN).unwrap_or_default();
                continue;
            }
            parts.push(Part::Text(before.to_owned()));
            let Some((inside, behind)) = from.strip_prefix(OPEN).and_then(|from| from.split_once('}')) else {
                wrong.push(ScalarError::new(
                    format!("`{}` has no end", excerpt(from)),
                    format!("close it with `}}`, or write `{ESCAPED}` for the text `{OPEN}`"),
                ));
                rest = "";
                break;
            };
            match Reference::parse(inside) {
                Ok(reference) => parts.push(Part::Reference(reference)),
                Err(why) => wrong.push(why),
            }
            rest = behind;
        }
        parts.push(Part::Text(rest.to_owned()));
        let template = Self { parts };
        let count = template.references().count() + wrong.len();
        if count > REFERENCES_MAX {
            return Err(vec![ScalarError::new(
                format!("{count} references in one value are too many"),
                format!("use at most {REFERENCES_MAX}"),
            )]);
        }
        if wrong.is_empty() { Ok(template) } else { Err(wrong) }
    }

    /// Is a value text alone, which stands for itself? Most are, and need not be read.
    pub fn is_plain(value: &str) -> bool {
        !value.contains(OPEN)
    }

    /// What it refers to, in the order in which it is written.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Reference(reference) => Some(reference),
        })
    }

    /// The value with what its references stand for; `None` if that is not known of one.
    pub fn resolved(&self, known: &BTreeMap<Reference, String>) -> Option<String> {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Reference(reference) => known.get(reference).map(String::as_str),
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(value: &str) -> Option<String> {
        let known = [
            ("domain.www.host", "www.acme.example"),
            ("domain.www.url", "https://www.acme.example"),
            ("process.web.port", "8080"),
            ("environment.name", "live"),
        ];
        let known = known.map(|(reference, value)| (reference.parse().unwrap(), value.to_owned()));
        ValueTemplate::parse(value).unwrap().resolved(&BTreeMap::from(known))
    }

    fn wrong(value: &str) -> String {
        let wrong = ValueTemplate::parse(value).unwrap_err();
        wrong.iter().map(|why| format!("{}; {}", why.problem, why.help)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_value_is_text_with_references_in_it() {
        for (value, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$HOME and $ and {x} and $$", "$HOME and $ and {x} and $$"),
            ("${domain.www.url}/login", "https://www.acme.example/login"),
            ("${domain.www.host}:${process.web.port}", "www.acme.example:8080"),
            ("a ${environment.name} b", "a live b"),
            ("é${environment.name}é", "éliveé"),
        ] {
            assert_eq!(resolved(value).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(resolved("${process.worker.host}"), None);
    }

    #[test]
    fn two_dollars_stand_for_the_text_itself() {
        for (value, expected) in [
            ("$${", "${"),
            ("$${domain.www.url}", "${domain.www.url}"),
            ("$$${x}", "$${x}"),
            ("$${a}${environment.name}", "${a}live"),
            ("$${HOME:-/root}", "${HOME:-/root}"),
        ] {
            assert_eq!(resolved(value).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn a_misspelt_reference_is_an_error_that_says_what_was_meant() {
        for (value, expected) in [
            ("${domian.www.url}", "did you mean `${domain.www.url}`?"),
            ("${Process.web.host}", "did you mean `${process.web.host}`?"),
            ("${domain.www.uri}", "did you mean `${domain.www.url}`?"),
            ("${process.web.prot}", "did you mean `${process.web.port}`?"),
            ("${environment.nane}", "did you mean `${environment.name}`?"),
            ("${process.web.colour}", "it has: host, port"),
            ("${domain.www}", "write it as `${domain.NAME.FIELD}`"),
            ("${domain}", "write it as `${domain.NAME.FIELD}`"),
            ("${domain.WWW.url}", "in `${domain.WWW.url}`"),
            ("${HOME}", "write `$${` for the text `${`"),
            ("${}", "write `$${` for the text `${`"),
            ("${domain.www.url", "close it with `}`"),
            ("${ domain.www.url }", "`${ domain.www.url }` is no reference"),
            ("${release.version}", "`${release.version}` is no reference"),
        ] {
            assert!(wrong(value).contains(expected), "{value}: {}", wrong(value));
        }
        assert_eq!(wrong("${a} ${b}").lines().count(), 2);
    }

    #[test]
    fn addons_have_their_place_and_secrets_have_none() {
        assert!(wrong("${addon.db.url}").contains("Skep has no addons yet"));
        assert!(wrong("${secret.db}").contains("list the Secret under `secrets`"));
    }

    #[test]
    fn what_a_value_can_grow_to_has_a_bound() {
        let many = |count: usize| "${environment.name}".repeat(count);
        assert!(ValueTemplate::parse(&many(REFERENCES_MAX)).is_ok());
        assert!(wrong(&many(REFERENCES_MAX + 1)).contains("17 references"));
        assert!(wrong(&"${".repeat(20_000)).len() < 1000);
    }

    #[test]
    fn a_reference_reads_back_from_what_it_is_shown_as() {
        for text in
            ["domain.www.host", "domain.www.url", "process.web.host", "process.web.port", "environment.name"]
        {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }
}
