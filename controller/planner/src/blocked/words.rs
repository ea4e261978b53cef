//! What people read about a block: what is the matter, and what to do about it.
//!
//! A sentence has two halves. The first says what is so, the second what to do; for what passes without anybody, it says what it
//! waits for. `one_of_each` gives an example of every variant, so that tests can hold all of them to that.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;

use super::Blocked;
use crate::drift::CONTESTED_AFTER;
use crate::release::ReleaseVersion;

impl Blocked {
    /// What to do about it; for what passes by itself, when it does.
    pub fn what_to_do(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::ReferenceMissing { .. } => "apply it, or refer to another",
            Self::ReferenceUnresolved { .. } => "apply what it names, or change the variable",
            Self::DependencyNotReady { .. } => "it goes on by itself once that is there",
            Self::SecretMissing { .. } => "apply a Secret of that name with its value",
            Self::EntryPointMissing { .. } => {
                "add `entrypoint` with the program that the image starts (`docker image inspect` tells), or take `env` from the secrets"
            }
            Self::ProcessInvalid { .. } => "take it out of the one or the other",
            Self::ImageUnresolved { .. } => "push it or name another, then run `skep retry`",
            Self::PasswordMissing { .. } => "apply a Secret of that name with the password as its value",
            Self::RegistryDenied { credential: Some(_), .. } => {
                "see that the image is there and this user may pull it, or change the password with `skep secrets rotate`; then run `skep retry`"
            }
            Self::RegistryDenied { credential: None, .. } => {
                "apply a RegistryCredential for it, or name an image that is there for everybody"
            }
            Self::QuotaExceeded { .. } => "ask for less, or choose a larger plan",
            Self::PolicyDenied { .. } => "ask for what is allowed, or have the policy changed",
            Self::WouldNeverSchedule { .. } => "add such a node, or ask for one that is there",
            Self::ReleaseFailed { .. } | Self::ReleaseCancelled { .. } => {
                "change the spec or run `skep retry` to try again"
            }
            // A secret is never taken over, because its value cannot be read.
            Self::ForeignObject { object } if object.starts_with("secret ") => "remove or rename it",
            Self::ForeignObject { .. } => "remove or rename it, or take it over with `skep adopt`",
            Self::NetworkOutdated { .. } => {
                "delete the organisation's environments, so that it is made anew, or name another plan"
            }
            Self::LinkNotAllowed { .. } => {
                "ask the platform for a plan with `links` in its quota, whose tier takes links"
            }
            Self::LinkNotAgreed { .. } => {
                "ask its organisation to name yours in the `ingress` of a NetworkPolicy, and see that each side has an environment"
            }
            Self::ForwarderMissing => {
                "ask the platform to name Skep's image with `skep serve --forward-image`"
            }
            Self::NetworkPoolExhausted => {
                "delete an organisation, or enlarge the pool with `skep serve --network-pool`"
            }
            Self::EdgeAddressesExhausted { .. } => "run fewer tasks of the edge",
            Self::Unobserved { .. } => "nothing is changed until it can be, then it goes on by itself",
            Self::WaitingForDependents { .. } => {
                "it goes on by itself when they are deleted or no longer refer to it"
            }
            Self::StillInUse { .. } => "it goes on by itself once that is over",
            Self::RouteInvalid { .. } => "name a process and a port that the app has",
            Self::UpdateInProgress { .. } => "it goes on by itself then",
            Self::StepFailed { retried: true, .. } => "it will be tried again by itself",
            Self::StepFailed { retried: false, .. } => "change the spec or run `skep retry` to try again",
            Self::NotKept { .. } => {
                "take the change back, declare these fields ignored in a DriftPolicy, or run `skep retry`"
            }
            Self::Paused { until: Some(_), .. } => "`skep resume` ends it earlier",
            Self::Paused { until: None, .. } => "it lasts until `skep resume`",
            Self::SafetyHold { hold: 0, .. } => "if it is meant, delete with --confirm-removal",
            Self::SafetyHold { hold, .. } => {
                return Cow::Owned(format!("look into it, then run `skep confirm {hold}`"));
            }
            Self::Contested { .. } => {
                "stop it, declare these fields ignored in a DriftPolicy, or run `skep retry`"
            }
            Self::SpecTooLarge { .. } => "move data into secrets or volumes",
        })
    }

    /// Several at once: what is to be done is said once behind all in a row that ask for the same.
    pub fn sentences(all: &[&Self]) -> String {
        let mut text = String::new();
        for same in all.chunk_by(|one, next| one.what_to_do() == next.what_to_do()) {
            for blocked in same {
                text.push_str(&format!("{}; ", WhatIsSo(blocked)));
            }
            let advice = same.first().map(|first| first.what_to_do());
            text.push_str(&format!("{}; ", advice.unwrap_or_default()));
        }
        text.trim_end_matches("; ").to_owned()
    }

    /// Without what to do about it.
    pub fn what_is_so(&self) -> String {
        WhatIsSo(self).to_string()
    }

    fn say_what_is_so(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReferenceMissing { resource } => write!(f, "{resource} does not exist"),
            Self::ReferenceUnresolved { variable, why } => {
                write!(f, "variable {variable} is not known: {why}")
            }
            Self::DependencyNotReady { resource, why } => write!(f, "waiting for {resource}: {why}"),
            Self::SecretMissing { name } => write!(f, "secret {name} does not exist or has no value"),
            Self::EntryPointMissing { process } => {
                write!(f, "process {process} takes a secret as a variable and does not say what it starts")
            }
            Self::ProcessInvalid { process, why } => {
                write!(f, "process {process} of app and environment together {why}")
            }
            Self::ImageUnresolved { image, why } => write!(f, "image {image} cannot be resolved: {why}"),
            Self::PasswordMissing { credential, secret } => {
                write!(
                    f,
                    "RegistryCredential/{credential} has no password: Secret/{secret} does not exist or has no value"
                )
            }
            Self::RegistryDenied { registry, image, credential: Some(credential), why } => {
                write!(f, "{registry} does not give {image} to RegistryCredential/{credential}: {why}")
            }
            Self::RegistryDenied { registry, image, credential: None, why } => {
                write!(f, "{registry} does not give {image} to just anybody: {why}")
            }
            Self::QuotaExceeded { what } => f.write_str(what),
            Self::PolicyDenied { policy, why, stopped: true } => {
                write!(f, "{policy} does not allow {why}, and stopped it")
            }
            Self::PolicyDenied { policy, why, stopped: false } => write!(f, "{policy} does not allow {why}"),
            Self::WouldNeverSchedule { why } | Self::StepFailed { why, .. } => f.write_str(why),
            Self::ReleaseFailed { release, rolled_back: true, why } => {
                write!(f, "release {release} failed and was rolled back: {why}")
            }
            Self::ReleaseFailed { release, rolled_back: false, why } => {
                write!(f, "release {release} failed: {why}")
            }
            Self::ReleaseCancelled { release, rolled_back: true, why } => {
                write!(f, "release {release} was {why}, and what ran before it runs")
            }
            Self::ReleaseCancelled { release, rolled_back: false, why } => {
                write!(f, "release {release} was {why}, and nothing ran before it")
            }
            Self::ForeignObject { object } => {
                write!(f, "{object} exists and was not made for this resource")
            }
            Self::NetworkOutdated { object, why } => write!(f, "{object} {why}"),
            Self::LinkNotAllowed { org } => write!(f, "{org} may not be linked with other organisations"),
            Self::LinkNotAgreed { target } => write!(f, "{target} is not offered to this organisation"),
            Self::ForwarderMissing => f.write_str("this server has no program for links"),
            Self::NetworkPoolExhausted => f.write_str("no free subnet is left in the network pool"),
            Self::EdgeAddressesExhausted { subnet } => write!(f, "no free edge address is left in {subnet}"),
            Self::Unobserved { what, why } => write!(f, "{what} could not be read: {why}"),
            Self::WaitingForDependents { who } => write!(f, "waiting until {who} are gone"),
            Self::StillInUse { object, by } => write!(f, "{object} is still used by {by}"),
            Self::RouteInvalid { domain, why } => write!(f, "domain {domain} cannot be routed: {why}"),
            Self::UpdateInProgress { object } => {
                write!(f, "a change of {object} that restarts nothing waits until its roll-out is over")
            }
            Self::NotKept { object, pointers } => {
                write!(
                    f,
                    "the engine does not keep {} of {object}; it is not asked again",
                    pointers.join(", ")
                )
            }
            Self::Paused { resource, by, why, until: Some(until) } => {
                write!(f, "{resource} was paused by {by} until {until}: {why}")
            }
            Self::Paused { resource, by, why, until: None } => {
                write!(f, "{resource} was paused by {by}: {why}")
            }
            Self::SafetyHold { hold: 0, why } => write!(f, "it would be held: {why}"),
            Self::SafetyHold { why, .. } => write!(f, "on hold: {why}"),
            Self::Contested { object, pointers, rounds } if *rounds < CONTESTED_AFTER => {
                write!(
                    f,
                    "another writer or the engine undoes what Skep sets at {} of {object}",
                    pointers.join(", ")
                )
            }
            Self::Contested { object, pointers, rounds } => {
                write!(
                    f,
                    "another writer changes {} of {object} again and again ({rounds} corrections in a row)",
                    pointers.join(", ")
                )
            }
            Self::SpecTooLarge { object, bytes } => {
                write!(f, "{object} would need {bytes} bytes; the engine can update at most 600000")
            }
        }
    }
}

