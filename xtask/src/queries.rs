//! `.sqlx`: the types of the store's queries, committed so that a build needs no database.
//!
//! The query macros describe themselves into the directory that `SQLX_OFFLINE_DIR` names whenever they are expanded
//! against a live database. So a private server with the migrations applied, and one forced check of the store, yield
//! the same files as sqlx's own command line tool, which need not be installed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use skep_testbed::{Postgres, install};

use crate::workspace;

/// The only crate with queries; `check-deps` proves it.
const CRATE: &str = "skep-store";

/// The file whose age decides whether cargo checks the crate again.
const ENTRY: &str = "controller/store/src/lib.rs";

/// What `cargo xtask test` asks of clippy.
pub(crate) const LINTS: [&str; 6] = ["--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"];

/// Query descriptions by file name.
type Described = BTreeMap<String, Value>;

/// Writes `.sqlx`.
pub(crate) fn prepare() -> Result<()> {
    install::packages()?;
    let fresh = describe(&Postgres::start()?, &["--package", CRATE, "--all-targets"])?;
    let committed = workspace::root()?.join(".sqlx");
    fs::create_dir_all(&committed).context("cannot create .sqlx")?;
    for name in read(&committed)?.into_keys().filter(|name| !fresh.files.contains_key(name)) {
        fs::remove_file(committed.join(name)).context("cannot remove a query that is no more")?;
    }
    for name in fresh.files.keys() {
        fs::copy(fresh.dir.join(name), committed.join(name)).context("cannot write to .sqlx")?;
    }
    println!("sqlx-prepare: {} queries in .sqlx", fresh.files.len());
    Ok(())
}

/// Fails if `.sqlx` is stale.
pub(crate) fn check() -> Result<()> {
    install::packages()?;
    let of_the_store = ["--package", CRATE, "--all-targets", "--locked", "--", "--deny", "warnings"];
    compare(describe(&Postgres::start()?, &of_the_store)?.files)
}

/// The same on a server that runs already, with the lints of everything.
pub(crate) fn check_on(server: &Postgres) -> Result<()> {
    // The lint step of `cargo xtask test`, word for word: cargo then takes its result from here. The store by itself would get
    // fewer features of its dependencies than it gets among the others, and be checked twice with all of them.
    compare(describe(server, &LINTS)?.files)
}

/// Are these the committed ones?
fn compare(fresh: Described) -> Result<()> {
    let committed = read(&workspace::root()?.join(".sqlx"))?;
    let differing: Vec<&String> = fresh
        .keys()
        .chain(committed.keys())
        .filter(|name| fresh.get(*name) != committed.get(*name))
        .collect();
    ensure!(
        differing.is_empty(),
        ".sqlx is stale; run cargo xtask sqlx-prepare. It differs in {differing:?}"
    );
    println!("sqlx-check: {} queries are as the migrations say", fresh.len());
    Ok(())
}

/// Fresh descriptions. Their directory lies in `target/`, where the next run replaces it.
struct Fresh {
    dir: PathBuf,
    files: Described,
}

/// Has the macros describe every query of the store to a database with all migrations.
fn describe(server: &Postgres, what: &[&str]) -> Result<Fresh> {
    let root = workspace::root()?;
    let url = server.create_database("queries")?;
    for migration in migrations(&root.join("migrations"))? {
        server.run_file(&url, &migration)?;
    }
    let dir = root.join("target/sqlx");
    if dir.exists() {
        fs::remove_dir_all(&dir).context("cannot empty the directory for queries")?;
    }
    fs::create_dir_all(&dir).context("cannot create the directory for queries")?;
    // A crate that cargo holds to be fresh is not expanded and would describe nothing.
    let entry =
        File::options().append(true).open(root.join(ENTRY)).context("cannot open the store's sources")?;
    entry.set_modified(SystemTime::now()).context("cannot touch the store's sources")?;
    let mut clippy = workspace::cargo(["clippy"])?;
    clippy.args(what);
    clippy.env("DATABASE_URL", &url).env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", &dir);
    workspace::run("describe the store's queries", clippy)?;
    let files = read(&dir)?;
    Ok(Fresh { dir, files })
}

/// The migrations in the order in which they are applied: by their number.
fn migrations(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let mut numbered = Vec::new();
    for entry in entries {
        let path = entry.context("cannot list the migrations")?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with(".sql") || name.ends_with(".down.sql") {
            continue;
        }
        let number = name.split('_').next().and_then(|number| number.parse::<u64>().ok());
        numbered.push((number.with_context(|| format!("{name} begins with no number"))?, path));
    }
    numbered.sort();
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}

/// Query descriptions in a directory, compared as JSON: layout does not matter.
fn read(dir: &Path) -> Result<Described> {
    let mut files = Described::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-") && name.ends_with(".json") {
            let text = fs::read(entry.path()).with_context(|| format!("cannot read {name}"))?;
            let value = serde_json::from_slice(&text).with_context(|| format!("{name} is no JSON"))?;
            files.insert(name, value);
        }
    }
    Ok(files)
}
