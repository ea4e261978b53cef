//! Git over SSH: one connection, one command (`git-upload-pack`), and its output as the conversation.
//!
//! The host is known by `knownHosts` alone, before anything is proved to it; who asks is known by one key, which is held in memory. No agent, no
//! file of anybody's home, no passwords, no forwarding, no compression. The connection goes through [`skep_outbound`] as any other does.

mod known_hosts;
mod stream;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use gix_transport::Protocol;
use gix_transport::client::git::ConnectMode;
use gix_transport::client::git::blocking_io::Connection;
use russh::client::{self, Handle, Msg};
use russh::keys::{
    Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key,
};
use russh::{Channel, Preferred};
use secrecy::{ExposeSecret, SecretString};
use skep_outbound::{Outbound, OutboundError};

use super::repository::Line;
use crate::error::{FetchError, said};
use known_hosts::{Known, KnownHosts};
use stream::{Input, Output};

/// Where a repository is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) user: &'a str,
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) path: &'a str,
}

/// A transport for the conversation.
pub(super) fn transport(
    outbound: &Outbound,
    place: Place<'_>,
    private: &SecretString,
    known_hosts: &str,
    line: &Line,
) -> Result<Connection<Output, Input>, FetchError> {
    let key = key(private)?;
    let known = KnownHosts::of(known_hosts, place.host, place.port)?;
    let (session, channel) = line.wait(open(outbound, place, key, known))?;
    let (reading, writing) = channel.split();
    let output = Output::new(session, reading, line.clone());
    let input = Input::new(&writing, line.clone());
    let host = None::<(&str, Option<u16>)>;
    Ok(Connection::new(output, input, Protocol::V2, place.path, host, ConnectMode::Process, false))
}

fn key(private: &SecretString) -> Result<PrivateKey, FetchError> {
    let unusable = |why| FetchError::Unusable { why };
    let text = private.expose_secret();
    if text.contains("PuTTY-User-Key-File") {
        return Err(unusable("the key is in PuTTY's form; export it in that of OpenSSH"));
    }
    let key = decode_secret_key(text, None).map_err(|error| match error {
        russh::keys::Error::KeyIsEncrypted => unusable("the key has a passphrase; store one without"),
        _ => unusable("the key is no private key in the form of OpenSSH (ed25519, ecdsa or rsa)"),
    })?;
    if key.is_encrypted() {
        return Err(unusable("the key has a passphrase; store one without"));
    }
    Ok(key)
}

/// A session that was let in, with a channel in which the command runs.
async fn open(
    outbound: &Outbound,
    place: Place<'_>,
    key: PrivateKey,
    known: KnownHosts,
) -> Result<(Handle<Judge>, Channel<Msg>), FetchError> {
    let tcp = outbound.dial(place.host, place.port).await?;
    let verdict = Arc::new(Mutex::new(None));
    let pinned = known.algorithms();
    let host = place.host.to_owned();
    let failed = |error: russh::Error| told(&verdict, &host, &pinned, &error);
    let preferred = Preferred {
        key: if pinned.is_empty() { Cow::Borrowed(&SHOWN) } else { Cow::Owned(pinned.clone()) },
        compression: Cow::Borrowed(&[russh::compression::NONE]),
        ..Preferred::DEFAULT
    };
    let config = client::Config { preferred, nodelay: true, ..client::Config::default() };
    let judge = Judge { host: host.clone(), known, verdict: Arc::clone(&verdict) };
    let mut session = client::connect_stream(Arc::new(config), tcp, judge).await.map_err(failed)?;
    let hash = match key.algorithm().is_rsa() {
        // A server that does not say takes what has been usual for ten years. Never SHA-1.
        true => session.best_supported_rsa_hash().await.map_err(failed)?.flatten().or(Some(HashAlg::Sha256)),
        false => None,
    };
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
    if !session.authenticate_publickey(place.user, key).await.map_err(failed)?.success() {
        let said = format!("the key is not one of {}@{host}", place.user);
        return Err(FetchError::Refused { said });
    }
    let channel = session.channel_open_session().await.map_err(failed)?;
    // A server that does not let it be set speaks the older protocol, and so do we then.
    channel.set_env(false, "GIT_PROTOCOL", "version=2").await.map_err(failed)?;
    // Its letters are such that no shell takes them for anything else (`Address`).
    channel.exec(false, format!("git-upload-pack '{}'", place.path)).await.map_err(failed)?;
    Ok((session, channel))
}

/// What a host without a pin is asked for, so that its key can be shown: those that can be pinned.
const SHOWN: [Algorithm; 6] = known_hosts::ALGORITHMS;

/// Why a session failed.
fn told(
    verdict: &Mutex<Option<FetchError>>,
    host: &str,
    pinned: &[Algorithm],
    error: &russh::Error,
) -> FetchError {
    if let Some(verdict) = verdict.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return verdict;
    }
    match error {
        russh::Error::NoCommonAlgo { kind: russh::AlgorithmKind::Key, theirs, .. } if !pinned.is_empty() => {
            let fingerprint = said(&format!("keys of other sorts ({})", theirs.join(", ")));
            FetchError::HostKeyChanged { host: host.to_owned(), fingerprint }
        }
        russh::Error::NoCommonAlgo { .. } => FetchError::Unsupported {
            what: "the server's SSH is too old: it has no algorithm that is still safe",
        },
        russh::Error::IO(error) => FetchError::Outbound(OutboundError::Unreachable {
            host: host.to_owned(),
            why: said(&error.to_string()),
        }),
        error => FetchError::EndedEarly { why: said(&error.to_string()) },
    }
}

/// Says whether a host is the one that is meant.
pub(super) struct Judge {
    host: String,
    known: KnownHosts,
    verdict: Arc<Mutex<Option<FetchError>>>,
}

impl client::Handler for Judge {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let host = self.host.clone();
        let verdict = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
                match self.known.judge(key) {
                    Known::Yes => None,
                    Known::No => Some(FetchError::UnknownHost { host, fingerprint }),
                    Known::Another => Some(FetchError::HostKeyChanged { host, fingerprint }),
                }
            }
            PublicKeyOrCertificate::Certificate(_) => {
                Some(FetchError::Unsupported { what: "the server shows a certificate; pin its key" })
            }
        };
        let known = verdict.is_none();
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = verdict;
        Ok(known)
    }
}
