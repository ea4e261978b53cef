//! The output of an environment's processes, as a stream.

use axum::response::sse::Event;
use futures::StreamExt;
use skep_schemas::Kind;

use crate::answer::Logs;
use crate::call::Call;
use crate::error::ApiError;
use crate::limits::{TAIL_DEFAULT, TAIL_MAX};
use crate::stream::Slot;
use crate::wire::LogQuery;

pub(crate) async fn read(call: Call<LogQuery>) -> Result<Logs, ApiError> {
    let slot = Slot::take(&call)?;
    let key = call.address.key_of(Kind::Environment)?;
    let tail = call.query.tail.unwrap_or(TAIL_DEFAULT);
    if tail > TAIL_MAX {
        let problem = format!("{tail} lines are too many");
        return Err(ApiError::invalid(problem, format!("ask for at most {TAIL_MAX} with `tail`, or follow")));
    }
    let query = LogQuery { tail: Some(tail), ..call.query };
    if call.store.get(&key).await?.is_none() {
        return Err(ApiError::NotFound { key });
    }
    let lines = call.app.control.logs(&call.store, &key, query).await?;
    let lines = lines.map(|line| {
        let line = line.map_err(ApiError::from)?;
        Event::default().event("log").json_data(&line).map_err(ApiError::internal)
    });
    let end = futures::stream::once(std::future::ready(Ok(Event::default().event("end").data("{}"))));
    Ok(Logs(slot.send(lines.chain(end))))
}
