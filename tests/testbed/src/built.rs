//! The `skep` that whoever runs the tests has built already.
//!
//! Built by itself, `skep` gets fewer features of its dependencies than it gets beside the tests, and cargo builds most of them once
//! more. Whoever runs everything builds it beside the tests, and says here where it is.

use std::path::PathBuf;

/// The variable that names it.
pub const VARIABLE: &str = "SKEP_BUILT";

/// Where it is, if anybody said so.
pub fn skep() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).map(PathBuf::from)
}