/// The first half of a sentence.
struct WhatIsSo<'a>(&'a Blocked);

impl fmt::Display for WhatIsSo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.say_what_is_so(f)
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", WhatIsSo(self), self.what_to_do())
    }
}

/// Gives the examples, and does not compile when a variant has none.
macro_rules! examples {
    ($($variant:ident { $($field:ident: $value:expr),* },)*) => {{
        #[expect(unreachable_patterns, reason = "variants with several sentences have several examples")]
        const fn every_variant_has_one(blocked: &Blocked) {
            match blocked { $(Blocked::$variant { .. } => (),)* }
        }
        let examples = vec![$(Blocked::$variant { $($field: $value),* },)*];
        examples.iter().for_each(every_variant_has_one);
        examples
    }};
}

/// An example of every variant, and of every sentence of it, made of one word, one number and one time: for whoever has to cover all
/// of them.
pub fn one_of_each(word: &str, number: u32, time: Timestamp) -> Vec<Blocked> {
    let text = || word.to_owned();
    let pointers = || vec![word.to_owned()];
    let release = ReleaseVersion::new(number);
    examples! {
        ReferenceMissing { resource: text() },
        ReferenceUnresolved { variable: text(), why: text() },
        DependencyNotReady { resource: text(), why: text() },
        SecretMissing { name: text() },
        EntryPointMissing { process: text() },
        ProcessInvalid { process: text(), why: text() },
        ImageUnresolved { image: text(), why: text() },
        PasswordMissing { credential: text(), secret: text() },
        RegistryDenied { registry: text(), image: text(), credential: Some(text()), why: text() },
        RegistryDenied { registry: text(), image: text(), credential: None, why: text() },
        QuotaExceeded { what: text() },
        PolicyDenied { policy: text(), why: text(), stopped: false },
        PolicyDenied { policy: text(), why: text(), stopped: true },
        WouldNeverSchedule { why: text() },
        ReleaseFailed { release: release, rolled_back: true, why: text() },
        ReleaseFailed { release: release, rolled_back: false, why: text() },
        ReleaseCancelled { release: release, rolled_back: true, why: text() },
        ReleaseCancelled { release: release, rolled_back: false, why: text() },
        ForeignObject { object: text() },
        NetworkOutdated { object: text(), why: text() },
        LinkNotAllowed { org: text() },
        LinkNotAgreed { target: text() },
        ForwarderMissing {},
        NetworkPoolExhausted {},
        EdgeAddressesExhausted { subnet: text() },
        Unobserved { what: text(), why: text() },
        WaitingForDependents { who: text() },
        StillInUse { object: text(), by: text() },
        RouteInvalid { domain: text(), why: text() },
        UpdateInProgress { object: text() },
        StepFailed { object: text(), why: text(), retried: true },
        StepFailed { object: text(), why: text(), retried: false },
        NotKept { object: text(), pointers: pointers() },
        Paused { resource: text(), by: text(), why: text(), until: Some(time) },
        Paused { resource: text(), by: text(), why: text(), until: None },
        SafetyHold { hold: i64::from(number), why: text() },
        SafetyHold { hold: 0, why: text() },
        Contested { object: text(), pointers: pointers(), rounds: number },
        SpecTooLarge { object: text(), bytes: u64::from(number) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Blocked> {
        one_of_each("X", 7, Timestamp::UNIX_EPOCH)
    }

    /// The words with which a sentence asks somebody to act.
    const ASKS: [&str; 15] = [
        "add", "apply", "ask", "change", "choose", "delete", "enlarge", "look", "move", "name", "push",
        "remove", "run", "stop", "take",
    ];

    #[test]
    fn every_sentence_ends_with_what_to_do() {
        for blocked in all() {
            let advice = blocked.what_to_do();
            assert!(blocked.to_string().ends_with(&format!("; {advice}")), "{blocked}");
        }
    }

    #[test]
    fn what_passes_by_itself_says_so_and_anything_else_asks_somebody_to_act() {
        for blocked in all() {
            let advice = blocked.what_to_do();
            assert_eq!(advice.contains("by itself"), blocked.passes_by_itself(), "{blocked}");
            let asks = advice.contains("`skep ") || advice.split([' ', ',']).any(|word| ASKS.contains(&word));
            assert!(asks || blocked.passes_by_itself(), "{blocked}");
        }
    }

    #[test]
    fn several_sentences_say_once_what_is_the_same_to_do() {
        let missing = |name: &str| Blocked::SecretMissing { name: name.to_owned() };
        let (a, b, other) = (missing("a"), missing("b"), Blocked::NetworkPoolExhausted);
        let text = Blocked::sentences(&[&a, &b, &other]);
        assert_eq!(text.matches(&*a.what_to_do()).count(), 1, "{text}");
        assert!(
            text.starts_with("secret a ")
                && text.contains("; secret b ")
                && text.ends_with(&other.to_string())
        );
        assert_eq!(Blocked::sentences(&[&a]), a.to_string());
    }

    #[test]
    fn a_foreign_object_may_be_adopted_unless_it_is_a_secret() {
        let advice = |object: &str| Blocked::ForeignObject { object: object.to_owned() }.what_to_do();
        assert!(advice("service shop").contains("`skep adopt`"));
        assert!(!advice("secret token").contains("adopt"));
    }
}
