//! Inputs that are made to hurt, each with the refusal that it must get.

use std::fmt::Write as _;

use skep_schemas::Code;

/// A text, and why it is refused: one of these codes. None at all means that it must be accepted.
#[derive(Debug)]
pub struct Hostile {
    /// What is hostile about it.
    pub about: &'static str,
    /// The text, as YAML.
    pub text: String,
    /// What it may be refused for.
    pub codes: &'static [Code],
}

fn app(description: &str) -> String {
    format!(
        "apiVersion: skep.dev/v1\nkind: App\nmetadata: {{org: acme, name: shop}}\nspec:\n  description: {description}\n"
    )
}

/// All of them. Together they are some tens of megabytes.
pub fn all() -> Vec<Hostile> {
    use Code::{
        DuplicateField, InvalidSpec, MissingField, OutOfRange, Syntax, TooComplex, TooLarge, UnknownField,
        UnsupportedYaml, WrongType,
    };
    let hostile = |about, text, codes| Hostile { about, text, codes };
    let laughs = (1..12).fold("a0: &a0 [lol, lol, lol]\n".to_owned(), |mut text, level| {
        let last = level - 1;
        let _ = writeln!(text, "a{level}: &a{level} [*a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}]");
        text
    });
    let one_line: String = (0..20_000).map(|number| format!(", field{number}: x")).collect();
    let one_line = format!(
        "{{apiVersion: skep.dev/v1, kind: App, metadata: {{org: acme, name: shop}}, spec: {{description: x{one_line}}}}}"
    );
    let fields: String = (0..5000).map(|number| format!("  field{number}: x\n")).collect();
    let mut numbers = app("x");
    numbers.push_str("  processes: {web: {instances: 99999999999999999999999999}}\n");
    let mut many = app("x");
    for number in 0..2000 {
        let _ = write!(many, "---\n{}", app(&format!("d{number}")));
    }
    vec![
        hostile("a value of ten megabytes", app(&"x".repeat(10 << 20)), &[TooLarge]),
        hostile("twenty megabytes of nothing", " ".repeat(20 << 20), &[TooLarge]),
        hostile("lists in lists", "[".repeat(300_000), &[TooComplex, Syntax]),
        hostile(
            "mappings in mappings",
            (0..500).map(|level| format!("{}a:\n", " ".repeat(level))).collect(),
            &[TooComplex],
        ),
        hostile("a billion laughs", laughs, &[TooComplex, MissingField, UnknownField]),
        hostile("an alias of itself", app("&a [*a]"), &[UnsupportedYaml, WrongType]),
        hostile("an anchor that is nowhere", app("*nowhere"), &[UnsupportedYaml]),
        hostile("a merge key", format!("{}  <<: {{source: {{image: x}}}}\n", app("x")), &[UnsupportedYaml]),
        hostile(
            "a tag of another language",
            app("!!python/object/apply:os.system [id]"),
            &[UnsupportedYaml, WrongType],
        ),
        hostile("a NUL character", app("\"a\\0b\""), &[InvalidSpec]),
        hostile(
            "a field that is written twice",
            format!("{}  description: y\n", app("x")),
            &[DuplicateField],
        ),
        hostile("a key a thousand times", app("x") + &"  description: x\n".repeat(1000), &[DuplicateField]),
        hostile("a megabyte in one line with a problem in each word", one_line, &[UnknownField]),
        hostile("thousands of unknown fields", format!("{}{fields}", app("x")), &[UnknownField]),
        hostile("a number without end", numbers, &[OutOfRange, WrongType]),
        hostile("thousands of documents", many, &[TooComplex, Code::DuplicateResource]),
        hostile(
            "a hundred thousand documents that are broken",
            "a: [\n---\n".repeat(100_000),
            &[Syntax, TooComplex, MissingField],
        ),
        hostile("text that reads from right to left", app("\"\u{202e}txt.exe\""), &[]),
        hostile("a byte order mark in the middle", app("x\u{feff}y"), &[]),
        hostile("escapes of half a character", app("\"\\ud800\""), &[Syntax]),
    ]
}
