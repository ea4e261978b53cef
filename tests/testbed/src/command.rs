//! Running a program to its end and saying what went wrong.
//!
//! Every program is started from an argument vector, never through a shell. A failure carries the whole command line
//! and what the program wrote, because in a test log that is all there is to go by.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// How much of a program's output an error repeats: enough for a stack of messages, short enough to read.
const MAX_QUOTED: usize = 4_000;

/// A command from a program and its arguments.
pub fn command<I, S>(program: &str, args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs `command` to its end and returns what it wrote, whatever its exit status.
pub fn output(mut command: Command) -> Result<Output> {
    command.output().with_context(|| format!("cannot run {}", line(&command)))
}

/// Runs `command` and returns its standard output; an exit status other than zero is an error.
pub fn stdout(mut command: Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", line(&command)))?;
    text_of(&command, &output)
}

/// Runs `program` with `args`; an exit status other than zero is an error.
pub fn run<I, S>(program: &str, args: I) -> Result<String>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    stdout(command(program, args))
}

/// Runs `command` with `input` on its standard input.
pub fn feed(mut command: Command, input: &[u8]) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {}", line(&command)))?;
    let mut stdin = child.stdin.take().context("the child was started with a pipe for its input")?;
    // The input is written from another thread: a program that answers before it has read everything would
    // otherwise block on its full output pipe while we block on its full input pipe.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that stops reading early says why on its standard error, which is reported below.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output()
    })
    .with_context(|| format!("cannot wait for {}", line(&command)))?;
    text_of(&command, &output)
}

/// The command line, for messages.
pub(crate) fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn text_of(command: &Command, output: &Output) -> Result<String> {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed with {}\n{}\n{}", line(command), output.status, tail(&stderr), tail(&stdout));
    }
    Ok(stdout)
}

/// The last part of `text`, cut at a character boundary.
pub fn tail(text: &str) -> &str {
    let text = text.trim_end();
    let mut start = text.len().saturating_sub(MAX_QUOTED);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_repeats_what_it_wrote() {
        let error = run("ls", ["/nonexistent-path"]).expect_err("ls of a missing path fails").to_string();
        assert!(error.starts_with("ls /nonexistent-path failed with exit status: 2"), "{error}");
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn input_larger_than_a_pipe_is_fed_whole() {
        let input = vec![b'x'; 1 << 20];
        let copy = feed(command("cat", [""; 0]), &input).expect("cat copies");
        assert_eq!(copy.len(), input.len());
    }
}
