//! A server, a repository, and a look at it.

use std::time::Duration;

use anyhow::{Context, Result};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use skep_gitops::{
    Address, Ask, Commit, Credentials, FetchError, Fetched, Limits, Look, Reference, Remote, Repository,
    Selection,
};
use skep_outbound::{Outbound, Reach};
use skep_testbed::{GitServer, install};

/// A manifest that is right, with a name.
pub(crate) fn manifest(name: &str) -> Vec<u8> {
    format!("apiVersion: skep.dev/v1\nkind: App\nmetadata: {{org: acme, name: {name}}}\nspec: {{description: of {name}, processes: {{web: {{command: [serve]}}}}}}\n").into_bytes()
}

pub(crate) fn server() -> Result<GitServer> {
    install::packages()?;
    GitServer::start()
}

/// A client that trusts the server, and may ask it though it is inside.
pub(crate) fn outbound(server: &GitServer) -> Result<Outbound> {
    let allowed = server.address().to_string().parse()?;
    let authority = CertificateDer::from_pem_file(server.authority())?;
    Ok(Outbound::trusting(Reach::with([allowed]), vec![authority])?)
}

pub(crate) fn open(server: &GitServer, name: &str, credentials: Credentials) -> Result<Repository> {
    Ok(Repository::new(outbound(server)?, Address::parse(&server.url(name))?, credentials))
}

/// All YAML below a path.
pub(crate) fn below(path: &str) -> Selection {
    Selection::new(path, &["**/*.yaml".to_owned()], &[]).expect("it is a selection")
}

pub(crate) fn limits() -> Limits {
    Limits { within: Duration::from_secs(60), ..Limits::default() }
}

/// Looks at a branch.
pub(crate) async fn look(
    remote: &dyn Remote,
    selection: &Selection,
    synced: Option<&Commit>,
    limits: &Limits,
) -> Result<Look, FetchError> {
    let reference = Reference::branch("main").expect("it is a branch");
    remote.look(&Ask { reference: &reference, selection, synced, limits }).await
}

/// What a look at something new found.
pub(crate) fn fetched(look: Result<Look, FetchError>) -> Result<Fetched> {
    match look? {
        Look::Fetched(fetched) => Ok(fetched),
        Look::Unchanged => Err(anyhow::anyhow!("nothing was new")),
    }
}

pub(crate) fn error(look: Result<Look, FetchError>) -> Result<FetchError> {
    look.err().context("it should have failed")
}

pub(crate) fn paths(fetched: &Fetched) -> Vec<&str> {
    fetched.files.files.iter().map(|file| file.path.as_str()).collect()
}
