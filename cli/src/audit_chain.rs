//! Is the audit still what it was when it was made?
//!
//! Fed with the chain page by page, a [`Check`] computes every link again, compares seals with the entries they are on, and compares
//! the place where the last check ended with what is there now. It trusts nothing of what the server says about itself: a link is
//! right if it follows from the one before, a seal if its signature is that of the key that is remembered from the first check, or of one
//! that this key, or one that follows from it, has signed as its successor. There is no way back to a former key.

use serde::{Deserialize, Serialize};
use skep_api::wire::{AuditChainView, AuditSealView};

/// What one check leaves to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Remembered {
    /// The installation.
    pub(crate) instance: String,
    /// The number of the last entry.
    pub(crate) position: i64,
    /// Its link.
    pub(crate) link: String,
    /// The key of the seals, once one was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public_key: Option<String>,
}

/// A check under way.
pub(crate) struct Check {
    remembered: Option<Remembered>,
    at: Option<Place>,
    public_key: Option<String>,
    entries: u64,
    seals: u64,
    findings: Vec<String>,
}

struct Place {
    instance: String,
    position: i64,
    link: String,
}

/// What a check came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    pub(crate) instance: String,
    /// Entries that were looked at.
    pub(crate) entries: u64,
    /// The number of the last one.
    pub(crate) position: i64,
    pub(crate) link: String,
    /// Seals that were looked at.
    pub(crate) seals: u64,
    /// What is not as it has to be.
    pub(crate) findings: Vec<String>,
    /// For the next check; nothing if something was found.
    #[serde(skip)]
    pub(crate) remember: Option<Remembered>,
}

impl Check {
    /// One that goes on where an earlier one ended.
    pub(crate) fn new(remembered: Option<Remembered>) -> Self {
        let public_key = remembered.as_ref().and_then(|remembered| remembered.public_key.clone());
        Self { remembered, at: None, public_key, entries: 0, seals: 0, findings: Vec::new() }
    }

    /// After which entry the next page has to begin.
    pub(crate) fn position(&self) -> i64 {
        let place = self.at.as_ref().map(|place| place.position);
        place.or(self.remembered.as_ref().map(|remembered| remembered.position)).unwrap_or(0)
    }

    /// Is it known already that something is wrong?
    pub(crate) const fn is_broken(&self) -> bool {
        !self.findings.is_empty()
    }

    /// Takes the next page.
    pub(crate) fn page(&mut self, page: &AuditChainView) {
        let mut at = match self.at.take() {
            Some(at) => at,
            None => self.begin(page),
        };
        if page.position < at.position {
            self.findings.push(format!(
                "the audit ends with number {}, and number {} was there: its end was cut off",
                page.position, at.position
            ));
        }
        if self.entries == 0 {
            self.check_seals(page, &at);
        }
        for entry in &page.items {
            let number = at.position + 1;
            if entry.position != Some(number) {
                self.findings.push(format!("number {number} is missing"));
                break;
            }
            let link = hex::encode(entry.link_after(&hex::decode(&at.link).unwrap_or_default(), number));
            if entry.link.as_ref() != Some(&link) {
                let Place { position, .. } = at;
                self.findings.push(format!(
                    "number {number} ({} {} at {}) does not follow from number {position}: one of them was changed",
                    entry.actor, entry.verb, entry.at
                ));
                break;
            }
            self.entries += 1;
            at = Place { position: number, link, ..at };
            self.check_seals(page, &at);
        }
        if page.items.is_empty()
            && !self.is_broken()
            && (page.position, &page.link) != (at.position, &at.link)
        {
            self.findings.push(format!(
                "the audit is said to end with number {}, and ends with {}",
                page.position, at.position
            ));
        }
        self.at = Some(at);
    }

    /// Where the walk begins: where the last check ended, or with the oldest entry that is kept.
    fn begin(&mut self, page: &AuditChainView) -> Place {
        let instance = page.instance.clone();
        let floor = Place {
            instance: instance.clone(),
            position: page.floor_position,
            link: page.floor_link.clone(),
        };
        let Some(remembered) = &self.remembered else { return floor };
        if remembered.instance != instance {
            self.findings.push(format!(
                "this is installation {instance}, and the last check was of {}",
                remembered.instance
            ));
        }
        if remembered.position < page.floor_position {
            // What was checked last needed not be kept any longer.
            return floor;
        }
        Place { instance, position: remembered.position, link: remembered.link.clone() }
    }

