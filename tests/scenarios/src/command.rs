//! The words of a command: split at spaces, quotes keep them together.

use anyhow::{Context, Result, bail};
use skep_schemas::{Kind, OrgName, ResourceKey, Scope};

/// The words of a command, taken one after the other.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The next word, if there is one.
    pub(crate) fn maybe(&mut self) -> Result<Option<&'a str>> {
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (word, rest) = match self.rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').context("a quote is not closed")?,
            None => self.rest.split_once(' ').unwrap_or((self.rest, "")),
        };
        self.rest = rest;
        Ok(Some(word))
    }

    /// The next word.
    pub(crate) fn next(&mut self, what: &str) -> Result<&'a str> {
        self.maybe()?.with_context(|| format!("{what} is missing"))
    }

    /// Takes the next word if it is that one.
    pub(crate) fn take(&mut self, word: &str) -> bool {
        let mut ahead = Self { rest: self.rest };
        if matches!(ahead.maybe(), Ok(Some(found)) if found == word) {
            self.rest = ahead.rest;
            return true;
        }
        false
    }

    /// All that is left, as it is.
    pub(crate) fn rest(&mut self) -> &'a str {
        std::mem::take(&mut self.rest).trim()
    }

    /// Nothing may be left.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.maybe()? {
            None => Ok(()),
            Some(word) => bail!("`{word}` is one word too many"),
        }
    }
}

/// `Kind/name` of the platform or of the case's organisation, or `org/Kind/name`.
pub(crate) fn key(text: &str, only_org: Option<&OrgName>) -> Result<ResourceKey> {
    let parts: Vec<&str> = text.split('/').collect();
    let (org, kind, name) = match parts.as_slice() {
        [kind, name] => (only_org.cloned(), kind.parse::<Kind>()?, name.parse()?),
        [org, kind, name] => (Some(org.parse()?), kind.parse::<Kind>()?, name.parse()?),
        _ => bail!("`{text}` is neither Kind/name nor org/Kind/name"),
    };
    if let Ok(key) = ResourceKey::new(Scope::Platform, kind, name) {
        return Ok(key);
    }
    let name = parts.last().context("a name")?.parse()?;
    Ok(ResourceKey::new(org.map_or(Scope::Platform, Scope::Org), kind, name)?)
}

/// A value as the case writes it: JSON, or otherwise plain text.
pub(crate) fn value(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.to_owned()))
}

/// Sets or, without a value, removes the field at a dotted path.
pub(crate) fn edit(json: &mut serde_json::Value, path: &str, value: Option<serde_json::Value>) -> Result<()> {
    change_at(json, &format!("/{}", path.replace('.', "/")), value)
}

/// Sets or, without a value, removes the field at a JSON pointer.
pub(crate) fn change_at(
    json: &mut serde_json::Value,
    pointer: &str,
    value: Option<serde_json::Value>,
) -> Result<()> {
    match value {
        Some(value) => set_at(json, pointer, value),
        None => remove_at(json, pointer),
    }
}

/// Sets the field at a JSON pointer; what is missing on the way is made.
pub(crate) fn set_at(json: &mut serde_json::Value, pointer: &str, value: serde_json::Value) -> Result<()> {
    let mut at = json;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        at = match at {
            serde_json::Value::Array(list) => {
                let index: usize = part.parse()?;
                if index == list.len() {
                    list.push(serde_json::Value::Null);
                }
                list.get_mut(index).with_context(|| format!("there is no entry {index}"))?
            }
            serde_json::Value::Null | serde_json::Value::Object(_) => &mut at[part.as_str()],
            _ => bail!("{pointer}: {part} cannot be below a plain value"),
        };
    }
    *at = value;
    Ok(())
}

/// Removes the field or list entry that a JSON pointer names.
pub fn remove_at(value: &mut serde_json::Value, pointer: &str) -> Result<()> {
    let (parent, last) = pointer.rsplit_once('/').with_context(|| format!("{pointer} is no JSON pointer"))?;
    let last = last.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent) {
        Some(serde_json::Value::Object(fields)) => {
            fields.shift_remove(&last).with_context(|| format!("there is no {pointer}"))?;
        }
        Some(serde_json::Value::Array(list)) => {
            let index: usize = last.parse()?;
            anyhow::ensure!(index < list.len(), "there is no {pointer}");
            list.remove(index);
        }
        _ => bail!("there is no {parent}"),
    }
    Ok(())
}
