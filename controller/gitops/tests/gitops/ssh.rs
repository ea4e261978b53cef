//! Repositories over ssh, at a real `sshd`: whom it lets in, and as whom it is known.

use anyhow::Result;
use secrecy::SecretString;
use skep_gitops::{Address, Credentials, Disposition, FetchError, History, Look, Repository};
use skep_outbound::{Outbound, OutboundError, Reach};
use skep_testbed::git_server::Repository as Bare;
use skep_testbed::install;
use skep_testbed::ssh_server::{KeyPair, SshServer};

use crate::support::{below, error, fetched, limits, look, manifest, paths};

struct World {
    dir: tempfile::TempDir,
    bare: Bare,
    key: KeyPair,
    server: SshServer,
}

fn world(kind: &str, protocol: bool) -> Result<World> {
    install::packages()?;
    let dir = tempfile::tempdir()?;
    let bare = Bare::create(&dir.path().join("shop.git"))?;
    bare.commit("main", &[("deploy/a.yaml", &manifest("a"))])?;
    let key = KeyPair::generate(kind, "")?;
    let server = SshServer::start(kind, &[&key], protocol)?;
    Ok(World { dir, bare, key, server })
}

impl World {
    fn remote(&self, url: &str, private: &str, known_hosts: &str) -> Result<Repository> {
        let reach = Reach::with([self.server.address().to_string().parse()?]);
        let credentials =
            Credentials::Key { private: SecretString::from(private), known_hosts: known_hosts.to_owned() };
        Ok(Repository::new(Outbound::new(reach)?, Address::parse(url)?, credentials))
    }

    fn usual(&self) -> Result<Repository> {
        self.remote(&self.server.url(self.bare.path()), &self.key.private, &self.server.known()?)
    }
}