    fn check_seals(&mut self, page: &AuditChainView, at: &Place) {
        for seal in page.seals.iter().filter(|seal| seal.position == at.position) {
            self.seals += 1;
            if !seal.is_genuine(&at.instance) {
                self.findings.push(format!("the seal on number {} is not genuine", seal.position));
            }
            if seal.link != at.link {
                self.findings.push(format!(
                    "number {} is not what was sealed at {}: the audit was written anew up to there",
                    seal.position, seal.sealed_at
                ));
            }
            match &self.public_key {
                Some(known) if !follows(page, known, seal) => self.findings.push(format!(
                    "the seal on number {} is of another key than those before, which did not name it as the next",
                    seal.position
                )),
                _ => self.public_key = Some(seal.public_key.clone()),
            }
        }
    }

    /// What it came to.
    pub(crate) fn end(self) -> Found {
        let at = self.at.unwrap_or(Place { instance: String::new(), position: 0, link: String::new() });
        let remember = self.findings.is_empty().then(|| Remembered {
            instance: at.instance.clone(),
            position: at.position,
            link: at.link.clone(),
            public_key: self.public_key,
        });
        Found {
            instance: at.instance,
            entries: self.entries,
            position: at.position,
            link: at.link,
            seals: self.seals,
            findings: self.findings,
            remember,
        }
    }
}

