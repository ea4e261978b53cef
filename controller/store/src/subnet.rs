//! Subnets for organisations' networks: the lowest free one, recorded, never two that overlap.

use ipnet::Ipv4Net;
use skep_planner::{NetworkPool, OrgSubnet};
use skep_schemas::Uid;
use sqlx::PgConnection;

use crate::error::{Fault, Operation, StoreError};
use crate::lease::Fence;
use crate::store::Store;

impl Store {
    /// The subnet of an organisation: the one that it has, or the lowest of the pool that overlaps neither another
    /// organisation's nor one that is in use elsewhere (networks that Skep did not make).
    pub async fn allocate_subnet(
        &self,
        fence: &Fence,
        org_uid: Uid,
        pool: &NetworkPool,
        in_use_elsewhere: &[Ipv4Net],
    ) -> Result<OrgSubnet, StoreError> {
        self.try_allocate(fence, org_uid, pool, in_use_elsewhere)
            .await
            .map_err(|fault| fault.during(Operation::Subnet))
    }

    async fn try_allocate(
        &self,
        fence: &Fence,
        org_uid: Uid,
        pool: &NetworkPool,
        in_use_elsewhere: &[Ipv4Net],
    ) -> Result<OrgSubnet, Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        // Before the table: whoever removes the organisation locks its row first, too.
        sqlx::query_scalar!("SELECT 1 FROM resource WHERE uid = $1 FOR KEY SHARE", org_uid.uuid())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(StoreError::ResourceGone { uid: org_uid })?;
        // One at a time: two who look at once would choose the same. Rare, and over in a millisecond.
        sqlx::query!("LOCK TABLE subnet_allocation IN SHARE ROW EXCLUSIVE MODE").execute(&mut *tx).await?;
        if let Some(subnet) = of_org(&mut tx, org_uid).await? {
            return Ok(subnet);
        }
        let texts = sqlx::query_scalar!(r#"SELECT subnet::text AS "subnet!" FROM subnet_allocation"#);
        let mut taken = in_use_elsewhere.to_vec();
        for text in texts.fetch_all(&mut *tx).await? {
            taken.push(parse(&text)?.net());
        }
        let subnet = lowest_free(pool, &taken).ok_or(StoreError::SubnetsExhausted)?;
        sqlx::query!(
            "INSERT INTO subnet_allocation (org_uid, subnet) VALUES ($1, $2::text::cidr)",
            org_uid.uuid(),
            subnet.to_string()
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(subnet)
    }
}

/// The subnet that an organisation has.
pub(crate) async fn of_org(tx: &mut PgConnection, org_uid: Uid) -> Result<Option<OrgSubnet>, Fault> {
    let text = sqlx::query_scalar!(
        r#"SELECT subnet::text AS "subnet!" FROM subnet_allocation WHERE org_uid = $1"#,
        org_uid.uuid()
    );
    Ok(text.fetch_optional(tx).await?.map(|text| parse(&text)).transpose()?)
}

pub(crate) fn parse(text: &str) -> Result<OrgSubnet, StoreError> {
    text.parse().map(OrgSubnet::new).map_err(|why| StoreError::corrupt(format!("subnet {text}"), why))
}

fn lowest_free(pool: &NetworkPool, taken: &[Ipv4Net]) -> Option<OrgSubnet> {
    // Sorted, and none inside another: so at most one of them begins at or before a candidate and reaches into it.
    let taken = Ipv4Net::aggregate(&taken.to_vec());
    pool.subnets().find(|subnet| {
        let net = subnet.net();
        let after = taken.partition_point(|other| other.network() <= net.network());
        let before = after.checked_sub(1).and_then(|index| taken.get(index));
        !before.is_some_and(|other| other.contains(&net.network()))
            && !taken.get(after).is_some_and(|other| net.contains(&other.network()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowest(taken: &[&str]) -> Option<String> {
        let pool = NetworkPool::new("10.128.0.0/22".parse().unwrap(), 24).unwrap();
        let taken: Vec<Ipv4Net> = taken.iter().map(|net| net.parse().unwrap()).collect();
        lowest_free(&pool, &taken).map(|subnet| subnet.to_string())
    }

    #[test]
    fn the_lowest_subnet_that_overlaps_nothing_is_chosen() {
        assert_eq!(lowest(&[]).as_deref(), Some("10.128.0.0/24"));
        assert_eq!(lowest(&["10.128.0.0/24", "10.128.2.0/24"]).as_deref(), Some("10.128.1.0/24"));
        // Smaller and larger networks of others take what they touch.
        assert_eq!(lowest(&["10.128.0.128/26"]).as_deref(), Some("10.128.1.0/24"));
        assert_eq!(lowest(&["10.128.0.0/23", "10.128.0.64/26"]).as_deref(), Some("10.128.2.0/24"));
        assert_eq!(lowest(&["10.0.0.0/8"]), None);
        assert_eq!(lowest(&["10.128.0.0/24", "10.128.1.0/24", "10.128.2.0/24", "10.128.3.7/32"]), None);
    }
}
