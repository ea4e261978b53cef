//! How an organisation is kept apart: on which nodes its tasks run, and what its containers may be.
//!
//! Every environment's services carry the constraints of their organisation's level, also where no plan names a tier. The three levels ask for
//! three different values of one label, so no node fits two of them, whatever else it is labelled; two pools, and two organisations with
//! nodes of their own, are told apart by one label each in the same way. What is on a node is therefore decided by the node's labels alone. A
//! tier that is new or changes takes nothing to be said in anybody else's services.

use skep_schemas::OrgName;
use skep_schemas::kind::{
    Capability, Enforcement, IsolationLevel, IsolationTierSpec, SecurityProfile, SecuritySpec,
};

use super::Violation;
use crate::constraint::Constraint;

/// The label that says which level a node is for; a node without it is everybody's.
pub const LEVEL_LABEL: &str = "skep.isolation";
/// The label that says which pool a node is in.
pub const POOL_LABEL: &str = "skep.pool";
/// The label that says whose a dedicated node is.
pub const ORG_LABEL: &str = "skep.org";

/// How an organisation is kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    /// Who says so, as `IsolationTier/gold`.
    policy: String,
    level: IsolationLevel,
    pool: Option<String>,
    profile: SecurityProfile,
}

impl Isolation {
    /// By a tier.
    pub fn by(tier: &str, spec: &IsolationTierSpec) -> Self {
        Self {
            policy: format!("IsolationTier/{tier}"),
            level: spec.level,
            pool: spec.pool.as_ref().map(ToString::to_string),
            profile: spec.profile.clone(),
        }
    }

    /// By no tier: on nodes that are everybody's, without capabilities.
    pub fn standard() -> Self {
        Self {
            policy: "a plan without an IsolationTier".to_owned(),
            level: IsolationLevel::Standard,
            pool: None,
            profile: SecurityProfile::default(),
        }
    }

    /// What must be so of the nodes that an organisation's tasks run on.
    pub fn constraints(&self, org: &OrgName) -> Vec<Constraint> {
        let pool = self.pool.iter().map(|pool| Constraint::is(POOL_LABEL, pool));
        match self.level {
            IsolationLevel::Standard => [IsolationLevel::Dedicated, IsolationLevel::Enhanced]
                .map(|level| Constraint::is_not(LEVEL_LABEL, level.as_str()))
                .into(),
            IsolationLevel::Enhanced => {
                std::iter::once(Constraint::is(LEVEL_LABEL, self.level.as_str())).chain(pool).collect()
            }
            IsolationLevel::Dedicated => {
                [Constraint::is(LEVEL_LABEL, self.level.as_str()), Constraint::is(ORG_LABEL, org.as_str())]
                    .into_iter()
                    .chain(pool)
                    .collect()
            }
        }
    }

