//! Where environments can run.

use crate::answer::Document;
use crate::call::Call;
use crate::error::ApiError;
use crate::routes::region;
use crate::wire::{PanelQuery, RegionList};

pub(super) async fn locations(call: Call<PanelQuery>) -> Result<Document<RegionList>, ApiError> {
    region::told(&call).await
}
