//! `skep drift`: what somebody else changed, what is done about it, and how it ended.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use skep_api::wire::{DriftEvent, DriftList, DriftQuery, DriftView, Problem};
use skep_schemas::{KindScope, OrgName, ResourceName};

use super::{Outcome, Session};
use crate::address::Address;
use crate::client::{ClientError, EventSource, with_query};
use crate::output::drift::{DriftLayout, line, table};
use crate::output::{json, print, stdout_style, yaml};

/// The pauses between attempts to follow: the first, and the longest. A person is waiting.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// `skep drift`
#[derive(Debug, Args)]
pub(crate) struct DriftArgs {
    /// Kind, or KIND/NAME, or ORG/KIND/NAME; everything when absent.
    #[arg(value_name = "KIND")]
    address: Option<Address>,
    /// Name.
    #[arg(value_name = "NAME")]
    name: Option<ResourceName>,
    /// With what ended as well.
    #[arg(long, conflicts_with = "past")]
    all: bool,
    /// What ended, instead of what stands.
    #[arg(long)]
    past: bool,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: DriftFormat,
    /// Go on showing changes.
    #[arg(long, short)]
    watch: bool,
}

/// How the report is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum DriftFormat {
    /// Columns that fit a terminal.
    #[default]
    Table,
    /// The API's form.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: DriftArgs) -> Result<Outcome> {
    let open = match (args.all, args.past) {
        (true, _) => None,
        (false, past) => Some(!past),
    };
    let mut query = DriftQuery { open, watch: args.watch, ..DriftQuery::default() };
    let mut org = session.org.clone();
    if let Some(address) = args.address {
        let address = address.with_name(args.name)?;
        if address.kind.scope() == KindScope::Platform {
            if address.org.is_some() {
                bail!("{} is a platform resource and takes no organisation", address.kind);
            }
            // An organisation of the context does not limit what is asked of the platform.
            org = None;
        }
        org = address.org.or(org);
        query = DriftQuery { kind: Some(address.kind), name: address.name, ..query };
    }
    let path = with_query(&place(org.as_ref()), &query)?;
    if args.watch {
        return follow(session, &path, args.output).await;
    }
    let DriftList { items } = session.client.get(&path).await?;
    print(&page(&items, args.output)?)?;
    Ok(Outcome::Done)
}

fn place(org: Option<&OrgName>) -> String {
    org.map_or_else(|| "/v1/drift".to_owned(), |org| format!("/v1/orgs/{org}/drift"))
}

fn layout() -> DriftLayout {
    DriftLayout { now: Timestamp::now(), style: stdout_style() }
}

fn page(drift: &[DriftView], format: DriftFormat) -> Result<String> {
    match format {
        DriftFormat::Json => json(&drift),
        DriftFormat::Yaml => yaml(&drift),
        DriftFormat::Table => Ok(table(drift, &layout())),
    }
}

fn change(drift: &DriftView, format: DriftFormat) -> Result<String> {
    match format {
        DriftFormat::Json => Ok(serde_json::to_string(drift)? + "\n"),
        DriftFormat::Yaml => Ok(format!("---\n{}", yaml(drift)?)),
        DriftFormat::Table => Ok(line(drift, &layout())),
    }
}

