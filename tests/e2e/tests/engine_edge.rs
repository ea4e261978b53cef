//! The edge: it finds its way back after its own tasks were replaced, and it does not join what is to be apart.

use std::time::Duration;

use anyhow::{Context, Result};
use skep_e2e::engine_view::EDGE;
use skep_e2e::manifests::Web;
use skep_e2e::{Installation, Options};
use skep_testbed::{EngineVersion, Recipe, wait, wait_until};

const ROUTED: Duration = Duration::from_secs(60);

/// Asks for the page at an address.
const PROBE: &str =
    "#!/bin/sh\nprintf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 \"$1\" 8080 | grep -q ' 200 '\n";

/// Can a process in the container have the page of that address?
fn reaches(at: &Installation, container: &str, address: &str) -> Result<bool> {
    Ok(at.engine.docker(&["exec", container, "/bin/probe", address])?.status.success())
}

#[test]
fn a_replaced_proxy_is_connected_again_and_organisations_stay_apart() -> Result<()> {
    let at = Installation::start(EngineVersion::V20_10)?;
    at.engine.publish(&Recipe::web("v1")?.file("bin/probe", 0o755, PROBE), "curious:1")?;
    let [red, blue] = ["red", "blue"].map(|org| Web::new(org).with_image("curious:1"));
    for web in [&red, &blue] {
        at.cli.apply_and_wait(&web.manifests())?.ok().with_context(|| at.report())?;
        at.wait_for_status(&web.hosts[0], 200, ROUTED)?;
    }

    let before = at.container(EDGE)?;
    at.docker(&["rm", "--force", &before])?;
    for web in [&red, &blue] {
        at.wait_for_status(&web.hosts[0], 200, ROUTED).with_context(|| at.report())?;
    }
    let after = at.container(EDGE)?;
    assert_ne!(before, after);
    wait_until("the former proxy's addresses to be forgotten", ROUTED, || {
        let known = at.psql("SELECT DISTINCT name FROM inventory WHERE kind = 'edge-attachment'")?;
        wait::ready(known.lines().count() == 1 && known.starts_with(&after), &known)
    })?;

    let from = at.container(&red.service())?;
    let colleagues = at.containers(&red.service())?;
    let colleague = colleagues.iter().find(|id| **id != from).context("two instances run")?;
    let own = at.addresses(colleague)?;
    let (_, own) = own.iter().find(|(network, _)| network == "skep-red").context("it is on its network")?;
    assert!(reaches(&at, &from, own)?, "the probe itself does not work");
    for container in at.containers(&blue.service())? {
        // Every task also has a leg on a bridge of its node, for the way out.
        let inside = at.docker(&["exec", &container, "/bin/busybox", "ip", "-4", "-o", "addr"])?;
        let legs: Vec<&str> = inside
            .split_whitespace()
            .skip_while(|word| *word != "inet")
            .filter_map(|word| word.split_once('/').map(|(address, _)| address))
            .filter(|address| address.split('.').count() == 4 && !address.starts_with("127."))
            .collect();
        assert!(legs.len() >= 2, "{inside}");
        for leg in legs {
            assert!(!reaches(&at, &from, leg)?, "red reaches blue at {leg}");
        }
    }
    Ok(())
}

#[test]
fn the_engine_can_be_reached_over_tcp_with_mutual_tls() -> Result<()> {
    let at = Installation::start_with(Options { tls: true, ..Options::new(EngineVersion::V26_1) })?;
    let web = Web::new("acme");
    at.cli.apply_and_wait(&web.manifests())?.ok().with_context(|| at.report())?;
    at.wait_for_status("acme.localhost", 200, ROUTED)?;
    Ok(())
}
