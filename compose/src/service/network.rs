//! Ports, and who reaches whom.

use std::collections::BTreeSet;

use serde_json::Value;
use skep_schemas::kind::NamedPort;
use skep_schemas::{Host, Port};

use super::Surroundings;
use super::draft::Draft;
use crate::Report;
use crate::keys::{Keys, Taken};

/// More ports than this from one range are no wish of an application.
const RANGE_MAX: u16 = 20;

/// One entry of `ports` in either form.
struct Published {
    /// The port of the container.
    target: (u16, u16),
    /// The port of the node.
    published: Option<String>,
    /// The address of the node.
    host: Option<String>,
    is_tcp: bool,
}

pub(super) fn take(draft: &mut Draft, keys: &mut Keys, around: &mut Surroundings<'_>, report: &mut Report) {
    let mut taken: BTreeSet<u16> = BTreeSet::new();
    if let Some(host) = around.options.hosts.get(&draft.service).cloned() {
        reach(draft, vec![host], around);
    }
    if let Some(labels) = keys.take("labels") {
        for (key, label) in Keys::of(labels, report).into_each() {
            self::label(draft, &key, &label, &mut taken, around, report);
        }
    }
    for item in keys.take("ports").iter().flat_map(Taken::each) {
        match published(&item.value) {
            Some(port) => open(draft, &item, &port, &mut taken, report),
            None => report.refuse(&item.pointer, "it is no port such as `8080:80` or `{target: 80}`"),
        }
    }
    for item in keys.take("expose").iter().flat_map(Taken::each) {
        match published(&item.value).filter(|port| port.published.is_none()) {
            Some(port) if port.is_tcp => {
                add(draft, port.target, &mut taken);
                report.done(&item.pointer, draft.in_process("ports"));
            }
            Some(_) => report.refuse(&item.pointer, "only TCP is reached by name"),
            None => report.refuse(&item.pointer, "it is no port"),
        }
    }
    if !draft.hosts.is_empty() && draft.ports.is_empty() {
        let what =
            "it is to be reached at a host name, and no port of it is known; write `ports` of its process";
        report.decide(keys.pointer(), what);
    }
    beside(draft, keys, around, report);
}

fn open(draft: &mut Draft, item: &Taken, port: &Published, taken: &mut BTreeSet<u16>, report: &mut Report) {
    if !port.is_tcp {
        return report.refuse(&item.pointer, "nothing but TCP reaches an application from outside");
    }
    add(draft, port.target, taken);
    let to = draft.in_process("ports");
    let is_local = port.host.as_deref().is_some_and(|host| host.starts_with("127.") || host.contains("::1"));
    if port.published.is_none() || is_local {
        return report.done(
            &item.pointer,
            format!("{to}; within the organisation it is reached at {}.internal", draft.name),
        );
    }
    if !draft.hosts.is_empty() {
        let hosts: Vec<&str> = draft.hosts.iter().map(Host::as_str).collect();
        return report.done(&item.pointer, format!("{to}, reached from outside at {}", hosts.join(", ")));
    }
    let published = port.published.as_deref().unwrap_or_default();
    report.decide(
        &item.pointer,
        format!(
            "{to}; port {published} of the nodes is not opened. What speaks HTTP is reached at a host name: give it one with --host {}=NAME, or write a Domain",
            draft.service
        ),
    );
}

fn add(draft: &mut Draft, (first, last): (u16, u16), taken: &mut BTreeSet<u16>) {
    for number in first..=last {
        let name = if draft.ports.is_empty() { "http".to_owned() } else { format!("p{number}") };
        if let (Some(port), Ok(name), true) = (Port::new(number), name.parse(), taken.insert(number)) {
            draft.ports.push(NamedPort { name, port });
        }
    }
}

fn published(value: &Value) -> Option<Published> {
    if let Value::Object(long) = value {
        let text = |key: &str| long.get(key).and_then(crate::value::text);
        return Some(Published {
            target: range(&text("target")?)?,
            published: text("published"),
            host: text("host_ip"),
            is_tcp: text("protocol").is_none_or(|protocol| protocol == "tcp"),
        });
    }
    let text = crate::value::text(value)?;
    let (text, protocol) =
        text.split_once('/').map_or((text.as_str(), "tcp"), |(ports, protocol)| (ports, protocol));
    let is_tcp = protocol.eq_ignore_ascii_case("tcp");
    // An address in brackets has colons of its own.
    let (before, target) =
        text.rsplit_once(':').map_or((None, text), |(before, target)| (Some(before), target));
    let target = range(target)?;
    let (host, published) = match before
        .map(|before| before.rsplit_once(':').map_or((None, before), |(host, port)| (Some(host), port)))
    {
        None => (None, None),
        Some((host, port)) => {
            (host.map(str::to_owned), Some(port.to_owned()).filter(|port| !port.is_empty()))
        }
    };
    if published.as_deref().is_some_and(|port| range(port).is_none()) {
        return None;
    }
    Some(Published { target, published, host, is_tcp })
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
    (first > 0 && first <= last && last - first < RANGE_MAX).then_some((first, last))
}

