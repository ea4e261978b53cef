//! The domains of an environment.

use skep_schemas::{AnySpec, Kind};

use super::found::found;
use crate::answer::Document;
use crate::call::Call;
use crate::error::ApiError;
use crate::wire::{PanelQuery, ResourceList, ResourceView};

pub(super) async fn list(call: Call<PanelQuery>) -> Result<Document<ResourceList>, ApiError> {
    let environment = found(&call, Kind::Environment).await?.meta.key;
    let org = environment.org().ok_or_else(|| ApiError::internal("an environment is in no organisation"))?;
    let mut snapshot = call.store.snapshot().await?;
    let watch_from = snapshot.cursor().to_string();
    let domains = snapshot.list_org(org, Kind::Domain).await?;
    let its = domains.iter().filter(
        |domain| matches!(&domain.spec, AnySpec::Domain(domain) if domain.environment == *environment.name()),
    );
    let items = its.map(ResourceView::of).collect::<Result<_, _>>().map_err(ApiError::internal)?;
    Ok(Document(ResourceList { items, next: None, watch_from }))
}
