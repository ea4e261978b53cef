//! Links on the wire: exactly one port of one organisation answers exactly one other, through the forwarder, on every node; nothing else does, in
//! neither direction; and what either side takes back is gone. Nothing of a tenant is restarted for any of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_e2e::manifests::{Web, documents, image, resource};
use skep_e2e::{Installation, Options, binary};
use skep_testbed::wait::{ready, wait_until};
use skep_testbed::{EngineVersion, Node, Recipe};

/// How the shop calls what it uses of the bank.
const LINK: &str = "pay.links.skep.internal";
/// The forwarder's service.
const FORWARDER: &str = "skep-link-shop_pay";
/// How long a change of a policy may take to be seen on the wire: its forwarder ends within ten seconds.
const SOON: Duration = Duration::from_secs(60);
/// What else might be open where one port is.
const OTHER_PORTS: [u16; 9] = [22, 53, 80, 443, 2375, 2377, 7946, 8081, 9000];

/// A container, and where it is.
struct Resident<'a> {
    node: &'a Node,
    id: String,
    name: String,
    addresses: BTreeMap<String, String>,
}

impl Resident<'_> {
    /// What each target answers to this container.
    fn ask(&self, targets: &[String]) -> Result<BTreeMap<String, String>> {
        let command = ["exec", &self.id, "/bin/probe", "ask"].into_iter();
        let said =
            self.node.docker_ok(&command.chain(targets.iter().map(String::as_str)).collect::<Vec<_>>())?;
        let answer =
            |line: &str| line.split_once(' ').map(|(target, answer)| (target.to_owned(), answer.to_owned()));
        let answers: BTreeMap<String, String> = said.lines().filter_map(answer).collect();
        ensure!(
            targets.iter().all(|target| answers.contains_key(target)),
            "targets without an answer: {said}"
        );
        Ok(answers)
    }

    fn says(&self, target: &str) -> Result<String> {
        Ok(self.ask(&[target.to_owned()])?.remove(target).unwrap_or_default())
    }

    /// Where the link is for this container, if its name is known.
    fn link(&self) -> Result<Option<String>> {
        let said = self.says(&format!("name/{LINK}"))?;
        Ok(said.strip_prefix("resolved ").map(str::to_owned))
    }

    /// None of the targets lets this container in.
    fn assert_shut_out(&self, targets: &[String]) -> Result<usize> {
        let let_in =
            |answer: &String| ["open", "answered", "resolved"].iter().any(|word| answer.starts_with(word));
        let heard: Vec<_> = self.ask(targets)?.into_iter().filter(|(_, answer)| let_in(answer)).collect();
        assert!(heard.is_empty(), "{} on {} hears {heard:?}", self.name, self.node.name());
        Ok(targets.len())
    }

    fn address(&self, org: &str) -> &str {
        self.addresses.get(&format!("skep-{org}")).map_or("", String::as_str)
    }

    /// Every way to it that somebody on a network with that organisation could try.
    fn doors(&self, org: &str) -> Vec<String> {
        let address = self.address(org);
        let short = self.id.get(..12).unwrap_or(&self.id);
        let mut doors = vec![format!("name/{}", self.name), format!("name/{short}")];
        doors.extend(OTHER_PORTS.iter().chain(&[8080]).map(|port| format!("tcp/{address}/{port}")));
        doors.push(format!("udp/{address}/9000"));
        doors
    }
}

fn nodes(at: &Installation) -> impl Iterator<Item = &Node> {
    std::iter::once(&*at.engine).chain(&at.others)
}

/// The running containers of a service.
fn residents<'a>(at: &'a Installation, service: &str) -> Result<Vec<Resident<'a>>> {
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let mut found = Vec::new();
    for node in nodes(at) {
        for id in node.docker_ok(&["ps", "--quiet", "--no-trunc", "--filter", &filter])?.lines() {
            let container: Value = serde_json::from_str(&node.docker_ok(&["inspect", id])?)?;
            let networks = container[0]["NetworkSettings"]["Networks"].as_object().context("networks")?;
            let address = |network: &Value| network["IPAddress"].as_str().unwrap_or_default().to_owned();
            found.push(Resident {
                node,
                id: id.to_owned(),
                name: container[0]["Name"].as_str().unwrap_or_default().trim_start_matches('/').to_owned(),
                addresses: networks.iter().map(|(name, network)| (name.clone(), address(network))).collect(),
            });
        }
    }
    Ok(found)
}

