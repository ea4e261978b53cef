//! The direction of dependencies, as law: who may see whom, checked on what cargo resolves.
//!
//! The planner can be tested without a cluster, and read without knowing one, only while it cannot reach tokio or a
//! client; tenants' data is scoped in one place only while no other crate can talk to the database. Such properties are
//! lost by one line in a manifest, so this check reads the resolved graph instead of the manifests' good intentions.
//!
//! Only normal and build dependencies count. Tests may use what they like.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace;

/// What a crate may never reach, over any number of steps.
const UNREACHABLE: [(&str, &[&str]); 8] = [
    ("skep-compose", &["tokio", "bollard", "sqlx", "sqlx-core", "hyper"]),
    ("skep-schemas", &["tokio", "bollard", "sqlx", "sqlx-core", "hyper"]),
    ("skep-planner", &["tokio", "bollard", "sqlx", "sqlx-core", "hyper"]),
    ("skep-runtime", &["bollard", "sqlx", "sqlx-core", "hyper"]),
    ("skep-api", &["skep-swarm", "skep-executor", "skep-controller", "bollard"]),
    ("skep-store", &["skep-swarm", "bollard"]),
    ("skep-outbound", &["skep-swarm", "skep-store", "bollard", "sqlx"]),
    ("skep-gitops", &["skep-swarm", "skep-store", "bollard", "sqlx"]),
];

/// Our crates, and which of our crates each may name in its manifest.
const MAY_NAME: [(&str, &[&str]); 17] = [
    ("skep-schemas", &[]),
    ("skep-entry", &[]),
    ("skep-forward", &[]),
    ("skep-compose", &["skep-schemas"]),
    ("skep-runtime", &[]),
    ("skep-planner", &["skep-schemas"]),
    ("skep-swarm", &["skep-schemas", "skep-planner", "skep-runtime"]),
    ("skep-outbound", &["skep-schemas", "skep-planner"]),
    ("skep-gitops", &["skep-schemas", "skep-outbound"]),
    ("skep-store", &["skep-schemas", "skep-planner", "skep-runtime"]),
    ("skep-executor", &["skep-schemas", "skep-planner", "skep-swarm", "skep-store"]),
    ("skep-api", &["skep-schemas", "skep-planner", "skep-store"]),
    (
        "skep-controller",
        &[
            "skep-schemas",
            "skep-planner",
            "skep-outbound",
            "skep-gitops",
            "skep-swarm",
            "skep-store",
            "skep-executor",
            "skep-entry",
            "skep-runtime",
            "skep-api",
        ],
    ),
    ("skep", &["skep-schemas", "skep-planner", "skep-store", "skep-api", "skep-controller", "skep-compose"]),
    ("skep-simulator", &["skep-planner", "skep-swarm"]),
    (
        "skep-sieve",
        &[
            "skep-schemas",
            "skep-planner",
            "skep-outbound",
            "skep-swarm",
            "skep-store",
            "skep-runtime",
            "skep-api",
            "skep-controller",
            "skep-simulator",
            "skep-testbed",
        ],
    ),
    ("skep-contract", &["skep-planner", "skep-swarm", "skep-simulator", "skep-testbed"]),
];

/// Libraries that few of our crates may name. The sieve owns the time of its database and puts its tables back, which is no business
/// of the store's.
const USERS: [(&str, &[&str]); 2] = [("bollard", &["skep-swarm"]), ("sqlx", &["skep-store", "skep-sieve"])];

/// Checks the workspace.
pub(crate) fn check() -> Result<()> {
    let metadata = workspace::cargo(["metadata", "--format-version=1", "--locked"])?
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(
        metadata.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&metadata.stderr)
    );
    let metadata = serde_json::from_slice(&metadata.stdout).context("cargo metadata wrote no JSON")?;
    let graph = Graph::read(&metadata).context("cargo metadata has an unknown form")?;
    let violations = graph.violations();
    for violation in &violations {
        eprintln!("error: {violation}");
    }
    ensure!(violations.is_empty(), "{} violations of the direction of dependencies", violations.len());
    println!("check-deps: {} crates keep the direction of dependencies", graph.ours.len());
    Ok(())
}

/// Package names and what each depends on (not for its tests).
#[derive(Debug, Default)]
struct Graph {
    /// Our own packages.
    ours: BTreeSet<String>,
    /// By package name. Two releases of one library count as one: the law does not tell them apart.
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read(metadata: &Value) -> Option<Graph> {
        let packages = metadata.get("packages")?.as_array()?;
        let names: BTreeMap<&str, &str> = packages
            .iter()
            .filter_map(|package| Some((package.get("id")?.as_str()?, package.get("name")?.as_str()?)))
            .collect();
        let members = metadata.get("workspace_members")?.as_array()?;
        let ours =
            members.iter().filter_map(|id| names.get(id.as_str()?)).map(|name| (*name).to_owned()).collect();
        let mut graph = Graph { ours, edges: BTreeMap::new() };
        for node in metadata.get("resolve")?.get("nodes")?.as_array()? {
            let name = names.get(node.get("id")?.as_str()?)?;
            let targets = graph.edges.entry((*name).to_owned()).or_default();
            for dependency in node.get("deps")?.as_array()? {
                let kinds = dependency.get("dep_kinds")?.as_array()?;
                let only_for_tests =
                    kinds.iter().all(|kind| kind.get("kind").and_then(Value::as_str) == Some("dev"));
                if !only_for_tests {
                    targets.insert((*names.get(dependency.get("pkg")?.as_str()?)?).to_owned());
                }
            }
        }
        Some(graph)
    }

    fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (crate_name, forbidden) in UNREACHABLE {
            for target in forbidden {
                if let Some(path) = self.path(crate_name, target) {
                    found.push(format!("{crate_name} must not reach {target}, but: {}", path.join(" -> ")));
                }
            }
        }
        for (crate_name, allowed) in MAY_NAME {
            for target in self.named_by(crate_name).filter(|target| self.ours.contains(*target)) {
                if !allowed.contains(&target) {
                    found.push(format!("{crate_name} must not depend on {target}"));
                }
            }
        }
        for (library, users) in USERS {
            for crate_name in self.ours.iter().filter(|name| !users.contains(&name.as_str())) {
                if self.named_by(crate_name).any(|target| target == library) {
                    let users = users.join(" and ");
                    found.push(format!("{crate_name} must not depend on {library}: only {users} may"));
                }
            }
        }
        found
    }

    fn named_by(&self, crate_name: &str) -> impl Iterator<Item = &str> {
        self.edges.get(crate_name).into_iter().flatten().map(String::as_str)
    }

    /// A shortest path from one package to another.
    fn path<'a>(&'a self, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            if at == to {
                let mut path = vec![at];
                while let Some(previous) = path.last().and_then(|last| came_from.get(last)) {
                    path.push(*previous);
                }
                path.reverse();
                return Some(path);
            }
            for next in self.named_by(at) {
                if next != from && !came_from.contains_key(next) {
                    came_from.insert(next, at);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Metadata with these members and edges: (from, to, kind).
    fn graph(members: &[&str], edges: &[(&str, &str, Option<&str>)]) -> Graph {
        let mut names: BTreeSet<&str> = members.iter().copied().collect();
        names.extend(edges.iter().flat_map(|(from, to, _)| [*from, *to]));
        let packages: Vec<Value> =
            names.iter().map(|name| json!({"id": format!("id-{name}"), "name": name})).collect();
        let nodes: Vec<Value> = names
            .iter()
            .map(|name| {
                let outgoing = edges.iter().filter(|(from, ..)| from == name);
                let deps: Vec<Value> = outgoing
                    .map(|(_, to, kind)| json!({"pkg": format!("id-{to}"), "dep_kinds": [{"kind": kind}]}))
                    .collect();
                json!({"id": format!("id-{name}"), "deps": deps})
            })
            .collect();
        let members: Vec<String> = members.iter().map(|name| format!("id-{name}")).collect();
        let metadata =
            json!({"packages": packages, "workspace_members": members, "resolve": {"nodes": nodes}});
        Graph::read(&metadata).expect("the metadata has cargo's form")
    }

    #[test]
    fn a_forbidden_library_is_found_through_others_and_the_path_is_shown() {
        let graph = graph(
            &["skep-planner", "skep-schemas"],
            &[
                ("skep-planner", "skep-schemas", None),
                ("skep-schemas", "reader", None),
                ("reader", "tokio", None),
            ],
        );
        let violations = graph.violations();
        let expected =
            "skep-planner must not reach tokio, but: skep-planner -> skep-schemas -> reader -> tokio";
        assert!(violations.iter().any(|violation| violation == expected), "{violations:#?}");
        assert_eq!(violations.len(), 2, "skep-schemas itself is the other: {violations:#?}");
    }

    #[test]
    fn what_only_tests_use_is_allowed_and_what_a_build_script_uses_is_not() {
        let for_tests = graph(&["skep-planner"], &[("skep-planner", "tokio", Some("dev"))]);
        assert_eq!(for_tests.violations(), Vec::<String>::new());
        let for_build = graph(&["skep-planner"], &[("skep-planner", "tokio", Some("build"))]);
        assert_eq!(for_build.violations().len(), 1);
    }

    #[test]
    fn only_the_store_names_the_database_library_though_others_reach_it() {
        let members = ["skep", "skep-store", "skep-controller"];
        let lawful = [
            ("skep", "skep-controller", None),
            ("skep-controller", "skep-store", None),
            ("skep-store", "sqlx", None),
        ];
        assert_eq!(graph(&members, &lawful).violations(), Vec::<String>::new());
        let mut unlawful = lawful.to_vec();
        unlawful.push(("skep", "sqlx", None));
        assert_eq!(
            graph(&members, &unlawful).violations(),
            ["skep must not depend on sqlx: only skep-store and skep-sieve may"]
        );
    }

    #[test]
    fn a_crate_names_only_the_crates_below_it() {
        let graph = graph(&["skep-api", "skep-swarm"], &[("skep-api", "skep-swarm", None)]);
        let violations = graph.violations();
        assert!(violations.contains(&"skep-api must not depend on skep-swarm".to_owned()), "{violations:?}");
    }

    #[test]
    fn every_crate_of_the_workspace_is_in_the_law_or_exempt() -> Result<()> {
        // The testbed, the scenarios, the end-to-end tests and this program are no part of the product.
        let exempt = [
            "skep-testbed",
            "skep-bench",
            "skep-scenarios",
            "skep-models",
            "skep-e2e",
            "skep-probe",
            "skep-fuzz",
            "skep-acto",
            "xtask",
        ];
        let metadata = workspace::cargo(["metadata", "--format-version=1", "--no-deps"])?.output()?;
        let metadata: Value = serde_json::from_slice(&metadata.stdout)?;
        let packages = metadata.get("packages").and_then(Value::as_array).context("packages")?;
        let unknown: Vec<&str> = packages
            .iter()
            .filter_map(|package| package.get("name").and_then(Value::as_str))
            .filter(|name| !exempt.contains(name) && !MAY_NAME.iter().any(|(known, _)| known == name))
            .collect();
        assert_eq!(unknown, Vec::<&str>::new(), "say in MAY_NAME what these crates may see");
        Ok(())
    }
}
