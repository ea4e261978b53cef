//! Texts that let somebody in: tokens, sessions, invitations.
//!
//! Each is random, begins with a word that says what it is, is shown once, and kept as a hash.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::SecretString;

use crate::error::StoreError;

/// With 256 random bits a plain hash is enough: there is nothing to guess.
const RANDOM_BYTES: usize = 32;
/// Longer texts are none of ours and are not even hashed.
const TEXT_MAX: usize = 128;

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    Token,
    Session,
    Invitation,
}

impl Credential {
    /// So that scanners, and people, see what a leaked one is.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Token => "skep_",
            Self::Session => "skeps_",
            Self::Invitation => "skepi_",
        }
    }

    /// Could this be one? No text could be two of them.
    pub(crate) fn is_one(self, text: &str) -> bool {
        text.starts_with(self.prefix()) && text.len() <= TEXT_MAX
    }

    /// A new one, with what is kept of it.
    pub(crate) fn fresh(self) -> Result<(SecretString, Vec<u8>), StoreError> {
        let mut bytes = [0_u8; RANDOM_BYTES];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| StoreError::Seal)?;
        let text = format!("{}{}", self.prefix(), BASE64_URL_SAFE_NO_PAD.encode(bytes));
        let hash = hash(&text);
        Ok((SecretString::from(text), hash))
    }
}

/// What is kept of a text.
pub(crate) fn hash(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}
