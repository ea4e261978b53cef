//! The domains of an environment.

use skep_schemas::{AnySpec, Kind};

use super::found::found;
use crate::answer::Document;
use crate::call::Call;
use crate::error::ApiError;
use crate::wire::{PanelQuery, ResourceList, ResourceView};

pub(super) async fn list(call: Call<PanelQuery>) -> Result<Document<ResourceList>, ApiError> {
    let environment = found(&call, Kind::Environment).await?.meta.key;
    let mut snapshot = call.store.snapshot().await?;
    let watch_from = snapshot.cursor().to_string();
    let referrers = snapshot.referrers(&environment).await?;
    let domains = referrers.iter().filter(|referrer| matches!(referrer.spec, AnySpec::Domain(_)));
    let items = domains.map(ResourceView::of).collect::<Result<_, _>>().map_err(ApiError::internal)?;
    Ok(Document(ResourceList { items, next: None, watch_from }))
}
