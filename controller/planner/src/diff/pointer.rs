//! Pointers of changes: how a place in the engine's JSON is named, read and written.
//!
//! They are JSON pointers (RFC 6901) with one addition: an element of a list of environment variables is named by the variable,
//! `/TaskTemplate/ContainerSpec/Env/PORT`, because its position says nothing to a person. Such a list can be addressed that way
//! while every entry is `NAME=value` and no name stands twice; otherwise it is one value, at `…/Env`. Every other list is
//! addressed by position. What [`super::value_changes`] reports can be read with [`value_at`] and written with [`set_at`]:
//! writing every reported change into the live value makes it the desired one, but for the order of variables that do not stand
//! sorted by name, as Skep renders them.

use serde_json::{Map, Value};

/// The key of a list whose elements are named.
const VARIABLES: &str = "Env";

/// The pointer of a member of the object or list at `parent`.
pub(super) fn join(parent: &str, token: &str) -> String {
    format!("{parent}/{}", escape(token))
}

/// One token of a pointer in the form in which it can stand in one: `skep.dev/org` is `skep.dev~1org`.
pub fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// The value at a pointer; none when there is nothing.
pub fn value_at(root: &Value, pointer: &str) -> Option<Value> {
    let tokens = tokens(pointer)?;
    let mut at = root;
    let mut key = "";
    for (depth, token) in tokens.iter().enumerate() {
        at = match at {
            Value::Object(members) => members.get(token)?,
            Value::Array(list) if key == VARIABLES => {
                let is_last = depth + 1 == tokens.len();
                return variables(list)?.remove(token).filter(|_| is_last);
            }
            Value::Array(list) => list.get(index(token)?)?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
        key = token;
    }
    Some(at.clone())
}

/// Puts a value at a pointer, making the objects on the way; nothing instead of a value removes what is there, and the objects
/// that are empty without it. A new variable goes where it keeps a sorted list sorted.
///
/// False when there can be no such place: a pointer into a number, past the end of a list, or by name into variables that have
/// no unambiguous names. Nothing is changed then.
pub fn set_at(root: &mut Value, pointer: &str, value: Option<Value>) -> bool {
    let Some(tokens) = tokens(pointer) else { return false };
    match tokens.split_first() {
        None => {
            *root = value.unwrap_or(Value::Null);
            true
        }
        Some((first, rest)) => set_member(root, "", first, rest, value),
    }
}

/// Sets below one member of `parent`, which itself stands under `key`.
fn set_member(parent: &mut Value, key: &str, token: &str, rest: &[String], value: Option<Value>) -> bool {
    match parent {
        Value::Object(members) => set_in_object(members, token, rest, value),
        Value::Array(list) if key == VARIABLES => rest.is_empty() && set_variable(list, token, value),
        Value::Array(list) => set_in_list(list, token, rest, value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn set_in_object(
    members: &mut Map<String, Value>,
    token: &str,
    rest: &[String],
    value: Option<Value>,
) -> bool {
    let Some((next, rest)) = rest.split_first() else {
        match value {
            Some(value) => members.insert(token.to_owned(), value),
            None => members.remove(token),
        };
        return true;
    };
    let removing = value.is_none();
    // Removing from where nothing is.
    if removing && members.get(token).is_none_or(Value::is_null) {
        return true;
    }
    let was_null = members.get(token).is_some_and(Value::is_null);
    let is_new = was_null || !members.contains_key(token);
    if is_new {
        let empty = if token == VARIABLES { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
        members.insert(token.to_owned(), empty);
    }
    let Some(member) = members.get_mut(token) else { return false };
    let done = set_member(member, token, next, rest, value);
    if is_new && !done {
        put_back(members, token, was_null);
    } else if removing && done && is_empty(member) {
        members.remove(token);
    }
    done
}

/// What was there before something was to be put there, and could not: null, or nothing.
fn put_back(members: &mut Map<String, Value>, token: &str, was_null: bool) {
    if was_null {
        members.insert(token.to_owned(), Value::Null);
    } else {
        members.remove(token);
    }
}

fn set_in_list(list: &mut Vec<Value>, token: &str, rest: &[String], value: Option<Value>) -> bool {
    let Some(index) = index(token).filter(|index| *index <= list.len()) else { return false };
    match (rest.split_first(), value, list.get_mut(index)) {
        (None, Some(value), Some(element)) => *element = value,
        (None, Some(value), None) => list.push(value),
        (None, None, Some(_)) => drop(list.remove(index)),
        // Nothing is there to be removed.
        (_, None, None) => {}
        (Some((next, rest)), value, Some(element)) => return set_member(element, token, next, rest, value),
        (Some(_), Some(_), None) => return false,
    }
    true
}

fn set_variable(list: &mut Vec<Value>, name: &str, value: Option<Value>) -> bool {
    let text = match &value {
        Some(Value::String(text)) => Some(text),
        Some(_) => return false,
        None => None,
    };
    if variables(list).is_none() || name.contains('=') {
        return false;
    }
    let name_of =
        |entry: &Value| entry.as_str().and_then(|entry| entry.split_once('=')).map(|(n, _)| n.to_owned());
    let at = list.iter().position(|entry| name_of(entry).is_some_and(|other| other == name));
    match (at, text) {
        (Some(at), Some(text)) => {
            if let Some(entry) = list.get_mut(at) {
                *entry = Value::String(format!("{name}={text}"));
            }
        }
        (Some(at), None) => drop(list.remove(at)),
        (None, Some(text)) => {
            let after =
                list.iter().position(|entry| name_of(entry).is_some_and(|other| other.as_str() > name));
            list.insert(after.unwrap_or(list.len()), Value::String(format!("{name}={text}")));
        }
        (None, None) => {}
    }
    true
}

/// A list of variables by name, when the pointer is of one, each entry has a name and a value, and no name stands twice.
pub(super) fn variables_at(pointer: &str, list: &[Value]) -> Option<Map<String, Value>> {
    let (_, key) = pointer.rsplit_once('/')?;
    if key == VARIABLES { variables(list) } else { None }
}

fn variables(list: &[Value]) -> Option<Map<String, Value>> {
    let mut variables = Map::new();
    for entry in list {
        let (name, value) = entry.as_str()?.split_once('=')?;
        if variables.insert(name.to_owned(), Value::String(value.to_owned())).is_some() {
            return None;
        }
    }
    Some(variables)
}

/// The tokens of a pointer, unescaped; none when it is no pointer.
fn tokens(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let tokens = pointer.strip_prefix('/')?;
    Some(tokens.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect())
}

/// A position in a list: digits without leading zeros, as the RFC has it.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { token.parse().ok() } else { None }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::value_changes;
    use serde_json::json;

    fn set(mut root: Value, pointer: &str, value: Option<Value>) -> Option<Value> {
        let before = root.clone();
        if set_at(&mut root, pointer, value) {
            return Some(root);
        }
        assert_eq!(root, before, "a pointer without a place changes nothing");
        None
    }

    #[test]
    fn a_name_with_a_slash_or_a_tilde_is_read_and_written_where_it_is_reported() {
        let live = json!({"Labels": {"a/b~c": "1", "~1": "2"}});
        let pointers: Vec<String> =
            value_changes(&live, &json!({})).into_iter().map(|change| change.pointer).collect();
        assert_eq!(pointers, ["/Labels/a~1b~0c", "/Labels/~01"]);
        assert_eq!(value_at(&live, "/Labels/a~1b~0c"), Some(json!("1")));
        assert_eq!(value_at(&live, "/Labels/~01"), Some(json!("2")));
        let written = set(live, "/Labels/a~1b~0c", Some(json!("3")));
        assert_eq!(written, Some(json!({"Labels": {"a/b~c": "3", "~1": "2"}})));
    }

    #[test]
    fn variables_are_read_and_written_by_name() {
        let live = json!({"Env": ["A=1", "C=a=b", "7="]});
        assert_eq!(value_at(&live, "/Env/C"), Some(json!("a=b")));
        assert_eq!(value_at(&live, "/Env/7"), Some(json!("")));
        assert_eq!(value_at(&live, "/Env/0"), None, "never by position");
        assert_eq!(value_at(&live, "/Env/A/x"), None);
        let list = |list: Value| Some(json!({"Env": list}));
        assert_eq!(set(live.clone(), "/Env/A", Some(json!("2"))), list(json!(["A=2", "C=a=b", "7="])));
        assert_eq!(set(live.clone(), "/Env/B", Some(json!("2"))), list(json!(["A=1", "B=2", "C=a=b", "7="])));
        assert_eq!(set(live.clone(), "/Env/C", None), list(json!(["A=1", "7="])));
        assert_eq!(set(live, "/Env/C", Some(json!(2))), None, "a variable is a string");
        assert_eq!(set(json!({}), "/Env/A", Some(json!("1"))), list(json!(["A=1"])));
        assert_eq!(set(json!({"Env": ["A=1"]}), "/Env/A", None), Some(json!({})));
    }

    #[test]
    fn variables_without_unambiguous_names_are_one_value() {
        for odd in [json!(["A=1", "A=2"]), json!(["A=1", "B"])] {
            let live = json!({"Env": odd});
            let found = value_changes(&live, &json!({"Env": ["A=1"]}));
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].pointer, "/Env");
            assert_eq!(value_at(&live, "/Env/A"), None);
            assert_eq!(set(live.clone(), "/Env/A", Some(json!("1"))), None);
            assert_eq!(set(live, "/Env", found[0].to.clone()), Some(json!({"Env": ["A=1"]})));
        }
    }

    #[test]
    fn lists_are_read_and_written_by_position() {
        let live = json!({"Mounts": [{"Target": "/a"}, {"Target": "/b", "ReadOnly": true}]});
        assert_eq!(value_at(&live, "/Mounts/1/Target"), Some(json!("/b")));
        for nowhere in ["/Mounts/2", "/Mounts/01", "/Mounts/-", "/Mounts/x", "/Mounts/0/Target/x"] {
            assert_eq!(value_at(&live, nowhere), None, "{nowhere}");
        }
        for nowhere in
            ["/Mounts/3", "/Mounts/01", "/Mounts/-", "/Mounts/2/Target", "/Mounts/0/Target/x", "Mounts"]
        {
            assert_eq!(set(live.clone(), nowhere, Some(json!(1))), None, "{nowhere}");
        }
        let written = set(live.clone(), "/Mounts/1/ReadOnly", None);
        assert_eq!(written, Some(json!({"Mounts": [{"Target": "/a"}, {"Target": "/b"}]})));
        let written = set(live.clone(), "/Mounts/0", None);
        assert_eq!(written, Some(json!({"Mounts": [{"Target": "/b", "ReadOnly": true}]})));
        let written = set(live, "/Mounts/2", Some(json!({"Target": "/c"})));
        assert_eq!(written.and_then(|written| value_at(&written, "/Mounts/2/Target")), Some(json!("/c")));
    }

    #[test]
    fn objects_are_made_on_the_way_and_go_when_they_are_empty() {
        let made = set(json!({}), "/A/B/C", Some(json!(1)));
        assert_eq!(made, Some(json!({"A": {"B": {"C": 1}}})));
        assert_eq!(set(json!({"A": {"B": {"C": 1}}, "D": 1}), "/A/B/C", None), Some(json!({"D": 1})));
        assert_eq!(set(json!({"D": 1}), "/A/B/C", None), Some(json!({"D": 1})), "nothing to remove");
        assert_eq!(set(json!({"D": 1}), "/D/E", Some(json!(1))), None);
        assert_eq!(set(json!({"A": null}), "/A/B", Some(json!(1))), Some(json!({"A": {"B": 1}})));
        assert_eq!(set(json!({"A": null}), "/A/Env/X/Y", Some(json!("1"))), None, "and null stays null");
        assert_eq!(set(json!({"D": 1}), "", Some(json!({}))), Some(json!({})));
        assert_eq!(value_at(&json!({"D": 1}), ""), Some(json!({"D": 1})));
    }

    #[test]
    fn writing_every_change_into_the_live_value_makes_it_the_desired_one() {
        let states = [
            json!({}),
            json!({"Env": ["A=1", "C=3"], "Labels": {"a/b": "1"}, "Mode": {"Global": {}}}),
            json!({"Env": ["A=2", "B=2", "C=3"], "Mode": {"Replicated": {"Replicas": 2}}}),
            json!({"Env": ["B=2", "C=3"], "Placement": {"Constraints": ["x==y"], "MaxReplicas": 2}}),
            json!({"Env": ["A=1", "A=2"], "Mounts": [{"Target": "/a", "Tmpfs": {"Mode": 1}}, {"Target": "/b"}]}),
            json!({"Mounts": [{"Target": "/a"}, {"Target": "/c", "Tmpfs": {"Mode": 2}}], "Env": ["A=1"]}),
            json!({"Mounts": [{"Target": "/c"}], "Args": ["a", "b"]}),
            json!({"Args": ["a", "c"], "Placement": {"MaxReplicas": 3}}),
        ];
        for live in &states {
            for desired in &states {
                let mut written = live.clone();
                for change in value_changes(live, desired) {
                    assert_eq!(value_at(live, &change.pointer), change.from, "{}", change.pointer);
                    assert_eq!(value_at(desired, &change.pointer), change.to, "{}", change.pointer);
                    assert!(set_at(&mut written, &change.pointer, change.to), "{}", change.pointer);
                }
                assert_eq!(&written, desired, "from {live}");
            }
        }
    }
}