#[tokio::test]
async fn keys_of_each_type_let_in_by_the_protocol_that_the_server_speaks() -> Result<()> {
    for (kind, protocol) in [("ed25519", true), ("ecdsa", false), ("rsa", true)] {
        let world = world(kind, protocol)?;
        let remote = world.usual()?;
        let first = fetched(look(&remote, &below("deploy"), None, &limits()).await)?;
        assert_eq!(paths(&first), ["deploy/a.yaml"], "{kind}");
        let again = look(&remote, &below("deploy"), Some(&first.commit), &limits()).await?;
        assert_eq!(again, Look::Unchanged, "{kind}");
        world.bare.commit("main", &[("deploy/b.yaml", &manifest("b"))])?;
        let child = fetched(look(&remote, &below("deploy"), Some(&first.commit), &limits()).await)?;
        assert_eq!((paths(&child), child.history), (vec!["deploy/b.yaml"], History::Descends), "{kind}");
        world.bare.commit("main", &[("deploy/c.yaml", &manifest("c"))])?;
        let later = fetched(look(&remote, &below("deploy"), Some(&first.commit), &limits()).await)?;
        let expected = if protocol { History::Descends } else { History::Unknown };
        assert_eq!(later.history, expected, "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn a_host_that_is_not_the_pinned_one_is_told_nothing() -> Result<()> {
    let world = world("ed25519", true)?;
    let (url, private) = (world.server.url(world.bare.path()), world.key.private.as_str());
    let address = world.server.address();
    let name = format!("[{}]:{}", address.ip(), address.port());
    let other = |kind: &str| KeyPair::generate(kind, "").map(|key| format!("{name} {}\n", key.public));
    let unknown = error(look(&world.remote(&url, private, "")?, &below(""), None, &limits()).await)?;
    let FetchError::UnknownHost { fingerprint, .. } = &unknown else { anyhow::bail!("{unknown:?}") };
    assert!(fingerprint.starts_with("SHA256:"), "{fingerprint}");
    for known in [other("ed25519")?, other("ecdsa")?] {
        let changed = error(look(&world.remote(&url, private, &known)?, &below(""), None, &limits()).await)?;
        assert!(matches!(changed, FetchError::HostKeyChanged { .. }), "{changed:?}");
        assert_eq!(changed.disposition(), Disposition::Wants);
    }
    assert!(!world.server.logs().contains("Accepted"), "{}", world.server.logs());
    // Names as digests, as Debian writes them.
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("known_hosts");
    std::fs::write(&file, world.server.known()?)?;
    let mut hash = skep_testbed::command::command("ssh-keygen", ["-H", "-f"]);
    hash.arg(&file);
    skep_testbed::command::stdout(hash)?;
    let hashed = std::fs::read_to_string(&file)?;
    assert!(hashed.starts_with("|1|"), "{hashed}");
    assert!(look(&world.remote(&url, private, &hashed)?, &below(""), None, &limits()).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_refused_revoked_or_unusable_is_told_and_never_shown() -> Result<()> {
    let world = world("ed25519", true)?;
    let (url, known) = (world.server.url(world.bare.path()), world.server.known()?);
    let stranger = KeyPair::generate("ed25519", "")?;
    let refused =
        error(look(&world.remote(&url, &stranger.private, &known)?, &below(""), None, &limits()).await)?;
    assert!(matches!(refused, FetchError::Refused { .. }), "{refused:?}");
    let remote = world.usual()?;
    assert!(look(&remote, &below(""), None, &limits()).await.is_ok());
    world.server.admit(&[])?;
    let revoked = error(look(&remote, &below(""), None, &limits()).await)?;
    assert!(matches!(revoked, FetchError::Refused { .. }), "{revoked:?}");
    let locked = KeyPair::generate("ed25519", "a passphrase")?;
    let mut told = vec![format!("{refused:?} {revoked:?} {remote:?}")];
    for private in [locked.private.as_str(), "canary", &world.key.private[..120], &world.key.public] {
        let unusable = error(look(&world.remote(&url, private, &known)?, &below(""), None, &limits()).await)?;
        assert!(matches!(unusable, FetchError::Unusable { .. }), "{unusable:?}");
        told.push(format!("{unusable:?} {unusable}"));
    }
    let body = world.key.private.lines().nth(1).unwrap_or("canary").to_owned();
    assert!(told.iter().all(|text| !text.contains("canary") && !text.contains(&body)), "{told:#?}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_or_inside_is_told() -> Result<()> {
    let world = world("ed25519", true)?;
    let known = world.server.known()?;
    let gone = world.server.url(&world.dir.path().join("none.git"));
    let missing =
        error(look(&world.remote(&gone, &world.key.private, &known)?, &below(""), None, &limits()).await)?;
    assert!(matches!(missing, FetchError::NoRepository { .. }), "{missing:?}");
    let url = world.server.url(world.bare.path());
    let credentials =
        Credentials::Key { private: world.key.private.as_str().into(), known_hosts: known.clone() };
    let closed = Repository::new(Outbound::new(Reach::default())?, Address::parse(&url)?, credentials);
    let inside = error(look(&closed, &below(""), None, &limits()).await)?;
    assert!(matches!(inside, FetchError::Outbound(OutboundError::Inside { .. })), "{inside:?}");
    let token = Credentials::Token("canary".into());
    let reach = Reach::with([world.server.address().to_string().parse()?]);
    let wrong = Repository::new(Outbound::new(reach)?, Address::parse(&url)?, token);
    let unusable = error(look(&wrong, &below(""), None, &limits()).await)?;
    assert!(matches!(unusable, FetchError::Unusable { .. }), "{unusable:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_hangs_is_not_waited_for() -> Result<()> {
    let world = world("ed25519", true)?;
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let reach = Reach::with([silent.local_addr()?.to_string().parse()?]);
    let credentials =
        Credentials::Key { private: world.key.private.as_str().into(), known_hosts: String::new() };
    let address = Address::parse(&format!("ssh://git@{}/shop.git", silent.local_addr()?))?;
    let remote = Repository::new(Outbound::new(reach)?, address, credentials);
    let within = std::time::Duration::from_millis(800);
    let short = skep_gitops::Limits { within, ..limits() };
    let hung = error(look(&remote, &below(""), None, &short).await)?;
    assert_eq!(hung, FetchError::TimedOut { within });
    Ok(())
}