/// Labels select nothing here; what told a proxy hosts and a port becomes Domains.
pub(super) fn label(
    draft: &mut Draft,
    key: &str,
    label: &Taken,
    taken: &mut BTreeSet<u16>,
    around: &mut Surroundings<'_>,
    report: &mut Report,
) {
    if !key.starts_with("traefik.") {
        let why =
            "labels of containers are Skep's; labels and annotations of resources are written in `metadata`";
        return report.refuse(&label.pointer, why);
    }
    let text = label.text().unwrap_or_default();
    if key == "traefik.enable" {
        return report.done(&label.pointer, "the proxy is told of what has a Domain");
    }
    if let Some(port) = text.parse().ok().filter(|_| key.ends_with(".loadbalancer.server.port")) {
        add(draft, (port, port), taken);
        return report.done(&label.pointer, draft.in_process("ports"));
    }
    let hosts = if key.ends_with(".rule") { hosts_of(&text) } else { Vec::new() };
    if hosts.is_empty() {
        return report.refuse(&label.pointer, "the proxy is told what Domains say, and by nobody else");
    }
    let to = format!("Domains of {}", draft.name);
    if let Some((host, owner)) = reach(draft, hosts, around) {
        let what = format!(
            "{host} is a Domain of `{owner}` already, and a Domain is a whole host: let one of the two answer for the other, or give this one a host of its own"
        );
        return report.decide(&label.pointer, what);
    }
    if text.contains("Path") || text.contains("Header") || text.contains("&&") {
        return report.decide(
            &label.pointer,
            format!("{to}; a Domain is a whole host, so the rest of the rule does not count"),
        );
    }
    report.done(&label.pointer, to);
}

/// Lets it be reached at hosts. The first that another service has already, and which.
fn reach(draft: &mut Draft, hosts: Vec<Host>, around: &mut Surroundings<'_>) -> Option<(Host, String)> {
    let mut others = None;
    for host in hosts {
        let owner = around.host_owners.entry(host.clone()).or_insert_with(|| draft.service.clone());
        if *owner == draft.service {
            draft.hosts.insert(host);
        } else {
            others = others.or(Some((host, owner.clone())));
        }
    }
    others
}

/// ``Host(`a.example`, `b.example`)``
fn hosts_of(rule: &str) -> Vec<Host> {
    let mut found = Vec::new();
    for part in rule.split("Host(").skip(1) {
        let inside = part.split(')').next().unwrap_or_default();
        let written = inside.split(',').map(|host| host.trim().trim_matches(['`', '"', '\'']));
        found.extend(written.filter_map(|host| host.to_ascii_lowercase().parse().ok()));
    }
    found
}

/// Networks, order, and names.
fn beside(draft: &mut Draft, keys: &mut Keys, around: &Surroundings<'_>, report: &mut Report) {
    if let Some(taken) = keys.take("networks") {
        let each: Vec<(String, Taken)> = Keys::of(taken, report).into_each().collect();
        let several = each.len() > 1;
        for (_, taken) in each {
            let settings = matches!(&taken.value, Value::Object(map) if !map.is_empty());
            if settings {
                let why = "an organisation is one network, and processes are found at ENVIRONMENT.internal; further names and fixed addresses there are none";
                report.refuse(taken.pointer, why);
            } else if several {
                let what = "all of an organisation reach each other; what must not be reached by the others belongs into an organisation of its own, with a NetworkPolicy for what may";
                report.decide(taken.pointer, what);
            } else {
                report.done(taken.pointer, "the organisation's network");
            }
        }
    }
    if let Some(taken) = keys.take("network_mode") {
        match taken.text().as_deref() {
            Some("bridge" | "default") => report.done(taken.pointer, "the organisation's network"),
            _ => report
                .refuse(taken.pointer, "every container is on its organisation's network, and on no other's"),
        }
    }
    if let Some(taken) = keys.take("depends_on") {
        for (name, taken) in Keys::of(taken, report).into_each() {
            let condition = taken.value.get("condition").and_then(Value::as_str).unwrap_or_default();
            if condition == "service_completed_successfully" {
                let what = format!(
                    "Skep waits for no other application: if `{name}` prepares this one, as a migration does, make it the process `release` of App {}, which runs before each roll-out",
                    draft.name
                );
                report.decide(taken.pointer, what);
            } else {
                let why = "applications begin in any order: one that misses another is begun again until that is there";
                report.refuse(taken.pointer, why);
            }
        }
    }
    for item in keys.take("links").iter().flat_map(Taken::each) {
        let text = item.text().unwrap_or_default();
        let (service, alias) = text.split_once(':').unwrap_or((&text, &text));
        match around.address(service) {
            Some(address) => {
                report.decide(item.pointer, format!("`{alias}` is reached at {address}; tell the program so"))
            }
            None => report.refuse(item.pointer, "there is no such service"),
        }
    }
    keys.refuse(
        &["external_links"],
        "what is not in the organisation is reached by a NetworkPolicy's link",
        report,
    );
    keys.refuse(
        &["extra_hosts", "dns", "dns_opt", "dns_search"],
        "names are those of the network and of public name servers",
        report,
    );
    keys.refuse(
        &["container_name", "hostname", "domainname", "mac_address"],
        "instances come and go, and have the names that Swarm gives them; a process is reached at ENVIRONMENT.internal",
        report,
    );
}