/// Shows what there is, and then every change, over as many connections as it takes. A stream that broke begins anew with
/// everything; what was shown in that form before is passed over.
async fn follow(session: &Session, path: &str, format: DriftFormat) -> Result<Outcome> {
    let mut shown = Shown { format, first: Some(Vec::new()), serials: HashMap::new() };
    let mut pause = PAUSE.0;
    loop {
        let ended = match session.client.stream(path).await {
            Ok(mut source) => shown.take_all(&mut source, &mut pause).await?,
            Err(error) => Some(error),
        };
        match ended {
            None => {}
            Some(error) if error.may_pass() || is_behind(&error) => {
                eprintln!("note: {}", error.to_string().lines().next().unwrap_or_default());
            }
            Some(error) => return Err(error.into()),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// A stream that could not keep up is begun anew.
fn is_behind(error: &ClientError) -> bool {
    error.code() == Some(skep_schemas::codes::Code::CursorExpired)
}

/// What was shown.
struct Shown {
    format: DriftFormat,
    /// What the first stream began with, until it is complete.
    first: Option<Vec<DriftView>>,
    /// In what form each difference that stands was shown last, and those that ended since the stream began.
    serials: HashMap<i64, i64>,
}

impl Shown {
    /// Shows the events of one stream; why it ended, if that is worth a word.
    async fn take_all(
        &mut self,
        source: &mut EventSource,
        pause: &mut Duration,
    ) -> Result<Option<ClientError>> {
        let mut told = Some(HashMap::new());
        loop {
            let event = match source.next().await {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(error)),
            };
            if event.name == "problem" {
                let problem: Problem = serde_json::from_str(&event.data)?;
                return Ok(Some(ClientError::Problem(Box::new(problem))));
            }
            match serde_json::from_str(&event.data)? {
                DriftEvent::Drift { drift } => {
                    if let Some(told) = &mut told {
                        told.insert(drift.id, drift.serial);
                    }
                    self.take(*drift)?;
                }
                DriftEvent::Bookmark {} => {
                    *pause = PAUSE.0;
                    if let Some(mut first) = self.first.take() {
                        first.reverse();
                        print(&page(&first, self.format)?)?;
                    }
                    // What the server no longer tells at the beginning it will not tell again, so it is forgotten here.
                    if let Some(told) = told.take() {
                        self.serials = told;
                    }
                }
            }
        }
    }

    fn take(&mut self, drift: DriftView) -> Result<()> {
        if !self.is_new(&drift) {
            return Ok(());
        }
        match &mut self.first {
            Some(first) => first.push(drift),
            None => print(&change(&drift, self.format)?)?,
        }
        Ok(())
    }

    /// Was it never shown in this form?
    fn is_new(&mut self, drift: &DriftView) -> bool {
        self.serials.insert(drift.id, drift.serial) != Some(drift.serial)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::loopback::{answer, client, server};

    fn drift(id: i64, serial: i64) -> DriftView {
        let view = json!({
            "id": id, "serial": serial, "resource": {"org": "acme", "kind": "Environment", "name": "shop"},
            "object": {"kind": "service", "name": "acme_shop_web"}, "pointer": "/Labels/a", "class": "modified",
            "response": "report", "noticed": "event", "firstSeen": "2026-03-01T11:50:00Z",
            "lastSeen": "2026-03-01T11:59:00Z", "ending": "reported",
        });
        serde_json::from_value(view).unwrap()
    }

    fn stream(drift: &[DriftView]) -> String {
        let events = drift.iter().map(|one| DriftEvent::Drift { drift: Box::new(one.clone()) });
        let events = events.chain([DriftEvent::Bookmark {}]);
        let frame = |event: DriftEvent| {
            format!("event: {}\ndata: {}\n\n", event.name(), serde_json::to_string(&event).unwrap())
        };
        events.map(frame).collect()
    }

    #[tokio::test]
    async fn what_a_new_stream_begins_with_is_shown_only_as_far_as_it_changed() {
        let streams = [stream(&[drift(1, 1), drift(2, 2)]), stream(&[drift(2, 2), drift(3, 4)])];
        let asked = Arc::new(AtomicUsize::new(0));
        let url = server(move |_| {
            let text = streams.get(asked.fetch_add(1, Ordering::SeqCst)).unwrap();
            answer(200, "text/event-stream", text)
        })
        .await;
        let client = client(&url);
        let mut shown = Shown { format: DriftFormat::Json, first: Some(Vec::new()), serials: HashMap::new() };
        let mut pause = PAUSE.1;
        for known in [vec![(1, 1), (2, 2)], vec![(2, 2), (3, 4)]] {
            let mut source = client.stream("/v1/drift?watch=true").await.unwrap();
            assert!(shown.take_all(&mut source, &mut pause).await.unwrap().is_none());
            assert_eq!(shown.serials, known.into_iter().collect(), "what is gone is forgotten");
        }
        assert_eq!(pause, PAUSE.0, "a stream that works ends the growing pauses");
        assert!(!shown.is_new(&drift(3, 4)) && shown.is_new(&drift(3, 5)));
    }
}
