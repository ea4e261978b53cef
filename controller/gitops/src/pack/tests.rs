//! Packs that Git would not make.

use std::io::Write as _;

use gix_hash::ObjectId;

use super::*;
use crate::limits::Limits;

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut stream = gix_zlib::stream::deflate::Write::new(Vec::new(), gix_zlib::Compression::default());
    stream.write_all(bytes).unwrap();
    stream.flush().unwrap();
    stream.into_inner()
}

/// The head of an object: its sort, and the size that it says.
fn head(code: u8, size: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut first, mut rest) = (code << 4 | u8::try_from(size & 15).unwrap(), size >> 4);
    while rest > 0 {
        bytes.push(first | 0x80);
        (first, rest) = (u8::try_from(rest & 0x7f).unwrap(), rest >> 7);
    }
    bytes.push(first);
    bytes
}

fn object(code: u8, bytes: &[u8]) -> Vec<u8> {
    [head(code, len(bytes.len())), deflated(bytes)].concat()
}

fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        bytes.push(if value > 0 { byte | 0x80 } else { byte });
        if value == 0 {
            return bytes;
        }
    }
}

/// A delta of the object with this id.
fn of(base: &ObjectId, instructions: &[u8]) -> Vec<u8> {
    [head(7, len(instructions.len())), base.as_slice().to_vec(), deflated(instructions)].concat()
}

fn pack(objects: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(objects.len()).unwrap();
    let mut bytes = [b"PACK".as_slice(), &2_u32.to_be_bytes(), &count.to_be_bytes()].concat();
    objects.iter().for_each(|object| bytes.extend_from_slice(object));
    let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha1);
    hasher.update(&bytes);
    bytes.extend_from_slice(hasher.try_finalize().unwrap().as_slice());
    bytes
}

fn id(bytes: &[u8]) -> ObjectId {
    gix_object::compute_hash(gix_hash::Kind::Sha1, Kind::Blob, bytes).unwrap()
}

fn read(objects: &Objects<'_>, id: &ObjectId) -> Option<Vec<u8>> {
    match objects.find(id) {
        Found::There(object) => Some(objects.bytes(object).unwrap()),
        Found::LeftOut | Found::Missing => None,
    }
}

fn failure(pack: Vec<u8>, limits: &Limits) -> FetchError {
    let budget = Budget::new(limits);
    Objects::index(pack, false, &budget).map(|_| ()).unwrap_err()
}

#[test]
fn deltas_are_resolved_whatever_they_are_made_of_and_in_whatever_order() {
    let (one, two, three) = (b"one".as_slice(), b"one and two".as_slice(), b"two".as_slice());
    let to_two = [number(3), number(11), vec![0b1001_0000, 3], vec![8], b" and two".to_vec()].concat();
    let to_three = [number(11), number(3), vec![0b1001_0001, 8, 3]].concat();
    let bytes = pack(&[of(&id(two), &to_three), of(&id(one), &to_two), object(3, one)]);
    let limits = Limits::default();
    let budget = Budget::new(&limits);
    let objects = Objects::index(bytes, false, &budget).unwrap();
    for text in [one, two, three] {
        assert_eq!(read(&objects, &id(text)).as_deref(), Some(text));
    }
    assert!(matches!(objects.find(&id(b"other")), Found::Missing));
}

#[test]
fn a_delta_that_makes_much_of_little_is_counted_before_it_does() {
    // A megabyte, of which each delta makes seven, by three bytes each.
    let base = vec![b'x'; 1 << 20];
    let many: Vec<Vec<u8>> = std::iter::once(object(3, &base))
        .chain((0..500).map(|at| {
            // Each differs by what it inserts, so that none is another.
            let text = format!("{at:08}");
            let mut whole = [number(1 << 20), number((7 << 20) + 8)].concat();
            whole.extend(std::iter::repeat_n([0b1100_0000, 0x10], 7).flatten());
            whole.push(8);
            whole.extend_from_slice(text.as_bytes());
            of(&id(&base), &whole)
        }))
        .collect();
    let bytes = pack(&many);
    assert!(bytes.len() < 64 << 10, "{}", bytes.len());
    let limits = Limits { unpacked: 100 << 20, ..Limits::default() };
    let told = failure(bytes, &limits);
    assert!(
        matches!(told, FetchError::Limit { bound: Bound::Unpacked, measured, .. } if measured < 110 << 20),
        "{told}"
    );
}

