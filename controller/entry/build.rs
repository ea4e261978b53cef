//! Builds the program of `src/program` with the compiler that builds everything else. It is freestanding: Rust's `core` and the kernel,
//! without a C library, so it runs in any image and is a few kilobytes.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = "src/program/main.rs";

/// As small as it gets, and needing nothing of where it runs.
const OPTIONS: [&str; 18] = [
    "--edition=2024",
    "--crate-name=skep_entry_program",
    "--deny=warnings",
    "-Cpanic=abort",
    "-Copt-level=s",
    "-Ccodegen-units=1",
    "-Cdebuginfo=0",
    "-Cstrip=symbols",
    "-Crelocation-model=static",
    "-Clink-arg=-nostartfiles",
    "-Clink-arg=-nostdlib",
    "-Clink-arg=-static",
    "-Clink-arg=-Wl,--build-id=none",
    "-Clink-arg=-Wl,-z,noexecstack",
    "-Clink-arg=-Wl,-z,norelro",
    "-Clink-arg=-Wl,--gc-sections",
    "-Clink-arg=-Wl,--no-eh-frame-hdr",
    "-Clto=fat",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/program");
    let variable = |name: &str| env::var_os(name).ok_or_else(|| format!("cargo did not set {name}"));
    let target = env::var("TARGET")?;
    if !["x86_64-unknown-linux-", "aarch64-unknown-linux-"].iter().any(|known| target.starts_with(known)) {
        return Err(format!("containers run on Linux, on x86_64 or aarch64: {target} is neither").into());
    }
    let program = PathBuf::from(variable("OUT_DIR")?).join("entry");
    let mut output = OsString::from("-o");
    output.push(&program);
    let status = Command::new(variable("RUSTC")?)
        .args(OPTIONS)
        .arg(format!("--target={target}"))
        .arg(output)
        .arg(SOURCE)
        .status()?;
    if !status.success() {
        return Err(format!("{SOURCE} could not be built: {status}").into());
    }
    Ok(())
}