    /// What of an environment's security the profile does not allow.
    pub fn violations(&self, security: &SecuritySpec) -> Vec<Violation> {
        let profile = &self.profile;
        let beyond: Vec<&str> = security
            .capabilities
            .difference(&profile.capabilities)
            .map(|one| Capability::as_str(*one))
            .collect();
        let capabilities = (!beyond.is_empty()).then(|| {
            let words = if beyond.len() == 1 { "capability" } else { "capabilities" };
            // Who may have which is never only reported: it would make the list nobody's.
            (format!("the {words} {}", beyond.join(", ")), profile.enforcement.max(Enforcement::Block))
        });
        let root = (profile.require_non_root && security.user.is_none())
            .then(|| ("root: `security.user` names no user".to_owned(), profile.enforcement));
        let writable = (profile.require_read_only_root && security.writable_root)
            .then(|| ("`security.writableRoot`".to_owned(), profile.enforcement));
        let violation = |(why, enforcement)| Violation { policy: self.policy.clone(), why, enforcement };
        [capabilities, root, writable].into_iter().flatten().map(violation).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraint::Constraints;
    use crate::swarm::Node;
    use serde_json::{Value, json};

    fn isolation(spec: Value) -> Isolation {
        Isolation::by("t", &serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn no_labels_that_a_node_may_have_let_two_on_it_who_are_to_be_apart() {
        let (enhanced, dedicated) = (
            |pool: &str| isolation(json!({"level": "enhanced", "pool": pool})),
            isolation(json!({"level": "dedicated"})),
        );
        let pooled = isolation(json!({"level": "dedicated", "pool": "a"}));
        // Who is by himself where: each of these is another's neighbour nowhere.
        let apart = [
            (
                "everybody",
                vec![(Isolation::standard(), "acme"), (isolation(json!({"level": "standard"})), "globex")],
            ),
            ("pool a", vec![(enhanced("a"), "acme"), (enhanced("a"), "globex")]),
            ("pool b", vec![(enhanced("b"), "acme")]),
            ("acme", vec![(dedicated.clone(), "acme"), (pooled.clone(), "acme")]),
            ("globex", vec![(dedicated, "globex"), (pooled, "globex")]),
        ];
        let values =
            |label: &'static str, values: &[&'static str]| -> Vec<Option<(&'static str, &'static str)>> {
                std::iter::once(None).chain(values.iter().map(|value| Some((label, *value)))).collect()
            };
        let mut allowed = std::collections::BTreeSet::new();
        for level in values(LEVEL_LABEL, &["standard", "enhanced", "Enhanced", "dedicated", "gold", ""]) {
            for pool in values(POOL_LABEL, &["a", "b", "acme"]) {
                for org in values(ORG_LABEL, &["acme", "globex", "initech"]) {
                    let mut node = Node::default();
                    for (label, value) in [level, pool, org].into_iter().flatten() {
                        node.spec.labels.insert(label.to_owned(), value.to_owned());
                    }
                    let fits = |(isolation, org): &(Isolation, &str)| {
                        Constraints::new(None, isolation.constraints(&org.parse().unwrap())).allow(&node)
                    };
                    let here: Vec<&str> =
                        apart.iter().filter(|(_, all)| all.iter().any(fits)).map(|(name, _)| *name).collect();
                    assert!(here.len() < 2, "{here:?} share a node with {:?}", node.spec.labels);
                    allowed.extend(here);
                }
            }
        }
        assert_eq!(allowed.len(), apart.len(), "some are nowhere: {allowed:?}");
    }

    #[test]
    fn the_profile_says_what_it_does_not_allow_and_a_capability_is_never_only_reported() {
        let profile = json!({"capabilities": ["CHOWN", "SETUID"], "requireReadOnlyRoot": true, "enforcement": "report"});
        let tier = isolation(json!({"level": "standard", "profile": profile}));
        let said = |isolation: &Isolation, security: Value| -> Vec<(String, Enforcement)> {
            let found = isolation.violations(&serde_json::from_value(security).unwrap());
            found.iter().map(|violation| (violation.to_string(), violation.enforcement)).collect()
        };
        assert_eq!(said(&tier, json!({"capabilities": ["SETUID", "CHOWN"]})), []);
        let beyond = said(&tier, json!({"capabilities": ["KILL", "CHOWN", "FOWNER"], "writableRoot": true}));
        assert_eq!(
            beyond,
            [
                (
                    "IsolationTier/t does not allow the capabilities FOWNER, KILL".to_owned(),
                    Enforcement::Block
                ),
                ("IsolationTier/t does not allow `security.writableRoot`".to_owned(), Enforcement::Report)
            ]
        );
        let standard = Isolation::standard();
        assert_eq!(said(&standard, json!({"writableRoot": true})), []);
        assert_eq!(
            said(&standard, json!({"capabilities": ["CHOWN"]})),
            [(
                "a plan without an IsolationTier does not allow the capability CHOWN".to_owned(),
                Enforcement::Block
            )]
        );
        let strict = isolation(
            json!({"level": "standard", "profile": {"requireNonRoot": true, "enforcement": "stop"}}),
        );
        assert_eq!(said(&strict, json!({"user": 1000})), []);
        assert_eq!(said(&strict, json!({}))[0].1, Enforcement::Stop);
    }
}
