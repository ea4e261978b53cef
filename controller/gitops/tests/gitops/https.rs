//! Repositories over https: what is fetched, what is not, and what a server refuses.

use anyhow::Result;
use secrecy::SecretString;
use skep_gitops::{Ask, Credentials, Disposition, FetchError, History, Limits, Look, Reference, Remote as _};
use skep_outbound::{Outbound, OutboundError, Reach};
use skep_testbed::git_server::Fault;

use crate::support::{below, error, fetched, limits, look, manifest, open, outbound, paths, server};

const CANARY: &str = "canary-of-a-token";

fn token(text: &str) -> Credentials {
    Credentials::Token(SecretString::from(text))
}

#[tokio::test]
async fn a_branch_a_tag_and_a_commit_are_fetched_and_only_what_is_selected_is_taken() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let files: &[(&str, &[u8])] = &[
        ("deploy/a.yaml", &manifest("a")),
        ("deploy/more/b.yaml", &manifest("b")),
        ("deploy/readme.md", b"no manifest"),
        ("other/c.yaml", &manifest("c")),
    ];
    let first = repository.commit("main", files)?;
    repository.git(["tag", "-a", "-m", "one", "v1", &first])?;
    repository.git(["tag", "light", &first])?;
    let second = repository.commit("main", &[("deploy/a.yaml", &manifest("a"))])?;
    let remote = open(&server, "shop", Credentials::None)?;
    let selection = below("deploy");
    for (reference, commit, expected) in [
        (Reference::branch("main")?, &second, vec!["deploy/a.yaml"]),
        (Reference::tag("v1")?, &first, vec!["deploy/a.yaml", "deploy/more/b.yaml"]),
        (Reference::tag("light")?, &first, vec!["deploy/a.yaml", "deploy/more/b.yaml"]),
        (Reference::commit(&first)?, &first, vec!["deploy/a.yaml", "deploy/more/b.yaml"]),
    ] {
        let ask = Ask { reference: &reference, selection: &selection, synced: None, limits: &limits() };
        let found = fetched(remote.look(&ask).await)?;
        assert_eq!(found.commit.as_str(), commit, "{reference}");
        assert_eq!(paths(&found), expected, "{reference}");
        assert_eq!(found.files.files[0].bytes, manifest("a"), "{reference}");
        assert_eq!(found.history, History::First);
    }
    Ok(())
}

#[tokio::test]
async fn what_was_synced_last_is_noticed_without_fetching_it() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    repository.commit("main", &[("a.yaml", &manifest("a"))])?;
    let remote = open(&server, "shop", Credentials::None)?;
    let found = fetched(look(&remote, &below(""), None, &limits()).await)?;
    server.heard();
    let again = look(&remote, &below(""), Some(&found.commit), &limits()).await?;
    assert_eq!(again, Look::Unchanged);
    // The one that says which protocol is spoken, and the one for the name of the branch.
    assert_eq!(
        server.heard(),
        ["GET /shop.git/info/refs?service=git-upload-pack", "POST /shop.git/git-upload-pack"]
    );
    let pinned = Reference::commit(found.commit.as_str())?;
    let (selection, limits) = (below(""), limits());
    let ask = Ask { reference: &pinned, selection: &selection, synced: Some(&found.commit), limits: &limits };
    assert_eq!(remote.look(&ask).await?, Look::Unchanged);
    assert!(server.heard().is_empty(), "a commit never becomes another");
    Ok(())
}

