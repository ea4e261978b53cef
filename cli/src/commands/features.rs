//! `skep features`: what an organisation has, and what is switched off.

use anyhow::{Result, bail};
use clap::Args;
use skep_api::wire::{FeatureItem, FeaturesView};

use super::{Outcome, Session};
use crate::output::table::{Cell, render};
use crate::output::text::Tone;
use crate::output::{PlanFormat, print, stdout_style};

/// `skep features`
#[derive(Debug, Args)]
#[command(
    after_help = "What is off lets nothing new begin that needs it; what there is goes on. See docs/guides/features.md."
)]
pub(crate) struct FeaturesArgs {
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: &FeaturesArgs) -> Result<Outcome> {
    let Some(org) = session.org.as_ref() else {
        bail!("the features of which organisation?\nhelp: name one with --org");
    };
    let features: FeaturesView = session.client.get(&format!("/v1/orgs/{org}/features")).await?;
    print(&args.output.of(&features, || told(&features))?)?;
    Ok(Outcome::Done)
}

fn told(features: &FeaturesView) -> String {
    let row = |item: &FeatureItem| -> Vec<Cell> {
        let (word, tone) = if item.on { ("on", Tone::Good) } else { ("off", Tone::Bad) };
        let by = item.switched_off_by.clone().unwrap_or_default();
        vec![item.feature.to_string().into(), Cell::toned(word, tone), by.into()]
    };
    let rows: Vec<Vec<Cell>> = features.items.iter().map(row).collect();
    render(&["FEATURE", "", "SWITCHED OFF BY"], &rows, stdout_style())
}

#[cfg(test)]
mod tests {
    use skep_schemas::Feature;

    use super::*;

    #[test]
    fn what_is_off_is_shown_with_who_switched_it_off() {
        let item = |feature, by: Option<&str>| FeatureItem {
            feature,
            on: by.is_none(),
            switched_off_by: by.map(str::to_owned),
        };
        let items = vec![item(Feature::Caas, None), item(Feature::CustomDomains, Some("Platform/default"))];
        let told = told(&FeaturesView { items });
        let lines: Vec<&str> = told.lines().skip(1).collect();
        assert!(lines[0].contains("caas") && lines[0].contains("on"), "{told}");
        assert!(lines[1].contains("customDomains") && lines[1].contains("Platform/default"), "{told}");
    }
}
