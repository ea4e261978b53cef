//! Claiming hosts for Domains: the database fact that one host has one owner.

use std::collections::BTreeMap;

use skep_schemas::{AnySpec, Host, Uid};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::error::{Fault, StoreError};

/// The hosts that a batch gives up and takes.
#[derive(Debug, Default)]
pub(super) struct Claims {
    released: Vec<Uuid>,
    // By host, the order in which everyone takes them.
    wanted: BTreeMap<String, (Host, Uid)>,
}

impl Claims {
    /// Notes what a written spec means for hosts. A Domain that stays with its host claims it again, which changes nothing
    /// but repairs a claim that is missing.
    pub(super) fn note(&mut self, uid: Uid, spec: &AnySpec) -> Result<(), StoreError> {
        let AnySpec::Domain(domain) = spec else { return Ok(()) };
        self.released.push(uid.uuid());
        match self.wanted.insert(domain.host.to_string(), (domain.host.clone(), uid)) {
            None => Ok(()),
            Some((host, _)) => Err(StoreError::HostTaken { host }),
        }
    }

    /// Gives up first and takes then, so that two Domains of a batch can swap hosts.
    pub(super) async fn settle(self, tx: &mut PgConnection) -> Result<(), Fault> {
        if self.released.is_empty() {
            return Ok(());
        }
        sqlx::query!("DELETE FROM domain_claim WHERE uid = ANY($1)", &self.released)
            .execute(&mut *tx)
            .await?;
        for (text, (host, uid)) in self.wanted {
            let claim = sqlx::query!(
                "INSERT INTO domain_claim (host, uid) VALUES ($1, $2) ON CONFLICT (host) DO NOTHING",
                text,
                uid.uuid()
            );
            if claim.execute(&mut *tx).await?.rows_affected() == 0 {
                return Err(StoreError::HostTaken { host }.into());
            }
        }
        Ok(())
    }
}
