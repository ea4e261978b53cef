//! Deltas: instructions to make an object of another. Some bytes of them can ask for megabytes, so what they make is counted before it is.

use super::{corrupt, len};
use crate::error::FetchError;
use crate::limits::Budget;

/// How large a delta says that its object will be.
pub(super) fn size(delta: &[u8]) -> Result<u64, FetchError> {
    let (_, rest) = number(delta)?;
    number(rest).map(|(size, _)| size)
}

/// Makes the object, of `base`.
pub(super) fn apply(base: &[u8], delta: &[u8], most: u64, budget: &Budget) -> Result<Vec<u8>, FetchError> {
    let (of, rest) = number(delta)?;
    if of != len(base.len()) {
        return Err(corrupt("a delta is for a base of another size"));
    }
    let (size, mut rest) = number(rest)?;
    let size = usize::try_from(size).ok().filter(|size| len(*size) <= most);
    let size = size.ok_or_else(|| corrupt("a delta makes something too large to be held"))?;
    budget.unpack(size)?;
    let mut made = Vec::with_capacity(size);
    while let Some((&instruction, after)) = rest.split_first() {
        let (part, after) = if instruction & 0x80 != 0 {
            copied(base, instruction, after)?
        } else {
            let count = usize::from(instruction);
            if count == 0 {
                return Err(corrupt("a delta has an instruction that is none"));
            }
            after.split_at_checked(count).ok_or_else(|| corrupt("a delta ends within an instruction"))?
        };
        if made.len() + part.len() > size {
            return Err(corrupt("a delta makes more than it says"));
        }
        made.extend_from_slice(part);
        rest = after;
    }
    if made.len() == size { Ok(made) } else { Err(corrupt("a delta makes less than it says")) }
}

/// The part of the base that an instruction names, and what is behind the instruction.
fn copied<'b, 'd>(
    base: &'b [u8],
    instruction: u8,
    mut rest: &'d [u8],
) -> Result<(&'b [u8], &'d [u8]), FetchError> {
    let mut fields = [0_u8; 7];
    for (bit, field) in fields.iter_mut().enumerate() {
        if instruction & (1 << bit) != 0 {
            let (byte, after) =
                rest.split_first().ok_or_else(|| corrupt("a delta ends within an instruction"))?;
            *field = *byte;
            rest = after;
        }
    }
    let [a, b, c, d, e, f, g] = fields;
    let offset = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    let count = match u32::from_le_bytes([e, f, g, 0]) {
        0 => 0x1_0000,
        count => count,
    };
    let end = offset.checked_add(usize::try_from(count).unwrap_or(usize::MAX));
    let part = end.and_then(|end| base.get(offset..end));
    Ok((part.ok_or_else(|| corrupt("a delta copies what its base does not have"))?, rest))
}

/// A number of seven bits in each byte, the least first.
fn number(bytes: &[u8]) -> Result<(u64, &[u8]), FetchError> {
    let (mut value, mut rest, mut shift) = (0_u64, bytes, 0_u32);
    loop {
        let (byte, after) = rest.split_first().ok_or_else(|| corrupt("a delta has no sizes"))?;
        if shift > 56 {
            return Err(corrupt("a delta says a size that is none"));
        }
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        rest = after;
        if byte & 0x80 == 0 {
            return Ok((value, rest));
        }
    }
}
