//! No request is lost while instances are replaced, added and taken away, although the application ends the moment it is asked to.

use anyhow::{Context, Result};
use skep_e2e::rollout::Rollouts;

#[test]
fn no_request_is_lost_while_an_application_is_changed_scaled_and_returned() -> Result<()> {
    let mut rollouts = Rollouts::start(1, true)?;
    for (operation, outcome) in rollouts.round(1)? {
        assert_eq!(outcome.failed, 0, "{}: {outcome:#?}\n{}", operation.words(), rollouts.at.report());
    }
    let Rollouts { at, web, .. } = &rollouts;
    // What an operator can see of it: the first process is the entry program, and the application is its child.
    let container = at.container(&web.service())?;
    let first = at.docker(&["exec", &container, "/bin/busybox", "head", "-c", "64", "/proc/1/cmdline"])?;
    assert!(first.starts_with("/.skep/entry\0--drain=15:4000\0--"), "{first:?}");
    let service = at.service(&web.service())?;
    let grace = &service["Spec"]["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"];
    assert_eq!(grace.as_i64().context("a grace period")?, 34_000_000_000);
    Ok(())
}
