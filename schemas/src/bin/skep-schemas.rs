//! Writes the generated JSON Schemas: `cargo run -p skep-schemas --bin skep-schemas [DIRECTORY]`.
//!
//! Without a directory they go to `schemas/generated/`. A test fails when the files there are stale.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("generated");
    let directory = std::env::args_os().nth(1).map_or_else(default, PathBuf::from);
    for (name, content) in skep_schemas::schema::generated_files() {
        let path = directory.join(name);
        if let Err(error) = std::fs::write(&path, content) {
            eprintln!("cannot write {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
        println!("{}", path.display());
    }
    ExitCode::SUCCESS
}
