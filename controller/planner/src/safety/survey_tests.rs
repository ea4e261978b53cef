use super::*;

const OWNER: &str = "5f0c1c84-1c1e-4f6e-9f5d-2b1f4c5d6e7f";

struct World {
    instance: InstanceId,
    epoch: &'static str,
    claim: Option<Claim>,
    found: Vec<FoundObject>,
    inventory: BTreeSet<ObjectRef>,
    orphans: BTreeSet<String>,
    releases: BTreeMap<Uid, ReleaseVersion>,
    consents: Vec<Consent>,
}

/// Our instance over an empty Swarm that nobody has claimed.
fn world() -> World {
    World {
        instance: InstanceId::new("ours"),
        epoch: "e1",
        claim: None,
        found: Vec::new(),
        inventory: BTreeSet::new(),
        orphans: BTreeSet::new(),
        releases: BTreeMap::new(),
        consents: Vec::new(),
    }
}

impl World {
    fn claimed(mut self, instance: &str, epoch: &str) -> Self {
        self.claim = Some(claim(instance, epoch));
        self
    }

    fn with(mut self, instance: &str, name: &str, release: &str) -> Self {
        let labels = [(LABEL_INSTANCE, instance), (LABEL_UID, OWNER), (LABEL_RELEASE, release)]
            .map(|(k, v)| (k.into(), v.into()));
        let object = ObjectRef::new(ObjectKind::Service, name);
        self.found.push(FoundObject {
            object,
            id: format!("id-{name}"),
            labels: labels.into_iter().collect(),
        });
        self
    }

    /// The same with an inventory that has everything that is there, and a release.
    fn known(mut self, release: u32) -> Self {
        self.inventory = self.found.iter().map(|found| found.object.clone()).collect();
        self.releases.insert(OWNER.parse().unwrap(), ReleaseVersion::new(release));
        self
    }

    fn consenting(mut self, reason: HoldReason, subject: &str) -> Self {
        self.consents.push(Consent { reason, subject: subject.to_owned() });
        self
    }

    fn verdict(&self) -> Verdict {
        survey(&Survey {
            instance: &self.instance,
            epoch: self.epoch,
            claim: self.claim.as_ref(),
            found: &self.found,
            inventory: &self.inventory,
            orphans: &self.orphans,
            releases: &self.releases,
            consents: &self.consents,
        })
    }

    fn holds(&self, reason: HoldReason) -> bool {
        matches!(self.verdict(), Verdict::Hold(finding) if finding.reason == reason)
    }
}

fn claim(instance: &str, epoch: &str) -> Claim {
    Claim { instance: InstanceId::new(instance), epoch: epoch.to_owned() }
}

#[test]
fn a_swarm_of_nobody_is_claimed_also_when_our_own_objects_are_there() {
    assert_eq!(world().verdict(), Verdict::Claim(claim("ours", "e1")));
    assert_eq!(world().with("ours", "a", "v1").verdict(), Verdict::Claim(claim("ours", "e1")));
}

#[test]
fn objects_of_another_instance_in_an_unclaimed_swarm_are_a_hold_that_names_them() {
    let held = world().with("theirs", "a", "v1");
    let Verdict::Hold(finding) = held.verdict() else { panic!("no hold") };
    assert_eq!((finding.reason, finding.subject.as_str()), (HoldReason::SecondInstance, "theirs"));
    assert_eq!(finding.evidence, ["service a"]);
    assert!(finding.why.contains("theirs") && finding.why.contains("ours"), "{}", finding.why);
}

#[test]
fn another_ones_claim_is_a_hold_even_over_an_empty_swarm() {
    assert!(world().claimed("theirs", "e9").holds(HoldReason::SecondInstance));
    assert!(
        world().claimed("", "").holds(HoldReason::SecondInstance),
        "a claim that says nothing is not ours"
    );
}

#[test]
fn our_claim_decides_and_what_another_instance_left_behind_is_only_not_touched() {
    assert_eq!(world().claimed("ours", "e1").with("theirs", "a", "v1").verdict(), Verdict::Ours);
}

#[test]
fn taking_over_needs_consent_to_this_very_instance() {
    let held = || world().claimed("theirs", "e9").with("theirs", "a", "v1");
    let other = held().consenting(HoldReason::SecondInstance, "someone-else");
    assert!(other.holds(HoldReason::SecondInstance));
    let agreed = held().consenting(HoldReason::SecondInstance, "theirs");
    assert_eq!(agreed.verdict(), Verdict::Renew(claim("ours", "e1")));
    let unclaimed = world().with("theirs", "a", "v1").consenting(HoldReason::SecondInstance, "theirs");
    assert_eq!(unclaimed.verdict(), Verdict::Claim(claim("ours", "e1")));
}

#[test]
fn a_failover_that_lost_nothing_only_renews_the_claim() {
    let moved = world().claimed("ours", "e0").with("ours", "a", "v3").known(3);
    assert_eq!(moved.verdict(), Verdict::Renew(claim("ours", "e1")));
}

#[test]
fn a_newer_release_than_the_newest_known_is_evidence_of_an_old_database() {
    let restored = world().claimed("ours", "e0").with("ours", "a", "v4").known(3);
    let Verdict::Hold(finding) = restored.verdict() else { panic!("no hold") };
    assert_eq!(finding.reason, HoldReason::RestoredDatabase);
    assert_eq!(finding.evidence, ["service a runs v4, the newest known is v3"]);
    let same_epoch = world().claimed("ours", "e1").with("ours", "a", "v4").known(3);
    assert_eq!(same_epoch.verdict(), Verdict::Ours, "a label that someone edited is drift");
}

#[test]
fn an_object_that_the_inventory_never_had_is_evidence_unless_it_is_a_known_orphan() {
    let restored = || world().claimed("ours", "e0").with("ours", "a", "v1");
    assert!(restored().holds(HoldReason::RestoredDatabase));
    let mut known = restored();
    known.orphans.insert("id-a".to_owned());
    assert_eq!(known.verdict(), Verdict::Renew(claim("ours", "e1")));
}

#[test]
fn consent_to_a_restored_database_is_good_for_its_epoch_alone() {
    let restored = || world().claimed("ours", "e0").with("ours", "a", "v1");
    assert!(restored().consenting(HoldReason::RestoredDatabase, "e0").holds(HoldReason::RestoredDatabase));
    let agreed = restored().consenting(HoldReason::RestoredDatabase, "e1");
    assert_eq!(agreed.verdict(), Verdict::Renew(claim("ours", "e1")));
}

#[test]
fn the_same_input_gives_the_same_verdict_whatever_the_order_of_a_list() {
    let one = world().with("b", "x", "v1").with("a", "y", "v1");
    let other = world().with("a", "y", "v1").with("b", "x", "v1");
    let subject = |world: &World| match world.verdict() {
        Verdict::Hold(finding) => finding.subject,
        verdict => panic!("{verdict:?}"),
    };
    assert_eq!(subject(&one), subject(&other));
}
