//! `knownHosts`: the keys by which hosts are known, in the form of OpenSSH's file, hashed names included.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};

use crate::error::FetchError;

/// The most lines that are read.
const LINES_MAX: usize = 1000;

/// What a host may prove itself with. No SHA-1.
pub(super) const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// What is known of one host.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownHosts {
    keys: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
}

/// Is a key that of the host?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It is.
    Yes,
    /// Nothing is known of the host.
    No,
    /// Others are.
    Another,
}

impl KnownHosts {
    /// What a text says of a host. A line that cannot be read is an error: somebody believes that it is in force.
    pub(super) fn of(text: &str, host: &str, port: u16) -> Result<Self, FetchError> {
        let wrong = || FetchError::Unusable {
            why: "a line of `knownHosts` is not as OpenSSH has it: NAMES TYPE KEY, as `ssh-keyscan` writes it",
        };
        let name = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
        let mut known = Self::default();
        for line in text.lines().take(LINES_MAX) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let mut word = || words.next().ok_or_else(wrong);
            let first = word()?;
            let (marker, names) = if first.starts_with('@') { (Some(first), word()?) } else { (None, first) };
            let key = PublicKey::from_openssh(&format!("{} {}", word()?, word()?)).map_err(|_| wrong())?;
            if !matches(names, &name) {
                continue;
            }
            match marker {
                None => known.keys.push(key),
                Some("@revoked") => known.revoked.push(key),
                // Certificates of hosts are not asked for.
                Some(_) => {}
            }
        }
        Ok(known)
    }

    /// Is this key the host's?
    pub(super) fn judge(&self, shown: &PublicKey) -> Known {
        let is = |key: &PublicKey| key.key_data() == shown.key_data();
        if self.revoked.iter().any(is) {
            return Known::Another;
        }
        match self.keys.iter().any(is) {
            true => Known::Yes,
            false if self.keys.is_empty() => Known::No,
            false => Known::Another,
        }
    }

    /// What the host is asked to prove itself with: what it is known by.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let sort = |algorithm: &Algorithm| match algorithm {
            Algorithm::Rsa { .. } => Algorithm::Rsa { hash: None },
            other => other.clone(),
        };
        let known: Vec<Algorithm> = self.keys.iter().map(|key| sort(&key.algorithm())).collect();
        ALGORITHMS.into_iter().filter(|algorithm| known.contains(&sort(algorithm))).collect()
    }
}

/// Does a list of names name this one?
fn matches(names: &str, name: &str) -> bool {
    let mut found = false;
    for pattern in names.split(',') {
        match pattern.strip_prefix('!') {
            Some(but) if fits(but, name) => return false,
            Some(_) => {}
            None => found |= hashed(pattern, name).unwrap_or_else(|| fits(pattern, name)),
        }
    }
    found
}

/// Is it a digest, and that of this name?
fn hashed(pattern: &str, name: &str) -> Option<bool> {
    let (salt, digest) = pattern.strip_prefix("|1|")?.split_once('|')?;
    let (salt, digest) = (STANDARD.decode(salt).ok()?, STANDARD.decode(digest).ok()?);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    Some(hmac::verify(&key, name.as_bytes(), &digest).is_ok())
}

/// `*` stands for anything, `?` for one letter.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.as_bytes());
    // Where in the pattern a match may have come to, after each letter of the name.
    let mut at = vec![false; pattern.len() + 1];
    let spread = |at: &mut Vec<bool>| {
        for (index, letter) in pattern.bytes().enumerate() {
            if letter == b'*'
                && at.get(index) == Some(&true)
                && let Some(next) = at.get_mut(index + 1)
            {
                *next = true;
            }
        }
    };
    if let Some(first) = at.first_mut() {
        *first = true;
    }
    spread(&mut at);
    for letter in name {
        let mut next = vec![false; at.len()];
        for (index, wanted) in pattern.bytes().enumerate() {
            if at.get(index) != Some(&true) {
                continue;
            }
            let step = if wanted == b'*' { index } else { index + 1 };
            if (wanted == b'*' || wanted == b'?' || wanted == *letter)
                && let Some(to) = next.get_mut(step)
            {
                *to = true;
            }
        }
        spread(&mut next);
        at = next;
    }
    at.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn judged(text: &str, host: &str, port: u16) -> Known {
        KnownHosts::of(text, host, port).unwrap().judge(&PublicKey::from_openssh(ONE).unwrap())
    }

    #[test]
    fn a_host_is_known_by_its_name_its_port_and_its_key() {
        assert_eq!(judged(&format!("git.example {ONE}"), "git.example", 22), Known::Yes);
        assert_eq!(
            judged(&format!("# all\n\nother,git.example {ONE} a comment"), "git.example", 22),
            Known::Yes
        );
        assert_eq!(judged(&format!("git.example {ONE}"), "git.example", 2222), Known::No);
        assert_eq!(judged(&format!("[git.example]:2222 {ONE}"), "git.example", 2222), Known::Yes);
        assert_eq!(judged(&format!("git.example {OTHER}"), "git.example", 22), Known::Another);
        assert_eq!(judged(&format!("git.example {OTHER}\ngit.example {ONE}"), "git.example", 22), Known::Yes);
        assert_eq!(judged(&format!("*.example {ONE}"), "git.example", 22), Known::Yes);
        assert_eq!(judged(&format!("*.example,!git.example {ONE}"), "git.example", 22), Known::No);
        assert_eq!(judged(&format!("g?t.* {ONE}"), "git.example", 22), Known::Yes);
        assert_eq!(judged("", "git.example", 22), Known::No);
        let revoked = format!("git.example {ONE}\n@revoked git.example {ONE}");
        assert_eq!(judged(&revoked, "git.example", 22), Known::Another);
        assert_eq!(judged(&format!("@cert-authority * {ONE}"), "git.example", 22), Known::No);
    }

    #[test]
    fn names_may_be_digests() {
        let salt = STANDARD.encode("a salt of twenty byt");
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"a salt of twenty byt");
        let digest = STANDARD.encode(hmac::sign(&key, b"git.example"));
        let line = format!("|1|{salt}|{digest} {ONE}");
        assert_eq!(judged(&line, "git.example", 22), Known::Yes);
        assert_eq!(judged(&line, "other.example", 22), Known::No);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_not_passed_over() {
        for wrong in
            ["git.example", "git.example ssh-ed25519", "git.example ssh-ed25519 AAAA", "@revoked git.example"]
        {
            assert!(KnownHosts::of(wrong, "git.example", 22).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_host_proves_itself_with_what_it_is_known_by() {
        let known = KnownHosts::of(&format!("git.example {ONE}"), "git.example", 22).unwrap();
        assert_eq!(known.algorithms(), [Algorithm::Ed25519]);
        assert!(KnownHosts::default().algorithms().is_empty());
    }
}
