//! As much of DER as a certificate needs.

use anyhow::Result;

/// Object identifiers, whole.
pub(super) const BASIC_CONSTRAINTS: &[u8] = &[0x06, 3, 0x55, 0x1d, 0x13];
pub(super) const KEY_USAGE: &[u8] = &[0x06, 3, 0x55, 0x1d, 0x0f];
pub(super) const EXTENDED_KEY_USAGE: &[u8] = &[0x06, 3, 0x55, 0x1d, 0x25];
pub(super) const SUBJECT_ALT_NAME: &[u8] = &[0x06, 3, 0x55, 0x1d, 0x11];
pub(super) const CODE_SIGNING: &[u8] = &[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 3];
/// 1.3.6.1.4.1.57264.1.8
pub(super) const FULCIO_ISSUER: &[u8] = &[0x06, 10, 0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 8];
/// 1.3.6.1.4.1.11129.2.4.2
pub(super) const CERTIFICATE_TIMESTAMPS: &[u8] = &[0x06, 10, 0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];
pub(super) const TRUE: [u8; 3] = [0x01, 1, 0xff];
const COMMON_NAME: &[u8] = &[0x06, 3, 0x55, 0x04, 0x03];
/// ecdsa-with-SHA256, as an algorithm.
const ECDSA_SHA256: &[u8] = &[0x30, 10, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

/// What is signed of a certificate.
pub(super) struct Tbs<'a> {
    /// Who certifies.
    pub(super) issuer: &'a str,
    /// Whom; those who sign have no name here.
    pub(super) subject: Option<&'a str>,
    /// From when until when.
    pub(super) validity: [&'a str; 2],
    /// The key.
    pub(super) spki: &'a [u8],
    /// One after the other.
    pub(super) extensions: &'a [u8],
}

impl Tbs<'_> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let validity: Vec<u8> = self.validity.iter().flat_map(|time| value(0x17, time.as_bytes())).collect();
        sequence(&[
            &value(0xa0, &[0x02, 1, 2]),
            &[0x02, 1, 1],
            ECDSA_SHA256,
            &name(Some(self.issuer)),
            &value(0x30, &validity),
            &name(self.subject),
            self.spki,
            &value(0xa3, &value(0x30, self.extensions)),
        ])
    }
}

/// A certificate.
pub(super) fn signed(tbs: &[u8], sign: impl FnOnce(&[u8]) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    Ok(sequence(&[tbs, ECDSA_SHA256, &bits(&sign(tbs)?, 0)]))
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(0x30, &parts.concat())
}

pub(super) fn extension(id: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &TRUE } else { &[] };
    sequence(&[id, critical, &octets(content)])
}

pub(super) fn bits(bytes: &[u8], unused: u8) -> Vec<u8> {
    value(0x03, &[&[unused], bytes].concat())
}

pub(super) fn octets(bytes: &[u8]) -> Vec<u8> {
    value(0x04, bytes)
}

pub(super) fn utf8(text: &str) -> Vec<u8> {
    value(0x0c, text.as_bytes())
}

/// A URL, or an address.
pub(super) fn general_name(text: &str) -> Vec<u8> {
    value(if text.contains("://") { 0x86 } else { 0x81 }, text.as_bytes())
}

fn name(common: Option<&str>) -> Vec<u8> {
    match common {
        Some(common) => {
            let attribute = sequence(&[COMMON_NAME, &utf8(common)]);
            sequence(&[&value(0x31, &attribute)])
        }
        None => sequence(&[]),
    }
}

fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.iter().copied().skip_while(|byte| *byte == 0).collect();
    let head = match length.as_slice() {
        [] => vec![tag, 0],
        [short] if *short < 0x80 => vec![tag, *short],
        long => [&[tag, 0x80 | u8::try_from(long.len()).unwrap_or_default()], long].concat(),
    };
    [head.as_slice(), content].concat()
}
