//! From text to values: YAML with anchors and merge keys.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use crate::ComposeError;

/// The most bytes of one file. People write them.
const BYTES_MAX: usize = 1 << 20;

/// Reads a file, which is one mapping.
pub(crate) fn file(
    path: &Path,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Map<String, Value>, ComposeError> {
    let yaml = |problem: String| ComposeError::Yaml { path: path.to_owned(), problem };
    let text = read(path).map_err(|source| ComposeError::Unreadable { path: path.to_owned(), source })?;
    if text.len() > BYTES_MAX {
        return Err(yaml(format!("{} bytes are more than the {BYTES_MAX} of a Compose file", text.len())));
    }
    let value: Value = serde_saphyr::from_str(&text).map_err(|error| yaml(error.to_string()))?;
    match value {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(yaml("a Compose file is a mapping with the key `services`".to_owned())),
    }
}
