//! Whether everything that was sealed opens, found out without showing any of it, a page at a time.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use secrecy::ExposeSecret;
use skep_schemas::Uid;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::error::{Fault, Operation, StoreError};
use crate::seal::{DataKey, Place, Sealed};
use crate::secret::data_key;
use crate::store::Store;

/// Data keys that are opened for one answer: sixty bytes each.
const KEYS_PAGE: i64 = 1000;

/// Values that are opened for one answer. Each may have half a megabyte, and all of them are in memory at once.
const VALUES_PAGE: i64 = 100;

/// Where a page of values begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValuePosition {
    /// After this secret,
    pub secret: Uid,
    /// and this version of it.
    pub version: i32,
}

/// What was found of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined<P> {
    /// How many were opened or failed to.
    pub looked_at: u64,
    /// Those that did not open.
    pub unreadable: Vec<Unreadable>,
    /// Where the next page begins; none after the last.
    pub next: Option<P>,
}

/// Something that does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The organisation.
    pub org: String,
    /// The secret and its version; none for the organisation's data key itself.
    pub secret: Option<(String, i32)>,
    /// Why, without anything about the value.
    pub why: String,
}

impl Store {
    /// Opens a page of organisations' data keys. One that is missing does not open.
    pub async fn examine_data_keys(&self, after: Option<Uid>) -> Result<Examined<Uid>, StoreError> {
        self.data_keys(after).await.map_err(|fault| fault.during(Operation::OpenSecret))
    }

    async fn data_keys(&self, after: Option<Uid>) -> Result<Examined<Uid>, Fault> {
        let mut connection = self.pool().acquire().await?;
        let rows = sqlx::query!(
            "SELECT uid, name FROM resource WHERE kind = 'Organization' AND uid > $1 ORDER BY uid LIMIT $2",
            after.map_or_else(Uuid::nil, |uid| uid.uuid()),
            KEYS_PAGE
        );
        let rows = rows.fetch_all(&mut *connection).await?;
        let next = rows.last().map(|row| Uid::from_uuid(row.uid)).filter(|_| is_full(rows.len(), KEYS_PAGE));
        let mut examined = Examined { looked_at: 0, unreadable: Vec::new(), next };
        for row in rows {
            examined.looked_at += 1;
            if let Err(why) = self.try_data_key(&mut connection, Uid::from_uuid(row.uid)).await? {
                examined.unreadable.push(Unreadable { org: row.name, secret: None, why });
            }
        }
        Ok(examined)
    }

    /// An organisation's data key, or why it does not open.
    async fn try_data_key(
        &self,
        connection: &mut PgConnection,
        org_uid: Uid,
    ) -> Result<Result<DataKey, String>, Fault> {
        match data_key(connection, self.master_keys(), org_uid).await {
            Ok(key) => Ok(Ok(key)),
            Err(Fault::Store(why)) => Ok(Err(why.to_string())),
            Err(fault) => Err(fault),
        }
    }

    /// Opens a page of values, and compares each with the digest that its object in the Swarm is named after.
    pub async fn examine_values(
        &self,
        after: Option<ValuePosition>,
    ) -> Result<Examined<ValuePosition>, StoreError> {
        self.values(after).await.map_err(|fault| fault.during(Operation::OpenSecret))
    }

    async fn values(&self, after: Option<ValuePosition>) -> Result<Examined<ValuePosition>, Fault> {
        let mut connection = self.pool().acquire().await?;
        // A secret without any value is told of like one whose first does not open.
        let rows = sqlx::query!(
            r#"SELECT r.uid, r.org, r.name, o.uid AS "org_uid?", coalesce(v.version, 0) AS "version!",
                      v.nonce AS "nonce?", v.ciphertext AS "ciphertext?", v.digest AS "digest?"
               FROM resource r LEFT JOIN secret_version v ON v.uid = r.uid
               LEFT JOIN resource o ON o.org = '' AND o.kind = 'Organization' AND o.name = r.org
               WHERE r.kind = 'Secret' AND (r.uid, coalesce(v.version, 0)) > ($1, $2)
               ORDER BY r.uid, coalesce(v.version, 0) LIMIT $3"#,
            after.map_or_else(Uuid::nil, |position| position.secret.uuid()),
            after.map_or(0, |position| position.version),
            VALUES_PAGE
        );
        let rows = rows.fetch_all(&mut *connection).await?;
        let last = rows.last().filter(|_| is_full(rows.len(), VALUES_PAGE));
        let next = last.map(|row| ValuePosition { secret: Uid::from_uuid(row.uid), version: row.version });
        let mut examined = Examined { looked_at: 0, unreadable: Vec::new(), next };
        let mut keys: BTreeMap<Uuid, Result<DataKey, String>> = BTreeMap::new();
        for row in rows {
            examined.looked_at += 1;
            let mut unreadable = |why: &str| {
                let secret = Some((row.name.clone(), row.version));
                examined.unreadable.push(Unreadable { org: row.org.clone(), secret, why: why.to_owned() });
            };
            let Some(org_uid) = row.org_uid else {
                unreadable("there is no such organisation");
                continue;
            };
            let (Some(nonce), Some(ciphertext), Some(digest)) = (row.nonce, row.ciphertext, row.digest)
            else {
                unreadable("the secret has no value");
                continue;
            };
            let key = match keys.entry(org_uid) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    new.insert(self.try_data_key(&mut connection, Uid::from_uuid(org_uid)).await?)
                }
            };
            let key = match key {
                Ok(key) => key,
                Err(why) => {
                    unreadable(why);
                    continue;
                }
            };
            let uid = Uid::from_uuid(row.uid);
            let place = Place { org: &row.org, name: &row.name, uid, version: row.version };
            match key.open(&place, &Sealed { nonce, ciphertext }) {
                None => unreadable("it was damaged, or sealed for another place or with another key"),
                Some(value) if value.expose_secret().is_empty() => unreadable("it is empty"),
                Some(value) if key.digest(&row.name, &value) != digest => {
                    unreadable("its digest is that of another value");
                }
                Some(_) => {}
            }
        }
        Ok(examined)
    }
}

fn is_full(found: usize, page: i64) -> bool {
    i64::try_from(found).is_ok_and(|found| found == page)
}