#[tokio::test]
async fn a_commit_that_follows_is_told_from_one_that_does_not() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let remote = open(&server, "shop", Credentials::None)?;
    for filter in [false, true] {
        repository.allow_filter(filter)?;
        repository.rewrite("main", &[("a.yaml", &manifest("a"))])?;
        let synced = fetched(look(&remote, &below(""), None, &limits()).await)?.commit;
        repository.commit("main", &[("a.yaml", &manifest("b"))])?;
        let next = fetched(look(&remote, &below(""), Some(&synced), &limits()).await)?;
        assert_eq!(next.history, History::Descends, "its child");
        for name in ["c", "d", "e"] {
            repository.commit("main", &[("a.yaml", &manifest(name))])?;
        }
        let later = fetched(look(&remote, &below(""), Some(&synced), &limits()).await)?;
        assert_eq!(later.history, History::Descends, "some generations later, filter {filter}");
        // A reset to what was before.
        repository.git(["update-ref", "refs/heads/main", next.commit.as_str()])?;
        let back = fetched(look(&remote, &below(""), Some(&later.commit), &limits()).await)?;
        assert_eq!(back.history, History::Rewritten, "an ancestor, filter {filter}");
        repository.rewrite("main", &[("z.yaml", &manifest("z"))])?;
        let other = fetched(look(&remote, &below(""), Some(&later.commit), &limits()).await)?;
        assert_eq!(other.history, History::Rewritten, "another history, filter {filter}");
        assert_eq!(paths(&other), ["z.yaml"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_history_that_is_longer_than_is_looked_at_is_unknown() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let remote = open(&server, "shop", Credentials::None)?;
    repository.commit("main", &[("a.yaml", &manifest("a"))])?;
    let synced = fetched(look(&remote, &below(""), None, &limits()).await)?.commit;
    let mut stream = String::new();
    for at in 0..=skep_gitops::DEEPEST {
        let from = if at == 0 { format!("from {synced}\n") } else { String::new() };
        stream.push_str(&format!(
            "commit refs/heads/main\ncommitter T <t@example> {} +0000\ndata 1\n.\n{from}\n",
            1_700_000_000 + at
        ));
    }
    repository.feed(["fast-import", "--quiet", "--force"], stream.as_bytes())?;
    let found = fetched(look(&remote, &below(""), Some(&synced), &limits()).await)?;
    assert_eq!(found.history, History::Unknown);
    assert_eq!(paths(&found), ["a.yaml"]);
    Ok(())
}

#[tokio::test]
async fn credentials_let_in_until_they_are_revoked_and_are_in_no_error() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    repository.commit("main", &[("a.yaml", &manifest("a"))])?;
    server.lock(Some(("x-token-auth", CANARY)));
    let right = open(&server, "shop", token(CANARY))?;
    let found = fetched(look(&right, &below(""), None, &limits()).await)?;
    assert_eq!(paths(&found), ["a.yaml"]);
    let basic = Credentials::Basic { username: "x-token-auth".to_owned(), password: CANARY.into() };
    assert!(look(&open(&server, "shop", basic)?, &below(""), None, &limits()).await.is_ok());
    for wrong in [Credentials::None, token("another")] {
        let remote = open(&server, "shop", wrong)?;
        let error = error(look(&remote, &below(""), None, &limits()).await)?;
        assert!(matches!(error, FetchError::Refused { .. }), "{error}");
        assert_eq!(error.disposition(), Disposition::Wants);
    }
    server.lock(Some(("x-token-auth", "a-new-one")));
    let revoked = error(look(&right, &below(""), Some(&found.commit), &limits()).await)?;
    assert!(matches!(revoked, FetchError::Refused { .. }), "{revoked}");
    server.lock(None);
    let mut told = vec![format!("{right:?}"), format!("{revoked:?} {revoked}")];
    for fault in [
        Fault::Ends(100),
        Fault::Redirects(format!("https://user:{CANARY}@elsewhere.example/shop?token={CANARY}")),
        Fault::Answers("text/html", "<p>canary-of-a-token</p>"),
    ] {
        server.fault(Some(fault));
        let error = error(look(&right, &below(""), None, &limits()).await)?;
        told.push(format!("{error:?} {error}"));
    }
    assert!(told.iter().all(|text| !text.contains(CANARY)), "{told:#?}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_is_told_from_what_is_empty() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let remote = open(&server, "shop", Credentials::None)?;
    let empty = error(look(&remote, &below(""), None, &limits()).await)?;
    assert!(matches!(empty, FetchError::EmptyRepository { .. }), "{empty}");
    repository.commit("other", &[("a.yaml", &manifest("a"))])?;
    repository.git(["symbolic-ref", "HEAD", "refs/heads/other"])?;
    let gone = error(look(&remote, &below(""), None, &limits()).await)?;
    assert_eq!(gone, FetchError::NoReference { reference: "branch main".to_owned() });
    repository.commit("main", &[("a.yaml", &manifest("a"))])?;
    let found = fetched(look(&remote, &below(""), None, &limits()).await)?;
    repository.git(["update-ref", "-d", "refs/heads/main"])?;
    let deleted = error(look(&remote, &below(""), Some(&found.commit), &limits()).await)?;
    assert_eq!(deleted, FetchError::NoReference { reference: "branch main".to_owned() });
    let (nowhere, selection, limits) = (Reference::commit(&"1".repeat(40))?, below(""), limits());
    let ask = Ask { reference: &nowhere, selection: &selection, synced: None, limits: &limits };
    let unknown = error(remote.look(&ask).await)?;
    assert!(matches!(unknown, FetchError::NoReference { .. }), "{unknown}");
    let missing = error(look(&open(&server, "none", Credentials::None)?, &selection, None, &limits).await)?;
    assert!(matches!(missing, FetchError::NoRepository { .. }), "{missing}");
    let path = error(look(&open(&server, "shop", Credentials::None)?, &selection, None, &limits).await);
    assert!(path.is_ok());
    Ok(())
}

#[tokio::test]
async fn a_server_that_ends_or_hangs_half_way_is_told_and_nothing_waits_for_it() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let noise: Vec<u8> =
        (0..400_000_u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    repository.commit("main", &[("a.yaml", &manifest("a")), ("noise", &noise)])?;
    let remote = open(&server, "shop", Credentials::None)?;
    for at in [300, 5_000, 200_000] {
        server.fault(Some(Fault::Ends(at)));
        let ended = error(look(&remote, &below(""), None, &limits()).await)?;
        assert!(matches!(ended, FetchError::EndedEarly { .. }), "{at}: {ended}");
        assert_eq!(ended.disposition(), Disposition::Retry);
    }
    server.fault(Some(Fault::Hangs(200_000)));
    let within = std::time::Duration::from_millis(1500);
    let short = Limits { within, ..limits() };
    let hung = error(look(&remote, &below(""), None, &short).await)?;
    assert_eq!(hung, FetchError::TimedOut { within });
    assert_eq!(hung.disposition(), Disposition::Retry);
    Ok(())
}

#[tokio::test]
async fn nothing_is_followed_elsewhere_and_what_is_no_git_server_is_told() -> Result<()> {
    let (first, second) = (server()?, server()?);
    let repository = second.repository("shop")?;
    repository.commit("main", &[("a.yaml", &manifest("a"))])?;
    first.fault(Some(Fault::Redirects(format!("{}/info/refs?service=git-upload-pack", second.url("shop")))));
    let remote = open(&first, "shop", token(CANARY))?;
    let sent = error(look(&remote, &below(""), None, &limits()).await)?;
    assert_eq!(sent, FetchError::Redirected { to: second.url("shop") });
    assert!(second.heard().is_empty());
    for (kind, body) in [
        ("text/html", "<html>log in</html>"),
        ("application/x-git-upload-pack-advertisement", "001e# service=git-upload-pack\n"),
        ("application/x-git-upload-pack-advertisement", "zzzz"),
        ("text/plain", "1111111111111111111111111111111111111111\trefs/heads/main\n"),
    ] {
        first.fault(Some(Fault::Answers(kind, body)));
        let error = error(look(&remote, &below(""), None, &limits()).await)?;
        let told = matches!(
            error,
            FetchError::NotGit { .. } | FetchError::EndedEarly { .. } | FetchError::Corrupt { .. }
        );
        assert!(told, "{body}: {error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_inside_or_with_a_certificate_of_nobody_is_not_talked_to() -> Result<()> {
    let server = server()?;
    server.repository("shop")?;
    let address = skep_gitops::Address::parse(&server.url("shop"))?;
    let closed = Outbound::new(Reach::default())?;
    let remote = skep_gitops::Repository::new(closed, address.clone(), token(CANARY));
    let inside = error(look(&remote, &below(""), None, &limits()).await)?;
    assert!(matches!(inside, FetchError::Outbound(OutboundError::Inside { .. })), "{inside}");
    assert_eq!(inside.disposition(), Disposition::Wants);
    let allowed = Reach::with([server.address().to_string().parse()?]);
    let remote = skep_gitops::Repository::new(Outbound::new(allowed)?, address, token(CANARY));
    let untrusted = error(look(&remote, &below(""), None, &limits()).await)?;
    assert!(matches!(untrusted, FetchError::Outbound(OutboundError::Unreachable { .. })), "{untrusted}");
    assert!(server.heard().is_empty());
    drop(outbound(&server)?);
    Ok(())
}

#[tokio::test]
async fn a_server_that_knows_only_the_oldest_protocol_is_spoken_to_in_it() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let remote = open(&server, "shop", Credentials::None)?;
    server.fault(Some(Fault::Old));
    let empty = error(look(&remote, &below(""), None, &limits()).await)?;
    assert!(matches!(empty, FetchError::EmptyRepository { .. }), "{empty}");
    let first = repository.commit("main", &[("a.yaml", &manifest("a"))])?;
    repository.git(["tag", "-a", "-m", "one", "v1", &first])?;
    let found = fetched(look(&remote, &below(""), None, &limits()).await)?;
    assert_eq!(paths(&found), ["a.yaml"]);
    assert_eq!(look(&remote, &below(""), Some(&found.commit), &limits()).await?, Look::Unchanged);
    let (tag, selection, limits) = (Reference::tag("v1")?, below(""), limits());
    let ask = Ask { reference: &tag, selection: &selection, synced: None, limits: &limits };
    assert_eq!(fetched(remote.look(&ask).await)?.commit.as_str(), first);
    repository.commit("main", &[("a.yaml", &manifest("b"))])?;
    let next = fetched(look(&remote, &selection, Some(&found.commit), &limits).await)?;
    assert_eq!(next.history, History::Descends);
    repository.rewrite("main", &[("a.yaml", &manifest("c"))])?;
    let other = fetched(look(&remote, &selection, Some(&found.commit), &limits).await)?;
    assert_eq!(other.history, History::Unknown, "it cannot be asked about its history in one round");
    Ok(())
}

#[tokio::test]
async fn a_repository_with_ids_of_sha_256_is_told_to_be_one() -> Result<()> {
    let server = server()?;
    let path = server.repositories().join("shop.git");
    let mut init =
        skep_testbed::command::command("git", ["init", "--quiet", "--bare", "--object-format=sha256"]);
    init.arg(&path);
    skep_testbed::command::stdout(init)?;
    let remote = open(&server, "shop", Credentials::None)?;
    let told = error(look(&remote, &below(""), None, &limits()).await)?;
    assert!(matches!(told, FetchError::Unsupported { .. }), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn whatever_byte_of_an_answer_is_another_nothing_else_is_taken_for_the_commit() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    repository.commit("main", &[("a.yaml", &manifest("a"))])?;
    let remote = open(&server, "shop", Credentials::None)?;
    let right = fetched(look(&remote, &below(""), None, &limits()).await)?;
    // A length that is larger than what follows is waited for no longer than there is time.
    let short = Limits { within: std::time::Duration::from_secs(5), ..limits() };
    for at in (0..420).step_by(3) {
        server.fault(Some(Fault::Changes(at)));
        if let Ok(Look::Fetched(found)) = look(&remote, &below(""), None, &short).await {
            assert_eq!(found, right, "byte {at}");
        }
    }
    Ok(())
}

#[test]
fn a_look_that_nobody_waits_for_keeps_no_thread() -> Result<()> {
    let server = server()?;
    let repository = server.repository("shop")?;
    let noise: Vec<u8> =
        (0..400_000_u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    repository.commit("main", &[("noise", &noise)])?;
    server.fault(Some(Fault::Hangs(200_000)));
    let remote = open(&server, "shop", Credentials::None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (selection, limits) = (below(""), Limits { within: std::time::Duration::from_secs(600), ..limits() });
    let looking = runtime.spawn(async move { look(&remote, &selection, None, &limits).await.is_ok() });
    let mut heard = Vec::new();
    skep_testbed::wait_until("the server to hang", std::time::Duration::from_secs(20), || {
        heard.extend(server.heard());
        skep_testbed::wait::ready(heard.len() == 3, "it was not asked for a pack")
    })?;
    looking.abort();
    let started = std::time::Instant::now();
    // Dropping it waits for every thread that was begun.
    drop(runtime);
    assert!(started.elapsed() < std::time::Duration::from_secs(60), "{:?}", started.elapsed());
    Ok(())
}
