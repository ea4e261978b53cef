//! Reading resources for people and programs: one by key, or page by page.

use skep_planner::ReleaseVersion;
use skep_schemas::selector::{Requirement, Selector};
use skep_schemas::{Kind, OrgName, Resource, ResourceKey, Scope, Uid};

use crate::error::{Fault, Operation, StoreError};
use crate::release;
use crate::row::{ResourceRow, key_of_columns, org_column, resource_query};
use crate::scoped::ScopedStore;
use crate::snapshot::Snapshot;
use crate::watch::Cursor;

/// The largest page: with specs of the usual size a few megabytes.
pub const LIST_MAX: u32 = 500;

/// Which scopes a list covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeFilter {
    /// Everything: for administrators and for the controller.
    All,
    /// The platform's own resources.
    Platform,
    /// One organisation's.
    Org(OrgName),
}

impl ScopeFilter {
    /// The `org` column to compare with; `None` compares nothing.
    fn column(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Platform => Some(""),
            Self::Org(org) => Some(org.as_str()),
        }
    }
}

/// Where a page ended. Opaque to clients; ordered as lists are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPosition(ResourceKey);

impl ListPosition {
    /// After this resource.
    pub const fn after(key: ResourceKey) -> Self {
        Self(key)
    }

    /// The last resource before the next page.
    pub const fn key(&self) -> &ResourceKey {
        &self.0
    }
}

/// What to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Of one kind; of all when `None`.
    pub kind: Option<Kind>,
    /// In which scopes.
    pub scope: ScopeFilter,
    /// With which labels.
    pub selector: Selector,
    /// How many at most; no more than [`LIST_MAX`] are given.
    pub limit: u32,
    /// Where the page before ended.
    pub after: Option<ListPosition>,
}

/// A page of resources, ordered by organisation, kind and name.
#[derive(Debug, Clone, PartialEq)]
pub struct ListPage {
    /// The resources.
    pub items: Vec<Resource>,
    /// Where to go on; `None` at the end.
    pub next: Option<ListPosition>,
    /// The moment of this page. Changes after the first page's cursor bring a list up to date.
    pub cursor: Cursor,
}

impl ScopedStore {
    /// One resource.
    pub async fn get(&self, key: &ResourceKey) -> Result<Option<Resource>, StoreError> {
        let row = resource_query!(
            "WHERE r.org = $1 AND r.kind = $2 AND r.name = $3",
            org_column(key.scope()),
            key.kind().as_str(),
            key.name().as_str()
        );
        let found = async { row.fetch_optional(&mut *self.reader().await?).await }.await;
        let row = found.map_err(|source| Fault::from(source).during(Operation::Read))?;
        row.map(ResourceRow::into_resource).transpose()
    }

    /// One resource of a scope, by its uid. What has another kind, or is elsewhere, is not found.
    pub async fn find(&self, scope: &Scope, kind: Kind, uid: Uid) -> Result<Option<Resource>, StoreError> {
        let row = resource_query!(
            "WHERE r.uid = $1 AND r.org = $2 AND r.kind = $3",
            uid.uuid(),
            org_column(scope),
            kind.as_str()
        );
        let found = async { row.fetch_optional(&mut *self.reader().await?).await }.await;
        let row = found.map_err(|source| Fault::from(source).during(Operation::Read))?;
        row.map(ResourceRow::into_resource).transpose()
    }

    /// The environment and the release of a deployment of an organisation.
    pub async fn find_deployment(
        &self,
        org: &OrgName,
        uid: Uid,
    ) -> Result<Option<(ResourceKey, ReleaseVersion)>, StoreError> {
        self.try_find_deployment(org, uid).await.map_err(|fault| fault.during(Operation::Read))
    }

    async fn try_find_deployment(
        &self,
        org: &OrgName,
        uid: Uid,
    ) -> Result<Option<(ResourceKey, ReleaseVersion)>, Fault> {
        let mut reader = self.reader().await?;
        let Some((name, version)) = release::of_deployment(&mut reader, org, uid.uuid()).await? else {
            return Ok(None);
        };
        Ok(Some((key_of_columns(org.as_str(), Kind::Environment.as_str(), &name)?, version)))
    }

    /// A page of resources, all of one moment.
    pub async fn list(&self, query: &ListQuery) -> Result<ListPage, StoreError> {
        let mut snapshot = self.snapshot().await?;
        snapshot.list(query).await
    }
}

impl Snapshot {
    /// A page of resources.
    pub async fn list(&mut self, query: &ListQuery) -> Result<ListPage, StoreError> {
        self.try_list(query).await.map_err(|fault| fault.during(Operation::List))
    }

    async fn try_list(&mut self, query: &ListQuery) -> Result<ListPage, Fault> {
        let limit = query.limit.clamp(1, LIST_MAX);
        let labels = LabelColumns::of(&query.selector);
        let after = query.after.as_ref().map(ListPosition::key);
        let rows = resource_query!(
            "WHERE ($1::text IS NULL OR r.kind = $1)
               AND ($2::text IS NULL OR r.org = $2)
               AND ($3::text IS NULL OR (r.org, r.kind, r.name) > ($3, $4, $5))
               AND NOT EXISTS (SELECT FROM unnest($6::text[], $7::text[]) AS t (key, value)
                               WHERE r.labels->>t.key IS DISTINCT FROM t.value)
               AND NOT EXISTS (SELECT FROM unnest($8::text[], $9::text[]) AS t (key, value)
                               WHERE r.labels->>t.key = t.value)
               AND r.labels ?& $10::text[]
               AND NOT r.labels ?| $11::text[]
             ORDER BY r.org, r.kind, r.name LIMIT $12",
            query.kind.map(Kind::as_str),
            query.scope.column(),
            after.map(|key| org_column(key.scope())),
            after.map(|key| key.kind().as_str()),
            after.map(|key| key.name().as_str()),
            &labels.equal.0,
            &labels.equal.1,
            &labels.not_equal.0,
            &labels.not_equal.1,
            &labels.exists,
            &labels.absent,
            // One more than asked for tells whether there is a next page.
            i64::from(limit) + 1
        )
        .fetch_all(self.connection())
        .await?;
        let full = u32::try_from(rows.len()).is_ok_and(|found| found > limit);
        let items = rows.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX));
        let items = items.map(ResourceRow::into_resource).collect::<Result<Vec<_>, _>>()?;
        let last = items.last().map(|resource| ListPosition(resource.meta.key.clone()));
        Ok(ListPage { next: if full { last } else { None }, items, cursor: self.cursor() })
    }
}

/// A selector as arrays, one query for all selectors.
#[derive(Default)]
struct LabelColumns {
    equal: (Vec<String>, Vec<String>),
    not_equal: (Vec<String>, Vec<String>),
    exists: Vec<String>,
    absent: Vec<String>,
}

impl LabelColumns {
    fn of(selector: &Selector) -> Self {
        let mut columns = Self::default();
        for requirement in selector.requirements() {
            match requirement {
                Requirement::Equals(key, value) => {
                    columns.equal.0.push(key.clone());
                    columns.equal.1.push(value.clone());
                }
                Requirement::NotEquals(key, value) => {
                    columns.not_equal.0.push(key.clone());
                    columns.not_equal.1.push(value.clone());
                }
                Requirement::Exists(key) => columns.exists.push(key.clone()),
                Requirement::NotExists(key) => columns.absent.push(key.clone()),
            }
        }
        columns
    }
}
