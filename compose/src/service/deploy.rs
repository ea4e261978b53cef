//! How many, how much, and how one release replaces another.

use serde_json::Value;
use skep_schemas::kind::{INSTANCES_MAX, RestartCondition, RolloutOrder};

use super::draft::Draft;
use super::{Surroundings, number};
use crate::Report;
use crate::keys::{Keys, Taken};
use crate::value;

pub(super) fn take(draft: &mut Draft, keys: &mut Keys, around: &mut Surroundings<'_>, report: &mut Report) {
    older(draft, keys, report);
    let Some(taken) = keys.take("deploy") else { return };
    let mut keys = Keys::of(taken, report);
    if let Some(taken) = keys.take("replicas") {
        match number(&taken.value).filter(|instances| *instances <= INSTANCES_MAX) {
            Some(instances) => {
                draft.instances = Some(instances);
                report.done(taken.pointer, draft.in_environment("processes.web.instances"));
            }
            None => report.refuse(taken.pointer, format!("it is no number up to {INSTANCES_MAX}")),
        }
    }
    if let Some(taken) = keys.take("mode") {
        match taken.text().as_deref() {
            Some("replicated") => report.done(taken.pointer, "as every process is"),
            Some("replicated-job" | "global-job") => {
                report.decide(taken.pointer, super::container::ONCE);
            }
            _ => report.refuse(
                taken.pointer,
                "a process has so many instances as it says, and not one on each node",
            ),
        }
    }
    resources(draft, &mut keys, report);
    restart(draft, &mut keys, report);
    update(draft, &mut keys, report);
    placement(draft, &mut keys, report);
    if let Some(taken) = keys.take("labels") {
        let mut ports = draft.ports.iter().map(|port| port.port.get()).collect();
        for (key, label) in Keys::of(taken, report).into_each() {
            super::network::label(draft, &key, &label, &mut ports, around, report);
        }
    }
    if let Some(taken) = keys.take("rollback_config") {
        report.refuse(
            taken.pointer,
            "a release that fails gives way to the one before, in the same way in which it came",
        );
    }
    keys.refuse(&["endpoint_mode"], "a name leads to all instances", report);
    keys.rest(report);
}

/// What files without `deploy` say of resources.
fn older(draft: &mut Draft, keys: &mut Keys, report: &mut Report) {
    limit(draft, keys.take("cpus"), Limit::Cpu, report);
    limit(draft, keys.take("mem_limit"), Limit::Memory, report);
    limit(draft, keys.take("pids_limit"), Limit::Pids, report);
    keys.refuse(
        &[
            "cpu_count",
            "cpu_percent",
            "cpu_shares",
            "cpu_period",
            "cpu_quota",
            "cpu_rt_runtime",
            "cpu_rt_period",
            "cpuset",
            "blkio_config",
        ],
        "what an instance may use is said in cores: `resources.cpu`",
        report,
    );
    keys.refuse(
        &["mem_reservation", "mem_swappiness", "memswap_limit", "oom_kill_disable", "oom_score_adj"],
        "what an instance may use is said in one number: `resources.memory`",
        report,
    );
    keys.refuse(&["ulimits", "sysctls"], "limits of the kernel are the engine's", report);
}

enum Limit {
    Cpu,
    Memory,
    Pids,
}

fn limit(draft: &mut Draft, taken: Option<Taken>, which: Limit, report: &mut Report) {
    let Some(taken) = taken else { return };
    let text = taken.text().unwrap_or_default();
    let field = match which {
        Limit::Cpu => value::cpus(&text).map(|cpu| {
            draft.cpu = Some(cpu);
            "cpu"
        }),
        Limit::Memory => value::bytes(&text).map(|memory| {
            draft.memory = Some(memory);
            "memory"
        }),
        Limit::Pids => text.parse().ok().filter(|pids| *pids > 0).map(|pids: u32| {
            draft.pids = Some(pids);
            "pids"
        }),
    };
    match field {
        Some(field) => {
            report.done(taken.pointer, draft.in_environment(&format!("processes.web.resources.{field}")))
        }
        None => report.refuse(taken.pointer, "it is no amount"),
    }
}

fn resources(draft: &mut Draft, keys: &mut Keys, report: &mut Report) {
    let Some(taken) = keys.take("resources") else { return };
    let mut keys = Keys::of(taken, report);
    if let Some(taken) = keys.take("limits") {
        let mut limits = Keys::of(taken, report);
        limit(draft, limits.take("cpus"), Limit::Cpu, report);
        limit(draft, limits.take("memory"), Limit::Memory, report);
        limit(draft, limits.take("pids"), Limit::Pids, report);
        limits.rest(report);
    }
    if let Some(taken) = keys.take("reservations") {
        report.refuse(taken.pointer, "nothing is reserved: an instance may use what its limits say");
    }
    keys.rest(report);
}

