//! On the wire: from the containers of an organisation nothing of another's answers, on three nodes; and where the plan denies the way
//! out, nothing answers at all but the organisation's own.
//!
//! Every container asks. What is meant to answer does, so that silence is the network's and not the probe's. Encrypted networks are not
//! tried here: this test bed's kernel has no ESP.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_e2e::engine_view::EDGE;
use skep_e2e::manifests::{Web, documents};
use skep_e2e::{Installation, Options, binary};
use skep_testbed::{EngineVersion, Node, Recipe};

/// Where the application listens for datagrams; its page is on 8080.
const DATAGRAMS: &str = "9000";

/// How many targets one container tries at once: a thread each, which the plan bounds.
const AT_ONCE: usize = 200;

/// Where clouds tell a machine its secrets.
const METADATA: &str = "169.254.169.254";

/// What somebody listens to on nodes: the edge, the registry of the test bed, Swarm itself.
const PORTS_OF_NODES: [u16; 5] = [80, 5000, 2377, 7946, 22];

/// What the edge might listen to in an organisation's network: what it serves, and what proxies like to have besides.
const PORTS_OF_EDGE: [u16; 16] =
    [22, 53, 80, 443, 1936, 2019, 2375, 2377, 5000, 7946, 8000, 8080, 8081, 8082, 9000, 9100];

/// The beginning of every word that is smuggled past a network; who did it follows.
const SMUGGLED: &str = "smuggled-by-";

/// The first word of an answer that tells that somebody is there. A refusal is one, too.
const ANSWERS: [&str; 6] = ["open", "answered", "resolved", "refused", "is", "sent"];

/// A container of an organisation.
struct Resident<'a> {
    node: &'a Node,
    id: String,
    name: String,
    /// On the network of the organisation.
    address: String,
    hardware: String,
    /// On the bridge of the node by which it gets out.
    way_out: Option<String>,
}

impl<'a> Resident<'a> {
    fn of(node: &'a Node, id: &str, network: &str) -> Result<Self> {
        let container: Value = serde_json::from_str(&node.docker_ok(&["inspect", id])?)?;
        let settings = &container[0]["NetworkSettings"];
        let own = &settings["Networks"][network];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Self {
            node,
            id: id.to_owned(),
            name: text(&container[0]["Name"]).trim_start_matches('/').to_owned(),
            address: text(&own["IPAddress"]),
            hardware: text(&own["MacAddress"]),
            way_out: way_out(node, settings["SandboxID"].as_str().context("it has a sandbox")?)?,
        })
    }

    /// Everything by which it might be found.
    fn doors(&self) -> Vec<String> {
        let short = self.id.get(..12).unwrap_or(&self.id);
        let mut doors = vec![
            format!("tcp/{}/8080", self.address),
            format!("udp/{}/{DATAGRAMS}", self.address),
            format!("name/{}", self.name),
            format!("name/{short}"),
        ];
        if let Some(way_out) = &self.way_out {
            doors.extend([format!("tcp/{way_out}/8080"), format!("udp/{way_out}/{DATAGRAMS}")]);
        }
        doors
    }

    /// What each target answers to this container.
    fn ask(&self, targets: &[String]) -> Result<BTreeMap<String, String>> {
        let mut answers = BTreeMap::new();
        for some in targets.chunks(AT_ONCE) {
            let command = ["exec", &self.id, "/bin/probe", "ask"].into_iter();
            let said =
                self.node.docker_ok(&command.chain(some.iter().map(String::as_str)).collect::<Vec<_>>())?;
            for line in said.lines() {
                let (target, answer) = line.split_once(' ').context("a target and its answer")?;
                answers.insert(target.to_owned(), answer.to_owned());
            }
        }
        ensure!(targets.iter().all(|target| answers.contains_key(target)), "targets without an answer");
        Ok(answers)
    }
}

/// A container's address on its node's bridge to the outside.
fn way_out(node: &Node, sandbox: &str) -> Result<Option<String>> {
    let bridge: Value = serde_json::from_str(&node.docker_ok(&["network", "inspect", "docker_gwbridge"])?)?;
    let endpoints = bridge[0]["Containers"].as_object().cloned().unwrap_or_default();
    let is_its = |endpoint: &&Value| {
        let name = endpoint["Name"].as_str().unwrap_or_default();
        name.strip_prefix("gateway_").is_some_and(|prefix| sandbox.starts_with(prefix))
    };
    let own = endpoints.values().find(is_its).and_then(|endpoint| endpoint["IPv4Address"].as_str());
    Ok(own.and_then(|address| address.split('/').next()).map(str::to_owned))
}

fn nodes(at: &Installation) -> impl Iterator<Item = &Node> {
    std::iter::once(&*at.engine).chain(&at.others)
}

