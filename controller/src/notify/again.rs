//! When a message that was not taken is sent again.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// How long to wait after each failure, as Standard Webhooks recommends: nine more times, over three days.
const SCHEDULE: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(20 * 3600),
    Duration::from_secs(24 * 3600),
];
/// However often it was sent: what is older tells nobody anything new. More than the schedule takes.
const AGE_MAX: Duration = Duration::from_secs(4 * 24 * 3600);
/// The longest that a receiver may ask to wait for.
const ASKED_MAX: Duration = Duration::from_secs(24 * 3600);
/// For how long nothing else is sent to a target that did not take a message, and the longest that it may ask for.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
const PAUSE_ASKED_MAX: Duration = Duration::from_secs(3600);

/// After how long a message is sent again that was sent so often before and failed once more; `None` when it is given up.
pub(super) fn after(attempts: u32, age: Duration, asked: Option<Duration>) -> Option<Duration> {
    let failed = usize::try_from(attempts).unwrap_or(usize::MAX);
    let scheduled = SCHEDULE.get(failed).copied().filter(|_| age < AGE_MAX)?;
    Some(scheduled.max(asked.unwrap_or_default().min(ASKED_MAX)))
}

/// For how long nothing is sent to a target that failed so often in a row before, and now once more: twice as long each time.
pub(super) fn pause(failures: u32, asked: Option<Duration>) -> Duration {
    let grown = PAUSE.saturating_mul(2_u32.saturating_pow(failures)).min(PAUSE_MAX);
    grown.max(asked.unwrap_or_default().min(PAUSE_ASKED_MAX))
}

/// How long the receiver asks to wait for, in either form of the header.
pub(super) fn asked(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(at.duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_sent_ten_times_over_three_days_and_no_longer_than_four() {
        let fresh = Duration::ZERO;
        let waits: Vec<u64> =
            (0..).map_while(|attempts| after(attempts, fresh, None)).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits, [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]);
        assert!(waits.iter().sum::<u64>() < AGE_MAX.as_secs());
        assert_eq!(after(0, AGE_MAX, None), None);
    }

    #[test]
    fn what_a_receiver_asks_for_is_respected_within_bounds_and_hurries_nothing() {
        let hour = Duration::from_secs(3600);
        assert_eq!(after(0, Duration::ZERO, Some(hour)), Some(hour));
        assert_eq!(after(4, Duration::ZERO, Some(hour)), Some(5 * hour));
        assert_eq!(after(0, Duration::ZERO, Some(1000 * hour)), Some(ASKED_MAX));
        assert_eq!(pause(0, Some(hour / 2)), hour / 2);
        assert_eq!(pause(0, Some(1000 * hour)), PAUSE_ASKED_MAX);
        assert_eq!([pause(0, None), pause(1, None), pause(40, None)], [PAUSE, 2 * PAUSE, PAUSE_MAX]);
    }

    #[test]
    fn a_time_to_wait_is_read_in_either_form() {
        let now: Timestamp = "2015-10-21T07:27:00Z".parse().unwrap();
        let read = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static(text))]);
            asked(&headers, now)
        };
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(60)));
        for nothing in ["Wed, 21 Oct 2015 07:20:00 GMT", "-5", "soon", ""] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
        assert_eq!(asked(&HeaderMap::new(), now), None);
    }
}
