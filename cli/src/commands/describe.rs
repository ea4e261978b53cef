//! `skep describe`: everything about one resource.

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use skep_api::wire::{DriftList, DriftQuery, EventList, OwnerView, PlanList, ReleaseList, ResourceView};
use skep_schemas::{Kind, Owner};

use super::{Outcome, Session};
use crate::address::resource_path;
use crate::args::OneResource;
use crate::client::with_query;
use crate::output::describe::Described;
use crate::output::{print, stdout_style};

/// How many of the newest events are shown.
const EVENTS_SHOWN: usize = 20;

/// How many of the newest plans are shown.
const PLANS_SHOWN: usize = 5;

/// How many differences are shown; `skep drift` shows all.
const DRIFT_SHOWN: u32 = 20;

/// `skep describe`
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    #[command(flatten)]
    what: OneResource,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: DescribeArgs) -> Result<Outcome> {
    let key = args.what.address()?.key(session.org.as_ref())?;
    let path = resource_path(&key);
    let view: ResourceView = session.client.get(&path).await?;
    let events: EventList = session.client.get(&format!("{path}/events")).await?;
    let newest = events.items.len().saturating_sub(EVENTS_SHOWN);
    let plans: PlanList = session.client.get(&format!("{path}/plans?limit={PLANS_SHOWN}")).await?;
    let releases = match key.kind() {
        Kind::Environment => session.client.get::<ReleaseList>(&format!("{path}/releases")).await?.items,
        Kind::Organization
        | Kind::Platform
        | Kind::Plan
        | Kind::IsolationTier
        | Kind::Buildpack
        | Kind::Stack
        | Kind::Template
        | Kind::Secret
        | Kind::App
        | Kind::Domain
        | Kind::DriftPolicy
        | Kind::ImagePolicy
        | Kind::RegistryCredential
        | Kind::NetworkPolicy
        | Kind::Notification => Vec::new(),
    };
    let drift = DriftQuery {
        kind: Some(key.kind()),
        name: Some(key.name().clone()),
        open: Some(true),
        limit: Some(DRIFT_SHOWN),
        ..DriftQuery::default()
    };
    let report = key.org().map_or_else(|| "/v1/drift".to_owned(), |org| format!("/v1/orgs/{org}/drift"));
    let drift: DriftList = session.client.get(&with_query(&report, &drift)?).await?;
    let owner: Option<OwnerView> = match view.metadata.managed_by {
        Owner::Api => None,
        Owner::Git { .. } => Some(session.client.get(&format!("{path}/owner")).await?),
    };
    let described = Described {
        view: &view,
        written: owner.as_ref().and_then(|owner| owner.written.as_ref()),
        releases: &releases,
        plans: &plans.items,
        drift: &drift.items,
        events: events.items.get(newest..).unwrap_or_default(),
    };
    print(&described.render(Timestamp::now(), stdout_style())?)?;
    Ok(Outcome::Done)
}
