//! Inflating, piece by piece, each counted before the next.

use gix_hash::ObjectId;
use gix_object::Kind;
use gix_zlib::{Decompress, FlushDecompress, Status};

use super::entry::Entry;
use super::{HELD_MAX, corrupt, len};
use crate::error::FetchError;
use crate::limits::Budget;

/// How much is inflated at a time.
const PIECE: usize = 64 * 1024;

pub(super) struct Inflater<'a> {
    state: Decompress,
    piece: Vec<u8>,
    budget: &'a Budget,
}

impl<'a> Inflater<'a> {
    pub(super) fn new(budget: &'a Budget) -> Self {
        Self { state: Decompress::new(), piece: vec![0; PIECE], budget }
    }

    /// Inflates an object without keeping it: where it ends and, if it is of a kind and thus no delta, what its id is.
    pub(super) fn pass_over(
        &mut self,
        pack: &[u8],
        entry: &Entry,
        end: usize,
        kind: Option<Kind>,
    ) -> Result<(usize, Option<ObjectId>), FetchError> {
        let mut hasher = kind.map(|kind| {
            let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha1);
            hasher.update(format!("{kind} {}\0", entry.size).as_bytes());
            hasher
        });
        let used = self.inflate(pack.get(entry.data..end).unwrap_or_default(), entry.size, |piece| {
            if let Some(hasher) = &mut hasher {
                hasher.update(piece);
            }
        })?;
        let id = hasher.map(|hasher| hasher.try_finalize()).transpose();
        let id = id.map_err(|_| corrupt("an object is an attack on SHA-1"))?;
        Ok((entry.data + used, id))
    }

    /// Inflates an object, or the instructions of a delta.
    pub(super) fn whole(&mut self, pack: &[u8], entry: &Entry) -> Result<Vec<u8>, FetchError> {
        if entry.size > HELD_MAX {
            return Err(corrupt("an object is too large to be held"));
        }
        let mut whole = Vec::with_capacity(usize::try_from(entry.size).unwrap_or_default());
        self.inflate(pack.get(entry.data..).unwrap_or_default(), entry.size, |piece| {
            whole.extend_from_slice(piece);
        })?;
        Ok(whole)
    }

    /// Inflates what begins here to exactly `size` bytes; how many compressed bytes that were.
    fn inflate(
        &mut self,
        mut from: &[u8],
        size: u64,
        mut each: impl FnMut(&[u8]),
    ) -> Result<usize, FetchError> {
        self.state.reset();
        let mut made = 0_u64;
        loop {
            let (used, written) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(from, &mut self.piece, FlushDecompress::None);
            let status = status.map_err(|_| corrupt("an object cannot be inflated"))?;
            let used = usize::try_from(self.state.total_in() - used).unwrap_or(usize::MAX);
            let written = usize::try_from(self.state.total_out() - written).unwrap_or(usize::MAX);
            from = from.get(used..).unwrap_or_default();
            self.budget.unpack(written)?;
            made += len(written);
            if made > size {
                return Err(corrupt("an object is larger than it says"));
            }
            each(self.piece.get(..written).unwrap_or_default());
            match status {
                Status::StreamEnd if made == size => {
                    return Ok(usize::try_from(self.state.total_in()).unwrap_or(usize::MAX));
                }
                Status::StreamEnd => return Err(corrupt("an object is smaller than it says")),
                Status::Ok | Status::BufError if used == 0 && written == 0 => {
                    return Err(corrupt("the pack ends within an object"));
                }
                Status::Ok | Status::BufError => {}
            }
        }
    }
}
