//! The generated JSON Schemas and the examples that refer to them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use skep_schemas::kind::Kind;
use skep_schemas::manifest::{Batch, ReadOptions};
use skep_schemas::schema::generated_files;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Those to try, and the catalog to begin with.
fn examples() -> Vec<PathBuf> {
    let directories = fs::read_dir(repository().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = directories
        .chain([repository().join("manifests/catalog")])
        .filter(|path| path.is_dir())
        .flat_map(|directory| fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn the_generated_schemas_are_those_of_the_types() {
    for (name, content) in generated_files() {
        let path = repository().join("schemas/generated").join(&name);
        if std::env::var_os("SKEP_BLESS").is_some() {
            fs::write(&path, &content).unwrap();
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == content, "{name} is stale: run `cargo run -p skep-schemas --bin skep-schemas`");
    }
}

#[test]
fn every_example_is_read_and_every_kind_has_one() {
    let mut shown = BTreeSet::new();
    for directory in ["hello", "links", "shop", "catalog"] {
        let mut batch = Batch::new(ReadOptions::default());
        for path in examples().iter().filter(|path| path.parent().unwrap().ends_with(directory)) {
            batch.add_yaml(&path.display().to_string(), &fs::read_to_string(path).unwrap());
        }
        let manifests = batch.finish().unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        shown.extend(manifests.iter().map(|sourced| sourced.manifest.key.kind()));
        let keys: BTreeSet<_> = manifests.iter().map(|sourced| sourced.manifest.key.clone()).collect();
        for sourced in &manifests {
            for reference in sourced.manifest.spec.references(&sourced.manifest.key) {
                assert!(keys.contains(&reference), "{} refers to {reference}", sourced.manifest.key);
            }
        }
    }
    assert_eq!(shown.into_iter().collect::<Vec<Kind>>(), Kind::ALL);
}

#[test]
fn every_example_names_an_existing_schema_for_editors() {
    for path in examples() {
        let text = fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap();
        let schema =
            first.strip_prefix("# yaml-language-server: $schema=").unwrap_or_else(|| panic!("{path:?}"));
        assert!(path.parent().unwrap().join(schema).is_file(), "{path:?}: {schema}");
    }
}
