//! NetworkPolicy: which port of an organisation's process which other organisation may reach, and what of others it reaches itself.
//!
//! Every organisation has a network of its own, and what is on another is not there for it. A *link* is the exception: one port of one process,
//! one way, for one organisation. It exists only while each side names the other: the one that offers the port (`ingress`), and the one
//! that uses it (`egress`). Neither can make it alone, and either ends it alone.
//!
//! A link is for a whole organisation. Nothing is filtered inside a network, so nothing could hold an offer to one app of another organisation.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, KindSpec, Problems};
use crate::resource::ResourceKey;
use crate::scalar::{OrgName, Port, ProcessName, ResourceName};

/// More than anyone keeps an eye on; each of them is looked at with every change of one side.
const ENTRIES_MAX: usize = 32;

/// What an organisation offers to others, and what it uses of others. What neither names is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkPolicySpec {
    /// Ports of this organisation's processes that others may reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<IngressRule>,
    /// Ports of others' processes that this organisation reaches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<EgressRule>,
}

/// A port that others may reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngressRule {
    /// The environment.
    pub environment: ResourceName,
    /// Its process.
    pub process: ProcessName,
    /// The port that the process listens on, by TCP.
    pub port: Port,
    /// Who may reach it.
    pub from: Vec<LinkPeer>,
}

/// Who may reach a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkPeer {
    /// An organisation, all of it.
    pub organization: OrgName,
}

/// A port of another organisation that this one reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressRule {
    /// The name that it has here. Processes of this organisation reach it at `NAME.links.skep.internal` and the port of the other side.
    #[serde(rename = "as")]
    pub alias: ResourceName,
    /// What it leads to, just as the other side offers it.
    pub to: LinkTarget,
}

/// A port of another organisation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkTarget {
    /// The organisation.
    pub organization: OrgName,
    /// Its environment.
    pub environment: ResourceName,
    /// The environment's process.
    pub process: ProcessName,
    /// The process's port.
    pub port: Port,
}

impl std::fmt::Display for LinkTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { organization, environment, process, port } = self;
        write!(f, "{organization}/{environment}/{process}:{port}")
    }
}

/// What is so about a network policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicyDetail {
    /// Its links: those that it uses, then those that it offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkStatus>,
}

/// How one link stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkStatus {
    /// Does this organisation use it, or offer it?
    pub direction: LinkDirection,
    /// The organisation on the other side.
    pub organization: OrgName,
    /// The port that it leads to: environment, process and number.
    pub target: String,
    /// Where processes of this organisation reach it; of links that it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How it stands.
    pub state: LinkState,
}

/// From where a link is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LinkDirection {
    /// This organisation uses it.
    Egress,
    /// This organisation offers it.
    Ingress,
}

/// How a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LinkState {
    /// Each side names the other, and both may be linked.
    Agreed,
    /// The other side does not name this one. Whether it is there at all is not told.
    Waiting,
    /// This organisation's plan, or its tier, has no links.
    NotAllowed,
}

impl KindSpec for NetworkPolicySpec {
    const KIND: Kind = Kind::NetworkPolicy;
    type Detail = NetworkPolicyDetail;

    fn check(&self, problems: &mut Problems) {
        let too_many = |pointer: String, length: usize, problems: &mut Problems| {
            if length > ENTRIES_MAX {
                problems.push(
                    pointer,
                    format!("{length} entries are too many"),
                    format!("write at most {ENTRIES_MAX}"),
                );
            }
        };
        too_many("/ingress".to_owned(), self.ingress.len(), problems);
        too_many("/egress".to_owned(), self.egress.len(), problems);
        let mut offered = BTreeSet::new();
        for (index, rule) in self.ingress.iter().enumerate() {
            if !offered.insert((&rule.environment, &rule.process, rule.port)) {
                problems.push(
                    format!("/ingress/{index}"),
                    "this port is offered above",
                    "put all of its organisations into one `from`",
                );
            }
            let from = format!("/ingress/{index}/from");
            if rule.from.is_empty() {
                problems.push(
                    &*from,
                    "the port is offered to nobody",
                    "name an organisation, or leave the entry out",
                );
            }
            too_many(from.clone(), rule.from.len(), problems);
            let mut peers = BTreeSet::new();
            for (at, peer) in rule.from.iter().enumerate() {
                if !peers.insert(&peer.organization) {
                    problems.push(
                        format!("{from}/{at}"),
                        format!("`{}` is named above", peer.organization),
                        "leave it out",
                    );
                }
            }
        }
        let mut aliases = BTreeSet::new();
        for (index, rule) in self.egress.iter().enumerate() {
            if !aliases.insert(&rule.alias) {
                problems.push(
                    format!("/egress/{index}/as"),
                    format!("`{}` is the name of another link above", rule.alias),
                    "give each link a name of its own",
                );
            }
        }
    }

    /// Its own environments, and the organisations on the other sides: a change there may make or end a link.
    fn references(&self, key: &ResourceKey) -> Vec<ResourceKey> {
        let environments =
            self.ingress.iter().filter_map(|rule| key.sibling(Kind::Environment, rule.environment.clone()));
        let users = self.ingress.iter().flat_map(|rule| &rule.from).map(|peer| &peer.organization);
        let providers = self.egress.iter().map(|rule| &rule.to.organization);
        let others = users.chain(providers).map(ResourceKey::organization);
        environments.chain(others).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(spec: serde_json::Value) -> Vec<String> {
        let spec: NetworkPolicySpec = serde_json::from_value(spec).unwrap();
        let mut problems = Problems::default();
        spec.check(&mut problems);
        problems.into_vec().into_iter().map(|problem| problem.pointer).collect()
    }

    #[test]
    fn each_port_is_offered_once_and_each_link_has_a_name_of_its_own() {
        let offer = |from: &[&str]| {
            let from: Vec<_> =
                from.iter().map(|organization| serde_json::json!({ "organization": organization })).collect();
            serde_json::json!({ "environment": "production", "process": "api", "port": 8080, "from": from })
        };
        let link = |alias: &str| {
            let to = serde_json::json!({ "organization": "bank", "environment": "production", "process": "api", "port": 8080 });
            serde_json::json!({ "as": alias, "to": to })
        };
        assert!(found(serde_json::json!({})).is_empty());
        assert!(
            found(
                serde_json::json!({ "ingress": [offer(&["shop", "club"])], "egress": [link("a"), link("b")] })
            )
            .is_empty()
        );
        assert_eq!(
            found(serde_json::json!({ "ingress": [offer(&["shop"]), offer(&["club"])] })),
            ["/ingress/1"]
        );
        assert_eq!(found(serde_json::json!({ "ingress": [offer(&[])] })), ["/ingress/0/from"]);
        assert_eq!(
            found(serde_json::json!({ "ingress": [offer(&["shop", "shop"])] })),
            ["/ingress/0/from/1"]
        );
        assert_eq!(found(serde_json::json!({ "egress": [link("a"), link("a")] })), ["/egress/1/as"]);
        let many: Vec<_> = (0..=ENTRIES_MAX).map(|number| link(&format!("a{number}"))).collect();
        assert_eq!(found(serde_json::json!({ "egress": many })), ["/egress"]);
    }
}
