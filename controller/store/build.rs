//! Builds again when a migration changes: `sqlx::migrate!` embeds the files, and cargo does not know that they belong to it.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
