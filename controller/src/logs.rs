//! The output of an environment's processes, from the engine, for the API.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jiff::Timestamp;
use skep_api::wire::{LogLine, LogQuery, LogStream};
use skep_api::{LogLines, PortError};
use skep_planner::naming::{LABEL_PROCESS, LABEL_UID};
use skep_planner::swarm::Service;
use skep_schemas::{ProcessName, Uid};
use skep_swarm::{LabelFilter, LogSource, LogTarget, SwarmApi, SwarmError};

/// How much of a task's id tells instances apart; the same length as `docker service ps` shows.
const INSTANCE_CHARS: usize = 12;
/// A longer line is cut: it is shown to people.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Lines of all processes of an environment that were asked for, merged as they come.
pub(crate) async fn lines(
    swarm: Arc<dyn SwarmApi>,
    environment: Uid,
    query: LogQuery,
) -> Result<LogLines, PortError> {
    let of_environment = LabelFilter::any().with(LABEL_UID, environment.to_string());
    let services = swarm.list_services(&of_environment).await.map_err(unavailable)?;
    let mut streams: Vec<BoxStream<'static, Result<LogLine, PortError>>> = Vec::new();
    for service in services {
        let Some(process) = process_of(&service) else { continue };
        if query.process.as_ref().is_some_and(|wanted| *wanted != process) {
            continue;
        }
        let engine_query = skep_swarm::LogQuery {
            follow: query.follow,
            tail: query.tail,
            since: query.since.map(|since| since.as_second()),
        };
        let lines =
            swarm.logs(&LogTarget::Service(service.id.clone()), &engine_query).await.map_err(unavailable)?;
        streams.push(lines.map(move |line| read(line, &process)).boxed());
    }
    Ok(stream::select_all(streams).boxed())
}

fn process_of(service: &Service) -> Option<ProcessName> {
    service.spec.labels.get(LABEL_PROCESS)?.parse().ok()
}

fn read(line: Result<skep_swarm::LogLine, SwarmError>, process: &ProcessName) -> Result<LogLine, PortError> {
    let line = line.map_err(unavailable)?;
    let shown = line.message.get(..LINE_BYTES_MAX).unwrap_or(&line.message);
    Ok(LogLine {
        at: line.timestamp.parse().unwrap_or(Timestamp::UNIX_EPOCH),
        process: process.clone(),
        instance: line
            .task
            .map(|task| task.as_str().chars().take(INSTANCE_CHARS).collect())
            .unwrap_or_default(),
        stream: match line.source {
            LogSource::Stdout => LogStream::Stdout,
            LogSource::Stderr | LogSource::Engine => LogStream::Stderr,
        },
        text: String::from_utf8_lossy(shown).trim_end_matches(['\r', '\n']).to_owned(),
    })
}

fn unavailable(error: SwarmError) -> PortError {
    PortError::EngineUnavailable { source: Box::new(error) }
}
