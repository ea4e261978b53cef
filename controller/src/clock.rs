//! The wall time as records and plans write it, from the clock that the process was given.

use std::time::SystemTime;

use jiff::Timestamp;
use skep_runtime::Clock;

/// What the clock on the wall says.
pub(crate) fn wall(clock: &dyn Clock) -> Timestamp {
    timestamp(clock.wall())
}

/// A time of the machine's clock; one beyond what can be written is shown as the end of time.
pub(crate) fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::try_from(at).unwrap_or(Timestamp::MAX)
}