/// The containers of an organisation, one on each node.
fn residents<'a>(at: &'a Installation, org: &Web) -> Result<Vec<Resident<'a>>> {
    let filter = format!("label=com.docker.swarm.service.name={}", org.service());
    let mut found = Vec::new();
    for node in nodes(at) {
        for id in node.docker_ok(&["ps", "--quiet", "--no-trunc", "--filter", &filter])?.lines() {
            found.push(Resident::of(node, id, &format!("skep-{}", org.org))?);
        }
    }
    ensure!(found.len() == 3, "{} containers of {}", found.len(), org.org);
    Ok(found)
}

/// The names and addresses of an organisation that are no container's of the application.
fn other_doors(at: &Installation, org: &str) -> Result<Vec<String>> {
    let network: Value =
        serde_json::from_str(&at.docker(&["network", "inspect", &format!("skep-{org}")])?)?;
    let mut doors: Vec<String> = [format!("{org}_production_web"), format!("skep-anchor-{org}")]
        .iter()
        .flat_map(|name| [format!("name/{name}"), format!("name/tasks.{name}")])
        .collect();
    let endpoints = network[0]["Containers"].as_object().context("somebody is on it")?;
    for endpoint in endpoints.values() {
        let address =
            endpoint["IPv4Address"].as_str().unwrap_or_default().split('/').next().unwrap_or_default();
        doors.extend([80, 443, 8080].map(|port| format!("tcp/{address}/{port}")));
    }
    let gateway = network[0]["IPAM"]["Config"][0]["Gateway"].as_str().context("it has a gateway")?;
    doors.extend([22, 80, 2377].map(|port| format!("tcp/{gateway}/{port}")));
    Ok(doors)
}

/// Datagrams for others' containers in the wrapping in which nodes send those of their own, to every node, each with a word of its own.
fn smuggled(at: &Installation, from: &Resident<'_>, org: &str, to: &[Resident<'_>]) -> Result<Vec<String>> {
    let network: Value =
        serde_json::from_str(&at.docker(&["network", "inspect", &format!("skep-{org}")])?)?;
    let options = &network[0]["Options"];
    let id = options["com.docker.network.driver.overlay.vxlanid_list"].as_str().context("its VXLAN id")?;
    let mut targets = Vec::new();
    for resident in to {
        for node in nodes(at) {
            let Resident { hardware, address, .. } = resident;
            let word = format!("{SMUGGLED}{}", from.name);
            targets
                .push(format!("vxlan/{}/4789/{id}/{hardware}/{address}/{DATAGRAMS}/{word}", node.address()));
        }
    }
    Ok(targets)
}

/// The doors of nodes and of what is around them.
fn outside(at: &Installation) -> Vec<String> {
    let mut doors = vec![format!("tcp/{METADATA}/80")];
    for node in nodes(at) {
        doors.extend(PORTS_OF_NODES.map(|port| format!("tcp/{}/{port}", node.address())));
    }
    doors
}

fn answers(answer: &str) -> bool {
    answer.split(' ').next().is_some_and(|word| ANSWERS.contains(&word))
}

/// None of the targets answers this container.
fn assert_silent(from: &Resident<'_>, targets: &[String]) -> Result<usize> {
    let heard: Vec<(String, String)> =
        from.ask(targets)?.into_iter().filter(|(_, answer)| answers(answer)).collect();
    assert!(heard.is_empty(), "{} on {} hears {heard:?}", from.name, from.node.name());
    Ok(targets.len())
}

/// An organisation whose application has the probe, on a plan with this network.
fn curious(org: &str, network: &Value) -> (Web, String) {
    let plan = format!("{org}-plan");
    let web = Web { instances: 3, plan: Some(plan.clone()), ..Web::new(org).with_image("curious:1") };
    let plan = json!({
        "apiVersion": "skep.dev/v1", "kind": "Plan", "metadata": { "name": plan },
        "spec": { "instance": { "cpu": "100m", "memory": "64Mi", "pids": 256 }, "network": network },
    });
    let all = documents(&[plan]) + &web.manifests();
    (web, all)
}

