//! What the first process of a container makes of signals: all are passed on at once, but for the one that asks it to stop, which the
//! program hears of when nobody sends it anything any more. Decided without asking anybody; the time is whoever calls's to know.

/// A child has ended, or has been stopped: for the first process itself.
pub(crate) const SIGCHLD: i32 = 17;
/// The largest number of a signal.
const SIGNAL_MAX: i32 = 64;
/// What begins the argument.
const ARGUMENT: &[u8] = b"--drain=";

/// Which signal waits, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drain {
    signal: i32,
    millis: u64,
    /// When it is passed on, once it has come.
    due: Option<u64>,
}

impl Drain {
    /// Of `--drain=SIGNAL:MILLISECONDS`, by the signal's number; `None` when it is no such thing.
    pub(crate) fn of(argument: &[u8]) -> Option<Self> {
        let rest = argument.strip_prefix(ARGUMENT)?;
        let colon = rest.iter().position(|byte| *byte == b':')?;
        let signal = number(rest.get(..colon)?)?;
        let millis = number(rest.get(colon + 1..)?)?;
        let signal = i32::try_from(signal).ok().filter(|signal| (1..=SIGNAL_MAX).contains(signal))?;
        Some(Self { signal, millis, due: None })
    }

    /// What to pass on now that a signal has come. The one that asks to stop waits, unless it comes again: then somebody is in a hurry.
    pub(crate) fn came(&mut self, signal: i32, now: u64) -> Option<i32> {
        if signal == SIGCHLD {
            return None;
        }
        if signal != self.signal {
            return Some(signal);
        }
        match self.due.take() {
            Some(_) => Some(signal),
            None => {
                self.due = Some(now.saturating_add(self.millis));
                None
            }
        }
    }

    /// What to pass on because its time has come.
    pub(crate) fn due(&mut self, now: u64) -> Option<i32> {
        self.due.filter(|due| *due <= now)?;
        self.due = None;
        Some(self.signal)
    }

    /// How long there is nothing to do unless a signal comes; `None` is for ever.
    pub(crate) fn idle(&self, now: u64) -> Option<u64> {
        self.due.map(|due| due.saturating_sub(now))
    }
}

/// A number in decimal, not longer than a day in milliseconds.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let mut number = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u64::from(digit - b'0');
    }
    Some(number)
}

/// The status of a program that ended like this, by the kernel's word: its own, or as shells say it of one that a signal ended.
pub(crate) fn status(word: i32) -> i32 {
    let signal = word & 0x7f;
    if signal == 0 { (word >> 8) & 0xff } else { 128 + signal }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: i32 = 15;
    const HUP: i32 = 1;

    fn three_seconds() -> Drain {
        Drain::of(b"--drain=15:3000").unwrap()
    }

    #[test]
    fn the_signal_that_asks_to_stop_waits_its_time_and_is_passed_on_once() {
        let mut drain = three_seconds();
        assert_eq!(drain.idle(10_000), None);
        assert_eq!(drain.came(TERM, 10_000), None);
        assert_eq!((drain.idle(10_500), drain.due(12_999)), (Some(2500), None));
        assert_eq!((drain.due(13_000), drain.due(20_000)), (Some(TERM), None));
        assert_eq!(drain.idle(20_000), None);
    }

    #[test]
    fn all_others_are_passed_on_at_once_even_meanwhile() {
        let mut drain = three_seconds();
        assert_eq!(drain.came(HUP, 0), Some(HUP));
        assert_eq!(drain.came(TERM, 0), None);
        assert_eq!(drain.came(HUP, 1), Some(HUP));
        assert_eq!(drain.came(SIGCHLD, 1), None, "that is for the first process itself");
        assert_eq!(drain.due(3000), Some(TERM));
    }

    #[test]
    fn who_asks_twice_is_in_a_hurry() {
        let mut drain = three_seconds();
        assert_eq!((drain.came(TERM, 0), drain.came(TERM, 1)), (None, Some(TERM)));
        assert_eq!((drain.due(5000), drain.idle(5000)), (None, None), "it was passed on");
    }

    #[test]
    fn an_argument_that_makes_no_sense_is_none() {
        assert_eq!(Drain::of(b"--drain=3:0").map(|drain| (drain.signal, drain.millis)), Some((3, 0)));
        for argument in [
            &b"--drain"[..],
            b"--drain=",
            b"--drain=15",
            b"--drain=15:",
            b"--drain=:3000",
            b"--drain=0:1",
            b"--drain=65:1",
            b"--drain=TERM:1",
            b"--drain=15:1s",
            b"--drain=15:-1",
            b"--drain=15:999999999",
            b"DRAIN=15:1",
        ] {
            assert_eq!(Drain::of(argument), None, "{}", String::from_utf8_lossy(argument));
        }
    }

    #[test]
    fn a_status_is_the_programs_own_or_the_signals() {
        assert_eq!((status(0), status(3 << 8), status(9), status(0x80 | 11)), (0, 3, 137, 139));
    }
}
