//! Orphans: objects of ours that the inventory does not know.
//!
//! They come from crashes at the worst moment, from edits of the database, and from restored backups. One that its owner still
//! wants is entered into the inventory again, and its owner's reconcile goes on as if nothing had happened. The others are listed
//! for a grace period and then collected.

use std::collections::BTreeSet;

use skep_schemas::{Kind, OrgName, ProcessName, ResourceKey};

use super::survey::FoundObject;
use crate::inventory::ObjectKind;
use crate::naming::{self, LABEL_PROCESS};

/// The resource that an object's labels name, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its key.
    pub key: ResourceKey,
    /// Of an environment: the processes of the releases that run or may be returned to.
    pub processes: BTreeSet<ProcessName>,
}

/// What becomes of an object that the inventory does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its owner looks after an object of that name: it belongs into the inventory.
    Recover,
    /// Nobody does.
    Collect,
}

/// Who looks after an object that the inventory does not know? `owner` is the resource with the uid of its labels.
pub fn fate(found: &FoundObject, owner: Option<&Owner>) -> Fate {
    let Some(owner) = owner else { return Fate::Collect };
    let name = found.object.name.as_str();
    let looked_after = match (found.object.kind, owner.key.kind()) {
        (ObjectKind::Network, Kind::Organization) => {
            of_org(&owner.key).is_some_and(|org| naming::network(&org) == name)
        }
        (ObjectKind::Service, Kind::Organization) => {
            of_org(&owner.key).is_some_and(|org| naming::anchor(&org) == name)
        }
        (ObjectKind::Service, Kind::Environment) => wants_service(owner, found, name),
        // A secret's reconcile lists its objects by their labels: it keeps or removes whatever is there.
        (ObjectKind::Secret, Kind::Secret) => true,
        _ => false,
    };
    if looked_after { Fate::Recover } else { Fate::Collect }
}

fn wants_service(owner: &Owner, found: &FoundObject, name: &str) -> bool {
    let process = found.labels.get(LABEL_PROCESS).and_then(|process| process.parse::<ProcessName>().ok());
    let (Some(org), Some(process)) = (owner.key.org(), process) else { return false };
    owner.processes.contains(&process) && naming::service(org, owner.key.name(), &process) == name
}

fn of_org(key: &ResourceKey) -> Option<OrgName> {
    OrgName::try_from(key.name()).ok()
}

/// In which order orphans are collected: services first, because they hold the others.
pub const fn removal_order(kind: ObjectKind) -> u8 {
    match kind {
        ObjectKind::EdgeAttachment => 0,
        ObjectKind::Service | ObjectKind::Run => 1,
        ObjectKind::Secret => 2,
        ObjectKind::Network => 3,
    }
}

#[cfg(test)]
mod tests {
    use skep_schemas::{ResourceName, Scope};

    use super::*;
    use crate::inventory::ObjectRef;
    use crate::swarm::Labels;

    fn owner(kind: Kind, name: &str, processes: &[&str]) -> Owner {
        let scope = match kind {
            Kind::Organization => Scope::Platform,
            _ => Scope::Org("acme".parse().unwrap()),
        };
        let key = ResourceKey::new(scope, kind, name.parse::<ResourceName>().unwrap()).unwrap();
        Owner { key, processes: processes.iter().map(|process| process.parse().unwrap()).collect() }
    }

    fn found(kind: ObjectKind, name: &str, process: &str) -> FoundObject {
        let labels: Labels = [(LABEL_PROCESS.to_owned(), process.to_owned())].into_iter().collect();
        FoundObject { object: ObjectRef::new(kind, name), id: "id".to_owned(), labels }
    }

    #[test]
    fn what_its_owner_looks_after_is_recovered_and_everything_else_collected() {
        let shop = owner(Kind::Environment, "shop", &["web"]);
        let web = found(ObjectKind::Service, "acme_shop_web", "web");
        assert_eq!(fate(&web, Some(&shop)), Fate::Recover);
        assert_eq!(fate(&web, None), Fate::Collect);
        let former = found(ObjectKind::Service, "acme_shop_worker", "worker");
        assert_eq!(fate(&former, Some(&shop)), Fate::Collect);
        let renamed = found(ObjectKind::Service, "acme_other_web", "web");
        assert_eq!(fate(&renamed, Some(&shop)), Fate::Collect);

        let acme = owner(Kind::Organization, "acme", &[]);
        assert_eq!(fate(&found(ObjectKind::Network, "skep-acme", ""), Some(&acme)), Fate::Recover);
        assert_eq!(fate(&found(ObjectKind::Service, "skep-anchor-acme", ""), Some(&acme)), Fate::Recover);
        assert_eq!(fate(&found(ObjectKind::Network, "skep-globex", ""), Some(&acme)), Fate::Collect);
        let token = owner(Kind::Secret, "token", &[]);
        assert_eq!(fate(&found(ObjectKind::Secret, "acme_token_0123", ""), Some(&token)), Fate::Recover);
    }

    #[test]
    fn services_go_before_what_they_use() {
        let mut kinds = [ObjectKind::Network, ObjectKind::Secret, ObjectKind::Service];
        kinds.sort_by_key(|kind| removal_order(*kind));
        assert_eq!(kinds, [ObjectKind::Service, ObjectKind::Secret, ObjectKind::Network]);
    }
}
