//! Features of the platform that can be switched off.
//!
//! A switch that is off lets nothing new begin that needs its feature. What there is goes on running, and may be changed, made smaller and deleted.
//! There are two places for switches: a Platform, for everybody, and an Organization, for one. Both are written by the platform alone, and a feature is
//! there for an organisation if neither says otherwise. So what the platform has switched off, no Organization switches on.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A feature that can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Feature {
    /// Applications that Skep builds: Apps that name no image, and their Environments.
    Paas,
    /// Containers: Apps and Environments that name an image.
    Caas,
    /// Addons. Nothing needs it yet.
    Addons,
    /// Host names of their own: Domains.
    CustomDomains,
    /// Numbers of instances that an autoscaler says.
    Autoscaling,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Paas, Self::Caas, Self::Addons, Self::CustomDomains, Self::Autoscaling];

    /// Its name in manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paas => "paas",
            Self::Caas => "caas",
            Self::Addons => "addons",
            Self::CustomDomains => "customDomains",
            Self::Autoscaling => "autoscaling",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which features are switched on; all, unless something else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Features {
    /// Apps that name no image, and so are built, and their Environments: new ones may be made.
    #[serde(default = "on", skip_serializing_if = "is_on")]
    pub paas: bool,
    /// Apps and Environments that name an image: new ones may be made.
    #[serde(default = "on", skip_serializing_if = "is_on")]
    pub caas: bool,
    /// Addons. There are none yet, and nothing needs it.
    #[serde(default = "on", skip_serializing_if = "is_on")]
    pub addons: bool,
    /// Domains: new ones may be made, and those that there are may be given another host.
    #[serde(default = "on", skip_serializing_if = "is_on")]
    pub custom_domains: bool,
    /// Autoscalers may say how many instances there are.
    #[serde(default = "on", skip_serializing_if = "is_on")]
    pub autoscaling: bool,
}

const fn on() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_on(switch: &bool) -> bool {
    *switch
}

impl Default for Features {
    fn default() -> Self {
        Self { paas: true, caas: true, addons: true, custom_domains: true, autoscaling: true }
    }
}

impl Features {
    /// Is a feature switched on here?
    pub const fn has(&self, feature: Feature) -> bool {
        match feature {
            Feature::Paas => self.paas,
            Feature::Caas => self.caas,
            Feature::Addons => self.addons,
            Feature::CustomDomains => self.custom_domains,
            Feature::Autoscaling => self.autoscaling,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_switched_on_and_each_switch_is_its_features_own() {
        let all: Features = serde_json::from_str("{}").unwrap();
        assert_eq!((all, serde_json::to_string(&all).unwrap().as_str()), (Features::default(), "{}"));
        for feature in Feature::ALL {
            let written = format!("{{\"{feature}\":false}}");
            let features: Features = serde_json::from_str(&written).unwrap();
            let off: Vec<Feature> = Feature::ALL.into_iter().filter(|one| !features.has(*one)).collect();
            assert_eq!((off, serde_json::to_string(&features).unwrap()), (vec![feature], written));
        }
        assert!(serde_json::from_str::<Features>(r#"{"domains": false}"#).is_err());
    }
}
