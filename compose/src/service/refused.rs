//! Keys of services that nothing is made of, each with its reason.

use crate::Report;
use crate::keys::Keys;

pub(super) fn take(keys: &mut Keys, report: &mut Report) {
    keys.refuse(
        &["attach", "stdin_open", "tty"],
        "nobody is attached to an instance; a command with input and output is `skep run`",
        report,
    );
    keys.refuse(
        &["logging"],
        "what instances print is read with `skep logs`; where engines keep it is theirs",
        report,
    );
    keys.refuse(&["develop"], "it is for the machine of whoever develops", report);
    keys.refuse(
        &["annotations", "label_file"],
        "labels and annotations of resources are written in `metadata`",
        report,
    );
    keys.refuse(
        &["post_start", "pre_stop"],
        "Swarm has no hooks: what is to be done at the end is done when SIGTERM comes",
        report,
    );
    keys.refuse(&["models", "provider"], "it is neither an image nor anything that Skep could run", report);
}
