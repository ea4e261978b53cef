//! A pack in memory: its objects by id, made of what is received with nothing on disk and everything counted.
//!
//! Git's own libraries index a pack as Git does: they trust the sizes that it states, and keep what deltas make. A pack of some kilobytes can
//! state gigabytes, and make them. Here, each object is inflated once to find where it ends and what its id is, and deltas are
//! applied from the base outwards; each byte of that is counted before it is made ([`Bound::Unpacked`]), and no object is held that
//! is larger than [`HELD_MAX`]. What is wanted of the objects in the end, trees and small files, is inflated again when it is asked for.
//!
//! Ids are computed with the SHA-1 that notices collisions, and are what objects are found by: a server cannot give one object for another.

mod delta;
mod entry;
mod inflate;

use std::collections::HashMap;
use std::rc::Rc;

use gix_hash::ObjectId;
use gix_object::Kind;

use crate::error::FetchError;
use crate::limits::{Bound, Budget, within};

use entry::{Base, Entry};
use inflate::Inflater;

/// The largest object that is a delta, or that deltas are made of: whatever is larger is no manifest and no tree that is read.
const HELD_MAX: u64 = 8 << 20;
/// The longest chain of deltas. Git makes 50 of them; each costs memory while what is behind it is resolved.
const CHAIN_MAX: usize = 256;
/// The most bytes of objects that wait for what is made of them.
const WAITING_MAX: u64 = 64 << 20;

/// The objects of a pack.
pub(crate) struct Objects<'a> {
    pack: Vec<u8>,
    entries: Vec<Entry>,
    by_id: HashMap<ObjectId, (usize, Kind)>,
    /// Deltas that were not resolved, because they or their base are too large or are not in the pack.
    unresolved: usize,
    /// Was the server asked to leave out large files?
    filtered: bool,
    budget: &'a Budget,
}

/// An object that was looked for.
pub(crate) enum Found {
    /// It is there.
    There(Object),
    /// It is not: the server was asked to leave out what is too large, or it is a delta of something too large.
    LeftOut,
    /// It is not, and nothing explains it.
    Missing,
}

/// One object of a pack, not read yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object {
    at: usize,
    /// What it is.
    pub(crate) kind: Kind,
    /// How many bytes it has.
    pub(crate) size: u64,
}

impl<'a> Objects<'a> {
    /// Indexes a pack that was received whole.
    pub(crate) fn index(pack: Vec<u8>, filtered: bool, budget: &'a Budget) -> Result<Self, FetchError> {
        let mut inflater = Inflater::new(budget);
        let mut objects =
            Self { pack, entries: Vec::new(), by_id: HashMap::new(), unresolved: 0, filtered, budget };
        let count = objects.header()?;
        let body = objects.body()?;
        let mut at = entry::HEADER;
        for _ in 0..count {
            let mut entry = Entry::read(&objects.pack, at, body)?;
            let kind = entry.base.kind();
            let (end, id) = inflater.pass_over(&objects.pack, &entry, body, kind)?;
            at = end;
            if let (Some(id), Some(kind)) = (id, kind) {
                objects.by_id.insert(id, (objects.entries.len(), kind));
                entry.made = entry.size;
            }
            objects.entries.push(entry);
        }
        if at != body {
            return Err(corrupt("there is more in the pack than it says"));
        }
        objects.resolve(&mut inflater)?;
        Ok(objects)
    }

    /// An object by its id.
    pub(crate) fn find(&self, id: &ObjectId) -> Found {
        let found = self.by_id.get(id).and_then(|(at, kind)| {
            self.entries.get(*at).map(|entry| Object { at: *at, kind: *kind, size: entry.made })
        });
        match found {
            Some(object) => Found::There(object),
            None if self.unresolved > 0 || self.filtered => Found::LeftOut,
            None => Found::Missing,
        }
    }

    /// Is it there?
    pub(crate) fn has(&self, id: &ObjectId) -> bool {
        self.by_id.contains_key(id)
    }

    /// Are there deltas that were not resolved?
    pub(crate) fn is_partial(&self) -> bool {
        self.unresolved > 0
    }

    /// What is in an object. Whoever asks has looked at its size.
    pub(crate) fn bytes(&self, object: Object) -> Result<Vec<u8>, FetchError> {
        let mut inflater = Inflater::new(self.budget);
        let mut chain: Vec<Vec<u8>> = Vec::new();
        let mut at = object.at;
        loop {
            let entry = self.entries.get(at).ok_or_else(|| corrupt("an object is not in the pack"))?;
            match entry.base {
                Base::Whole(_) => {
                    let mut bytes = inflater.whole(&self.pack, entry)?;
                    for delta in chain.iter().rev() {
                        bytes = delta::apply(&bytes, delta, HELD_MAX, self.budget)?;
                    }
                    return Ok(bytes);
                }
                Base::At(_) | Base::Id(_) => {
                    let base = self.base_of(entry).ok_or_else(|| corrupt("a delta has no base"))?;
                    chain.push(inflater.whole(&self.pack, entry)?);
                    if chain.len() > CHAIN_MAX {
                        return Err(corrupt("a chain of deltas is too long"));
                    }
                    at = base;
                }
            }
        }
    }