fn restart(draft: &mut Draft, keys: &mut Keys, report: &mut Report) {
    let Some(taken) = keys.take("restart_policy") else { return };
    let mut keys = Keys::of(taken, report);
    if let Some(taken) = keys.take("condition") {
        let condition = match taken.text().as_deref() {
            Some("any") => Some(RestartCondition::Any),
            Some("on-failure") => Some(RestartCondition::OnFailure),
            Some("none") => Some(RestartCondition::None),
            _ => None,
        };
        match condition {
            Some(condition) => {
                draft.restart.condition = condition;
                let to = draft.in_environment("restart.condition");
                match condition {
                    RestartCondition::None => {
                        report.decide(taken.pointer, format!("{to}; {}", super::container::ONCE));
                    }
                    RestartCondition::Any | RestartCondition::OnFailure => report.done(taken.pointer, to),
                }
            }
            None => report.refuse(taken.pointer, "it is none of any, on-failure and none"),
        }
    }
    if let Some(taken) = keys.take("delay") {
        match taken.text().as_deref().and_then(value::duration) {
            Some(delay) => {
                draft.restart.delay = delay;
                report.done(taken.pointer, draft.in_environment("restart.delay"));
            }
            None => report.refuse(taken.pointer, "it is no span of time such as `5s`"),
        }
    }
    keys.refuse(
        &["max_attempts", "window"],
        "instances are begun again without an end; one that keeps ending is told as a crash loop",
        report,
    );
    keys.rest(report);
}

fn update(draft: &mut Draft, keys: &mut Keys, report: &mut Report) {
    let Some(taken) = keys.take("update_config") else { return };
    let mut keys = Keys::of(taken, report);
    if let Some(taken) = keys.take("parallelism") {
        match number(&taken.value) {
            Some(parallelism @ 1..=INSTANCES_MAX) => {
                draft.rollout.parallelism = parallelism;
                report.done(taken.pointer, draft.in_environment("rollout.parallelism"));
            }
            // All at once is what 0 means to Compose.
            Some(0) => {
                draft.rollout.parallelism = INSTANCES_MAX;
                report.done(taken.pointer, draft.in_environment("rollout.parallelism"));
            }
            _ => report.refuse(taken.pointer, "it is no number of instances"),
        }
    }
    if let Some(taken) = keys.take("order") {
        let order = match taken.text().as_deref() {
            Some("start-first") => Some(RolloutOrder::StartFirst),
            Some("stop-first") => Some(RolloutOrder::StopFirst),
            _ => None,
        };
        match order {
            Some(order) => {
                draft.rollout.order = order;
                report.done(taken.pointer, draft.in_environment("rollout.order"));
            }
            None => report.refuse(taken.pointer, "it is neither start-first nor stop-first"),
        }
    }
    if let Some(taken) = keys.take("failure_action") {
        match taken.text().as_deref() {
            Some("rollback") => report.done(taken.pointer, "as every release that fails"),
            _ => report.refuse(taken.pointer, "a release that fails gives way to the one before"),
        }
    }
    keys.refuse(&["delay", "monitor", "max_failure_ratio"], "the next instance is replaced when the one before is healthy, and a deadline is over all: `rollout.deadline`", report);
    keys.rest(report);
}

fn placement(draft: &mut Draft, keys: &mut Keys, report: &mut Report) {
    let Some(taken) = keys.take("placement") else { return };
    let mut keys = Keys::of(taken, report);
    for item in keys.take("constraints").iter().flat_map(Taken::each) {
        let text = item.text().unwrap_or_default();
        let region = text.split_once("==").filter(|(label, _)| label.trim() == "node.labels.region");
        match region.map(|(_, region)| region.trim().parse()) {
            Some(Ok(region)) => {
                draft.region = Some(region);
                report.done(item.pointer, draft.in_environment("region"));
            }
            _ => report.refuse(item.pointer, "where instances run is said by `region`, the label `region` of nodes, and by the IsolationTier"),
        }
    }
    for key in ["preferences", "max_replicas_per_node"] {
        if let Some(taken) = keys.take(key).filter(|taken| taken.value != Value::Null) {
            report.refuse(taken.pointer, "Swarm spreads the instances of a process over the nodes");
        }
    }
    keys.rest(report);
}
