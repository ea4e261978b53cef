//! Fields without an effect that can be seen in the Swarm or in a status, each with the reason.
//!
//! The campaign checks the table both ways: a field without an effect that is not here fails it, and so does one that is here and
//! has an effect, or does not exist.

use skep_schemas::Kind;

/// A field, and why nothing can be seen of it.
#[derive(Debug, Clone, Copy)]
pub struct Silent {
    /// The kinds; none stands for all.
    pub kind: Option<Kind>,
    /// The field and everything beneath it.
    pub pattern: &'static str,
    /// Why.
    pub reason: &'static str,
}

const FOR_PEOPLE: &str = "words for people; shown as they are";
const OF_REGISTRIES: &str = "says what a registry must have beside an image, and the simulated Swarm has no registries; `engine_signatures` shows it";
const OF_SCANNERS: &str = "says whom to ask about an image, and names of hosts lead nowhere here; `an-image-waits-for-the-yes-of-every-scanner` and `engine_signatures` show it";
const OUTSIDE: &str = "says what is told to somebody outside, which nothing here hears; the store's `notification` tests show it";
const OF_THE_CATALOG: &str =
    "something to choose from; nothing of it is rendered into the Swarm until somebody does";
const OF_GATES: &str =
    "says what new may be applied, and changes nothing of what was; the store's `gate` tests show it";
const BY_HAND: &str = "says what happens when somebody changes an object by hand, which this campaign does not do; `tests/scenarios` and `engine_drift` do";

/// All of them.
pub static SILENT: &[Silent] = &[
    Silent {
        kind: None,
        pattern: "/metadata/labels",
        reason: "to select resources by, in lists and watches; never rendered into the Swarm",
    },
    Silent {
        kind: None,
        pattern: "/metadata/annotations",
        reason: "free text for people and tools; never rendered into the Swarm",
    },
    Silent { kind: Some(Kind::Organization), pattern: "/spec/displayName", reason: FOR_PEOPLE },
    Silent { kind: Some(Kind::Organization), pattern: "/spec/features", reason: OF_GATES },
    Silent { kind: Some(Kind::Platform), pattern: "/spec/features", reason: OF_GATES },
    Silent { kind: Some(Kind::Plan), pattern: "/spec/description", reason: FOR_PEOPLE },
    Silent {
        kind: Some(Kind::Plan),
        pattern: "/spec/quota",
        reason: "says what may be applied, and changes nothing of what was; the store's `quota` tests show it",
    },
    Silent {
        kind: Some(Kind::Plan),
        pattern: "/spec/network",
        reason: "decided when the network of an organisation of this plan is made. `a-network-is-made-anew-when-nothing-is-on-it` shows it",
    },
    Silent { kind: Some(Kind::IsolationTier), pattern: "/spec/description", reason: FOR_PEOPLE },
    Silent {
        kind: Some(Kind::IsolationTier),
        pattern: "/spec/links",
        reason: "counts of a dedicated tier, and that here is enhanced. `who-may-be-linked-is-the-platforms-to-say` shows it",
    },
    Silent { kind: Some(Kind::Buildpack), pattern: "/spec", reason: OF_THE_CATALOG },
    Silent { kind: Some(Kind::Stack), pattern: "/spec", reason: OF_THE_CATALOG },
    Silent { kind: Some(Kind::Template), pattern: "/spec", reason: OF_THE_CATALOG },
    Silent { kind: Some(Kind::App), pattern: "/spec/description", reason: FOR_PEOPLE },
    Silent { kind: Some(Kind::Secret), pattern: "/spec/description", reason: FOR_PEOPLE },
    Silent { kind: Some(Kind::DriftPolicy), pattern: "/spec", reason: BY_HAND },
    Silent { kind: Some(Kind::Plan), pattern: "/spec/images/requireSignature", reason: OF_REGISTRIES },
    Silent { kind: Some(Kind::ImagePolicy), pattern: "/spec/requireSignature", reason: OF_REGISTRIES },
    Silent { kind: Some(Kind::Plan), pattern: "/spec/images/scan", reason: OF_SCANNERS },
    Silent { kind: Some(Kind::ImagePolicy), pattern: "/spec/scan", reason: OF_SCANNERS },
    Silent { kind: Some(Kind::Notification), pattern: "/spec/events", reason: OUTSIDE },
    Silent { kind: Some(Kind::Notification), pattern: "/spec/environments", reason: OUTSIDE },
    Silent {
        kind: None,
        pattern: "/spec/processes/*/timeLimit",
        reason: "how long what runs once may take; here it ends at once. `a-run-ends-when-its-time-is-over` shows it",
    },
    Silent {
        kind: None,
        pattern: "/spec/processes/*/schedule",
        reason: "when something runs; here nobody waits until it is time. `a-schedule-starts-each-slot-once` and its neighbours show it",
    },
    Silent {
        kind: Some(Kind::Environment),
        pattern: "/spec/rollout/deadline",
        reason: "when a roll-out that does not get on counts as failed; those here succeed. `a-deploy-that-waits-for-too-long-says-so` shows it",
    },
];

/// The reason why nothing can be seen of a field.
pub fn reason(kind: Kind, pattern: &str) -> Option<&'static Silent> {
    SILENT.iter().find(|silent| {
        silent.kind.is_none_or(|of| of == kind)
            && pattern
                .strip_prefix(silent.pattern)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}
