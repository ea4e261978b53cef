//! Staying as the first process: the program is a child, signals are passed on to it, and whoever loses its parent is reaped.

use crate::drain::{self, Drain};
use crate::{Launch, STATUS_OWN, kernel};

/// Starts the program, and stays until it ends. The status to end with.
pub(crate) fn with(mut drain: Drain, mut launch: Launch<'_>) -> i32 {
    // From before there is a child, so that none of its ends and nothing that is asked meanwhile is missed.
    let former = kernel::hold_back(kernel::ALL_SIGNALS);
    let program = match kernel::fork() {
        Ok(0) => {
            kernel::hold_back(former);
            return launch.start();
        }
        Ok(program) => program,
        Err(_) => {
            kernel::complain(&[
                b"skep-entry: the program cannot be started beside it: is `pids` too small?\n",
            ]);
            return STATUS_OWN;
        }
    };
    launch.forget();
    loop {
        let came = kernel::next_signal(drain.idle(kernel::now()));
        let now = kernel::now();
        let passed = [came.and_then(|signal| drain.came(signal, now)), drain.due(now)];
        passed.into_iter().flatten().for_each(|signal| kernel::send(program, signal));
        while let Some((child, word)) = kernel::ended_child() {
            if child == program {
                return drain::status(word);
            }
        }
    }
}
