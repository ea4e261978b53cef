//! Label selectors: `app=shop,tier!=cache,canary,!legacy`.
//!
//! A selector is a list of requirements that all must hold, in the form that `kubectl` users know, without the set forms.

use std::fmt;

use crate::resource::Labels;
use crate::scalar::{ScalarError, excerpt};

/// The most requirements of one selector: each becomes a condition of a query.
const REQUIREMENTS_MAX: usize = 16;

/// One condition on a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// The label has this value.
    Equals(String, String),
    /// The label is absent or has another value.
    NotEquals(String, String),
    /// The label is there.
    Exists(String),
    /// The label is not there.
    NotExists(String),
}

/// Requirements that all must hold. The empty selector selects everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(Vec<Requirement>);

impl Selector {
    /// The requirements, in the order written.
    pub fn requirements(&self) -> &[Requirement] {
        &self.0
    }

    /// Do the labels fulfil every requirement?
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::Equals(key, value) => labels.get(key) == Some(value),
            Requirement::NotEquals(key, value) => labels.get(key) != Some(value),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::NotExists(key) => !labels.contains_key(key),
        })
    }
}

impl std::str::FromStr for Selector {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let requirements: Vec<_> = text
            .split(',')
            .filter(|part| !part.trim().is_empty())
            .map(|part| requirement(part.trim()))
            .collect::<Result<_, _>>()?;
        if requirements.len() > REQUIREMENTS_MAX {
            return Err(ScalarError::new(
                format!(
                    "the selector has {} requirements, the limit is {REQUIREMENTS_MAX}",
                    requirements.len()
                ),
                "select by fewer labels",
            ));
        }
        Ok(Self(requirements))
    }
}

fn requirement(part: &str) -> Result<Requirement, ScalarError> {
    let pair = |key: &str, value: &str| (key.trim().to_owned(), value.trim().to_owned());
    let parsed = if let Some((key, value)) = part.split_once("!=") {
        let (key, value) = pair(key, value);
        Requirement::NotEquals(key, value)
    } else if let Some((key, value)) = part.split_once('=') {
        let (key, value) = pair(key, value.strip_prefix('=').unwrap_or(value));
        Requirement::Equals(key, value)
    } else if let Some(key) = part.strip_prefix('!') {
        Requirement::NotExists(key.trim().to_owned())
    } else {
        Requirement::Exists(part.to_owned())
    };
    // A value that no label can have would select nothing, or everything, without a word.
    let valid = match &parsed {
        Requirement::Equals(key, value) | Requirement::NotEquals(key, value) => {
            label_key_is_valid(key) && label_value_is_valid(value)
        }
        Requirement::Exists(key) | Requirement::NotExists(key) => label_key_is_valid(key),
    };
    if valid {
        return Ok(parsed);
    }
    Err(ScalarError::new(
        format!("`{}` is not a label requirement", excerpt(part)),
        "write `key=value`, `key!=value`, `key` or `!key`, separated by commas",
    ))
}

/// Longest label key and value.
pub const LABEL_MAX: usize = 63;

/// Is this a label key: letters and digits, with `.`, `_`, `-` and `/` inside, at most 63 characters?
pub fn label_key_is_valid(key: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(key.chars().next())
        && edge(key.chars().last())
        && key.len() <= LABEL_MAX
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'))
}

/// Is this the value of a label: empty, or of the form of a key?
pub fn label_value_is_valid(value: &str) -> bool {
    value.is_empty() || label_key_is_valid(value)
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            match requirement {
                Requirement::Equals(key, value) => write!(f, "{key}={value}")?,
                Requirement::NotEquals(key, value) => write!(f, "{key}!={value}")?,
                Requirement::Exists(key) => f.write_str(key)?,
                Requirement::NotExists(key) => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_must_hold() {
        let selector: Selector = "app=shop,tier!=cache,canary,!legacy".parse().unwrap();
        let labels = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Labels>()
        };
        assert!(selector.matches(&labels(&[("app", "shop"), ("canary", "1")])));
        assert!(!selector.matches(&labels(&[("app", "shop"), ("canary", "1"), ("tier", "cache")])));
        assert!(!selector.matches(&labels(&[("app", "shop"), ("canary", "1"), ("legacy", "")])));
        assert_eq!(selector.to_string(), "app=shop,tier!=cache,canary,!legacy");
    }

    #[test]
    fn a_refusal_moves_no_cursor_and_stays_short_whatever_the_selector_is() {
        for text in ["\u{1b}[2J".to_owned(), "a b".repeat(2000)] {
            let problem = text.parse::<Selector>().unwrap_err().problem;
            assert!(problem.len() < 200 && !problem.contains(char::is_control), "{problem:?}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["=a", "!", "a b=c", "!=x", "a=b c", "a=\0", "a=b=c", "a===b", "a!=-"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }
}
