//! Git's conversation, the same over https and ssh: which commit a name stands for, that commit as a pack, and whether it descends from
//! the one before.
//!
//! The words are those of `gix-protocol`, protocol 2 where the server speaks it and the older ones where not (a plain `sshd` lets no client ask for 2).
//! What is asked for is always the least: names that begin as the wanted one does, one commit (`deepen 1`), and no file that could not be
//! read anyway, if the server can leave those out. Everything that comes passes a [`Budget`].

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use gix_hash::ObjectId;
use gix_protocol::fetch::response::ShallowUpdate;
use gix_protocol::fetch::{Arguments, Response};
use gix_protocol::handshake::Ref;
use gix_protocol::ls_refs::RefPrefixes;
use gix_protocol::{Command, Handshake, LsRefsCommand};
use gix_transport::client::blocking_io::{ExtendedBufRead, Transport};
use gix_transport::{Protocol, Service, client};
use gix_utils::progress::Discard;

use super::{Commit, DEEPEST, Fetched, History, Look, Reference};
use crate::error::{FetchError, said};
use crate::limits::{Bound, Budget, within};
use crate::pack::Objects;
use crate::selection::Selection;
use crate::tree;

/// How much is read at a time.
const PIECE: usize = 64 * 1024;
/// The most bytes of a pack of history, which is commits alone where the server can leave out the rest.
const HISTORY_MAX: u64 = 8 << 20;
/// The most parents that are looked at on the way to the commit before.
const COMMITS_MAX: usize = 50_000;
/// What is not asked for though a server has it: other ways to send the same.
const UNUSED: [&str; 6] =
    ["sideband-all", "wait-for-done", "ref-in-want", "packfile-uris", "include-tag", "no-done"];

/// What is wanted of a repository.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) reference: Reference,
    pub(super) selection: Selection,
    pub(super) synced: Option<Commit>,
}

/// Looks at a repository. Blocks; whoever calls it does so on a thread for that.
pub(super) fn look<T: Transport>(transport: T, wanted: &Wanted, budget: &Budget) -> Result<Look, FetchError> {
    let mut talk = Talk { transport, budget, trouble: Arc::default() };
    let looked = talk.look(wanted);
    // The first thing that failed is why; what follows from it are words of libraries in between.
    match looked {
        Err(error) => Err(budget.failure().or_else(|| talk.trouble()).unwrap_or(error)),
        looked => looked,
    }
}

struct Talk<'b, T> {
    transport: T,
    budget: &'b Budget,
    /// What the server said went wrong, while it sent a pack.
    trouble: Arc<Mutex<String>>,
}

/// A pack as it was received, and which of its commits have parents that were not sent.
struct Received {
    pack: Vec<u8>,
    /// Was the server asked to leave out large files?
    filtered: bool,
    shallow: Vec<ObjectId>,
}

