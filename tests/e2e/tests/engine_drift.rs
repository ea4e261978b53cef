//! The drift campaign: somebody with access to the engine changes what Skep made in every way there is. Each change is noticed,
//! reported with its place, and put back or left alone as the policy says.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_e2e::engine_view::EDGE;
use skep_e2e::manifests::{Web, documents, organization, resource};
use skep_e2e::meddler::{Way, edit, ways};
use skep_e2e::{Installation, Options};
use skep_testbed::{EngineVersion, wait, wait_until};

/// How long a change may stand; the measured times are a small part of it, also on a busy machine.
const PUT_BACK: Duration = Duration::from_secs(60);
/// How often everything is looked at where no event is heard.
const RESYNC: Duration = Duration::from_secs(1);

/// An installation with one environment that runs nothing: changes of it take effect at once and start no container.
struct Campaign {
    at: Installation,
    web: Web,
    taken: Vec<Duration>,
}

impl Campaign {
    fn start(options: Options) -> Result<Self> {
        let at = Installation::start_with(options)?;
        let mut web = Web::new("acme");
        web.instances = 0;
        web.env.insert("GREETING".to_owned(), "good morning".to_owned());
        web.secrets = vec!["token".to_owned()];
        at.cli.apply_and_wait(&web.manifests())?.ok().with_context(|| at.report())?;
        Ok(Self { at, web, taken: Vec::new() })
    }

    fn spec(&self) -> Result<Value> {
        Ok(self.at.service(&self.web.service())?["Spec"].clone())
    }

    /// The number of the last report.
    fn mark(&self) -> Result<String> {
        self.at.psql("SELECT coalesce(max(id), 0) FROM drift")
    }

    /// Reports after a mark, one line each: pointer, class, response, outcome, and what made Skep look.
    fn reports(&self, mark: &str) -> Result<String> {
        self.at.psql(&format!(
            "SELECT pointer, class, response, coalesce(outcome, 'open'), noticed FROM drift WHERE id > {mark} ORDER BY id"
        ))
    }

    /// Makes a change and waits until it is put back and reported.
    fn put_back(&mut self, way: &Way) -> Result<()> {
        let wanted = self.spec()?;
        let mark = self.mark()?;
        self.at.meddle(&self.web.service(), |spec| edit(spec, way)).with_context(|| way.at)?;
        let since = Instant::now();
        wait_until(&format!("{} to be put back", way.at), PUT_BACK, || {
            let live = self.spec()?;
            wait::ready(same(&live, &wanted), &live.to_string())
        })
        .with_context(|| self.reports(&mark).unwrap_or_default())
        .with_context(|| self.at.logs())?;
        self.taken.push(since.elapsed());
        wait_until(&format!("{} to be reported", way.at), PUT_BACK, || {
            let reports = self.reports(&mark)?;
            let told = |line: &str| line.starts_with(way.reported) && line.contains("|corrected|");
            wait::ready(reports.lines().any(told), &reports)
        })
        .with_context(|| self.at.logs())
    }

    /// Has it settled, so that the next change is a change of its own?
    fn settled(&self) -> Result<()> {
        wait_until("nothing to differ any more", PUT_BACK, || {
            let open = self.at.psql("SELECT count(*) FROM drift WHERE ended_at IS NULL")?;
            wait::ready(open == "0", &self.reports("0")?)
        })
    }

