//! Public keys, as `cosign public-key` and `openssl` write them.
//!
//! What can be told here, without any cryptography, is that a key is of a sort that signatures can be checked with, and whole: the algorithm stands
//! before the key itself, and is the same for all keys of one sort.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::names::excerpt;
use super::{Scalar, ScalarError, scalar_impls};

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// How PEM breaks its lines.
const LINE: usize = 64;
/// An RSA key of 8,192 bits, with what stands before it, has 1,062 bytes.
const DER_MAX: usize = 1100;

/// What stands before a key of each sort in its `SubjectPublicKeyInfo`, and how long the whole is.
const SORTS: [(KeyAlgorithm, &[u8], usize); 3] = [
    (
        KeyAlgorithm::EcdsaP256,
        &[
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
        ],
        91,
    ),
    (
        KeyAlgorithm::EcdsaP384,
        &[
            0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
            0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04,
        ],
        120,
    ),
    (KeyAlgorithm::Ed25519, &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00], 44),
];
/// After the length, which is longer or shorter with the key: rsaEncryption without parameters, and a bit string.
const RSA: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03, 0x82];
/// Of 2,048 bits: less is not accepted.
const RSA_MIN: usize = 290;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyAlgorithm {
    /// ECDSA over P-256, what `cosign generate-key-pair` makes.
    EcdsaP256,
    /// ECDSA over P-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
    /// RSA, of 2,048 bits or more.
    Rsa,
}

/// A public key in PEM.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    der: Vec<u8>,
}

impl PublicKey {
    /// What it is for.
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The key as a `SubjectPublicKeyInfo` in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The end of what is written of it, by which people tell keys apart: all keys of a sort begin alike.
    pub fn ending(&self) -> String {
        let text = STANDARD.encode(&self.der);
        let from = text.len().saturating_sub(12);
        text.get(from..).unwrap_or_default().to_owned()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = STANDARD.encode(&self.der);
        writeln!(f, "{BEGIN}")?;
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(LINE));
            writeln!(f, "{line}")?;
            rest = more;
        }
        writeln!(f, "{END}")
    }
}

impl Scalar for PublicKey {
    const NAME: &'static str = "public-key";
    const DESCRIPTION: &'static str = "Public key in PEM, as `cosign public-key` writes it: ECDSA over P-256 or P-384, Ed25519, or RSA of 2048 bits or more.";
    const PATTERN: &'static str =
        r"^\s*-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----\s*$";

    fn parse(text: &str) -> Result<Self, ScalarError> {
        let bad = |why: &str| {
            ScalarError::new(
                format!("`{}` is not a public key: {why}", excerpt(text.trim())),
                "copy the whole of `cosign.pub` below `key: |`, from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----",
            )
        };
        let body = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
        let body = body.ok_or_else(|| bad("it does not begin and end as one does"))?;
        let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let der = STANDARD.decode(body).map_err(|_| bad("what is in it is not base64"))?;
        let algorithm = algorithm(&der).ok_or_else(|| {
            bad("only ECDSA over P-256 or P-384, Ed25519 and RSA of 2048 to 8192 bits can be checked")
        })?;
        Ok(Self { algorithm, der })
    }
}

scalar_impls!(PublicKey);

fn algorithm(der: &[u8]) -> Option<KeyAlgorithm> {
    let fixed = SORTS.iter().find(|(_, before, length)| der.starts_with(before) && der.len() == *length);
    if let Some((algorithm, ..)) = fixed {
        return Some(*algorithm);
    }
    // A sequence with two bytes of length, which tell the rest.
    let [0x30, 0x82, high, low, rest @ ..] = der else { return None };
    let whole = usize::from(u16::from_be_bytes([*high, *low])) == rest.len();
    let size = (RSA_MIN..=DER_MAX).contains(&der.len());
    (whole && size && rest.starts_with(RSA)).then_some(KeyAlgorithm::Rsa)
}

#[cfg(test)]
mod tests {
    use super::*;

    const P256: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE69zNcqLfF9Ul0t7t0v2GmAWGvIHy\nDk0tjdCWGBXyS3kHHYHBwJ0T2mmpi1JE/4wHwVkoy8kDhqkQMdSTaFVwYQ==\n-----END PUBLIC KEY-----\n";

    #[test]
    fn a_key_reads_back_as_it_was_written_whatever_its_lines() {
        let key: PublicKey = P256.parse().unwrap();
        assert_eq!((key.algorithm(), key.der().len()), (KeyAlgorithm::EcdsaP256, 91));
        assert_eq!(key.to_string(), P256);
        for text in [P256.trim().to_owned(), P256.replace('\n', "\r\n"), format!("\n  {P256}")] {
            assert_eq!(text.parse::<PublicKey>().unwrap(), key);
        }
        assert_eq!(key.ending(), "MdSTaFVwYQ==");
    }

    #[test]
    fn what_no_signature_can_be_checked_with_is_refused_and_said_to_be_so() {
        let pem = |der: &[u8]| format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der));
        let key: PublicKey = P256.parse().unwrap();
        let weak = [&[0x30, 0x81, 0x9f][..], RSA, &[0; 142]].concat();
        for text in [
            "",
            "cosign.pub",
            BEGIN,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            &P256.replace("MFkw", "MFk!"),
            &pem(&key.der()[..90]),
            &pem(&[key.der(), &[0]].concat()),
            &pem(&weak),
            &format!("{P256}{P256}"),
        ] {
            let error = text.parse::<PublicKey>().unwrap_err();
            assert!(error.help.contains("cosign.pub"), "{text}");
        }
    }
}