impl<T: Transport> Talk<'_, T> {
    fn look(&mut self, wanted: &Wanted) -> Result<Look, FetchError> {
        let nobody = |_: gix_protocol::credentials::helper::Action| Ok(None);
        let mut silent = Discard;
        let handshake = gix_protocol::handshake(
            &mut self.transport,
            Service::UploadPack,
            nobody,
            Vec::new(),
            &mut silent,
        );
        let handshake = handshake.map_err(|error| not_git(&error))?;
        if let Some(format) = handshake.capabilities.capability("object-format")
            && format.value().is_some_and(|format| format != "sha1")
        {
            return Err(FetchError::Unsupported {
                what: "the repository has SHA-256 ids, which are not read yet",
            });
        }
        let id = self.resolve(&handshake, &wanted.reference)?;
        let commit = Commit(id.to_string());
        if wanted.synced.as_ref() == Some(&commit) {
            return Ok(Look::Unchanged);
        }
        let received = self.fetch(&handshake, id, None)?;
        let objects = Objects::index(received.pack, received.filtered, self.budget)?;
        let facts = tree::commit(&objects, &id)?;
        let files = tree::select(&objects, &facts, &wanted.selection, self.budget)?;
        drop(objects);
        let history = match &wanted.synced {
            None => History::First,
            Some(synced) => match ObjectId::from_hex(synced.as_str().as_bytes()) {
                Ok(synced) if facts.parents.contains(&synced) => History::Descends,
                // What cannot be told is no reason to do without what was fetched.
                Ok(synced) => self.history(&handshake, id, synced).unwrap_or(History::Unknown),
                Err(_) => History::Unknown,
            },
        };
        Ok(Look::Fetched(Fetched { commit, history, files }))
    }

    /// The commit that the name stands for.
    fn resolve(&mut self, handshake: &Handshake, reference: &Reference) -> Result<ObjectId, FetchError> {
        let name = match reference {
            Reference::Branch(name) => format!("refs/heads/{}", name.0),
            Reference::Tag(name) => format!("refs/tags/{}", name.0),
            Reference::Commit(commit) => {
                let none = |_| FetchError::NoReference { reference: reference.to_string() };
                return ObjectId::from_hex(commit.as_str().as_bytes()).map_err(none);
            }
        };
        let asked;
        let known: &[Ref] = match &handshake.refs {
            Some(refs) => refs,
            None => {
                let mut prefixes = RefPrefixes::new();
                prefixes.extend([name.as_str().into(), "HEAD".into()]);
                let command = LsRefsCommand::new(Some(prefixes), &handshake.capabilities, agent());
                let mut silent = Discard;
                let refs = command.invoke_blocking(&mut self.transport, &mut silent, false);
                asked = refs.map_err(|error| failed(&error))?;
                &asked
            }
        };
        let mut any = false;
        for found in known {
            let (at, id) = match found {
                Ref::Peeled { full_ref_name, object, .. }
                | Ref::Direct { full_ref_name, object }
                | Ref::Symbolic { full_ref_name, object, .. } => (full_ref_name, *object),
                Ref::Unborn { .. } => continue,
            };
            any = true;
            if at.as_slice() == name.as_bytes() {
                return Ok(id);
            }
        }
        let reference = reference.to_string();
        Err(if any {
            FetchError::NoReference { reference }
        } else {
            FetchError::EmptyRepository { reference }
        })
    }

    /// One commit as a pack; or its history, if `before` says up to where.
    fn fetch(
        &mut self,
        handshake: &Handshake,
        id: ObjectId,
        before: Option<ObjectId>,
    ) -> Result<Received, FetchError> {
        let version = handshake.server_protocol_version;
        let mut features = Command::Fetch.default_features(version, &handshake.capabilities);
        features.retain(|(name, _)| !UNUSED.contains(name));
        features.push(agent());
        Response::check_required_features(version, &features).map_err(|error| failed(&error))?;
        let mut arguments = Arguments::new(version, features, false);
        if !arguments.can_use_shallow() {
            return Err(FetchError::Unsupported {
                what: "the server cannot send one commit without its history",
            });
        }
        if version == Protocol::V2 {
            arguments.add_feature("no-progress");
        }
        let filtered = arguments.can_use_filter();
        if filtered {
            arguments.filter(&match before {
                Some(_) => "tree:0".to_owned(),
                None => format!("blob:limit={}", self.budget.limits().blob.saturating_add(1)),
            });
        }
        arguments.want(id);
        match before {
            Some(before) => {
                arguments.have(before);
                arguments.deepen(DEEPEST);
            }
            None => arguments.deepen(1),
        }
        let most = before.map_or(u64::MAX, |_| HISTORY_MAX).min(self.budget.limits().pack);
        let mut reader = arguments.send(&mut self.transport, true).map_err(|error| broken(&error))?;
        let response = Response::from_line_reader(version, &mut reader, true, before.is_some());
        let response = response.map_err(|error| failed(&error))?;
        if !response.has_pack() {
            return Err(FetchError::EndedEarly { why: "the server sent no pack".to_owned() });
        }
        let trouble = Arc::clone(&self.trouble);
        reader.set_progress_handler(Some(Box::new(move |is_error, text| {
            if is_error {
                *trouble.lock().unwrap_or_else(PoisonError::into_inner) =
                    said(&String::from_utf8_lossy(text));
            }
            ControlFlow::Continue(())
        })));
        let pack = receive(&mut reader, most)?;
        let shallow = response.shallow_updates().iter().filter_map(|update| match update {
            ShallowUpdate::Shallow(id) => Some(*id),
            ShallowUpdate::Unshallow(_) => None,
        });
        Ok(Received { pack, filtered, shallow: shallow.collect() })
    }

    /// Does the commit descend from the one before? See [`History`].
    fn history(
        &mut self,
        handshake: &Handshake,
        id: ObjectId,
        before: ObjectId,
    ) -> Result<History, FetchError> {
        // The older protocols end after one pack, and answer who has something in rounds.
        if handshake.server_protocol_version != Protocol::V2 {
            return Ok(History::Unknown);
        }
        let received = self.fetch(handshake, id, Some(before))?;
        let objects = Objects::index(received.pack, received.filtered, self.budget)?;
        let (mut todo, mut seen) = (vec![id], std::collections::HashSet::new());
        let mut cut = false;
        while let Some(at) = todo.pop() {
            if at == before {
                return Ok(History::Descends);
            }
            if !seen.insert(at) || seen.len() > COMMITS_MAX {
                cut |= seen.len() > COMMITS_MAX;
                continue;
            }
            cut |= received.shallow.contains(&at);
            // What was not sent is an ancestor of the one before.
            if objects.has(&at) {
                todo.extend(tree::commit(&objects, &at)?.parents);
            } else if objects.is_partial() {
                cut = true;
            }
        }
        Ok(if cut { History::Unknown } else { History::Rewritten })
    }

    fn trouble(&self) -> Option<FetchError> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (!trouble.is_empty()).then_some(FetchError::Server { said: trouble })
    }
}

