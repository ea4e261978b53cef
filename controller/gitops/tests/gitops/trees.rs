//! Trees that nobody checked: links, submodules, and names that mean something to a file system.

use anyhow::Result;
use skep_gitops::{Credentials, FetchError, Note, Passed};

use crate::support::{below, error, fetched, limits, look, manifest, open, paths, server};

fn entry(error: &FetchError) -> Option<&str> {
    match error {
        FetchError::Entry { path, .. } => Some(path),
        _ => None,
    }
}

#[tokio::test]
async fn links_and_submodules_are_refused_where_a_glob_asks_for_them_and_told_elsewhere() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let remote = open(&server, "shop", Credentials::None)?;
    let app = repository.blob(&manifest("a"))?;
    let passwd = repository.blob(b"/etc/passwd")?;
    let elsewhere = "1".repeat(40);
    repository.commit_tree("main", &[("100644", b"a.yaml", &app), ("120000", b"b.yaml", &passwd)])?;
    let told = error(look(&remote, &below(""), None, &limits()).await)?;
    assert_eq!(entry(&told), Some("b.yaml"), "{told}");
    repository.commit_tree("main", &[("100644", b"a.yaml", &app), ("160000", b"b.yaml", &elsewhere)])?;
    let told = error(look(&remote, &below(""), None, &limits()).await)?;
    assert_eq!(entry(&told), Some("b.yaml"), "{told}");
    let links = [
        ("100644", &b"a.yaml"[..], app.as_str()),
        ("120000", b"etc", &passwd),
        ("160000", b"lib", &elsewhere),
    ];
    repository.commit_tree("main", &links)?;
    let found = fetched(look(&remote, &below(""), None, &limits()).await)?;
    assert_eq!(paths(&found), ["a.yaml"]);
    let note = |path: &str, what| Note { path: path.to_owned(), what };
    assert_eq!(found.files.notes, [note("etc", Passed::Symlink), note("lib", Passed::Submodule)]);
    for path in ["etc", "lib"] {
        let told = error(look(&remote, &below(path), None, &limits()).await)?;
        assert_eq!(entry(&told), Some(path), "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn names_that_would_lead_elsewhere_refuse_the_tree() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let remote = open(&server, "shop", Credentials::None)?;
    let app = repository.blob(&manifest("a"))?;
    let inner = repository.tree(&[("100644", b"a.yaml", &app)])?;
    for name in [&b".."[..], b".", b".git", b".GIT", b"../../etc/cron.d/a.yaml", b"a\\b.yaml", b"/a.yaml"] {
        for (mode, id) in [("100644", &app), ("40000", &inner)] {
            repository.commit_tree("main", &[(mode, name, id)])?;
            let told = error(look(&remote, &below(""), None, &limits()).await)?;
            assert!(entry(&told).is_some(), "{name:?}: {told:?}");
        }
    }
    repository.commit_tree("main", &[("100644", b"a.yaml", &app), ("100644", b"a.yaml", &app)])?;
    let told = error(look(&remote, &below(""), None, &limits()).await)?;
    assert_eq!(entry(&told), Some("a.yaml"), "{told}");
    for name in [&b"a\x1b[2J.yaml"[..], b"\xff.yaml", b"a\n.yaml"] {
        repository.commit_tree("main", &[("100644", name, &app)])?;
        let told = error(look(&remote, &below(""), None, &limits()).await)?;
        assert!(entry(&told).is_some_and(|path| !path.contains(char::is_control)), "{name:?}: {told}");
    }
    // What no glob asks for may be named as it likes, as long as it leads nowhere.
    repository.commit_tree("main", &[("100644", b"\xff.txt", &app), ("100644", b"a.yaml", &app)])?;
    let found = fetched(look(&remote, &below(""), None, &limits()).await)?;
    assert_eq!(paths(&found), ["a.yaml"]);
    Ok(())
}

#[tokio::test]
async fn a_path_that_is_none_and_a_tree_that_is_not_sent_are_told() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let remote = open(&server, "shop", Credentials::None)?;
    repository.commit("main", &[("deploy/a.yaml", &manifest("a"))])?;
    for path in ["nowhere", "deploy/nowhere", "deploy/a.yaml"] {
        let told = error(look(&remote, &below(path), None, &limits()).await)?;
        assert_eq!(told, FetchError::NoPath { path: path.to_owned() });
    }
    // An empty tree is no error here; what it would remove is for others to hold.
    let empty = repository.tree(&[])?;
    let commit = repository.feed(["commit-tree", "-m", ".", &empty], b"")?;
    repository.git(["update-ref", "refs/heads/main", &commit])?;
    let found = fetched(look(&remote, &below(""), None, &limits()).await)?;
    assert!(found.files.files.is_empty());
    Ok(())
}
