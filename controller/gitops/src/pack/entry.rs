//! The head of one object in a pack: what it is, how large it says it will be, what it is made of.

use gix_hash::ObjectId;
use gix_object::Kind;

use super::corrupt;
use crate::error::FetchError;

/// The bytes before the first object.
pub(super) const HEADER: usize = 12;

/// One object of a pack.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Where its head begins.
    pub(super) start: usize,
    /// Where its compressed bytes begin.
    pub(super) data: usize,
    /// How many bytes they inflate to, as it says; checked when they are.
    pub(super) size: u64,
    /// How large the object is, once it is known.
    pub(super) made: u64,
    pub(super) base: Base,
}

/// What an object is made of.
#[derive(Debug, Clone)]
pub(super) enum Base {
    /// Itself.
    Whole(Kind),
    /// The object whose head begins here.
    At(usize),
    /// The object with this id.
    Id(ObjectId),
}

impl Base {
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Whole(kind) => Some(*kind),
            Self::At(_) | Self::Id(_) => None,
        }
    }
}

impl Entry {
    /// Reads a head that begins at `start`; everything has to lie before `end`.
    pub(super) fn read(pack: &[u8], start: usize, end: usize) -> Result<Self, FetchError> {
        let mut head = Head { bytes: pack.get(..end).unwrap_or_default(), at: start };
        let first = head.byte()?;
        let (code, mut size) = ((first >> 4) & 7, u64::from(first & 15));
        let (mut more, mut shift) = (first & 0x80 != 0, 4_u32);
        while more {
            let byte = head.byte()?;
            // 60 bits are an exabyte; more cannot be shifted in without loss.
            if shift > 53 {
                return Err(corrupt("an object says that it is larger than anything"));
            }
            size |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            more = byte & 0x80 != 0;
        }
        let base = match code {
            1 => Base::Whole(Kind::Commit),
            2 => Base::Whole(Kind::Tree),
            3 => Base::Whole(Kind::Blob),
            4 => Base::Whole(Kind::Tag),
            6 => {
                let back = head.distance()?;
                let at = start.checked_sub(back).filter(|at| *at >= HEADER && *at < start);
                Base::At(at.ok_or_else(|| corrupt("a delta is made of something before the pack"))?)
            }
            7 => Base::Id(head.id()?),
            _ => return Err(corrupt("an object is of no known sort")),
        };
        Ok(Self { start, data: head.at, size, made: 0, base })
    }
}

struct Head<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Head<'_> {
    fn byte(&mut self) -> Result<u8, FetchError> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte.ok_or_else(|| corrupt("the pack ends within the head of an object"))
    }

    /// How far back the base is.
    fn distance(&mut self) -> Result<usize, FetchError> {
        let far = || corrupt("a delta is made of something before the pack");
        let mut byte = self.byte()?;
        let mut value = usize::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            byte = self.byte()?;
            let shifted = value.checked_add(1).and_then(|value| value.checked_mul(128)).ok_or_else(far)?;
            value = shifted.checked_add(usize::from(byte & 0x7f)).ok_or_else(far)?;
        }
        Ok(value)
    }

    fn id(&mut self) -> Result<ObjectId, FetchError> {
        let end = self.at + gix_hash::Kind::Sha1.len_in_bytes();
        let id = self.bytes.get(self.at..end).and_then(|id| ObjectId::try_from(id).ok());
        self.at = end;
        id.ok_or_else(|| corrupt("the pack ends within the head of an object"))
    }
}
