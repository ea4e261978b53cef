//! One print of all rows that a pass over an environment could rest on: its own, those of everything in its organisation but other
//! environments, and those of the platform. That is more than it reads, so a change of a neighbour may cost a pass too many.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use skep_schemas::{Kind, OrgName, ResourceKey};
use skep_store::Print;

use crate::wake::fairness_group;

/// The print of each environment among these rows, which have to be in one order whenever they are compared.
pub(crate) fn of_environments(rows: &[Print]) -> HashMap<ResourceKey, u64> {
    let mut around: HashMap<Option<OrgName>, DefaultHasher> = HashMap::new();
    for row in rows.iter().filter(|row| row.key.kind() != Kind::Environment) {
        let around = around.entry(fairness_group(&row.key)).or_default();
        (row.key.to_string(), row.print).hash(around);
    }
    let platform = around.get(&None).map(Hasher::finish);
    let environments = rows.iter().filter(|row| row.key.kind() == Kind::Environment);
    let of = |row: &Print| {
        let organization = around.get(&fairness_group(&row.key)).map(Hasher::finish);
        let mut hasher = DefaultHasher::new();
        (row.print, organization, platform).hash(&mut hasher);
        (row.key.clone(), hasher.finish())
    };
    environments.map(of).collect()
}

#[cfg(test)]
mod tests {
    use skep_schemas::Scope;

    use super::*;

    fn key(text: &str) -> ResourceKey {
        let parts: Vec<&str> = text.split('/').collect();
        let (scope, kind, name) = match parts[..] {
            [org, kind, name] => (Scope::Org(org.parse().unwrap()), kind, name),
            [kind, name] => (Scope::Platform, kind, name),
            _ => panic!("{text} is no key"),
        };
        ResourceKey::new(scope, kind.parse().unwrap(), name.parse().unwrap()).unwrap()
    }

    fn rows() -> Vec<Print> {
        let keys =
            ["Organization/acme", "Organization/other", "Plan/small", "acme/App/shop", PROD, TEST, OTHER];
        let print = |(at, text): (usize, &&str)| Print { key: key(text), print: i64::try_from(at).unwrap() };
        keys.iter().enumerate().map(print).collect()
    }

    /// Whose print is another one after this.
    fn differ(change: impl FnOnce(&mut Vec<Print>)) -> Vec<String> {
        let mut changed = rows();
        let before = of_environments(&changed);
        change(&mut changed);
        let after = of_environments(&changed);
        let differ = before.iter().filter(|(key, print)| after.get(key) != Some(print));
        let mut names: Vec<String> = differ.map(|(key, _)| key.to_string()).collect();
        names.sort();
        names
    }

    const PROD: &str = "acme/Environment/prod";
    const TEST: &str = "acme/Environment/test";
    const OTHER: &str = "other/Environment/prod";

    #[test]
    fn what_is_written_changes_the_prints_of_those_that_may_rest_on_it_and_of_no_other() {
        let row = |at: usize| differ(move |rows| rows[at].print = 99);
        assert_eq!(row(0), [PROD, TEST], "their organisation");
        assert_eq!(row(2), [PROD, TEST, OTHER], "something of the platform");
        assert_eq!(row(3), [PROD, TEST], "something else of their organisation");
        assert_eq!(row(4), [PROD], "itself");
    }

    #[test]
    fn what_comes_or_goes_changes_them_too() {
        let policy = Print { key: key("acme/DriftPolicy/night"), print: 1 };
        assert_eq!(differ(|rows| rows.insert(4, policy)), [PROD, TEST]);
        assert_eq!(differ(|rows| drop(rows.remove(3))), [PROD, TEST]);
        assert_eq!(differ(|rows| drop(rows.remove(5))), [TEST], "its neighbours do not rest on it");
    }
}
