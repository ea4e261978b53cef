//! `skep quota`: what an organisation has, against what its plan lets it have.

use anyhow::Result;
use clap::Args;
use skep_api::wire::{QuotaItem, QuotaView};

use super::{Outcome, Session};
use crate::output::table::{Cell, render};
use crate::output::{PlanFormat, print, stdout_style};

/// `skep quota`
#[derive(Debug, Args)]
pub(crate) struct QuotaArgs {
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries it out. The answer is no when there is more than may be.
pub(super) async fn run(session: &Session, args: &QuotaArgs) -> Result<Outcome> {
    let Some(org) = &session.org else {
        anyhow::bail!("whose quota?\nhelp: name an organisation with --org");
    };
    let quota: QuotaView = session.client.get(&format!("/v1/orgs/{org}/quota")).await?;
    print(&args.output.of(&quota, || table(&quota))?)?;
    let exceeded = quota.items.iter().any(|item| item.exceeded);
    Ok(if exceeded { Outcome::Negative } else { Outcome::Done })
}

fn table(quota: &QuotaView) -> String {
    let row = |item: &QuotaItem| -> Vec<Cell> {
        let limit = item.limit.clone().unwrap_or_else(|| "-".to_owned());
        let note = if item.exceeded { "more than the plan allows" } else { "" };
        vec![item.of.clone().into(), item.used.clone().into(), limit.into(), note.into()]
    };
    let rows: Vec<Vec<Cell>> = quota.items.iter().map(row).collect();
    let plan = quota.plan.as_ref().map_or_else(|| "no plan".to_owned(), |plan| format!("plan {plan}"));
    format!("{plan}\n{}", render(&["OF", "USED", "LIMIT", ""], &rows, stdout_style()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_than_the_plan_allows_is_marked() {
        let quota: QuotaView = serde_json::from_value(serde_json::json!({"plan": "small", "items": [
            {"of": "environments", "used": "3", "limit": "2", "exceeded": true},
            {"of": "cpu", "used": "1500m"},
        ]}))
        .unwrap();
        let lines: Vec<String> = table(&quota).lines().map(|line| line.trim_end().to_owned()).collect();
        assert_eq!(
            lines,
            [
                "plan small",
                "OF            USED   LIMIT",
                "environments  3      2      more than the plan allows",
                "cpu           1500m  -"
            ]
        );
    }
}
