//! What an organisation has and may have.

use skep_planner::quota::Counted;

use crate::answer::Document;
use crate::call::{Call, NoQuery};
use crate::error::ApiError;
use crate::wire::{QuotaItem, QuotaView};

pub(super) async fn get(call: Call<NoQuery>) -> Result<Document<QuotaView>, ApiError> {
    let org = call.address.org().ok_or_else(|| ApiError::internal("the route has no organisation"))?;
    let standing = call.store.standing(org).await?;
    let item = |counted: Counted| {
        let (used, limit) = (standing.usage.get(counted), counted.limit(&standing.quota));
        QuotaItem {
            of: counted.field().to_owned(),
            used: counted.amount(used),
            limit: limit.map(|limit| counted.amount(limit)),
            exceeded: limit.is_some_and(|limit| used > limit),
        }
    };
    let items = Counted::ALL.map(item).to_vec();
    Ok(Document(QuotaView { plan: standing.plan, items }))
}