/// Reads a pack to its end.
fn receive<'a>(reader: &mut (impl ExtendedBufRead<'a> + ?Sized), most: u64) -> Result<Vec<u8>, FetchError> {
    let mut pack = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        let read = reader
            .read(&mut piece)
            .map_err(|error| FetchError::EndedEarly { why: said(&error.to_string()) })?;
        if read == 0 {
            return Ok(pack);
        }
        pack.extend_from_slice(piece.get(..read).unwrap_or_default());
        within(Bound::Pack, most, u64::try_from(pack.len()).unwrap_or(u64::MAX), None)?;
    }
}

fn agent() -> gix_protocol::command::Feature {
    ("agent", Some("git/skep".to_owned()))
}

/// Why something failed that the libraries tell of.
fn failed(error: &gix_error::Error) -> FetchError {
    if let Some(told) = error.downcast_any_ref::<gix_transport::packetline::read::Error>() {
        return told_by_server(&told.message.to_string());
    }
    if let Some(error) = error.downcast_any_ref::<std::io::Error>() {
        return FetchError::EndedEarly { why: said(&error.to_string()) };
    }
    // Where a section should begin, the line for errors is taken for the name of one.
    let text = error.to_string();
    match text.split_once("\"ERR ") {
        Some((_, told)) => told_by_server(told.trim_end_matches(['"', '\n'])),
        None => FetchError::Corrupt { why: said(&text) },
    }
}

fn broken(error: &client::Error) -> FetchError {
    match error {
        client::Error::Io(error) => FetchError::EndedEarly { why: said(&error.to_string()) },
        error => FetchError::Corrupt { why: said(&error.to_string()) },
    }
}

/// Why there is no conversation at all.
fn not_git(error: &gix_error::Error) -> FetchError {
    match failed(error) {
        FetchError::Corrupt { why } => FetchError::NotGit { why },
        error => error,
    }
}

/// What a server says in a line for errors, which has no form but that of Git's own words.
pub(super) fn told_by_server(text: &str) -> FetchError {
    let lower = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let said = said(text);
    if has(&["not our ref", "no such ref", "unadvertised object"]) {
        FetchError::NoReference { reference: format!("what was asked for ({said})") }
    } else if has(&["not found", "does not exist", "not exported", "no such repository", "does not appear"]) {
        FetchError::NoRepository { said }
    } else if has(&["denied", "forbidden", "not authorized", "unauthorized"]) {
        FetchError::Refused { said }
    } else {
        FetchError::Server { said }
    }
}
