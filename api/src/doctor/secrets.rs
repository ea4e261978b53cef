//! Secrets: everything that was sealed opens, with the keys that the server has.

use skep_schemas::Uid;
use skep_store::{Unreadable, ValuePosition};

use super::{Check, Patient, Running, Step};
use crate::error::ApiError;

/// Where the group is: first the master key and the data keys, then the values.
enum At {
    Keys(Option<Uid>),
    Values(Option<ValuePosition>),
}

impl At {
    fn read(text: Option<&str>) -> Option<Self> {
        let Some(text) = text else { return Some(Self::Keys(None)) };
        match text.split('/').collect::<Vec<_>>().as_slice() {
            ["keys", org] => Some(Self::Keys(Some(org.parse().ok()?))),
            ["values"] => Some(Self::Values(None)),
            ["values", secret, version] => {
                let (secret, version) = (secret.parse().ok()?, version.parse().ok()?);
                Some(Self::Values(Some(ValuePosition { secret, version })))
            }
            _ => None,
        }
    }
}

pub(super) fn run<'a>(patient: &'a Patient<'a>, at: Option<&'a str>) -> Running<'a> {
    Box::pin(async move {
        match At::read(at) {
            Some(At::Keys(after)) => keys(patient, after).await,
            Some(At::Values(after)) => values(patient, after).await,
            None => Err(ApiError::invalid("`after` is no place to go on", "begin without it")),
        }
    })
}

async fn keys(patient: &Patient<'_>, after: Option<Uid>) -> Result<Step, ApiError> {
    let mut checks = Vec::new();
    if after.is_none() {
        checks.push(master_key(patient).await?);
    }
    let examined = patient.store.examine_data_keys(after).await?;
    checks.push(Check {
        id: "secrets.data-keys",
        benchmark: None,
        title: "every organisation's data key opens",
        why: "nothing of such an organisation's secrets can be read or written",
        fix: "give the server the master key that is named, with --further-key-file; a key that was damaged comes from a backup of the database",
        looked_at: examined.looked_at,
        findings: examined.unreadable.iter().map(finding).collect(),
    });
    let next = examined.next.map_or_else(|| "values".to_owned(), |org| format!("keys/{org}"));
    Ok(Step { checks, next: Some(next) })
}

async fn master_key(patient: &Patient<'_>) -> Result<Check, ApiError> {
    let standing = patient.store.master_key_standing().await?;
    let used = standing.keys.iter().filter(|key| key.organizations > 0);
    let others = used.clone().filter(|key| key.id != standing.in_force);
    let findings = others.map(|key| {
        let held = if key.held { "" } else { ", which the server does not have" };
        format!("{} data keys are wrapped by master key {}{held}", key.organizations, key.id)
    });
    Ok(Check {
        id: "secrets.master-key",
        benchmark: None,
        title: "every data key is wrapped by the master key in force",
        why: "the former key is needed still, and its change protects nobody before it is complete",
        fix: "skep master-key rotate",
        looked_at: used.map(|key| key.organizations).sum(),
        findings: findings.collect(),
    })
}

async fn values(patient: &Patient<'_>, after: Option<ValuePosition>) -> Result<Step, ApiError> {
    let examined = patient.store.examine_values(after).await?;
    let check = Check {
        id: "secrets.values",
        benchmark: None,
        title: "every stored value of a secret opens",
        why: "an environment that needs it cannot be deployed once its object in the Swarm is gone",
        fix: "write the value again, with `skep apply`; for a version that nobody needs any more there is nothing to do",
        looked_at: examined.looked_at,
        findings: examined.unreadable.iter().map(finding).collect(),
    };
    let next = examined.next.map(|next| format!("values/{}/{}", next.secret, next.version));
    Ok(Step { checks: vec![check], next })
}

fn finding(unreadable: &Unreadable) -> String {
    let Unreadable { org, secret, why } = unreadable;
    match secret {
        Some((name, 0)) => format!("{org}/Secret/{name}: {why}"),
        Some((name, version)) => format!("{org}/Secret/{name} version {version}: {why}"),
        None => format!("Organization/{org}: {why}"),
    }
}
