//! What the API counts. Routes are labelled by their template, never by a path: paths are endless.

use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Seconds; from a cached read to the request timeout.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeniedLabels {
    written: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: &'static str,
}

/// The API's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    streams: Gauge,
    watch_lag: Histogram,
    denied: Family<DeniedLabels, Counter>,
}

impl Metrics {
    /// Makes and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram),
            streams: Gauge::default(),
            watch_lag: histogram(),
            denied: Family::default(),
        };
        registry.register("skep_http_requests", "Answered HTTP requests", metrics.requests.clone());
        registry.register(
            "skep_http_request_duration_seconds",
            "Time until the answer's head was ready",
            metrics.durations.clone(),
        );
        registry.register("skep_http_open_streams", "Open watch and log streams", metrics.streams.clone());
        registry.register(
            "skep_http_watch_lag_seconds",
            "Age of the oldest change of a page when it was handed to open watches, by the database's clock",
            metrics.watch_lag.clone(),
        );
        registry.register(
            "skep_http_denied",
            "Requests for what a token does not permit, and whether the audit tells of them",
            metrics.denied.clone(),
        );
        metrics
    }

    /// A request was denied.
    pub(crate) fn denied(&self, is_written: bool) {
        let written = if is_written { "yes" } else { "no" };
        self.denied.get_or_create(&DeniedLabels { written }).inc();
    }

    /// Counts one answer.
    pub fn answered(&self, method: &Method, route: &'static str, status: StatusCode, took: Duration) {
        let method = known(method);
        self.requests.get_or_create(&RequestLabels { method, route, status: status.as_u16() }).inc();
        self.durations.get_or_create(&RouteLabels { method, route }).observe(took.as_secs_f64());
    }

    /// A page of changes goes to the watches that are open.
    pub(crate) fn delivered(&self, oldest: Duration) {
        self.watch_lag.observe(oldest.as_secs_f64());
    }

    /// Counts a stream while the result lives.
    pub(crate) fn open_stream(&self) -> OpenStream {
        self.streams.inc();
        OpenStream(self.streams.clone())
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

/// A method of our own, or a word for all others: anyone can invent methods.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// A stream that is counted as open.
pub(crate) struct OpenStream(Gauge);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}
