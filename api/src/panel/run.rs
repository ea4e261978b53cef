//! Commands that run once in an environment.

use skep_schemas::Kind;

use super::found::found;
use crate::answer::Document;
use crate::call::{Address, Call, Json, NoQuery};
use crate::error::ApiError;
use crate::routes::run;
use crate::wire::{PanelQuery, RunAsked, RunView};

pub(super) async fn ask(call: Call<PanelQuery, Json<RunAsked>>) -> Result<Document<RunView>, ApiError> {
    let key = found(&call, Kind::Environment).await?.meta.key;
    let asked = call.body.0.clone();
    run::ask(call.instead(Address::of(&key), NoQuery {}, Json(asked))).await
}
