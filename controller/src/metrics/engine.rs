//! The engine: whether it answers, how long its calls take and how they end, and how late its events come.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use skep_swarm::{Hint, HintKind, SwarmError, Verb};

use super::{add, seconds};

/// Of the engine.
#[derive(Clone, Debug)]
pub struct EngineMetrics {
    reachable: Gauge,
    calls: Family<CallLabels, Histogram, fn() -> Histogram>,
    events: Family<EventLabels, Counter>,
    event_lag: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    verb: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    kind: &'static str,
}

impl EngineMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            reachable: add(
                registry,
                "engine_reachable",
                "1 when the engine answered the last ping, else 0",
                Gauge::default(),
            ),
            calls: add(
                registry,
                "swarm_call_seconds",
                "Duration of calls to the engine by verb and result; of streams, until they open",
                Family::new_with_constructor(seconds),
            ),
            events: add(
                registry,
                "engine_events",
                "Events received from the engine by kind of object",
                Family::default(),
            ),
            event_lag: add(
                registry,
                "event_lag_seconds",
                "Time from an event's own time on the engine's clock until it woke its key",
                seconds(),
            ),
        }
    }

    /// Did the engine answer?
    pub fn answered(&self, it_did: bool) {
        self.reachable.set(i64::from(it_did));
    }

    /// A call ended.
    pub(super) fn called(&self, verb: Verb, error: Option<&SwarmError>, took: Duration) {
        let labels = CallLabels { verb: verb.as_str(), result: error.map_or("ok", result) };
        self.calls.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// An event was received and has woken its key.
    pub fn heard(&self, hint: &Hint) {
        self.heard_at(hint, SystemTime::now());
    }

    fn heard_at(&self, hint: &Hint, now: SystemTime) {
        self.events.get_or_create(&EventLabels { kind: kind(hint.kind) }).inc();
        let Ok(nanos) = u64::try_from(hint.time_nanos) else { return };
        // The engine's clock may be ahead of ours; then the lag is not known, and zero is the nearest to say.
        let lag = now.duration_since(UNIX_EPOCH + Duration::from_nanos(nanos)).unwrap_or_default();
        self.event_lag.observe(lag.as_secs_f64());
    }
}

const fn kind(kind: HintKind) -> &'static str {
    match kind {
        HintKind::Service => "service",
        HintKind::Node => "node",
        HintKind::Network => "network",
        HintKind::Secret => "secret",
        HintKind::Config => "config",
        HintKind::Container => "container",
    }
}

/// How a call ended, as a label.
pub(super) const fn result(error: &SwarmError) -> &'static str {
    match error {
        SwarmError::Conflict { .. } => "conflict",
        SwarmError::NameTaken { .. } => "name_taken",
        SwarmError::NotFound { .. } => "not_found",
        SwarmError::Invalid { .. } => "invalid",
        SwarmError::InUse { .. } => "in_use",
        SwarmError::Unavailable { .. } => "unavailable",
        SwarmError::NoManager { .. } => "no_manager",
        SwarmError::Timeout { .. } => "timeout",
        SwarmError::Unauthorized { .. } => "unauthorized",
        SwarmError::EngineTooOld { .. } | SwarmError::EngineTooNew { .. } => "version",
        SwarmError::Decode { .. } | SwarmError::AnswerTooLarge { .. } => "unreadable",
        SwarmError::Address { .. } | SwarmError::Certificates { .. } => "misconfigured",
        SwarmError::Other { .. } => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_event_from_a_clock_that_is_ahead_or_broken_is_counted_and_has_no_negative_lag() {
        let mut registry = Registry::default();
        let metrics = EngineMetrics::register(&mut registry);
        let hint = |time_nanos| Hint {
            kind: HintKind::Service,
            id: "s1".to_owned(),
            name: None,
            action: "update".to_owned(),
            time_nanos,
            attributes: BTreeMap::new(),
        };
        let now = UNIX_EPOCH + Duration::from_secs(100);
        for nanos in [99_980_000_000, 101_000_000_000, -7] {
            metrics.heard_at(&hint(nanos), now);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"engine_events_total{kind="service"} 3"#,
            r#"event_lag_seconds_bucket{le="0.001"} 1"#,
            r#"event_lag_seconds_bucket{le="0.025"} 2"#,
            "event_lag_seconds_count 2",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
    }
}
