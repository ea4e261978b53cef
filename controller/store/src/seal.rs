//! Sealing: how secret values are encrypted, bound to their place, and compared without being opened.
//!
//! Three layers. The *master key* comes from outside and wraps each organisation's *data key*. From the data key two subkeys
//! are derived, one for AES-256-GCM and one for HMAC-SHA256, so that neither use weakens the other. Associated data binds a
//! wrapped key to its organisation, and a value to organisation, secret and version: moved to another row it does not open.
//!
//! Nonces are random. A data key seals far fewer than the 2^32 values at which random 96-bit nonces become a concern.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use skep_schemas::Uid;
use skep_schemas::kind::SecretValue;

use crate::error::StoreError;

const KEY_LEN: usize = 32;

/// The key that wraps all data keys. Given by the operator, never stored, never shown.
#[derive(Clone)]
pub struct MasterKey(Arc<SecretBox<[u8; KEY_LEN]>>);

/// The text is not a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the master key is not 32 bytes in hexadecimal or base64")]
pub struct MasterKeyError;

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl MasterKey {
    /// Reads 64 hexadecimal digits or the base64 of 32 bytes; white space around it does not matter.
    pub fn parse(text: &SecretString) -> Result<Self, MasterKeyError> {
        let text = text.expose_secret().trim();
        let mut bytes = if text.len() == 2 * KEY_LEN {
            hex::decode(text).ok()
        } else {
            BASE64_STANDARD.decode(text).ok()
        }
        .ok_or(MasterKeyError)?;
        let key = <[u8; KEY_LEN]>::try_from(bytes.as_slice()).map_err(|_| MasterKeyError);
        bytes.zeroize();
        Ok(Self(Arc::new(SecretBox::new(Box::new(key?)))))
    }

    /// A new random key.
    pub fn generate() -> Result<Self, MasterKeyError> {
        random().map(|key| Self(Arc::new(key))).ok_or(MasterKeyError)
    }

    /// The key in the form that [`MasterKey::parse`] reads, to be written where only Skep can read it.
    pub fn to_text(&self) -> SecretString {
        SecretString::from(hex::encode(self.0.expose_secret()))
    }

    /// A name for the key that tells nothing about it.
    pub(crate) fn id(&self) -> String {
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret()),
            b"skep.dev/master-key-id/v1",
        );
        hex::encode(tag.as_ref().get(..8).unwrap_or_default())
    }

    /// What signs the audit. Its own key, so that a signature says nothing about any other use of the master key.
    pub(crate) fn audit_signer(&self) -> Result<Ed25519KeyPair, StoreError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret());
        let seed = hmac::sign(&key, b"skep.dev/audit-seal-key/v1");
        Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map_err(|_| StoreError::Seal)
    }

    /// Tells equal requests from different ones, for whoever has the key. Each part counts with its length, so that they cannot run into
    /// each other.
    pub(crate) fn request_print(&self, parts: &[&[u8]]) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret());
        let own = hmac::sign(&key, b"skep.dev/request-print-key/v1");
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, own.as_ref()));
        for part in parts {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().to_vec()
    }

    /// Wraps an organisation's data key.
    pub(crate) fn wrap(&self, org_uid: Uid, key: &DataKey) -> Result<Sealed, StoreError> {
        seal(self.0.expose_secret(), &wrap_binding(org_uid), key.0.expose_secret())
    }

    /// The data key that was wrapped for that organisation by this master key.
    pub(crate) fn unwrap(&self, org_uid: Uid, sealed: &Sealed) -> Option<DataKey> {
        let mut bytes = open(self.0.expose_secret(), &wrap_binding(org_uid), sealed)?;
        let key = <[u8; KEY_LEN]>::try_from(bytes.as_slice()).ok();
        bytes.zeroize();
        Some(DataKey(SecretBox::new(Box::new(key?))))
    }
}

/// The key of one organisation.
pub(crate) struct DataKey(SecretBox<[u8; KEY_LEN]>);

/// Where a value belongs.
pub(crate) struct Place<'a> {
    pub(crate) org: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: Uid,
    pub(crate) version: i32,
}

impl Place<'_> {
    // Names hold no slash, so the parts cannot run into each other.
    fn binding(&self) -> Vec<u8> {
        format!("skep.dev/secret/v1/{}/{}/{}/{}", self.org, self.name, self.uid, self.version).into_bytes()
    }
}

/// What is stored of something sealed.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub(crate) nonce: Vec<u8>,
    pub(crate) ciphertext: Vec<u8>,
}

impl DataKey {
    pub(crate) fn generate() -> Result<Self, StoreError> {
        random().map(Self).ok_or(StoreError::Seal)
    }

