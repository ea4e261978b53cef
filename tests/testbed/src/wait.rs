//! Waiting for something to become true, with an end.
//!
//! Tests never sleep for a guessed time: they name what they wait for and how long it may take at most. How long something takes
//! is no test's business, so the end is only there to notice what never comes: it is generous beside what is named.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// Time between two looks: short beside every deadline in use, long enough not to burn one of two cores.
const POLL: Duration = Duration::from_millis(25);

/// How much longer a machine may take that is busy with other tests and with building, beside one that is not.
const BUSY: u32 = 4;

/// Calls `look` until it returns a value or `within`, which is meant for a machine with nothing else to do, has passed several
/// times over. The error names `what` and the last reason `look` gave for not being ready.
pub fn wait_until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let within = within * BUSY;
    let deadline = Instant::now() + within;
    loop {
        match look() {
            Ok(value) => return Ok(value),
            Err(reason) if Instant::now() >= deadline => {
                return Err(reason.context(format!("waited {within:?} in vain for {what}")));
            }
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

/// Turns a condition into the form [`wait_until`] reads.
pub fn ready(condition: bool, otherwise: &str) -> Result<()> {
    if condition { Ok(()) } else { Err(anyhow!("{otherwise}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_in_vain_tells_what_was_awaited_and_why_it_was_not_there() {
        let error = wait_until("the tide", Duration::from_millis(60), || ready(false, "still ebb"))
            .expect_err("it never comes");
        assert_eq!(format!("{error:#}"), "waited 240ms in vain for the tide: still ebb");
    }

    #[test]
    fn a_wait_returns_the_value_of_the_first_successful_look() {
        let mut looks = 0;
        let value = wait_until("three", Duration::from_secs(5), || {
            looks += 1;
            ready(looks >= 3, "not yet").map(|()| looks)
        });
        assert_eq!(value.expect("it comes"), 3);
    }
}
