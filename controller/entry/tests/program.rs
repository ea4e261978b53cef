//! The program as it is shipped, started like any other.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The longest value of a variable called `SECRET`: the kernel takes 131,072 bytes, with the name, the `=` and a NUL.
const VALUE_MAX: usize = 131_072 - "SECRET=".len() - 1;

#[cfg(test)]
struct Stage {
    directory: TempDir,
}

#[cfg(test)]
impl Stage {
    fn new() -> Self {
        let stage = Self { directory: TempDir::new().unwrap() };
        let program = stage.file("entry", skep_entry::PROGRAM);
        fs::set_permissions(program, fs::Permissions::from_mode(0o555)).unwrap();
        stage
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Runs it with these arguments in an environment of two variables.
    fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Output {
        Command::new(self.directory.path().join("entry"))
            .args(arguments)
            .env_clear()
            .envs([("PATH", "/nowhere:/usr/bin:/bin"), ("SECRET", "not this one"), ("SECRETIVE", "stays")])
            .output()
            .unwrap()
    }

    /// What a variable called `SECRET` is to the program, of a file with this content.
    fn value(&self, content: &[u8]) -> Output {
        let file = self.file("secret", content);
        self.run(&[format!("SECRET={}", file.display()).as_str(), "--", "printenv", "SECRET"])
    }
}

#[cfg(test)]
fn complaint(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8(output.stderr.clone()).unwrap())
}

#[test]
fn a_variable_is_the_files_content_without_its_last_line_break() {
    let stage = Stage::new();
    for content in ["s3cret", "s3cret\n", "s3cret\r\n"] {
        assert_eq!(stage.value(content.as_bytes()).stdout, b"s3cret\n", "{content:?}");
    }
    assert_eq!(stage.value(b"").stdout, b"\n");
    assert_eq!(
        stage.value("zwei\nZeilen \u{1f41d} = $(x) {{.Node}}\n\n".as_bytes()).stdout,
        "zwei\nZeilen \u{1f41d} = $(x) {{.Node}}\n\n".as_bytes()
    );
    assert_eq!(stage.value(b"\xff\xfe").stdout, b"\xff\xfe\n");
}

#[test]
fn the_environment_stays_as_it_is_but_for_what_is_set() {
    let stage = Stage::new();
    let (a, b) = (stage.file("a", b"1\n"), stage.file("b", b"2"));
    let output = stage.run(&[
        format!("SECRET={}", a.display()),
        format!("OTHER={}", b.display()),
        "--".to_owned(),
        "env".to_owned(),
    ]);
    let mut lines: Vec<&[u8]> =
        output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    assert_eq!(lines, [&b"OTHER=2"[..], b"PATH=/nowhere:/usr/bin:/bin", b"SECRET=1", b"SECRETIVE=stays"]);
}

#[test]
fn the_program_takes_its_place_with_arguments_and_status() {
    let stage = Stage::new();
    let arguments = ["--", "/bin/sh", "-c", "echo \"$0|$1|$#\"; exit 42", "a b", "--", "", "c"];
    let output = stage.run(&arguments);
    assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"a b|--|3\n"[..], Some(42)));
    let mut entry = Command::new(stage.directory.path().join("entry"));
    let child = entry.args(["--", "sh", "-c", "echo $$"]).stdout(Stdio::piped()).spawn().unwrap();
    let number = child.id();
    assert_eq!(child.wait_with_output().unwrap().stdout, format!("{number}\n").as_bytes());
}

#[test]
fn the_longest_value_is_passed_on_and_a_longer_one_is_refused() {
    let stage = Stage::new();
    let output = stage.value(&vec![b'x'; VALUE_MAX]);
    assert_eq!((output.stdout.len(), output.status.code()), (VALUE_MAX + 1, Some(0)));
    for longer in [VALUE_MAX + 1, VALUE_MAX + 2, 600_000] {
        let (status, words) = complaint(&stage.value(&vec![b'x'; longer]));
        assert_eq!(status, Some(125), "{longer}");
        assert!(
            words.contains("cannot set SECRET") && words.contains("longer than a variable can be"),
            "{words}"
        );
    }
}

#[test]
fn what_cannot_be_done_is_said_without_a_value() {
    let stage = Stage::new();
    let missing = stage.run(&["SECRET=/nowhere/it-is", "--", "true"]);
    assert_eq!(
        complaint(&missing),
        (Some(125), "skep-entry: cannot set SECRET from /nowhere/it-is: it is not there\n".to_owned())
    );
    let (status, words) = complaint(&stage.value(b"canary\0canary"));
    assert_eq!(status, Some(125));
    assert!(words.contains("there is a NUL in it") && !words.contains("canary"), "{words}");
    let not_found = stage.run(&["--", "no-such-program"]);
    assert_eq!(
        complaint(&not_found),
        (Some(127), "skep-entry: cannot run no-such-program: it is not there\n".to_owned())
    );
    let not_a_program = stage.file("text", b"just words");
    fs::set_permissions(&not_a_program, fs::Permissions::from_mode(0o755)).unwrap();
    let (status, words) = complaint(&stage.run(&[OsStr::new("--"), not_a_program.as_os_str()]));
    assert_eq!(status, Some(126));
    assert!(words.contains("not a program for this machine"), "{words}");
}

#[test]
fn without_sense_in_its_arguments_it_says_how_it_is_used() {
    let stage = Stage::new();
    for arguments in [&[][..], &["--"], &["SECRET"], &["=/x", "--", "true"], &["SECRET=/dev/null"], &["true"]]
    {
        let (status, words) = complaint(&stage.run(arguments));
        assert_eq!(status, Some(125), "{arguments:?}");
        assert!(words.starts_with("usage: "), "{arguments:?}: {words}");
    }
}

#[test]
fn it_is_small_and_needs_nothing_of_where_it_runs() {
    let interpreter = b"ld-linux";
    assert!(skep_entry::PROGRAM.len() < 16 * 1024, "{} bytes", skep_entry::PROGRAM.len());
    assert!(!skep_entry::PROGRAM.windows(interpreter.len()).any(|window| window == interpreter));
}

#[test]
fn bytes_that_are_no_text_pass_through() {
    let stage = Stage::new();
    let output = stage.run(&[
        OsStr::new("--"),
        OsStr::new("printf"),
        OsStr::new("%s"),
        OsStr::from_bytes(b"\xff\x01"),
    ]);
    assert_eq!(output.stdout, b"\xff\x01");
}
