//! Field pointers: which fields of a Swarm object a policy speaks of.
//!
//! The form is a JSON pointer (RFC 6901) into what `docker service inspect` shows under `Spec`, as drift reports print it. A
//! pointer covers its field and everything beneath it. A segment `*` stands for any one name, so that
//! `/TaskTemplate/ContainerSpec/Env/*` covers every variable.

use super::names::excerpt;
use super::{ScalarError, text_scalar};

/// No field of a Swarm object lies deeper, and no name in one is longer than a label's key.
const POINTER_MAX: usize = 512;

text_scalar! {
    /// A JSON pointer to a field of a Swarm object; `*` stands for any one name.
    FieldPointer, "field-pointer",
    "JSON pointer to a field of a Swarm object as drift reports print it, for example /Mode/Replicated/Replicas; * stands for any one name.",
    r"^(/[^/]+)+$", field_pointer
}

impl FieldPointer {
    /// Does it cover the field at `pointer`: that field itself, or one that it lies beneath?
    pub fn covers(&self, pointer: &str) -> bool {
        let mut segments = pointer.split('/').skip(1);
        self.as_str()
            .split('/')
            .skip(1)
            .all(|wanted| segments.next().is_some_and(|found| wanted == "*" || wanted == found))
    }
}

fn field_pointer(text: &str) -> Result<(), ScalarError> {
    let help = "write it as `skep drift` prints it, such as `/Mode/Replicated/Replicas` or `/Labels/team`; `~1` stands for a slash in a name";
    let problem =
        |why: &str| ScalarError::new(format!("`{}` is not a pointer to a field: {why}", excerpt(text)), help);
    if text.len() > POINTER_MAX {
        return Err(problem("it is longer than 512 characters"));
    }
    let Some(rest) = text.strip_prefix('/') else { return Err(problem("it does not begin with a slash")) };
    if rest.split('/').any(str::is_empty) {
        return Err(problem("a name between two slashes is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(problem("it contains a control character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_covers_its_field_and_all_beneath_but_no_neighbour() {
        let covers = |pointer: &str, field: &str| pointer.parse::<FieldPointer>().unwrap().covers(field);
        assert!(covers("/Labels", "/Labels/team"));
        assert!(covers("/Labels/team", "/Labels/team"));
        assert!(covers("/A/*/C", "/A/b/C/d"));
        assert!(!covers("/Labels/team", "/Labels"));
        assert!(!covers("/Labels/team", "/Labels/teams"));
        assert!(!covers("/A/*/C", "/A/C"));
    }

    #[test]
    fn what_is_no_pointer_is_refused_with_an_example() {
        for text in ["", "Labels", "/", "/a//b", "/a/", "/a\n"] {
            let error = text.parse::<FieldPointer>().unwrap_err();
            assert!(error.help.contains("/Mode/Replicated/Replicas"), "{text:?}");
        }
    }
}
