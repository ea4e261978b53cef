//! What the entry program decides, without asking anybody: what its arguments say, what of a file is a value, where programs are looked
//! for. All of it on bytes that belong to somebody else, without a copy.

/// Ends the variables; what follows is the program with its arguments.
pub(crate) const END: &[u8] = b"--";

/// The longest string that the kernel passes on to a program, its closing NUL included: `MAX_ARG_STRLEN`, 32 pages.
pub(crate) const STRING_MAX: usize = 32 * 4096;

/// Where programs are looked for when nothing says so; Docker's own.
pub(crate) const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `NAME=FILE`: where the name ends. `None` when it is no such thing.
pub(crate) fn end_of_name(argument: &[u8]) -> Option<usize> {
    argument.iter().position(|byte| *byte == b'=').filter(|end| *end > 0)
}

/// Is this entry of an environment the variable of that name?
pub(crate) fn is_variable(entry: &[u8], name: &[u8]) -> bool {
    entry.len() > name.len() && entry.starts_with(name) && entry.get(name.len()) == Some(&b'=')
}

/// How much of a file's content is the value: all but one line break at its end. `None` when there is a NUL in it, which no variable
/// can hold.
pub(crate) fn length_of_value(content: &[u8]) -> Option<usize> {
    if content.contains(&0) {
        return None;
    }
    let value = content.strip_suffix(b"\n").unwrap_or(content);
    Some(value.strip_suffix(b"\r").filter(|_| value.len() < content.len()).unwrap_or(value).len())
}

/// The directories in which a program is looked for: none when its name says where it is. An empty one is the one it is started in.
pub(crate) fn directories<'a>(program: &[u8], path: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let is_named_by_place = program.contains(&b'/');
    let directories = path.split(|byte| *byte == b':');
    let directories = directories.map(|directory| if directory.is_empty() { &b"."[..] } else { directory });
    directories.filter(move |_| !is_named_by_place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_a_name_and_a_file_that_may_hold_anything() {
        assert_eq!(end_of_name(b"URL=/run/secrets/url"), Some(3));
        assert_eq!(end_of_name(b"URL=/run/secrets/a=b"), Some(3));
        assert_eq!(end_of_name(b"=/run/secrets/url"), None);
        assert_eq!(end_of_name(b"--"), None);
    }

    #[test]
    fn a_variable_is_known_by_its_whole_name() {
        assert!(is_variable(b"URL=x", b"URL") && is_variable(b"URL=", b"URL"));
        assert!(
            !is_variable(b"URL_2=x", b"URL") && !is_variable(b"URL", b"URL") && !is_variable(b"UR=L", b"URL")
        );
    }

    #[test]
    fn one_line_break_at_the_end_is_the_files_and_not_the_values() {
        let lengths =
            [&b"abc"[..], b"abc\n", b"abc\r\n", b"abc\n\n", b"abc\r", b"\n", b""].map(length_of_value);
        assert_eq!(lengths, [Some(3), Some(3), Some(3), Some(4), Some(4), Some(0), Some(0)]);
        assert_eq!(length_of_value(b"a\0c"), None);
    }

    #[test]
    fn a_program_named_by_its_place_is_not_looked_for() {
        let found = |program: &[u8], path| directories(program, path).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(found(b"serve", b"/bin::/opt"), [&b"/bin"[..], b".", b"/opt"]);
        assert_eq!(found(b"./serve", b"/bin:/opt"), [&b""[..]; 0]);
    }
}
