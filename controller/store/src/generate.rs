//! Random values of secrets: made from the randomness of the operating system, each character as likely as any other.

use secrecy::zeroize::Zeroizing;
use skep_schemas::kind::{GenerateSpec, SecretValue};

use crate::error::StoreError;

/// Is what is written going to stay?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// It is: a value is made at random.
    Write,
    /// It is not. Nothing random is made for it, so that two previews of the same are the same.
    Rehearsal,
}

/// A value for that occasion.
pub(crate) fn value(spec: GenerateSpec, occasion: Occasion) -> Result<SecretValue, StoreError> {
    let characters = spec.alphabet.characters();
    let length = usize::try_from(spec.length).map_err(|_| StoreError::Seal)?;
    match occasion {
        Occasion::Write => random(characters, length),
        Occasion::Rehearsal => {
            let first = characters.first().copied().map_or('-', char::from);
            Ok(SecretValue::new(first.to_string().repeat(length)))
        }
    }
}

/// Characters are drawn by the smallest number of bits that counts them; a number beyond the last is drawn again, because a remainder
/// would make the first characters likelier.
fn random(characters: &[u8], length: usize) -> Result<SecretValue, StoreError> {
    let mask = characters.len().next_power_of_two() - 1;
    let mut value = String::with_capacity(length);
    let mut bytes = Zeroizing::new([0; 64]);
    while value.len() < length {
        aws_lc_rs::rand::fill(bytes.as_mut()).map_err(|_| StoreError::Seal)?;
        let drawn = bytes.iter().filter_map(|byte| characters.get(usize::from(*byte) & mask));
        value.extend(drawn.take(length - value.len()).copied().map(char::from));
    }
    Ok(SecretValue::new(value))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::ExposeSecret;
    use skep_schemas::kind::Alphabet;

    use super::*;

    const ALL: [Alphabet; 4] = [Alphabet::Alphanumeric, Alphabet::Hex, Alphabet::Base64url, Alphabet::Digits];

    fn made(length: u32, alphabet: Alphabet) -> String {
        value(GenerateSpec { length, alphabet }, Occasion::Write).unwrap().expose_secret().to_owned()
    }

    #[test]
    fn a_random_value_has_the_length_and_the_characters_that_were_asked_for_and_is_never_the_same_twice() {
        for alphabet in ALL {
            for length in [20, 64, 65, 1024] {
                let (one, other) = (made(length, alphabet), made(length, alphabet));
                assert_eq!(one.len(), usize::try_from(length).unwrap());
                assert!(one.bytes().all(|byte| alphabet.characters().contains(&byte)), "{alphabet:?}");
                assert_ne!(one, other);
            }
        }
    }

    /// 64 values of 1,024 characters: each character is expected some thousand times, with a deviation of about thirty.
    #[test]
    fn each_character_is_as_likely_as_any_other() {
        for alphabet in ALL {
            let mut counts: BTreeMap<u8, u32> = BTreeMap::new();
            for _ in 0..64 {
                made(1024, alphabet).bytes().for_each(|byte| *counts.entry(byte).or_default() += 1);
            }
            let expected = 65_536.0 / f64::from(u32::try_from(alphabet.characters().len()).unwrap());
            assert_eq!(counts.len(), alphabet.characters().len());
            for count in counts.values() {
                assert!(
                    (f64::from(*count) - expected).abs() < 8.0 * expected.sqrt(),
                    "{alphabet:?}: {counts:?}"
                );
            }
        }
    }

    #[test]
    fn a_rehearsal_makes_the_same_value_each_time() {
        let rehearsed = || value(GenerateSpec::default(), Occasion::Rehearsal).unwrap();
        assert_eq!(rehearsed().expose_secret(), rehearsed().expose_secret());
    }
}
