//! What is known about one field of an engine object, and the tree in which it is looked up.
//!
//! A table is a list of [`Field`]s, one for everything that the Docker Engine API lets a person set, whether Skep renders it or
//! not. The normaliser, the diff, the tests against recordings and real engines and the page for people all read the same rows,
//! so a row that is wrong fails a test, and a field that has no row is a field of a newer engine.

use std::collections::BTreeMap;

use serde_json::Value;

/// One row: a field of the engine's JSON.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Where it is: a JSON pointer with `*` for any element of a list or member of a map.
    pub pointer: &'static str,
    /// Whose it is.
    pub owner: Owner,
    /// What values it has.
    pub kind: Kind,
    /// What it means when it is not there.
    pub absent: Absent,
    /// What the engine makes of a value that it is sent.
    pub kept: Kept,
    /// The API version 1.n that has it; an older engine drops it and does not say so.
    pub since: u32,
    /// A value that an engine takes and that is not the default, as JSON; empty where there is none to be had.
    pub example: &'static str,
    /// How this is known.
    pub source: &'static str,
}

/// Who decides a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Skep renders it; another value is drift.
    Skep,
    /// Swarm allocates or counts it, or a person may without consequence; it is never compared.
    Swarm,
    /// Skep never sets it, so anything there is drift.
    Nobody,
}

/// The values of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An object; empty is the same as absent.
    Object,
    /// An object that says something by being there, empty or not.
    Tag,
    /// A list. Its order is kept, and another order is another value: the engine replaces tasks for it.
    List,
    /// Names and values; without order.
    Map,
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// A whole number of nanoseconds.
    Nanos,
    /// A number between 0 and 1.
    Ratio,
    /// True or false.
    Flag,
    /// One of a few words.
    Word(Words),
}

/// The words of a field, and how strict the engine is about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// The words that are known.
    pub known: &'static [&'static str],
    /// Whether `TCP` is `tcp`.
    pub any_case: bool,
    /// Whether the engine refuses other words. If not, it silently takes its default instead.
    pub strict: bool,
}

/// What a field means that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// The same as empty, zero, false or null: the engine drops those.
    Empty,
    /// The same as this (JSON); the engine keeps the two apart and acts alike.
    Is(&'static str),
    /// The same as this (JSON), and the engine writes it whenever the object around it is there.
    Written(&'static str),
    /// Something of its own, which no value says.
    Open,
}

/// What the engine makes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It keeps it.
    AsSent,
    /// It takes a name and keeps the id.
    AsId,
    /// It takes it and forgets it, whatever it is.
    Never,
    /// It refuses it, or what it needs is not there.
    Refused,
}

/// A table as a tree, for finding the row of a place in a value.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(super) row: Option<Row>,
    /// By name; `*` stands for all others.
    members: BTreeMap<&'static str, Node>,
}

/// A row with its literal read.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) field: &'static Field,
    /// What absence means, if a value says it.
    pub(super) meaning: Option<Value>,
}

impl Node {
    /// The tree of these tables.
    pub(super) fn of(tables: &[&'static [Field]]) -> Self {
        let mut root = Self::default();
        for field in tables.iter().copied().flatten() {
            let mut at = &mut root;
            for token in field.pointer.split('/').skip(1) {
                at = at.members.entry(token).or_default();
            }
            at.row = Some(Row { field, meaning: field.meaning() });
        }
        root
    }

    /// The node of a member.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        self.members.get(name).or_else(|| self.members.get("*"))
    }

    /// The members that the engine writes by itself, with what it writes.
    pub(super) fn written(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.members.iter().filter_map(|(name, node)| {
            let row = node.row.as_ref()?;
            let written = matches!(row.field.absent, Absent::Written(_));
            row.meaning.as_ref().filter(|_| written).map(|meaning| (*name, meaning))
        })
    }

    /// What absence means at this place, when a value says it.
    pub(crate) fn meaning(&self) -> Option<&Value> {
        self.row.as_ref()?.meaning.as_ref()
    }

    /// The node at a pointer, escaped names included.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Self> {
        pointer
            .split('/')
            .skip(1)
            .try_fold(self, |at, token| at.member(&token.replace("~1", "/").replace("~0", "~")))
    }

    /// The row of a pointer.
    pub(super) fn field(&self, pointer: &str) -> Option<&'static Field> {
        self.at(pointer)?.row.as_ref().map(|row| row.field)
    }
}

impl Field {
    /// What absence means, when a value says it.
    pub fn meaning(&self) -> Option<Value> {
        match self.absent {
            Absent::Empty | Absent::Open => None,
            // Tests read every literal of every row; one that cannot be read would mean nothing.
            Absent::Is(literal) | Absent::Written(literal) => serde_json::from_str(literal).ok(),
        }
    }

    /// The example, when there is one.
    pub fn example(&self) -> Option<Value> {
        serde_json::from_str(self.example).ok()
    }
}

/// Words that the engine compares letter by letter and refuses otherwise.
pub(super) const fn strict(known: &'static [&'static str]) -> Kind {
    Kind::Word(Words { known, any_case: false, strict: true })
}

/// Words that the engine takes in any case and refuses otherwise.
pub(super) const fn strict_any_case(known: &'static [&'static str]) -> Kind {
    Kind::Word(Words { known, any_case: true, strict: true })
}

/// Words that the engine compares letter by letter; for any other it takes the first.
pub(super) const fn lax(known: &'static [&'static str]) -> Kind {
    Kind::Word(Words { known, any_case: false, strict: false })
}

/// Words that the engine takes in any case; for any other it takes the first.
pub(super) const fn lax_any_case(known: &'static [&'static str]) -> Kind {
    Kind::Word(Words { known, any_case: true, strict: false })
}

/// Declares a table, a row per line:
/// `owner api pointer: kind, absent, kept, example; source`.
macro_rules! fields {
    (
        $(#[$meta:meta])*
        pub const $name:ident;
        $( $owner:ident $since:literal $pointer:literal : $kind:expr, $absent:expr, $kept:ident, $example:literal; $source:literal )*
    ) => {
        $(#[$meta])*
        pub const $name: &[$crate::normalize::Field] = &[
            $( $crate::normalize::Field {
                pointer: $pointer,
                owner: $crate::normalize::Owner::$owner,
                kind: $kind,
                absent: $absent,
                kept: $crate::normalize::Kept::$kept,
                since: $since,
                example: $example,
                source: $source,
            } ),*
        ];
    };
}
pub(super) use fields;