    /// Seals a value for its place.
    pub(crate) fn seal(&self, place: &Place<'_>, value: &SecretValue) -> Result<Sealed, StoreError> {
        seal(&self.subkey(b"skep.dev/seal/v1"), &place.binding(), value.expose_secret().as_bytes())
    }

    /// Opens what was sealed for that place.
    pub(crate) fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Option<SecretValue> {
        let bytes = open(&self.subkey(b"skep.dev/seal/v1"), &place.binding(), sealed)?;
        String::from_utf8(bytes).ok().map(SecretValue::new)
    }

    /// Tells equal values of one secret from different ones, for whoever has the key.
    pub(crate) fn digest(&self, name: &str, value: &SecretValue) -> Vec<u8> {
        let mut context =
            hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.subkey(b"skep.dev/digest/v1")));
        context.update(name.as_bytes());
        context.update(b"/");
        context.update(value.expose_secret().as_bytes());
        context.sign().as_ref().to_vec()
    }

    fn subkey(&self, label: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret()), label).as_ref().to_vec()
    }
}

fn random() -> Option<SecretBox<[u8; KEY_LEN]>> {
    let mut filled = true;
    let key = SecretBox::init_with_mut(|key: &mut [u8; KEY_LEN]| filled = aws_lc_rs::rand::fill(key).is_ok());
    filled.then_some(key)
}

fn wrap_binding(org_uid: Uid) -> Vec<u8> {
    format!("skep.dev/organization-key/v1/{org_uid}").into_bytes()
}

fn seal(key: &[u8], binding: &[u8], plain: &[u8]) -> Result<Sealed, StoreError> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| StoreError::Seal)?;
    let mut buffer = plain.to_vec();
    let nonce =
        key.seal_in_place_append_tag(Aad::from(binding), &mut buffer).map_err(|_| StoreError::Seal)?;
    Ok(Sealed { nonce: nonce.as_ref().to_vec(), ciphertext: buffer })
}

fn open(key: &[u8], binding: &[u8], sealed: &Sealed) -> Option<Vec<u8>> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let nonce = <[u8; NONCE_LEN]>::try_from(sealed.nonce.as_slice()).ok()?;
    let mut buffer = sealed.ciphertext.clone();
    let length = key.open_in_place(Nonce::from(&nonce), Aad::from(binding), &mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(version: i32, uid: Uid) -> Place<'static> {
        Place { org: "acme", name: "db", uid, version }
    }

    #[test]
    fn a_value_opens_only_in_its_own_place_and_with_its_own_key() {
        let key = DataKey::generate().unwrap();
        let uid = Uid::generate();
        let sealed = key.seal(&place(1, uid), &SecretValue::new("canary".into())).unwrap();
        assert_eq!(key.open(&place(1, uid), &sealed).unwrap().expose_secret(), "canary");
        assert!(key.open(&place(2, uid), &sealed).is_none());
        assert!(key.open(&place(1, Uid::generate()), &sealed).is_none());
        assert!(key.open(&Place { org: "other", ..place(1, uid) }, &sealed).is_none());
        assert!(DataKey::generate().unwrap().open(&place(1, uid), &sealed).is_none());
    }

    #[test]
    fn a_data_key_opens_only_for_its_organisation_and_master_key() {
        let master = MasterKey::generate().unwrap();
        let org = Uid::generate();
        let wrapped = master.wrap(org, &DataKey::generate().unwrap()).unwrap();
        assert!(master.unwrap(org, &wrapped).is_some());
        assert!(master.unwrap(Uid::generate(), &wrapped).is_none());
        assert!(MasterKey::generate().unwrap().unwrap(org, &wrapped).is_none());
    }

    #[test]
    fn equal_values_have_equal_digests_only_under_one_key_and_name() {
        let (one, other) = (DataKey::generate().unwrap(), DataKey::generate().unwrap());
        let value = SecretValue::new("same".into());
        assert_eq!(one.digest("db", &value), one.digest("db", &value.clone()));
        assert_ne!(one.digest("db", &value), one.digest("mail", &value));
        assert_ne!(one.digest("db", &value), other.digest("db", &value));
    }

    #[test]
    fn a_master_key_is_32_bytes_in_one_of_two_forms_and_never_shows_itself() {
        let key = MasterKey::parse(&SecretString::from("ab".repeat(32))).unwrap();
        let same = MasterKey::parse(&SecretString::from(BASE64_STANDARD.encode([0xab; 32]) + "\n")).unwrap();
        assert_eq!(key.id(), same.id());
        assert_eq!(MasterKey::parse(&key.to_text()).unwrap().id(), key.id());
        assert_eq!(format!("{key:?}"), "[REDACTED]");
        for text in ["", "abcd", "zz", &"g".repeat(64)] {
            assert!(MasterKey::parse(&SecretString::from(text)).is_err(), "{text}");
        }
    }
}