    /// Do the metrics count what the report tells: as many corrections, each with its time, and nothing that stands?
    fn counted(&self) -> Result<()> {
        let text =
            self.at.psql("SELECT class, count(*) FROM drift WHERE outcome = 'corrected' GROUP BY class")?;
        ensure!(!text.is_empty(), "nothing was corrected");
        for line in text.lines() {
            let (class, corrected) = line.split_once('|').context("a class and a number")?;
            let corrected: f64 = corrected.parse()?;
            let total = format!(r#"skep_drift_total{{class="{class}",outcome="corrected"}}"#);
            let times = format!(r#"skep_drift_correction_seconds_count{{class="{class}"}}"#);
            let stands = format!(r#"skep_drift_objects{{class="{class}",policy="correct"}}"#);
            // Each is counted right after it was written.
            wait_until("the metrics to count what was corrected", PUT_BACK, || {
                let found = [self.at.metric(&total)?, self.at.metric(&times)?, self.at.metric(&stands)?];
                wait::ready(found == [corrected, corrected, 0.0], &format!("{line}: {found:?}"))
            })?;
        }
        Ok(())
    }

    fn times(&mut self) -> String {
        self.taken.sort();
        let at = |share: usize| self.taken[(self.taken.len() - 1) * share / 100];
        format!("{} changes, median {:?}, p99 {:?}", self.taken.len(), at(50), at(99))
    }
}

/// The engine keeps a spec as it was sent; only the counter of forced updates is its own.
fn same(live: &Value, wanted: &Value) -> bool {
    let without_counter = |spec: &Value| {
        let mut spec = spec.clone();
        if let Some(task) = spec["TaskTemplate"].as_object_mut() {
            task.remove("ForceUpdate");
        }
        spec
    };
    without_counter(live) == without_counter(wanted)
}

#[test]
fn every_way_to_change_a_service_is_noticed_reported_and_put_back() -> Result<()> {
    let mut campaign = Campaign::start(Options::new(EngineVersion::V26_1))?;
    let ways = ways();
    ensure!(ways.len() >= 40, "only {} ways", ways.len());
    for way in &ways {
        campaign.put_back(way)?;
        campaign.settled()?;
    }
    println!("with events: {}", campaign.times());
    campaign.counted()?;
    let noticed = campaign.at.psql("SELECT count(*) FROM drift WHERE noticed = 'event'")?;
    ensure!(noticed.parse::<usize>()? >= 40, "events noticed only {noticed}");
    Ok(())
}

#[test]
fn without_any_event_the_regular_look_notices_everything_as_well() -> Result<()> {
    let options = Options { resync: Some(RESYNC), deaf: true, ..Options::new(EngineVersion::V20_10) };
    let mut campaign = Campaign::start(options)?;
    for way in &ways() {
        campaign.put_back(way)?;
        campaign.settled()?;
    }
    println!("without events, a look each {RESYNC:?}: {}", campaign.times());
    let noticed = campaign.at.psql("SELECT count(*) FROM drift WHERE noticed = 'event'")?;
    ensure!(noticed == "0", "{noticed} were noticed by events that never came");
    Ok(())
}

#[test]
fn objects_that_are_removed_replaced_or_relabelled_are_put_right() -> Result<()> {
    let campaign = Campaign::start(Options::new(EngineVersion::V26_1))?;
    let at = &campaign.at;
    let service = campaign.web.service();
    let corrected = |mark: &str, class: &str| {
        wait_until(&format!("{class} to be corrected"), PUT_BACK, || {
            let reports = campaign.reports(mark)?;
            let told = |line: &str| line.contains(&format!("|{class}|")) && line.contains("|corrected|");
            wait::ready(reports.lines().any(told), &reports)
        })
        .with_context(|| at.logs())
    };

    // A service that was removed is made again.
    let wanted = campaign.spec()?;
    let mark = campaign.mark()?;
    at.docker(&["service", "rm", &service])?;
    corrected(&mark, "missing")?;
    ensure!(same(&campaign.spec()?, &wanted), "{:#}", campaign.spec()?);

    // One that was put in its place, labels and all, is taken over and put right.
    let mark = campaign.mark()?;
    at.docker(&["service", "rm", &service])?;
    let mut other = wanted.clone();
    other["TaskTemplate"]["ContainerSpec"]["User"] = json!("0:0");
    // Skep may have been quicker; then the name is taken, and there is nothing to test but that.
    let placed = at.ask_engine("POST", "/services/create", &other);
    corrected(&mark, if placed.is_ok() { "replaced" } else { "missing" })?;
    wait_until("the service to be put right", PUT_BACK, || {
        wait::ready(same(&campaign.spec()?, &wanted), &campaign.spec()?.to_string())
    })?;

    // `docker service rollback` returns to what was before the last change, which was none that anybody asked for.
    campaign.settled()?;
    at.meddle(&service, |spec| {
        spec["Labels"]["team"] = json!("blue");
        Ok(())
    })?;
    campaign.settled()?;
    let mark = campaign.mark()?;
    at.docker(&["service", "rollback", "--detach", &service])?;
    corrected(&mark, "rolled-back")?;
    ensure!(same(&campaign.spec()?, &wanted), "{:#}", campaign.spec()?);

    // The labels of a secret.
    let name = at.docker(&["secret", "ls", "--format", "{{.Name}}"])?.trim().to_owned();
    for labels in [json!({}), json!({"skep.dev/instance": "x"})] {
        campaign.settled()?;
        let mark = campaign.mark()?;
        let secret = at.engine_says(&format!("/secrets/{name}"))?;
        let (id, version) = (secret["ID"].as_str().context("an id")?, &secret["Version"]["Index"]);
        let spec = json!({"Name": name, "Labels": labels});
        at.ask_engine("POST", &format!("/secrets/{id}/update?version={version}"), &spec)?;
        corrected(&mark, "modified")?;
        let after = at.engine_says(&format!("/secrets/{name}"))?;
        ensure!(after["Spec"]["Labels"] == secret["Spec"]["Labels"], "{after:#}");
    }

    // The anchor of the organisation.
    campaign.settled()?;
    let mark = campaign.mark()?;
    at.meddle("skep-anchor-acme", |spec| {
        spec["TaskTemplate"]["ContainerSpec"]["Hostname"] = json!("box");
        Ok(())
    })?;
    corrected(&mark, "modified")?;

    // The connection of an edge task.
    campaign.settled()?;
    let mark = campaign.mark()?;
    let proxy = at.container(EDGE)?;
    at.docker(&["network", "disconnect", "skep-acme", &proxy])?;
    corrected(&mark, "missing")?;
    ensure!(at.addresses(&proxy)?.iter().any(|(network, _)| network == "skep-acme"), "not connected");
    Ok(())
}

#[test]
fn a_policy_leaves_fields_or_everything_alone_and_a_fight_is_given_up() -> Result<()> {
    let campaign = Campaign::start(Options::new(EngineVersion::V20_10))?;
    let (at, service) = (&campaign.at, campaign.web.service());
    let policy = |spec: Value| documents(&[resource("acme", "DriftPolicy", "policy", spec)]);
    let standing = |pointer: &str, response: &str| {
        wait_until(&format!("{pointer} to stand as {response}"), PUT_BACK, || {
            let line = format!("{pointer}|modified|{response}|open|");
            let reports = campaign.reports("0")?;
            wait::ready(reports.lines().any(|found| found.starts_with(&line)), &reports)
        })
        .with_context(|| at.logs())
    };
    let label = |name: &'static str, value: &'static str| {
        at.meddle(&service, move |spec| {
            spec["Labels"][name] = json!(value);
            Ok(())
        })
    };

    at.cli.apply_and_wait(&policy(json!({"mode": "report", "ignore": ["/Labels/left"]})))?.ok()?;
    label("team", "blue")?;
    label("left", "red")?;
    standing("/Labels/team", "report")?;
    standing("/Labels/left", "ignore")?;

    // A release that changes something else leaves both.
    let mut web = campaign.web.clone();
    web.env.insert("GREETING".to_owned(), "good evening".to_owned());
    at.cli.apply_and_wait(&web.manifests())?.ok().with_context(|| at.report())?;
    let labels = campaign.spec()?["Labels"].clone();
    ensure!(labels["team"] == "blue" && labels["left"] == "red", "{labels:#}");
    let shown = at.cli.get("acme", "environment", "production")?.to_string();
    ensure!(shown.contains("Drifted") && shown.contains("/Labels/team"), "{shown}");

    // Without the policy everything is put back, at once.
    at.cli.run(&["delete", "driftpolicy", "policy", "--org", "acme"])?.ok()?;
    wait_until("the labels to be put back", PUT_BACK, || {
        let labels = campaign.spec()?["Labels"].clone();
        wait::ready(labels["team"].is_null() && labels["left"].is_null(), &labels.to_string())
    })?;

    // Somebody who goes on is recognised after a few rounds.
    for round in 0..12 {
        let contested =
            at.psql("SELECT count(*) FROM drift WHERE response = 'give-up' AND ended_at IS NULL")?;
        if contested == "1" {
            ensure!(round >= 1, "given up before anybody fought");
            standing("/Labels/fought-over", "give-up")?;
            let shown = at.cli.get("acme", "environment", "production")?.to_string();
            ensure!(shown.contains("Contested"), "{shown}");
            for sample in [
                r#"skep_drift_total{class="modified",outcome="give-up"}"#,
                r#"skep_drift_objects{class="modified",policy="give-up"}"#,
            ] {
                ensure!(at.metric(sample)? == 1.0, "{sample} {}", at.metric(sample)?);
            }
            return Ok(());
        }
        let mark = campaign.mark()?;
        at.meddle(&service, |spec| {
            spec["Labels"]["fought-over"] = json!(format!("{round}"));
            Ok(())
        })?;
        wait_until("the round to be over", PUT_BACK, || {
            let reports = campaign.reports(&mark)?;
            let over = |line: &str| line.contains("|corrected|") || line.contains("|give-up|");
            wait::ready(reports.lines().any(over), &reports)
        })?;
    }
    anyhow::bail!("nobody gave up\n{}", campaign.reports("0")?)
}

#[test]
fn a_network_that_was_removed_is_made_again_and_one_in_its_place_is_told_by_field() -> Result<()> {
    let at = Installation::start(EngineVersion::V20_10)?;
    at.cli.apply_and_wait(&documents(&[organization("lonely")]))?.ok().with_context(|| at.report())?;
    let network = "skep-lonely";
    let proxy = at.container(EDGE)?;
    // A network can be removed only while nothing is on it, and Skep would put that back at once.
    let pause = ["pause", "organization/lonely", "--reason", "moving cables"];
    let remove = || {
        at.cli.run(&pause)?.ok()?;
        at.docker(&["service", "rm", "skep-anchor-lonely"])?;
        // Into one that is elsewhere Skep cannot connect the proxy at its address.
        if at.addresses(&proxy)?.iter().any(|(name, _)| name == network) {
            at.docker(&["network", "disconnect", "--force", network, &proxy])?;
        }
        wait_until("the network to be removed", PUT_BACK, || at.docker(&["network", "rm", network]).map(drop))
    };
    let resume = || at.cli.run(&["resume", "organization/lonely"])?.ok();
    let reported = |like: &str| {
        wait_until(&format!("{like} to be reported"), PUT_BACK, || {
            let reports = at.psql(
                "SELECT object_kind, pointer, class, response, coalesce(outcome, 'open') FROM drift ORDER BY id",
            )?;
            wait::ready(reports.lines().any(|line| line == like), &reports)
        })
        .with_context(|| at.logs())
    };

    let wanted = at.engine_says(&format!("/networks/{network}"))?;
    remove()?;
    reported("network||missing|paused|open")?;
    resume()?;
    reported("network||missing|correct|corrected")?;
    let again = wait_until("the network to be there again", PUT_BACK, || {
        at.engine_says(&format!("/networks/{network}"))
    })?;
    ensure!(again["IPAM"]["Config"][0]["Subnet"] == wanted["IPAM"]["Config"][0]["Subnet"], "{again:#}");
    wait_until("the organisation to be ready", PUT_BACK, || {
        let edges =
            at.cli.run(&["get", "organization", "lonely", "-o", "json"])?.json()?["status"]["edges"].clone();
        wait::ready(edges.as_array().is_some_and(|edges| edges.len() == 1), &edges.to_string())
    })?;

    // Somebody makes another one with our labels and one more, elsewhere.
    remove()?;
    let mut other = json!({
        "Name": network, "Driver": "overlay", "Attachable": true, "Labels": wanted["Labels"],
        "IPAM": {"Driver": "default", "Config": [{"Subnet": "10.201.7.0/24"}]},
    });
    other["Labels"]["by"] = json!("hand");
    at.ask_engine("POST", "/networks/create", &other)?;
    resume()?;
    reported("network||replaced|correct|corrected")?;
    reported("network|/Labels/by|modified|report|open")?;
    reported("network|/IPAM/Config/0/Subnet|modified|report|open")?;
    let shown = at.cli.run(&["get", "organization", "lonely", "-o", "json"])?.ok()?.out;
    ensure!(shown.contains("Drifted") && shown.contains("/Labels/by"), "{shown}");

    // One without a way out, which the plan does not deny: nothing is on it, so it is made as the plan says.
    remove()?;
    other["Internal"] = json!(true);
    at.ask_engine("POST", "/networks/create", &other)?;
    resume()?;
    wait_until("the network to have a way out again", PUT_BACK, || {
        let now = at.engine_says(&format!("/networks/{network}"))?;
        let subnet = &now["IPAM"]["Config"][0]["Subnet"];
        let is_ours = *subnet == wanted["IPAM"]["Config"][0]["Subnet"];
        wait::ready(now["Internal"] == false && is_ours, &now.to_string())
    })
    .with_context(|| at.logs())?;
    Ok(())
}