#[test]
fn nothing_of_another_organisation_answers_and_nothing_outside_where_the_plan_denies_it() -> Result<()> {
    let at = Installation::start_with(Options { nodes: (3, 1), ..Options::new(EngineVersion::V26_1) })?;
    let start = format!("#!/bin/sh\n/bin/probe listen {DATAGRAMS} &\nexec /bin/serve\n");
    let image = Recipe::web("v1")?
        .file("bin/probe", 0o755, std::fs::read(binary::probe()?)?)
        .file("bin/app", 0o755, start)
        .change(r#"CMD ["/bin/app"]"#);
    at.engine.publish(&image, "curious:1")?;
    // The edge listens on every address of its node: now also where a cloud's metadata would be.
    at.engine.add_address(&format!("{METADATA}/32"))?;

    let open = json!({});
    let sealed = json!({ "egress": "deny" });
    let orgs = [curious("red", &open), curious("blue", &open), curious("sealed", &sealed)];
    for (web, manifests) in &orgs {
        at.cli.apply_and_wait(manifests)?.ok().with_context(|| at.report())?;
        at.wait_for_status(&web.hosts[0], 200, Duration::from_secs(60))?;
    }
    let [(red, _), (blue, _), (sealed, _)] = &orgs;
    let (reds, blues, sealeds) = (residents(&at, red)?, residents(&at, blue)?, residents(&at, sealed)?);
    let edge = at.addresses(&at.container(EDGE)?)?;

    let mut silent = 0;
    for (own, from_org, others) in [
        (&reds, red, [(&blues, blue), (&sealeds, sealed)]),
        (&blues, blue, [(&reds, red), (&sealeds, sealed)]),
        (&sealeds, sealed, [(&reds, red), (&blues, blue)]),
    ] {
        for from in own {
            // What is its own answers, from every node: the probe works.
            let mut colleagues: Vec<String> =
                own.iter().flat_map(|to| to.doors().into_iter().take(4)).collect();
            colleagues.push(format!("name/{}", from_org.service()));
            let heard = from.ask(&colleagues)?;
            assert!(heard.values().all(|answer| answers(answer)), "{heard:?}");

            let mut targets: Vec<String> =
                ["run", "var/run"].map(|directory| format!("file/{directory}/docker.sock")).into();
            for (to, org) in others {
                // The bridges of two nodes have the same addresses: those of another node's mean something else here.
                for to in to {
                    let reachable = if to.node.name() == from.node.name() { 6 } else { 4 };
                    targets.extend(to.doors().into_iter().take(reachable));
                }
                targets.extend(other_doors(&at, &org.org)?);
            }
            silent += assert_silent(from, &targets)?;

            // Of the edge, what it serves to everybody, and nothing else: no dashboard, no API, no metrics.
            let network = format!("skep-{}", from_org.org);
            let (_, edge) =
                edge.iter().find(|(name, _)| *name == network).context("the edge is on the network")?;
            let ports: Vec<String> = PORTS_OF_EDGE.map(|port| format!("tcp/{edge}/{port}")).into();
            let open = from.ask(&ports)?.into_iter().filter(|(_, answer)| answer == "open");
            let open: Vec<String> = open.map(|(target, _)| target).collect();
            assert_eq!(open, [format!("tcp/{edge}/443"), format!("tcp/{edge}/80")]);
        }
    }

    // The way out leads to the nodes, as from anywhere; where the plan denies it, there is none.
    let doors = outside(&at);
    for from in &reds {
        let heard = from.ask(&doors)?;
        assert!(heard.values().filter(|answer| *answer == "open").count() > 3, "{heard:?}");
    }
    for from in &sealeds {
        assert_eq!(from.way_out, None);
        silent += assert_silent(from, &doors)?;
        silent += assert_silent(from, &smuggled(&at, from, "blue", &blues)?)?;
    }
    eprintln!("{silent} attempts of nine containers on three nodes, and no answer");

    // Who has a way out reaches the nodes' port of VXLAN, too, and what is not encrypted believes what comes from there: that is so
    // with every Swarm. The guide's two rules of the nodes' firewalls end it.
    for from in &reds {
        from.ask(&smuggled(&at, from, "blue", &blues)?)?;
    }
    assert_eq!(who_was_heard(&blues)?, reds.iter().map(|red| red.name.clone()).collect());
    for node in nodes(&at) {
        for chain in ["INPUT", "DOCKER-USER"] {
            let rule = ["-I", chain, "-i", "docker_gwbridge", "-p", "udp", "--dport", "4789", "-j", "DROP"];
            node.firewall(&rule)?;
        }
    }
    let before = heard_in_all(&blues)?;
    for from in &reds {
        from.ask(&smuggled(&at, from, "blue", &blues)?)?;
    }
    assert_eq!(heard_in_all(&blues)?, before);
    for (web, _) in &orgs {
        at.wait_for_status(&web.hosts[0], 200, Duration::from_secs(60))?;
    }
    Ok(())
}

/// Who smuggled a word into each of these containers.
fn who_was_heard(residents: &[Resident<'_>]) -> Result<BTreeSet<String>> {
    let mut heard = BTreeSet::new();
    for line in heard_in_all(residents)? {
        heard.extend(line.split_once(SMUGGLED).map(|(_, who)| who.to_owned()));
    }
    Ok(heard)
}

/// All smuggled words. What was sent before this was asked has been written down: each container answers a colleague first, and it
/// answers in the order in which it hears.
fn heard_in_all(residents: &[Resident<'_>]) -> Result<Vec<String>> {
    let mut heard = Vec::new();
    for resident in residents {
        let colleague = residents.iter().find(|other| other.id != resident.id).context("a colleague")?;
        let asked = colleague.ask(&[format!("udp/{}/{DATAGRAMS}", resident.address)])?;
        assert!(asked.values().all(|answer| answers(answer)), "{asked:?}");
        let log = resident.node.docker_ok(&["logs", &resident.id])?;
        heard.extend(log.lines().filter(|line| line.contains(SMUGGLED)).map(str::to_owned));
    }
    Ok(heard)
}
