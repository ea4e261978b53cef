//! Files of variables, `.env`: read strictly, and written so that they are read back as they were.
//!
//! A line is `NAME=value`, perhaps after `export`. A value in single quotes is what stands there; in double quotes `\n`, `\r`, `\t`, `\"`, `\\`
//! and `\$` mean what they do elsewhere; both may go over several lines. Without quotes a value ends before ` #` or at the end of the
//! line. Nothing is put in the place of `$NAME`: the variables of whoever imports are not those of the environment.

use std::collections::BTreeMap;

use skep_schemas::EnvName;

/// What is not right in a file, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub(crate) struct DotenvError {
    line: usize,
    problem: String,
}

/// The variables of a file. A value is never part of an error.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<EnvName, String>, DotenvError> {
    let mut found = BTreeMap::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let begin = line;
        let wrong = |problem: &str| DotenvError { line: begin, problem: problem.to_owned() };
        let (first, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let plain = first.trim();
        if plain.is_empty() || plain.starts_with('#') {
            rest = after;
            line += 1;
            continue;
        }
        let (name, _) = first.split_once('=').ok_or_else(|| wrong("it is not `NAME=value`"))?;
        let value = rest.get(name.len() + 1..).unwrap_or_default();
        let name = name.trim();
        let name = name.strip_prefix("export ").map_or(name, str::trim);
        let name: EnvName = name
            .parse()
            .map_err(|error: skep_schemas::ScalarError| wrong(&format!("{error}; {}", error.help)))?;
        let (value, tail) = read(value).map_err(wrong)?;
        line += rest.len().checked_sub(tail.len()).and_then(|taken| rest.get(..taken)).map_or(0, newlines);
        rest = tail;
        if found.contains_key(&name) {
            return Err(wrong(&format!("{name} is there twice; leave the one out that does not count")));
        }
        found.insert(name, value);
    }
    Ok(found)
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

/// A value, and what follows its line.
fn read(text: &str) -> Result<(String, &str), &'static str> {
    let text = text.trim_start_matches([' ', '\t']);
    if let Some(inside) = text.strip_prefix('\'') {
        let (value, rest) = inside.split_once('\'').ok_or("a single quote is not closed")?;
        return Ok((value.to_owned(), ended(rest)?));
    }
    if let Some(inside) = text.strip_prefix('"') {
        let (value, rest) = unescaped(inside)?;
        return Ok((value, ended(rest)?));
    }
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let line = if line.starts_with('#') { "" } else { line };
    let value = [" #", "\t#"]
        .iter()
        .filter_map(|mark| line.find(mark))
        .min()
        .map_or(line, |end| line.get(..end).unwrap_or(line));
    Ok((value.trim_end().to_owned(), rest))
}

/// The rest of the file, if nothing but a comment follows a quote on its line.
fn ended(text: &str) -> Result<&str, &'static str> {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        Ok(rest)
    } else {
        Err("something follows the closing quote")
    }
}

fn unescaped(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            '\\' => value.push(match chars.next().map(|(_, escaped)| escaped) {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(escaped @ ('"' | '\\' | '$')) => escaped,
                _ => return Err("a backslash in double quotes stands before n, r, t, \", \\ or $"),
            }),
            c => value.push(c),
        }
    }
    Err("a double quote is not closed")
}

/// One line of such a file.
pub(crate) fn line(name: &EnvName, value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,-=?&".contains(c);
    if value.chars().all(is_plain) {
        return format!("{name}={value}\n");
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    for c in value.chars() {
        match c {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '"' | '\\' | '$' => quoted.extend(['\\', c]),
            c => quoted.push(c),
        }
    }
    format!("{name}=\"{quoted}\"\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|(name, value)| (name.to_string(), value)).collect()
    }

    #[test]
    fn the_forms_that_files_have_are_read() {
        let text = "\u{feff}# a comment\r\n\nA=plain value # not this\n  export B = 'as $IT #is\n too'  # comment\nC=\"two\\nlines \\\"x\\\" \\$Y\"\nD=\nE=a#b=c\nF= # nothing\n";
        let expected = [
            ("A", "plain value"),
            ("B", "as $IT #is\n too"),
            ("C", "two\nlines \"x\" $Y"),
            ("D", ""),
            ("E", "a#b=c"),
            ("F", ""),
        ];
        let expected: Vec<_> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(read(text), expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_without_a_value() {
        for (text, line, word) in [
            ("A=1\nB", 2, "NAME=value"),
            ("A='1\n2'\n1X=canary", 3, "1X"),
            ("A=1\nA=canary", 2, "twice"),
            ("A=\"canary", 1, "not closed"),
            ("A='canary", 1, "not closed"),
            ("A='canary' canary", 1, "follows"),
            ("A=\"\\canary\"", 1, "backslash"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text}: {error}");
            let told = error.to_string();
            assert!(told.contains(word) && !told.contains("canary"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_as_it_was(value in "(?s).*") {
            let name: EnvName = "NAME".parse().unwrap();
            let text = format!("{}LAST=1\n", line(&name, &value));
            let found = read(&text);
            let expected = [("LAST".to_owned(), "1".to_owned()), ("NAME".to_owned(), value)];
            prop_assert_eq!(found, expected);
        }
    }
}
