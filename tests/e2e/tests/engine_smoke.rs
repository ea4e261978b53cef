//! The whole path once, on both engines: manifests in, a page out, everything removed.

use std::time::Duration;

use anyhow::Result;
use skep_e2e::Installation;
use skep_testbed::{EngineVersion, Events};

fn the_example_is_served(version: EngineVersion) -> Result<()> {
    let installation = Installation::start(version)?;
    let examples = installation.examples("hello");

    let applied = installation.cli.run(&["apply", "-f", &examples, "--wait", "--timeout", "120s"])?;
    assert_eq!(applied.code, 0, "{}{}\n{}", applied.out, applied.err, installation.report());

    let page = installation.wait_for_status("hello.localhost", 200, Duration::from_secs(30))?;
    assert!(page.body.contains("v1"), "{}", page.body);

    let events = Events::record(&installation.engine)?;
    let again = installation.cli.run(&["apply", "-f", &examples, "--wait", "--timeout", "60s"])?.ok()?;
    assert!(again.out.contains("unchanged"), "{}", again.out);
    let writes: Vec<_> = events.so_far()?.into_iter().filter(|event| event.is_write()).collect();
    assert!(writes.is_empty(), "{writes:?}");
    Ok(())
}

#[test]
fn the_example_is_served_on_20_10() -> Result<()> {
    the_example_is_served(EngineVersion::V20_10)
}

#[test]
fn the_example_is_served_on_26_1() -> Result<()> {
    the_example_is_served(EngineVersion::V26_1)
}
