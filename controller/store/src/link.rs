//! Links between organisations, as far as both sides agree on them: the one thing that is told of another organisation.
//!
//! Who may know what is decided by the database (`migrations/0024_links.sql`), which looks at the policies of both sides and answers a tenant for
//! his own organisation alone.

use std::collections::BTreeSet;

use skep_planner::OrgSubnet;
use skep_schemas::kind::LinkTarget;
use skep_schemas::{Kind, OrgName, Port, ResourceKey, ResourceName, Uid};

use crate::error::{Fault, Operation, StoreError};
use crate::row::key_of_columns;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::subnet;

/// The most network policies that are woken after one page of changes; a resync finds the others.
const LINKED_MAX: i64 = 10_000;

/// A link on which both sides agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The NetworkPolicy that uses it.
    pub policy: Uid,
    /// The name that it has there.
    pub alias: ResourceName,
    /// The organisation that uses it.
    pub used_by: OrgName,
    /// What it leads to.
    pub to: LinkTarget,
    /// The organisation that it leads to.
    pub provider: Uid,
    /// The network of that organisation, by the engine's id, as its status says.
    pub network: Option<String>,
    /// The network's addresses; none before it has some.
    pub subnet: Option<OrgSubnet>,
    /// The isolation tier of that organisation's plan.
    pub tier: Option<ResourceName>,
}

struct LinkRow {
    policy: uuid::Uuid,
    alias: String,
    used_by: String,
    provider: String,
    environment: String,
    process: String,
    port: i32,
    provider_uid: uuid::Uuid,
    network: Option<String>,
    subnet: Option<String>,
    tier: Option<String>,
}

impl LinkRow {
    fn into_link(self) -> Result<Link, StoreError> {
        let corrupt = |why: skep_schemas::scalar::ScalarError| StoreError::corrupt("a link".to_owned(), why);
        let port = u16::try_from(self.port).ok().and_then(Port::new);
        let port = port.ok_or_else(|| {
            StoreError::corrupt("a link".to_owned(), std::io::Error::other(format!("port {}", self.port)))
        })?;
        Ok(Link {
            policy: Uid::from_uuid(self.policy),
            alias: self.alias.parse().map_err(corrupt)?,
            used_by: self.used_by.parse().map_err(corrupt)?,
            to: LinkTarget {
                organization: self.provider.parse().map_err(corrupt)?,
                environment: self.environment.parse().map_err(corrupt)?,
                process: self.process.parse().map_err(corrupt)?,
                port,
            },
            provider: Uid::from_uuid(self.provider_uid),
            network: self.network,
            subnet: self.subnet.as_deref().map(subnet::parse).transpose()?,
            tier: self.tier.map(|tier| tier.parse()).transpose().map_err(corrupt)?,
        })
    }
}

impl Snapshot {
    /// The links of an organisation on which both sides agree, those that it uses and those that it offers.
    pub async fn links(&mut self, org: &OrgName) -> Result<Vec<Link>, StoreError> {
        let rows = sqlx::query_as!(
            LinkRow,
            r#"SELECT policy AS "policy!", alias AS "alias!", used_by AS "used_by!", provider AS "provider!",
                      environment AS "environment!", process AS "process!", port AS "port!",
                      provider_uid AS "provider_uid!", network, subnet, tier
               FROM links_of($1) ORDER BY used_by, policy, alias"#,
            org.as_str()
        );
        let rows = rows.fetch_all(self.connection()).await;
        let rows = rows.map_err(|source| Fault::from(source).during(Operation::Read))?;
        rows.into_iter().map(LinkRow::into_link).collect()
    }
}

impl Store {
    /// The network policies of these organisations, and those that name one of them: whom to wake when something on one side of a link changes.
    pub async fn linked(&self, orgs: &BTreeSet<OrgName>) -> Result<Vec<ResourceKey>, StoreError> {
        let names: Vec<String> = orgs.iter().map(ToString::to_string).collect();
        let refs: Vec<String> = orgs.iter().map(|org| ResourceKey::organization(org).to_string()).collect();
        let rows = sqlx::query!(
            "SELECT org, kind, name FROM resource WHERE kind = $1 AND (org = ANY($2) OR refs && $3) LIMIT $4",
            Kind::NetworkPolicy.as_str(),
            &names,
            &refs,
            LINKED_MAX
        );
        let rows = rows.fetch_all(self.pool()).await;
        let rows = rows.map_err(|source| Fault::from(source).during(Operation::Read))?;
        rows.iter().map(|row| key_of_columns(&row.org, &row.kind, &row.name)).collect()
    }
}
