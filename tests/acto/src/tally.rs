//! What campaigns did and found, of one or of several that share the work.

use std::collections::BTreeSet;

use serde::Serialize;
use skep_schemas::Kind;

use crate::field::{self, Field};
use crate::silent;

/// What a campaign did and found.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Changes that were made or refused, undoing included.
    pub operations: u64,
    /// Those that were carried out.
    pub accepted: u64,
    /// Those that were invalid and were refused.
    pub refused: u64,
    /// Those that a schema allows and the meaning of the field forbids.
    pub refused_by_meaning: u64,
    /// Those after which the resource says that it waits or cannot go on.
    pub not_ready: u64,
    /// Fields, and of how many of them an effect was seen.
    pub fields: usize,
    /// Fields of which an effect was seen.
    pub visible: usize,
    /// What was not as it has to be.
    pub findings: Vec<String>,
    /// Which fields these are.
    #[serde(skip)]
    pub(crate) effects: BTreeSet<(Kind, String)>,
}

impl Tally {
    /// Adds what another campaign did and found.
    pub fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.refused_by_meaning += other.refused_by_meaning;
        self.not_ready += other.not_ready;
        self.findings.extend(other.findings);
        self.effects.extend(other.effects);
    }

    /// Says of the fields which have no effect and no reason for that, and which have a reason and an effect. Means something only
    /// after every change of every field.
    pub fn judge_fields(&mut self) {
        let fields = field::all();
        let visible = fields.iter().filter(|field| self.is_visible(field.kind, &field.pattern)).count();
        (self.fields, self.visible) = (fields.len(), visible);
        let mut used = BTreeSet::new();
        for Field { kind, pattern, .. } in &fields {
            let visible = self.is_visible(*kind, pattern);
            match silent::reason(*kind, pattern) {
                None if !visible => {
                    self.findings
                        .push(format!("{kind} {pattern}: no effect is seen, and no reason is given"));
                }
                Some(silent) if visible => {
                    let reason = silent.reason;
                    self.findings.push(format!("{kind} {pattern}: an effect is seen; it is not {reason}"));
                }
                Some(silent) => drop(used.insert(silent.pattern)),
                None => {}
            }
        }
        for silent in silent::SILENT.iter().filter(|silent| !used.contains(silent.pattern)) {
            self.findings.push(format!("{}: there is no such field without an effect", silent.pattern));
        }
    }

    /// Was an effect seen of the field, or of one in it? What is required and has fields of its own can be changed in them alone.
    fn is_visible(&self, kind: Kind, pattern: &str) -> bool {
        self.effects.iter().any(|(of, seen)| {
            let rest = seen.strip_prefix(pattern).filter(|_| *of == kind);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}
