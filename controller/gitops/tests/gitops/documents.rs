//! From files to documents, or to what is wrong with them.

use anyhow::{Context, Result};
use skep_gitops::{File, Files, Limits, Unread, read};
use skep_schemas::manifest::ReadOptions;

use crate::support::manifest;

fn files(all: &[(&str, &[u8])]) -> Files {
    let file = |(path, bytes): &(&str, &[u8])| File { path: (*path).to_owned(), bytes: bytes.to_vec() };
    Files { files: all.iter().map(file).collect(), ..Files::default() }
}

fn documents(all: &[(&str, &[u8])]) -> Result<Vec<skep_gitops::Document>, Unread> {
    read(&files(all), ReadOptions::default(), &Limits::default())
}

#[test]
fn documents_say_their_path_and_line() -> Result<()> {
    let two = [b"# two\n".as_slice(), &manifest("b"), b"---\n", &manifest("c")].concat();
    let read =
        documents(&[("a.yaml", &manifest("a")), ("deploy/more.yaml", &two), ("note.yaml", b"# nothing\n")])?;
    let places: Vec<(&str, u32)> = read.iter().map(|one| (one.path.as_str(), one.line)).collect();
    assert_eq!(places, [("a.yaml", 1), ("deploy/more.yaml", 2), ("deploy/more.yaml", 7)]);
    assert_eq!(documents(&[])?, []);
    assert_eq!(documents(&[("note.yaml", b"# nothing\n")])?, []);
    Ok(())
}

#[test]
fn one_that_is_wrong_among_good_ones_gives_none_and_every_place() -> Result<()> {
    let wrong = [manifest("b").as_slice(), b"---\nkind: [\n"].concat();
    let values = "name: chart\nreplicas: 3\n".as_bytes();
    let unknown = String::from_utf8(manifest("d"))?.replace("processes", "proceses");
    let error = documents(&[
        ("a.yaml", &manifest("a")),
        ("b.yaml", &wrong),
        ("binary.yaml", b"\xff\xfe"),
        ("twice.yaml", &manifest("a")),
        ("unknown.yaml", unknown.as_bytes()),
        ("values.yaml", values),
    ])
    .err()
    .context("there are problems")?;
    let told = error.to_string();
    for place in ["b.yaml:", "binary.yaml: ", "twice.yaml:1:1: ", "unknown.yaml:4:", "values.yaml:1:"] {
        assert!(told.lines().any(|line| line.starts_with(place)), "{place} is not in:\n{told}");
    }
    assert!(!told.lines().any(|line| line.starts_with("a.yaml")), "{told}");
    Ok(())
}

#[test]
fn twenty_problems_are_told_and_the_others_counted() -> Result<()> {
    let names: Vec<String> = (0..50).map(|at| format!("{at:02}.yaml")).collect();
    let all: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"a: 1".as_slice())).collect();
    let Err(Unread::Problems { problems, count }) = documents(&all) else {
        anyhow::bail!("there are problems");
    };
    assert_eq!(problems.len(), 20);
    assert!(count >= 50, "{count}");
    assert_eq!(problems[0].source.as_deref(), Some("00.yaml"));
    Ok(())
}

#[test]
fn more_documents_than_a_source_may_have_are_refused() {
    let many: Vec<u8> =
        (0..11).flat_map(|at| [b"---\n".to_vec(), manifest(&format!("a{at}"))].concat()).collect();
    let limits = Limits { documents: 10, ..Limits::default() };
    let found = read(&files(&[("a.yaml", &many)]), ReadOptions::default(), &limits);
    assert_eq!(found.err(), Some(Unread::TooMany { found: 11, limit: 10 }));
}