    fn base_of(&self, entry: &Entry) -> Option<usize> {
        match &entry.base {
            Base::Whole(_) => None,
            Base::At(offset) => self.entries.binary_search_by_key(offset, |entry| entry.start).ok(),
            Base::Id(id) => self.by_id.get(id).map(|(at, _)| *at),
        }
    }

    /// Checks the first and the last bytes; how many objects there are.
    fn header(&self) -> Result<u32, FetchError> {
        let field = |at: usize| -> Option<[u8; 4]> { self.pack.get(at..at + 4)?.try_into().ok() };
        let early = || FetchError::EndedEarly { why: "the pack has no header".to_owned() };
        let (signature, version, count) =
            (field(0).ok_or_else(early)?, field(4).ok_or_else(early)?, field(8).ok_or_else(early)?);
        if &signature != b"PACK" || !matches!(u32::from_be_bytes(version), 2 | 3) {
            return Err(corrupt("it does not begin as a pack does"));
        }
        let count = u32::from_be_bytes(count);
        within(Bound::Objects, self.budget.limits().objects, count.into(), None)?;
        Ok(count)
    }

    /// Where the trailer begins, which is the digest of everything before it: a pack that was cut off has another.
    fn body(&self) -> Result<usize, FetchError> {
        let cut =
            || FetchError::EndedEarly { why: "the end of the pack is not what it should be".to_owned() };
        let at = self.pack.len().checked_sub(gix_hash::Kind::Sha1.len_in_bytes()).ok_or_else(cut)?;
        let (body, trailer) = self.pack.split_at_checked(at).ok_or_else(cut)?;
        let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha1);
        for part in body.chunks(1 << 20) {
            self.budget.on_time()?;
            hasher.update(part);
        }
        let found = hasher.try_finalize().map_err(|_| corrupt("its digest is that of an attack on SHA-1"))?;
        if found.as_slice() != trailer { Err(cut()) } else { Ok(at) }
    }

    /// Finds the ids of all deltas, from what they are made of outwards.
    fn resolve(&mut self, inflater: &mut Inflater<'a>) -> Result<(), FetchError> {
        let mut of_offset: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut of_id: HashMap<ObjectId, Vec<usize>> = HashMap::new();
        for (at, entry) in self.entries.iter().enumerate() {
            match &entry.base {
                Base::Whole(_) => {}
                Base::At(offset) => of_offset.entry(*offset).or_default().push(at),
                Base::Id(id) => of_id.entry(*id).or_default().push(at),
            }
            self.unresolved += usize::from(!matches!(entry.base, Base::Whole(_)));
        }
        if self.unresolved == 0 {
            return Ok(());
        }
        let mut children = |start: usize, id: &ObjectId| -> Vec<usize> {
            let mut all = of_offset.remove(&start).unwrap_or_default();
            all.extend(of_id.remove(id).unwrap_or_default());
            all
        };
        let roots: Vec<(ObjectId, usize, Kind)> =
            self.by_id.iter().map(|(id, (at, kind))| (*id, *at, *kind)).collect();
        for (id, at, kind) in roots {
            let Some(entry) = self.entries.get(at) else { continue };
            let first = children(entry.start, &id);
            if first.is_empty() || entry.size > HELD_MAX {
                continue;
            }
            let mut waiting =
                vec![Waiting { base: Rc::new(inflater.whole(&self.pack, entry)?), children: first }];
            while let Some(last) = waiting.last_mut() {
                let Some(at) = last.children.pop() else {
                    waiting.pop();
                    continue;
                };
                let base = Rc::clone(&last.base);
                let Some(entry) = self.entries.get(at) else { continue };
                if entry.size > HELD_MAX || waiting.len() >= CHAIN_MAX {
                    continue;
                }
                let instructions = inflater.whole(&self.pack, entry)?;
                if delta::size(&instructions)? > HELD_MAX {
                    continue;
                }
                let made = delta::apply(&base, &instructions, HELD_MAX, self.budget)?;
                let id = gix_object::compute_hash(gix_hash::Kind::Sha1, kind, &made)
                    .map_err(|_| corrupt("an object is an attack on SHA-1"))?;
                self.by_id.insert(id, (at, kind));
                self.unresolved -= 1;
                let next = children(entry.start, &id);
                if let Some(entry) = self.entries.get_mut(at) {
                    entry.made = len(made.len());
                }
                if !next.is_empty() {
                    waiting.push(Waiting { base: Rc::new(made), children: next });
                    let held = waiting.iter().map(|one| len(one.base.len())).sum();
                    within(Bound::Unpacked, WAITING_MAX, held, None)?;
                }
            }
        }
        Ok(())
    }
}

/// An object, and the deltas that are still to be applied to it.
struct Waiting {
    base: Rc<Vec<u8>>,
    children: Vec<usize>,
}

fn len(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

fn corrupt(why: &str) -> FetchError {
    FetchError::Corrupt { why: why.to_owned() }
}

#[cfg(test)]
mod tests;
