//! Broken input: whatever the bytes, the reader answers, and quickly.
//!
//! The corpus is every example, every golden file and every example of an explanation, changed at random places. The
//! generator is seeded, so a failure repeats; its seed and the text are in the message.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use skep_schemas::Code;
use skep_schemas::diagnostic::Style;
use skep_schemas::manifest::{ReadOptions, read_json, read_str};

/// Enough that each corpus file is changed some hundred times, in a few seconds.
const ROUNDS: u64 = 6000;
/// Pieces that mean something to YAML or to the reader.
const PIECES: &[&str] = &[
    "\n",
    "  ",
    "\t",
    ": ",
    "- ",
    "---\n",
    "...\n",
    "&a ",
    "*a ",
    "!x ",
    "!!str ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "#",
    "%YAML 1.2\n",
    "? ",
    "<<: ",
    "~",
    "null",
    "\0",
    "\u{feff}",
    "\u{2028}",
    "é",
    "𝄞",
    "0x",
    "1e999",
    "-",
    "spec:",
    "kind: Secret\n",
    "metadata: ",
    "items: ",
    "\r\n",
    "\u{1b}",
];

/// A small generator of the xorshift family; the test needs variety, not quality.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

fn corpus() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directories = ["tests/golden", "../examples/hello", "../examples/links", "../examples/shop"]
        .map(|path| root.join(path));
    let files =
        directories.iter().flat_map(|path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
    let texts = files.map(|path| fs::read_to_string(path).unwrap());
    let explained =
        Code::ALL.iter().flat_map(|code| code.explanation().split("```yaml\n").skip(1)).map(str::to_owned);
    texts.chain(explained).collect()
}

fn changed(text: &str, corpus: &[String], random: &mut Random) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(6) {
        let at = random.below(chars.len() + 1);
        let to = (at + random.below(12)).min(chars.len());
        match random.below(5) {
            0 => drop(chars.drain(at..to)),
            1 => drop(chars.splice(at..at, PIECES[random.below(PIECES.len())].chars())),
            2 => drop(chars.splice(at..to, PIECES[random.below(PIECES.len())].chars())),
            3 => {
                let copy: Vec<char> = chars[at..to].to_vec();
                let place = random.below(chars.len() + 1);
                drop(chars.splice(place..place, copy));
            }
            _ => {
                let other: Vec<char> = corpus[random.below(corpus.len())].chars().collect();
                let from = random.below(other.len() + 1);
                let end = (from + random.below(60)).min(other.len());
                drop(chars.splice(at..at, other[from..end].iter().copied()));
            }
        }
    }
    chars.into_iter().collect()
}

#[test]
fn no_input_makes_the_reader_panic() {
    let corpus = corpus();
    assert!(corpus.len() > 50);
    for seed in 1..=ROUNDS {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let text = changed(&corpus[random.below(corpus.len())], &corpus, &mut random);
        let read = catch_unwind(|| {
            let options = ReadOptions::default();
            for read in [read_str("s", &text, &options), read_json("s", &text, &options)] {
                match read {
                    Err(diagnostics) => drop(diagnostics.render(Style::Ansi)),
                    Ok(manifests) => manifests.iter().for_each(|m| drop(m.manifest.to_json().unwrap())),
                }
            }
        });
        assert!(read.is_ok(), "seed {seed}:\n{text}");
    }
}

#[test]
fn a_secret_in_a_broken_manifest_is_never_shown() {
    let canary = "c4n4ry";
    let manifest = format!(
        "apiVersion: skep.dev/v1\nkind: Secret\nmetadata:\n  org: acme\n  name: key\nspec:\n  description: d\n  value: {canary}\n"
    );
    let corpus =
        [manifest.clone(), manifest.replace(canary, &format!("|\n    line\n    {canary}\n    line"))];
    for seed in 1..=ROUNDS {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let text = changed(&corpus[random.below(2)], &corpus, &mut random);
        let Err(diagnostics) = read_str("s", &text, &ReadOptions::default()) else { continue };
        // A change may move the value into a field that is not secret, or into the name of one.
        let displaced = diagnostics
            .as_slice()
            .iter()
            .any(|d| d.message.contains("c4") || d.help.as_deref().is_some_and(|help| help.contains("c4")));
        let shown = diagnostics.render(Style::Plain);
        let excerpts: Vec<&str> = shown.lines().filter(|line| line.contains(" | ")).collect();
        assert!(
            displaced || excerpts.iter().all(|line| !line.contains(canary)),
            "seed {seed}:\n{text}\n{shown}"
        );
    }
}

#[test]
fn hostile_text_is_refused_within_seconds() {
    let nested = "[".repeat(500_000);
    let wide = "- x\n".repeat(500_000);
    let keys: String = (0..100_000).map(|i| format!("k{i}: 1\n")).collect();
    let anchors: String = (0..50_000).map(|i| format!("- &a{i} x\n")).collect();
    let documents = "a: 1\n---\n".repeat(100_000);
    let broken = "a: [\n---\n".repeat(100_000);
    let long = format!("\"{}", "x".repeat(8 << 20));
    let indented: String = (0..2000).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    let duplicates = "kind: App\n".repeat(50_000);
    let fields = format!(
        "apiVersion: skep.dev/v1\nkind: App\nmetadata: {{org: a, name: b}}\nspec:\n{}",
        "  x: 1\n".repeat(40_000)
    );
    let deep_keys = "? ".repeat(100_000);
    let texts =
        [nested, wide, keys, anchors, documents, broken, long, indented, duplicates, fields, deep_keys];
    for text in &texts {
        let begin = Instant::now();
        assert!(read_str("s", text, &ReadOptions::default()).is_err());
        assert!(read_json("s", text, &ReadOptions::default()).is_err());
        let start: String = text.chars().take(20).collect();
        assert!(begin.elapsed() < Duration::from_secs(20), "{start:?} took {:?}", begin.elapsed());
    }
}