/// Is the key of a seal the known one, or does it follow from that?
fn follows(page: &AuditChainView, known: &str, seal: &AuditSealView) -> bool {
    let mut key = seal.public_key.as_str();
    // No longer than there are keys, or what is sent could lead in a circle.
    for _ in 0..=page.keys.len() {
        if key == known {
            return true;
        }
        let listed = page.keys.iter().find(|listed| listed.public_key == key);
        // A key that counts only from a later place on has sealed nothing before.
        let listed = listed.filter(|listed| listed.after_position <= seal.position);
        let Some(before) = listed.and_then(|listed| listed.predecessor(&page.instance)) else { return false };
        key = before;
    }
    false
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use jiff::Timestamp;
    use skep_api::wire::{AuditKeyView, AuditOutcome, AuditView};
    use skep_store::{AuditKey, AuditSeal};

    use super::*;

    const FLOOR: &str = "aa";

    fn chain(actors: &[&str]) -> AuditChainView {
        let mut link = FLOOR.to_owned();
        let mut items = Vec::new();
        for (position, actor) in (1..).zip(actors) {
            let mut entry = AuditView {
                id: position,
                position: Some(position),
                at: Timestamp::UNIX_EPOCH,
                outcome: AuditOutcome::Allowed,
                actor: (*actor).to_owned(),
                acting_as: None,
                peer: None,
                request_id: None,
                verb: "create".to_owned(),
                org: Some("acme".to_owned()),
                kind: "App".to_owned(),
                name: "shop".to_owned(),
                uid: "00000000-0000-0000-0000-000000000000".to_owned(),
                generation: 1,
                before: None,
                after: None,
                link: None,
            };
            link = hex::encode(entry.link_after(&hex::decode(&link).unwrap(), position));
            entry.link = Some(link.clone());
            items.push(entry);
        }
        AuditChainView {
            instance: "i".to_owned(),
            position: i64::try_from(actors.len()).unwrap(),
            link,
            floor_position: 0,
            floor_link: FLOOR.to_owned(),
            items,
            seals: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Gives a check the chain in pages of two.
    fn checked(remembered: Option<Remembered>, chain: &AuditChainView) -> Found {
        let mut check = Check::new(remembered);
        loop {
            let after = check.position();
            let rest =
                chain.items.iter().filter(|entry| entry.position.is_some_and(|position| position > after));
            let page = AuditChainView { items: rest.take(2).cloned().collect(), ..chain.clone() };
            check.page(&page);
            if page.items.is_empty() || check.is_broken() {
                return check.end();
            }
        }
    }

    #[test]
    fn a_chain_as_it_was_made_is_in_order_and_the_next_check_goes_on_from_its_end() {
        let found = checked(None, &chain(&["a", "b", "c"]));
        assert_eq!((found.entries, found.position, found.findings.len()), (3, 3, 0));
        let more = checked(found.remember, &chain(&["a", "b", "c", "d"]));
        assert_eq!((more.entries, more.position, more.findings.len()), (1, 4, 0));
    }

    fn signer(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn public(key: &Ed25519KeyPair) -> String {
        hex::encode(key.public_key().as_ref())
    }

    fn seal(key: &Ed25519KeyPair, chain: &AuditChainView, position: usize) -> AuditSealView {
        let link = chain.items[position - 1].link.clone().unwrap();
        let place = i64::try_from(position).unwrap();
        let message = AuditSeal::message(&chain.instance, place, &hex::decode(&link).unwrap());
        AuditSealView {
            position: place,
            link,
            sealed_at: Timestamp::UNIX_EPOCH,
            public_key: public(key),
            signature: hex::encode(key.sign(message.as_bytes()).as_ref()),
        }
    }

    fn named(by: &Ed25519KeyPair, key: &Ed25519KeyPair, after_position: i64) -> AuditKeyView {
        let message = AuditKey::message("i", after_position, key.public_key().as_ref());
        AuditKeyView {
            public_key: public(key),
            after_position,
            endorsed_by: Some(public(by)),
            endorsement: Some(hex::encode(by.sign(message.as_bytes()).as_ref())),
        }
    }

    #[test]
    fn a_key_of_seals_counts_only_if_the_one_before_named_it() {
        let (first, second, third, stranger) = (signer(1), signer(2), signer(3), signer(4));
        let mut good = chain(&["a", "b", "c", "d"]);
        good.seals = vec![seal(&first, &good, 1), seal(&second, &good, 2), seal(&third, &good, 4)];
        good.keys = vec![named(&first, &second, 1), named(&second, &third, 3)];
        let found = checked(None, &good);
        assert!(found.findings.is_empty(), "{:?}", found.findings);
        assert_eq!((found.seals, found.remember.unwrap().public_key), (3, Some(public(&third))));
        // One that was away meanwhile gets from the first to the third at once.
        let mut later = good.clone();
        later.seals.remove(1);
        assert!(checked(None, &later).findings.is_empty());

        let wrong = |change: &dyn Fn(&mut AuditChainView)| {
            let mut chain = good.clone();
            change(&mut chain);
            checked(None, &chain).findings
        };
        // The former key after the next, a stranger, one who names himself, another's signature, too early a place, a circle.
        let cases: [Vec<String>; 6] = [
            wrong(&|chain| chain.seals.push(seal(&first, chain, 3))),
            wrong(&|chain| chain.seals[1] = seal(&stranger, chain, 2)),
            wrong(&|chain| {
                chain.seals[1] = seal(&stranger, chain, 2);
                chain.keys.push(named(&stranger, &stranger, 1));
            }),
            wrong(&|chain| chain.keys[0].endorsement = named(&stranger, &second, 1).endorsement),
            wrong(&|chain| chain.keys[0] = named(&first, &second, 3)),
            wrong(&|chain| chain.keys = vec![named(&second, &third, 1), named(&third, &second, 1)]),
        ];
        for (case, findings) in cases.iter().enumerate() {
            assert!(
                findings.iter().any(|finding| finding.contains("of another key")),
                "{case}: {findings:?}"
            );
        }
    }

    #[test]
    fn a_changed_a_missing_and_an_added_entry_are_found_by_number() {
        let good = chain(&["a", "b", "c", "d"]);
        let mut changed = good.clone();
        changed.items[1].actor = "x".to_owned();
        let mut missing = good.clone();
        missing.items.remove(2);
        let mut longer = good.clone();
        longer.position = 5;
        for (chain, word) in
            [(&changed, "number 2"), (&missing, "number 3 is missing"), (&longer, "ends with 4")]
        {
            let found = checked(None, chain);
            assert!(
                found.findings.iter().any(|finding| finding.contains(word)),
                "{word}: {:?}",
                found.findings
            );
            assert!(found.remember.is_none());
        }
    }

    #[test]
    fn what_was_remembered_shows_a_cut_end_and_a_chain_that_was_written_anew() {
        let remembered = checked(None, &chain(&["a", "b", "c"])).remember;
        let cut = checked(remembered.clone(), &chain(&["a", "b"]));
        assert!(cut.findings.iter().any(|finding| finding.contains("cut off")), "{:?}", cut.findings);
        let anew = checked(remembered.clone(), &chain(&["a", "x", "c", "d"]));
        assert!(
            anew.findings.iter().any(|finding| finding.contains("does not follow")),
            "{:?}",
            anew.findings
        );
        let other = AuditChainView { instance: "j".to_owned(), ..chain(&["a", "b", "c"]) };
        assert!(!checked(remembered, &other).findings.is_empty());
    }
}