#[test]
fn what_is_too_large_to_be_held_is_left_out_and_nothing_is_made_of_it() {
    let base = b"base".as_slice();
    let huge = [number(4), number(1 << 60), vec![0b1001_0000, 4]].concat();
    let bytes = pack(&[object(3, base), of(&id(base), &huge)]);
    let limits = Limits::default();
    let budget = Budget::new(&limits);
    let objects = Objects::index(bytes, false, &budget).unwrap();
    assert!(objects.is_partial());
    assert!(matches!(objects.find(&id(b"?")), Found::LeftOut));
    assert_eq!(read(&objects, &id(base)).as_deref(), Some(base));
}

#[test]
fn a_pack_that_lies_about_itself_is_refused() {
    let limits = Limits::default();
    let base = b"base".as_slice();
    let larger = [head(3, 100), deflated(base)].concat();
    let smaller = [head(3, 2), deflated(base)].concat();
    let nothing = [head(3, 4), vec![1, 2, 3]].concat();
    let unknown = [head(5, 4), deflated(base)].concat();
    let endless = vec![0xff; 40];
    let before = [head(6, 4), vec![0x7f], deflated(base)].concat();
    for (name, object) in [
        ("larger", larger),
        ("smaller", smaller),
        ("nothing", nothing),
        ("unknown", unknown),
        ("endless", endless),
        ("before", before),
    ] {
        let told = failure(pack(&[object]), &limits);
        assert!(matches!(told, FetchError::Corrupt { .. }), "{name}: {told}");
    }
    for delta in [
        vec![],
        vec![0x80; 20],
        [number(5), number(1), vec![1, b'a']].concat(),
        [number(4), number(1), vec![0]].concat(),
        [number(4), number(9), vec![0b1001_0001, 2, 9]].concat(),
        [number(4), number(1), vec![2, b'a', b'b']].concat(),
        [number(4), number(3), vec![2, b'a', b'b']].concat(),
        [number(4), number(3), vec![9, b'a']].concat(),
        [number(4), number(3), vec![0xff]].concat(),
    ] {
        let told = failure(pack(&[object(3, base), of(&id(base), &delta)]), &limits);
        assert!(matches!(told, FetchError::Corrupt { .. }), "{delta:?}: {told}");
    }
    let whole = pack(&[object(3, base)]);
    for end in [0, 5, 12, 20, whole.len() - 1] {
        let told = failure(whole[..end].to_vec(), &limits);
        assert!(matches!(told, FetchError::EndedEarly { .. } | FetchError::Corrupt { .. }), "{end}: {told}");
    }
    let mut changed = whole;
    changed[14] ^= 1;
    assert!(matches!(failure(changed, &limits), FetchError::EndedEarly { .. }));
}

#[test]
fn no_byte_of_a_pack_that_is_another_makes_it_anything_but_an_error_or_another_pack() {
    let (one, two) = (b"one".as_slice(), b"one and two".as_slice());
    let delta = [number(3), number(11), vec![0b1001_0000, 3], vec![8], b" and two".to_vec()].concat();
    let whole = pack(&[object(3, one), of(&id(one), &delta), object(1, b"tree"), object(2, two)]);
    let body = whole.len() - 20;
    let limits = Limits { unpacked: 1 << 20, ..Limits::default() };
    for at in 0..body {
        for mask in [1, 0x10, 0x80, 0xff] {
            let mut bytes = whole[..body].to_vec();
            bytes[at] ^= mask;
            let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha1);
            hasher.update(&bytes);
            bytes.extend_from_slice(hasher.try_finalize().unwrap().as_slice());
            let budget = Budget::new(&limits);
            if let Ok(objects) = Objects::index(bytes, false, &budget) {
                let all: Vec<ObjectId> = objects.by_id.keys().copied().collect();
                // Whatever it is now, it is found by its own id.
                for found in all.iter().filter(|found| matches!(objects.find(found), Found::There(_))) {
                    let Found::There(object) = objects.find(found) else { continue };
                    let bytes = objects.bytes(object).unwrap();
                    let named = gix_object::compute_hash(gix_hash::Kind::Sha1, object.kind, &bytes).unwrap();
                    assert_eq!(named, *found, "{at} {mask}");
                }
            }
        }
    }
}
