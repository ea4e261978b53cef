//! The program as it is shipped, started like any other.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The longest value of a variable called `SECRET`: the kernel takes 131,072 bytes, with the name, the `=` and a NUL.
const VALUE_MAX: usize = 131_072 - "SECRET=".len() - 1;

/// How long a program may take to say something.
const PATIENCE: Duration = Duration::from_secs(20);

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

/// A program that stays with the one it starts, which says when it is there and what it is told.
#[cfg(test)]
struct Staying {
    entry: Child,
    said: Receiver<String>,
}

#[cfg(test)]
impl Staying {
    fn start(stage: &Stage, drain: &str, script: &str) -> Self {
        let mut entry = Command::new(stage.directory.path().join("entry"))
            .args([drain, "--", "sh", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(entry.stdout.take().unwrap()).lines();
        let (sender, said) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let staying = Self { entry, said };
        assert_eq!(staying.hears(), "ready");
        staying
    }

    fn hears(&self) -> String {
        self.said.recv_timeout(PATIENCE).unwrap()
    }

    fn send(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.entry.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn status(mut self) -> Option<i32> {
        self.entry.wait().unwrap().code()
    }
}

/// Says what it is told, and ends when it is told to stop.
const TELLS: &str =
    "trap 'echo term; exit 7' TERM; trap 'echo hup' HUP; echo ready; while :; do sleep 0.01; done";

#[test]
fn what_drains_is_told_to_stop_when_its_time_has_come_and_everything_else_at_once() {
    let stage = Stage::new();
    let staying = Staying::start(&stage, "--drain=15:400", TELLS);
    let began = Instant::now();
    staying.send("-TERM");
    staying.send("-HUP");
    assert_eq!(staying.hears(), "hup");
    assert_eq!(staying.hears(), "term");
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
    assert_eq!(staying.status(), Some(7));
}

#[test]
fn who_asks_a_second_time_is_not_kept_waiting() {
    let stage = Stage::new();
    // It would be a day.
    let staying = Staying::start(&stage, "--drain=15:86400000", TELLS);
    staying.send("-TERM");
    // Two of one signal that nobody has taken yet are one.
    staying.send("-HUP");
    assert_eq!(staying.hears(), "hup");
    staying.send("-TERM");
    assert_eq!(staying.hears(), "term");
    assert_eq!(staying.status(), Some(7));
}

#[test]
fn what_ends_by_itself_while_it_drains_is_not_waited_for() {
    let stage = Stage::new();
    let staying = Staying::start(&stage, "--drain=15:86400000", TELLS.replace("echo hup", "exit 9").as_str());
    staying.send("-TERM");
    staying.send("-HUP");
    assert_eq!(staying.status(), Some(9));
}

#[test]
fn a_program_that_drains_has_its_variables_its_arguments_and_its_status() {
    let stage = Stage::new();
    let file = stage.file("secret", b"s3cret\n");
    let variable = format!("SECRET={}", file.display());
    let output =
        stage.run(&["--drain=15:1", &variable, "--", "sh", "-c", "echo \"$SECRET|$0\"; exit 42", "zero"]);
    assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"s3cret|zero\n"[..], Some(42)));
    let killed = stage.run(&["--drain=15:1", "--", "sh", "-c", "kill -KILL $$"]);
    assert_eq!(killed.status.code(), Some(137));
    assert_eq!(stage.run(&["--drain=15:1", "--", "no-such-program"]).status.code(), Some(127));
    assert_eq!(stage.run(&["--drain=15", "--", "true"]).status.code(), Some(125), "that is no drain");
}

#[test]
fn it_says_whether_a_port_can_be_reached() {
    let stage = Stage::new();
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    let outside = TcpListener::bind("0.0.0.0:0").unwrap();
    let ports = [&inside, &outside].map(|listener| listener.local_addr().unwrap().port());
    let asked = |port: u16| complaint(&stage.run(&[format!("--listens={port}")]));
    assert_eq!(asked(ports[1]), (Some(0), String::new()));
    let alone =
        format!("port {} is listened on for the container itself alone: listen on 0.0.0.0\n", ports[0]);
    assert_eq!(asked(ports[0]), (Some(1), alone));
    drop(inside);
    assert_eq!(asked(ports[0]), (Some(1), format!("port {} is not listened on\n", ports[0])));
    assert_eq!(asked(0).0, Some(125));
}
