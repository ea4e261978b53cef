//! A directory on this machine's disk, with what a disk can hold.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::Result;
use skep_gitops::{Bound, Directory, FetchError, History, Look};

use crate::support::{below, error, fetched, limits, look, manifest, paths};

fn write(root: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap_or(root))?;
    Ok(fs::write(path, bytes)?)
}

#[tokio::test]
async fn its_state_is_named_by_what_is_selected_and_by_nothing_else() -> Result<()> {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "deploy/a.yaml", &manifest("a"))?;
    write(dir.path(), "deploy/.git/config.yaml", b"of git")?;
    write(dir.path(), "b.yaml", &manifest("b"))?;
    let remote = Directory::new(dir.path());
    let first = fetched(look(&remote, &below("deploy"), None, &limits()).await)?;
    assert_eq!((paths(&first), first.history), (vec!["deploy/a.yaml"], History::First));
    write(dir.path(), "b.yaml", &manifest("c"))?;
    write(dir.path(), "deploy/readme.md", b"hello")?;
    let again = look(&remote, &below("deploy"), Some(&first.commit), &limits()).await?;
    assert_eq!(again, Look::Unchanged);
    write(dir.path(), "deploy/a.yaml", &manifest("d"))?;
    let next = fetched(look(&remote, &below("deploy"), Some(&first.commit), &limits()).await)?;
    assert_eq!(next.history, History::Unversioned);
    assert_ne!(next.commit, first.commit);
    Ok(())
}

#[tokio::test]
async fn links_are_followed_inside_and_refused_where_they_lead_out() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let outside = tempfile::tempdir()?;
    write(outside.path(), "a.yaml", &manifest("outside"))?;
    write(dir.path(), "releases/1/a.yaml", &manifest("a"))?;
    symlink("releases/1", dir.path().join("current"))?;
    // As orchestrators fill volumes.
    write(dir.path(), "volume/..2026/b.yaml", &manifest("b"))?;
    symlink("..2026", dir.path().join("volume/..data"))?;
    symlink("..data/b.yaml", dir.path().join("volume/b.yaml"))?;
    let remote = Directory::new(dir.path());
    assert_eq!(paths(&fetched(look(&remote, &below("current"), None, &limits()).await)?), ["current/a.yaml"]);
    assert_eq!(paths(&fetched(look(&remote, &below("volume"), None, &limits()).await)?), ["volume/b.yaml"]);
    let inside = dir.path().join("out");
    fs::create_dir(&inside)?;
    for (name, to) in [
        ("passwd.yaml", Path::new("/etc/passwd").to_path_buf()),
        ("up.yaml", "../../../../../../etc/passwd".into()),
        ("dir", outside.path().to_path_buf()),
        ("proc.yaml", "/proc/self/environ".into()),
    ] {
        let link = inside.join(name);
        symlink(&to, &link)?;
        let told = error(look(&remote, &below("out"), None, &limits()).await)?;
        assert!(
            matches!(&told, FetchError::Entry { path, .. } if *path == format!("out/{name}")),
            "{told:?}"
        );
        fs::remove_file(link)?;
    }
    symlink(outside.path(), dir.path().join("elsewhere"))?;
    let told = error(look(&remote, &below("elsewhere"), None, &limits()).await)?;
    assert!(matches!(told, FetchError::Entry { .. }), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn a_link_in_a_circle_ends_and_pipes_and_sockets_are_not_waited_for() -> Result<()> {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "a/a.yaml", &manifest("a"))?;
    symlink("../a", dir.path().join("a/again"))?;
    let remote = Directory::new(dir.path());
    let told = error(look(&remote, &below("a"), None, &limits()).await)?;
    let stops = matches!(told, FetchError::Limit { bound: Bound::Depth, .. } | FetchError::Directory { .. });
    assert!(stops, "{told:?}");
    fs::create_dir(dir.path().join("special"))?;
    let _socket = UnixListener::bind(dir.path().join("special/socket.yaml"))?;
    let told = error(look(&remote, &below("special"), None, &limits()).await)?;
    assert!(matches!(told, FetchError::Entry { .. }), "{told:?}");
    fs::remove_file(dir.path().join("special/socket.yaml"))?;
    let pipe = dir.path().join("special/pipe.yaml");
    skep_testbed::command::run("mkfifo", [&pipe])?;
    let told = error(look(&remote, &below("special"), None, &limits()).await)?;
    assert!(matches!(told, FetchError::Entry { .. }), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_put_in_its_place_by_a_rename_is_found() -> Result<()> {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "1/a.yaml", &manifest("a"))?;
    write(dir.path(), "2/b.yaml", &manifest("b"))?;
    let current = dir.path().join("current");
    symlink("1", &current)?;
    let remote = Directory::new(&current);
    let first = fetched(look(&remote, &below(""), None, &limits()).await)?;
    assert_eq!(paths(&first), ["a.yaml"]);
    symlink("2", dir.path().join("next"))?;
    fs::rename(dir.path().join("next"), &current)?;
    let second = fetched(look(&remote, &below(""), Some(&first.commit), &limits()).await)?;
    assert_eq!(paths(&second), ["b.yaml"]);
    Ok(())
}

#[tokio::test]
async fn limits_hold_and_what_is_not_there_is_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let remote = Directory::new(dir.path());
    write(dir.path(), "big/a.yaml", &vec![b'#'; 2 << 20])?;
    let told = error(look(&remote, &below("big"), None, &limits()).await)?;
    let expected = FetchError::Limit {
        bound: Bound::Blob,
        limit: 1 << 20,
        measured: 2 << 20,
        path: Some("big/a.yaml".to_owned()),
    };
    assert_eq!(told, expected);
    let told = error(look(&remote, &below("nowhere"), None, &limits()).await)?;
    assert_eq!(told, FetchError::NoPath { path: "nowhere".to_owned() });
    let gone = Directory::new(dir.path().join("gone"));
    let told = error(look(&gone, &below(""), None, &limits()).await)?;
    assert!(matches!(told, FetchError::Directory { .. }), "{told:?}");
    Ok(())
}
