//! A print of each resource's rows: two looks that give the same print saw the same rows.
//!
//! Postgres writes a row anew whenever it is changed, whoever changes it and by whatever statement, and says by which transaction and
//! where (`xmin`, `ctid`). So a print needs no column of its own and nobody can forget to move it. A print is made of everything that
//! planning reads of a resource and that is a row: itself, its status, what it owns, its releases, the drift that stands, its
//! plans that are open, and the values of a secret. What it refers to are other resources, with prints of their own.
//!
//! Transactions that are lost by a failover or a restored backup have numbers that are given out once more. So the start of the server is
//! part of each print: no print of one server is that of another, or of itself after a restart.

use std::collections::BTreeSet;

use skep_schemas::{OrgName, ResourceKey};

use crate::error::{Fault, Operation, StoreError};
use crate::row::key_of_columns;
use crate::snapshot::{Snapshot, check_count};

/// The most resources that are printed at once, as many as a queue takes. Of more there are no prints at all: those that were left out
/// would count as gone.
const PRINTS_MAX: usize = 100_000;

/// What the store has of a resource, at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Print {
    /// The resource.
    pub key: ResourceKey,
    /// Another number whenever one of its rows was written, came or went.
    pub print: i64,
}

struct PrintRow {
    org: String,
    kind: String,
    name: String,
    print: i64,
}

/// A checked query for [`PrintRow`]s of the resources `r` of which this is true. `$1` is how many at most.
macro_rules! print_query {
    ($of:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            PrintRow,
            r#"WITH wanted AS MATERIALIZED (
                   SELECT r.uid, r.org, r.kind, r.name, concat(r.xmin, ' ', r.ctid) AS row FROM resource r WHERE "# + $of + r#"
               )
               SELECT w.org AS "org!", w.kind AS "kind!", w.name AS "name!", hashtextextended(concat(
                   extract(epoch FROM pg_postmaster_start_time()), '|', w.uid, '|', w.row, '|', s.xmin, ' ', s.ctid, '|', i.rows, '|', l.rows, '|', d.rows, '|', p.rows, '|', v.rows
               ), 0) AS "print!"
               FROM wanted w
               LEFT JOIN resource_status s ON s.uid = w.uid
               LEFT JOIN (
                   SELECT owner, string_agg(concat(xmin, ' ', ctid), ',' ORDER BY ctid) AS rows FROM inventory
                   WHERE owner IN (SELECT uid FROM wanted) GROUP BY owner
               ) i ON i.owner = w.uid
               LEFT JOIN (
                   SELECT env_uid, string_agg(concat(xmin, ' ', ctid), ',' ORDER BY ctid) AS rows FROM release
                   WHERE env_uid IN (SELECT uid FROM wanted) GROUP BY env_uid
               ) l ON l.env_uid = w.uid
               LEFT JOIN (
                   SELECT owner, string_agg(concat(xmin, ' ', ctid), ',' ORDER BY ctid) AS rows FROM drift
                   WHERE ended_at IS NULL GROUP BY owner
               ) d ON d.owner = w.uid
               LEFT JOIN (
                   SELECT uid, string_agg(concat(xmin, ' ', ctid), ',' ORDER BY ctid) AS rows FROM plan
                   WHERE finished_at IS NULL GROUP BY uid
               ) p ON p.uid = w.uid
               LEFT JOIN (
                   SELECT uid, string_agg(concat(xmin, ' ', ctid), ',' ORDER BY ctid) AS rows FROM secret_version
                   WHERE uid IN (SELECT uid FROM wanted) GROUP BY uid
               ) v ON v.uid = w.uid
               ORDER BY w.org, w.kind, w.name LIMIT $1"#
            $(, $argument)*
        )
    };
}

impl Snapshot {
    /// The prints of all resources, in order of their keys' columns; an error if there are more than a hundred thousand.
    pub async fn prints(&mut self) -> Result<Vec<Print>, StoreError> {
        let rows = print_query!("TRUE", at_most());
        prints(rows.fetch_all(self.connection()).await)
    }

    /// The same, of these environments and of everything that they could refer to: what is of the platform, their organisations,
    /// and what is in these but for other environments.
    pub async fn prints_around(&mut self, environments: &[ResourceKey]) -> Result<Vec<Print>, StoreError> {
        let org = |key: &ResourceKey| key.org().map(OrgName::to_string);
        let orgs: BTreeSet<String> = environments.iter().filter_map(org).collect();
        let orgs: Vec<String> = orgs.into_iter().collect();
        let of: Vec<String> = environments.iter().filter_map(org).collect();
        let names: Vec<String> = environments
            .iter()
            .filter(|key| key.org().is_some())
            .map(|key| key.name().as_str().to_owned())
            .collect();
        let rows = print_query!(
            "(r.org = '' AND (r.kind <> 'Organization' OR r.name = ANY($2)))
             OR (r.org = ANY($2) AND (r.kind <> 'Environment'
                 OR (r.org, r.name) IN (SELECT * FROM unnest($3::text[], $4::text[]))))",
            at_most(),
            &orgs,
            &of,
            &names
        );
        prints(rows.fetch_all(self.connection()).await)
    }
}

fn at_most() -> i64 {
    i64::try_from(PRINTS_MAX).unwrap_or(i64::MAX).saturating_add(1)
}

fn prints(rows: Result<Vec<PrintRow>, sqlx::Error>) -> Result<Vec<Print>, StoreError> {
    let rows = rows.map_err(|error| Fault::from(error).during(Operation::Read))?;
    check_count("resources to be printed", rows.len(), PRINTS_MAX)?;
    let print = |row: PrintRow| {
        key_of_columns(&row.org, &row.kind, &row.name).map(|key| Print { key, print: row.print })
    };
    rows.into_iter().map(print).collect()
}