fn plan(name: &str, network: &Value) -> Value {
    json!({
        "apiVersion": "skep.dev/v1", "kind": "Plan", "metadata": { "name": name },
        "spec": { "instance": { "cpu": "100m", "memory": "64Mi", "pids": 256 }, "network": network, "quota": { "links": 3 } },
    })
}

/// What the bank offers, and to whom.
fn offers(to: &str) -> String {
    let from = json!([{ "organization": to }]);
    let ingress = json!([{ "environment": "production", "process": "web", "port": 8080, "from": from }]);
    documents(&[resource("bank", "NetworkPolicy", "offers", json!({ "ingress": ingress }))])
}

fn uses(org: &str) -> String {
    let to = json!({ "organization": "bank", "environment": "production", "process": "web", "port": 8080 });
    let egress = json!([{ "as": "pay", "to": to }]);
    documents(&[resource(org, "NetworkPolicy", "uses", json!({ "egress": egress }))])
}

fn ids(residents: &[Resident<'_>]) -> BTreeSet<String> {
    residents.iter().map(|resident| resident.id.clone()).collect()
}

fn one_port_answers_one_organisation(version: EngineVersion, size: u32) -> Result<()> {
    let env = vec![("SKEP_FORWARD_IMAGE".to_owned(), image("skep:1"))];
    let at =
        Installation::start_with(Options { nodes: (size.try_into()?, 1), env, ..Options::new(version) })?;
    let start = "#!/bin/sh\n/bin/probe listen 9000 &\nexec /bin/serve\n";
    let curious = Recipe::web("v1")?
        .file("bin/probe", 0o755, std::fs::read(binary::probe()?)?)
        .file("bin/app", 0o755, start)
        .change(r#"CMD ["/bin/app"]"#);
    at.engine.publish(&curious, "curious:1")?;
    let skep =
        Recipe::busybox()?.file("usr/local/bin/skep-forward", 0o755, std::fs::read(binary::forward()?)?);
    at.engine.publish(&skep, "skep:1")?;

    // The bank has no way out of its network. All three have an environment, a process and names that are alike.
    let plans = [plan("open", &json!({})), plan("sealed", &json!({ "egress": "deny" }))];
    let web = |org: &str, plan: &str| Web {
        instances: size,
        plan: Some(plan.to_owned()),
        ..Web::new(org).with_image("curious:1")
    };
    let (bank, shop, club) = (web("bank", "sealed"), web("shop", "open"), web("club", "open"));
    let all = documents(&plans) + &bank.manifests() + &shop.manifests() + &club.manifests();
    at.cli.apply_and_wait(&all)?.ok().with_context(|| at.report())?;
    let before: Vec<BTreeSet<String>> = [&bank, &shop, &club]
        .iter()
        .map(|web| residents(&at, &web.service()).map(|found| ids(&found)))
        .collect::<Result<_>>()?;

    // Only one side wants it: nothing is there, and nobody is told whether there is a bank.
    at.cli.apply(&uses("shop"), &[])?.ok()?;
    at.cli.apply(&uses("club"), &[])?.ok()?;
    wait_until("the shop to be told that nothing is offered", SOON, || {
        let policy = at.cli.get("shop", "NetworkPolicy", "uses")?;
        ready(policy["status"]["links"][0]["state"] == "waiting", &policy["status"].to_string())
    })?;
    for resident in residents(&at, &shop.service())? {
        ensure!(resident.link()?.is_none());
    }

    at.cli.apply(&offers("shop"), &[])?.ok()?;
    wait_until("the shop's link to answer", SOON, || {
        for resident in residents(&at, &shop.service())? {
            let link = resident.link()?.context("its name is not known yet")?;
            let said = resident.says(&format!("http/{link}/8080/bank.localhost"))?;
            ready(said == "answered 200", &said)?;
        }
        Ok(())
    })
    .with_context(|| at.report())?;

    let (banks, shops, clubs) = (
        residents(&at, &bank.service())?,
        residents(&at, &shop.service())?,
        residents(&at, &club.service())?,
    );
    let forwarders = residents(&at, FORWARDER)?;
    let [forwarder] = forwarders.as_slice() else { anyhow::bail!("{} forwarders", forwarders.len()) };
    let mut shut_out = 0;

    // From the shop: the one port, and of the bank itself nothing.
    let beside: Vec<String> =
        OTHER_PORTS.map(|port| format!("tcp/{}/{port}", forwarder.address("shop"))).into();
    let mut of_bank: Vec<String> = banks.iter().flat_map(|resident| resident.doors("bank")).collect();
    of_bank.extend(forwarder.doors("bank").into_iter().filter(|door| door.starts_with("tcp/")));
    of_bank.extend(
        ["bank_production_web", "tasks.bank_production_web", "skep-anchor-bank"]
            .map(|name| format!("name/{name}")),
    );
    of_bank.push("name/web.production.internal.skep-bank".to_owned());
    for from in &shops {
        shut_out += from.assert_shut_out(&beside)? + from.assert_shut_out(&of_bank)?;
    }
    // From the bank: the forwarder has no open port there, and leads to nobody.
    let mut of_shop: Vec<String> = shops.iter().flat_map(|resident| resident.doors("shop")).collect();
    of_shop.extend([format!("name/{LINK}"), "name/shop_production_web".to_owned()]);
    let on_bank: Vec<String> = OTHER_PORTS
        .iter()
        .chain(&[8080])
        .map(|port| format!("tcp/{}/{port}", forwarder.address("bank")))
        .collect();
    let outside: Vec<String> = nodes(&at)
        .flat_map(|node| [80, 2377, 7946].map(|port| format!("tcp/{}/{port}", node.address())))
        .collect();
    for from in &banks {
        shut_out += from.assert_shut_out(&of_shop)? + from.assert_shut_out(&on_bank)?;
        // It has no way out still.
        shut_out += from.assert_shut_out(&outside)?;
    }
    // From the club, which wants it, too, and was not named: nothing at all.
    let mut for_club = vec![format!("name/{LINK}"), format!("name/{FORWARDER}")];
    for org in ["shop", "bank"] {
        for_club.extend(forwarder.doors(org));
    }
    for from in &clubs {
        shut_out += from.assert_shut_out(&for_club)? + from.assert_shut_out(&of_bank)?;
    }
    eprintln!("{shut_out} attempts past one link, and nobody let in");

    // What the forwarder is, as it runs.
    let container: Value = serde_json::from_str(&forwarder.node.docker_ok(&["inspect", &forwarder.id])?)?;
    let host = &container[0]["HostConfig"];
    assert_eq!((&host["ReadonlyRootfs"], &host["CapAdd"]), (&json!(true), &Value::Null));
    assert_eq!(host["CapDrop"], json!(["ALL"]));
    assert_eq!(container[0]["Config"]["User"], json!("65534:65534"));

    // The bank takes it back, and offers it to the club instead.
    at.cli.apply(&offers("club"), &[])?.ok()?;
    wait_until("the shop's link to be gone and the club's to answer", SOON, || {
        ready(residents(&at, FORWARDER)?.is_empty(), "its forwarder runs")?;
        for resident in &shops {
            ready(resident.link()?.is_none(), "its name is known still")?;
        }
        for resident in &clubs {
            let link = resident.link()?.context("the club's name is not known yet")?;
            let said = resident.says(&format!("http/{link}/8080/bank.localhost"))?;
            ready(said == "answered 200", &said)?;
        }
        Ok(())
    })?;

    // Nothing of anybody was restarted for any of it.
    let after: Vec<BTreeSet<String>> = [&bank, &shop, &club]
        .iter()
        .map(|web| residents(&at, &web.service()).map(|found| ids(&found)))
        .collect::<Result<_>>()?;
    assert_eq!(after, before);

    // The bank goes while it is linked; its network goes after the link.
    at.cli.run(&["delete", "organization", "bank", "--confirm-removal"])?.ok()?;
    wait_until("the bank to be gone", SOON, || {
        let networks = at.docker(&["network", "ls", "--format", "{{.Name}}"])?;
        ready(!networks.lines().any(|name| name == "skep-bank"), &networks)
    })
    .with_context(|| at.report())?;
    for resident in &clubs {
        ensure!(resident.link()?.is_none());
    }
    Ok(())
}

#[test]
fn one_port_answers_one_organisation_on_three_nodes_of_26_1() -> Result<()> {
    one_port_answers_one_organisation(EngineVersion::V26_1, 3)
}

#[test]
fn one_port_answers_one_organisation_on_20_10() -> Result<()> {
    one_port_answers_one_organisation(EngineVersion::V20_10, 1)
}
