//! How the containers of an image behave.

use std::time::Duration;

/// What becomes of a container that is made from an image. Programs start, run and stop on request unless they say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    pub(crate) pull: Pull,
    pub(crate) start: Start,
    pub(crate) end: Option<End>,
    pub(crate) stop: Option<Duration>,
    pub(crate) stop_code: i64,
    pub(crate) health: Health,
    pub(crate) lines: Vec<String>,
}

/// Whether nodes get the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pull {
    #[default]
    Works,
    Missing,
    Never,
}

/// Whether a container can be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Start {
    #[default]
    Works,
    Fails(String),
}

/// How a process ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) after: Duration,
    pub(crate) code: i64,
    pub(crate) out_of_memory: bool,
}

/// What the image's own health check finds, when it has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Health {
    /// Healthy at the first look, if anybody looks.
    #[default]
    Good,
    /// Healthy from then on.
    After(Duration),
    /// Never healthy; what the check writes.
    Bad(String),
}

impl Program {
    /// Starts, runs until it is stopped, and stops when asked.
    pub fn runs() -> Self {
        Self::default()
    }

    /// Ends at once with this status.
    #[must_use]
    pub fn exits(code: i64) -> Self {
        Self::exits_after(Duration::ZERO, code)
    }

    /// Runs for so long and ends with this status.
    #[must_use]
    pub fn exits_after(after: Duration, code: i64) -> Self {
        Self { end: Some(End { after, code, out_of_memory: false }), ..Self::default() }
    }

    /// Takes more memory than it may.
    #[must_use]
    pub fn eats_memory() -> Self {
        let end = End { after: Duration::from_millis(500), code: 137, out_of_memory: true };
        Self { end: Some(end), ..Self::default() }
    }

    /// Runs and is never healthy; its check writes this. It ends with status 1 when it is stopped for that. Only where the service or the image has a health check does it matter,
    /// and an image whose health is said here has one.
    #[must_use]
    pub fn unhealthy(output: &str) -> Self {
        Self { health: Health::Bad(output.to_owned()), stop_code: 1, ..Self::default() }
    }

    /// Is healthy so long after its start.
    #[must_use]
    pub fn healthy_after(after: Duration) -> Self {
        Self { health: Health::After(after), ..Self::default() }
    }

    /// No node can get the image.
    #[must_use]
    pub fn missing() -> Self {
        Self { pull: Pull::Missing, ..Self::default() }
    }

    /// Its nodes are never done with preparing it.
    #[must_use]
    pub fn never_prepared() -> Self {
        Self { pull: Pull::Never, ..Self::default() }
    }

    /// Its container cannot be started; the engine says this.
    #[must_use]
    pub fn cannot_start(error: &str) -> Self {
        Self { start: Start::Fails(error.to_owned()), ..Self::default() }
    }

    /// The same program, which takes so long to stop. What is longer than the grace period is ended by force.
    #[must_use]
    pub fn stops_after(mut self, after: Duration) -> Self {
        self.stop = Some(after);
        self
    }

    /// The same program, which ends with this status when it is asked to stop. It matters where a task is stopped for not being
    /// healthy: one that stops well is complete, and any other has failed.
    #[must_use]
    pub fn stops_with(mut self, code: i64) -> Self {
        self.stop_code = code;
        self
    }

    /// The same program, which writes this line when it starts.
    #[must_use]
    pub fn writes(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }
}
