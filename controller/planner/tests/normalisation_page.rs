//! `docs/normalisation.md` shows the tables as they are. `SKEP_BLESS=1` writes it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use skep_planner::normalize::{Absent, CONTAINER, Field, Kept, Kind, NETWORK, Owner, SECRET, SERVICE};

const INTRODUCTION: &str = "\
# What is a difference, and what is not

Skep compares what is live with what it wants field by field. An engine does not store exactly what it is sent, so both sides are
brought into one form first. This page lists every field that the Docker Engine API lets a person set on a service, a network or a
secret, and what Skep knows of it. It is made from the tables in `controller/planner/src/normalize`, which the code itself reads; do
not edit it (`SKEP_BLESS=1 cargo nextest run -p skep-planner` writes it).

- **Owner.** `Skep` renders the field: another value is drift. `nobody`: Skep never sets it, so any value is drift. `Swarm` allocates
  or counts it, or a person may change it without consequence: it is not compared.
- **Absent means** what a field says that is not there: the same as *empty* (the engine drops empty, zero, false and null), the same as
  a value (*acts as* when the engine stores the two apart, *written* when it writes the value itself), or *its own*: something that no
  value says.
- **Kept.** *as sent*; *as id* when a name becomes an id; *never* when the engine takes it and forgets it; *refused*. Of words: whether
  `TCP` is `tcp` (*any case*) and whether a word that it does not know is *refused* or silently becomes the *first*.
- **API** is the version 1.n that has the field; an older engine drops it and does not say so.
- Order is significant in every list: it is kept, and another order replaces tasks. Maps have none. Times are whole nanoseconds.
- What has no row belongs to a newer engine; it is read, kept and not compared.

Changes are told by JSON pointers. An element of a list of variables is named by the variable (`/TaskTemplate/ContainerSpec/Env/PORT`),
while no name stands twice; elements of lists of objects by position while the lists are as long as each other, and otherwise the
list is one value. Where one side says nothing and the default is known, the change shows the default.

Known from experiments on Docker Engine 20.10 and 26.1 (`cargo xtask record-fixtures` repeats them) and from the files named in the
last column: `convert/…` is `daemon/cluster/convert` in moby, `defaults` is `api/defaults/service.go` in swarmkit.
";

fn row(field: &Field) -> String {
    let owner = match field.owner {
        Owner::Skep => "Skep",
        Owner::Swarm => "Swarm",
        Owner::Nobody => "nobody",
    };
    let kind = match field.kind {
        Kind::Object => "object".to_owned(),
        Kind::Tag => "object, says something by being there".to_owned(),
        Kind::List => "list".to_owned(),
        Kind::Map => "map".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::Nanos => "nanoseconds".to_owned(),
        Kind::Ratio => "ratio".to_owned(),
        Kind::Flag => "flag".to_owned(),
        Kind::Word(words) => {
            let case = if words.any_case { "any case" } else { "exact" };
            let others = if words.strict { "others refused" } else { "others become the first" };
            format!("{}; {case}, {others}", words.known.join(", "))
        }
    };
    let absent = match field.absent {
        Absent::Empty => "empty".to_owned(),
        Absent::Is(literal) => format!("acts as `{literal}`"),
        Absent::Written(literal) => format!("written `{literal}`"),
        Absent::Open => "its own".to_owned(),
    };
    let kept = match field.kept {
        Kept::AsSent => "as sent",
        Kept::AsId => "as id",
        Kept::Never => "never",
        Kept::Refused => "refused",
    };
    let pointer = field.pointer;
    format!("| `{pointer}` | {owner} | {kind} | {absent} | {kept} | 1.{} | {} |\n", field.since, field.source)
}

#[test]
fn the_page_about_normalisation_shows_the_tables() {
    let mut page = INTRODUCTION.to_owned();
    let tables =
        [("Services", [SERVICE, CONTAINER]), ("Networks", [NETWORK, &[]]), ("Secrets", [SECRET, &[]])];
    for (title, tables) in tables {
        let head = "| Field | Owner | Values | Absent means | Kept | API | Known from |\n|---|---|---|---|---|---|---|\n";
        write!(page, "\n## {title}\n\n{head}").expect("written");
        page.extend(tables.into_iter().flatten().map(row));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/normalisation.md");
    if std::env::var_os("SKEP_BLESS").is_some() {
        fs::write(&file, &page).expect("written");
    }
    let written = fs::read_to_string(&file).expect("docs/normalisation.md");
    assert!(written == page, "docs/normalisation.md is stale: SKEP_BLESS=1 writes it");
}
