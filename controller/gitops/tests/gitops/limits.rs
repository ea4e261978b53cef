//! What is too large, too much or too deep: noticed while it comes, and told with its measure.

use std::fmt::Write as _;

use anyhow::Result;
use skep_gitops::{Bound, Credentials, FetchError, Limits, Selection};

use crate::support::{below, error, fetched, limits, look, manifest, open, paths, server};

fn bound(error: &FetchError) -> Option<(Bound, u64, Option<&str>)> {
    match error {
        FetchError::Limit { bound, measured, path, .. } => Some((*bound, *measured, path.as_deref())),
        _ => None,
    }
}

#[tokio::test]
async fn a_file_of_50_mb_is_no_matter_where_it_is_not_selected_and_told_where_it_is() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56).to_le_bytes()[0]
    })
    .take(50 << 20)
    .collect();
    repository.commit("main", &[("a.yaml", &manifest("a")), ("big.yaml", &noise)])?;
    let remote = open(&server, "shop", Credentials::None)?;
    let without = Selection::new("", &["**/*.yaml".to_owned()], &["big.yaml".to_owned()])?;
    let found = fetched(look(&remote, &without, None, &limits()).await)?;
    assert_eq!(paths(&found), ["a.yaml"]);
    let told = error(look(&remote, &below(""), None, &limits()).await)?;
    assert_eq!(bound(&told), Some((Bound::Blob, 50 << 20, Some("big.yaml"))), "{told}");
    let small = Limits { pack: 1 << 20, ..limits() };
    let told = error(look(&remote, &without, None, &small).await)?;
    assert!(
        bound(&told).is_some_and(|(bound, measured, _)| bound == Bound::Pack && measured < 2 << 20),
        "{told}"
    );
    // A server that can leave it out does.
    repository.allow_filter(true)?;
    let found = fetched(look(&remote, &without, None, &small).await)?;
    assert_eq!(paths(&found), ["a.yaml"]);
    let told = error(look(&remote, &below(""), None, &small).await)?;
    assert!(matches!(bound(&told), Some((Bound::Blob, _, Some("big.yaml")))), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_hundred_thousand_files_are_counted_where_they_are_looked_at() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let mut stream = "blob\nmark :1\ndata 2\n.\n\ncommit refs/heads/main\ncommitter T <t@example> 1700000000 +0000\ndata 1\n.\n".to_owned();
    for at in 0..100_000 {
        writeln!(stream, "M 100644 :1 many/{}/{at}.yaml", at % 100)?;
    }
    let app = String::from_utf8(manifest("a"))?;
    writeln!(stream, "M 100644 inline deploy/a.yaml\ndata {}\n{app}", app.len())?;
    repository.feed(["fast-import", "--quiet"], stream.as_bytes())?;
    let remote = open(&server, "shop", Credentials::None)?;
    let found = fetched(look(&remote, &below("deploy"), None, &limits()).await)?;
    assert_eq!(paths(&found), ["deploy/a.yaml"]);
    let told = error(look(&remote, &below("many"), None, &limits()).await)?;
    assert_eq!(bound(&told), Some((Bound::Entries, 20_001, None)), "{told}");
    let few = Limits { objects: 50, ..limits() };
    let told = error(look(&remote, &below("deploy"), None, &few).await)?;
    assert!(matches!(bound(&told), Some((Bound::Objects, _, None))), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_small_pack_that_becomes_much_is_stopped_before_it_does() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let zeros = vec![0_u8; 100 << 20];
    repository.commit("main", &[("a.yaml", &manifest("a")), ("zeros", &zeros)])?;
    let remote = open(&server, "shop", Credentials::None)?;
    let tight = Limits { pack: 4 << 20, unpacked: 20 << 20, ..limits() };
    let told = error(look(&remote, &below(""), None, &tight).await)?;
    // One piece is inflated at a time.
    let stopped = |(bound, measured, _): (Bound, u64, Option<&str>)| {
        bound == Bound::Unpacked && measured <= (20 << 20) + (64 << 10)
    };
    assert!(bound(&told).is_some_and(stopped), "{told}");
    Ok(())
}

#[tokio::test]
async fn all_files_together_and_directories_within_each_other_have_a_limit() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let deep = format!("{}a.yaml", "d/".repeat(40));
    let long = vec![b'#'; 900 << 10];
    let names: Vec<String> = (0..20).map(|at| format!("long/{at}.yaml")).collect();
    let mut files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), long.as_slice())).collect();
    let app = manifest("a");
    files.push((&deep, &app));
    repository.commit("main", &files)?;
    let remote = open(&server, "shop", Credentials::None)?;
    let told = error(look(&remote, &below("d"), None, &limits()).await)?;
    assert!(matches!(bound(&told), Some((Bound::Depth, 33, Some(_)))), "{told}");
    let told = error(look(&remote, &below("long"), None, &limits()).await)?;
    assert!(matches!(bound(&told), Some((Bound::Manifests, _, None))), "{told}");
    let little = Limits { received: 400, ..limits() };
    let told = error(look(&remote, &below("long"), None, &little).await)?;
    assert!(matches!(bound(&told), Some((Bound::Received, _, None))), "{told}");
    Ok(())
}
