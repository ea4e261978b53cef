//! The cluster: what of its engines, networks and services weakens what tenants are promised.

use super::{Check, Patient, Running, Step};
use crate::port::PortError;

pub(super) fn run<'a>(patient: &'a Patient<'a>, _: Option<&'a str>) -> Running<'a> {
    Box::pin(async move {
        let checks = match patient.control.checkup().await {
            Ok(checks) => checks.into_iter().map(check).collect(),
            // That is a finding, too; the others cannot be made.
            Err(PortError::EngineUnavailable { source }) => {
                tracing::warn!(why = %source, "the doctor could not look at the cluster");
                vec![silent()]
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Step { checks, next: None })
    })
}

fn check(found: skep_planner::checkup::Check) -> Check {
    let skep_planner::checkup::Check { id, benchmark, title, why, fix, looked_at, findings } = found;
    let looked_at = u64::try_from(looked_at).unwrap_or(u64::MAX);
    Check { id, benchmark, title, why, fix, looked_at, findings }
}

fn silent() -> Check {
    Check {
        id: "cluster.engine",
        benchmark: None,
        title: "the engine answers",
        why: "nothing can be deployed, put back or looked at",
        fix: "look at the engine's own log, and whether its manager has a leader (`docker node ls`)",
        looked_at: 1,
        findings: vec!["it does not; the server's log has its words".to_owned()],
    }
}
