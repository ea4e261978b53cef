//! The features that an organisation has.

use skep_store::Gate;

use crate::answer::Document;
use crate::call::{Call, NoQuery};
use crate::error::ApiError;
use crate::wire::{FeatureItem, FeaturesView};

pub(super) async fn get(call: Call<NoQuery>) -> Result<Document<FeaturesView>, ApiError> {
    let org = call.address.org().ok_or_else(|| ApiError::internal("the route has no organisation"))?;
    let item = |Gate { feature, closed_by }| FeatureItem {
        feature,
        on: closed_by.is_none(),
        switched_off_by: closed_by.map(|key| key.to_string()),
    };
    let items = call.store.features(org).await?.into_iter().map(item).collect();
    Ok(Document(FeaturesView { items }))
}
