//! The form of a case: prose, commands with their blocks, and what each command says.
//!
//! A line that begins with `#` is prose, one that begins with `>` is what the command above says, one that is indented by four
//! spaces belongs to the command above, and any other line is a command. Everything but the `>` lines is kept as it is
//! when a case is blessed.

use anyhow::{Context, Result, bail};

use crate::stage::Stage;

/// A case, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    /// Prose or an empty line.
    Prose(String),
    /// Something to do.
    Command(Command),
}

/// One command of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Where it stands, counted from 1.
    pub line: usize,
    /// The command itself.
    pub text: String,
    /// The lines that are indented below it, without the indentation.
    pub block: Vec<String>,
}

const INDENT: &str = "    ";

impl Script {
    /// Reads a case.
    pub fn parse(text: &str) -> Result<Self> {
        let mut items = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('>') {
                continue;
            }
            if line.trim().is_empty() || line.starts_with('#') {
                items.push(Item::Prose(line.to_owned()));
            } else if let Some(rest) = line.strip_prefix(INDENT) {
                match items.last_mut() {
                    Some(Item::Command(command)) => command.block.push(rest.to_owned()),
                    _ => bail!("line {}: an indented line needs a command above it", number + 1),
                }
            } else {
                let text = line.trim_end().to_owned();
                items.push(Item::Command(Command { line: number + 1, text, block: Vec::new() }));
            }
        }
        Ok(Self { items })
    }

    /// Does everything in order, and gives the whole case back with what the commands say now.
    pub fn perform(&self, stage: &mut Stage) -> Result<String> {
        let mut text = String::new();
        for item in &self.items {
            match item {
                Item::Prose(line) => push_line(&mut text, line),
                Item::Command(command) => {
                    push_line(&mut text, &command.text);
                    for line in &command.block {
                        push_line(&mut text, &format!("{INDENT}{line}"));
                    }
                    let said = stage
                        .perform(command)
                        .with_context(|| format!("line {}: {}", command.line, command.text))?;
                    for line in said.trim_matches('\n').lines() {
                        push_line(&mut text, format!("> {line}").trim_end());
                    }
                }
            }
        }
        Ok(text)
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
