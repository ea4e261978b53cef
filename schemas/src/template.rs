//! The manifests that an application of a template begins with.
//!
//! Input: a [`TemplateSpec`], and what only the user knows: names, the image, the host. Output: manifests like any other, which have passed the same checks as those
//! that a user writes, because they are read again before they are written down or sent. Nothing in them says where they came from: they are the user's.

use std::collections::BTreeMap;

use crate::kind::{
    AppSource, AppSpec, DomainSpec, EnvironmentSpec, SecretMount, SecretSpec, TemplateSpec, TlsMode,
};
use crate::resource::{Manifest, ResourceKey, Scope, ScopeError};
use crate::scalar::{Host, ImageRef, OrgName, ResourceName, ScalarError};
use crate::{AnySpec, Kind};

/// What is not the same for all applications of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The organisation that it is of.
    pub org: OrgName,
    /// Its App.
    pub app: ResourceName,
    /// Its first Environment.
    pub environment: ResourceName,
    /// Its image; that of the template when absent.
    pub image: Option<ImageRef>,
    /// Where it is to be reached; nowhere when absent.
    pub host: Option<(Host, TlsMode)>,
}

/// Why there are no manifests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Neither the template nor the user names an image.
    #[error("the template has no image of its own, and none is named")]
    NoImage,
    /// A Secret of it would have a name that is none.
    #[error("no Secret can be called `{name}`: {}", why.problem)]
    Name {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: ScalarError,
    },
    /// A resource has no place.
    #[error(transparent)]
    Scope(#[from] ScopeError),
}

impl TemplateSpec {
    /// The manifests of an application: its App, Secrets, Environment and Domain, what is referred to first.
    pub fn manifests(&self, of: &Application) -> Result<Vec<Manifest>, TemplateError> {
        let image = of.image.clone().or_else(|| self.image.clone()).ok_or(TemplateError::NoImage)?;
        let manifest = |kind: Kind, name: &ResourceName, spec: AnySpec| -> Result<Manifest, ScopeError> {
            let key = ResourceKey::new(Scope::Org(of.org.clone()), kind, name.clone())?;
            Ok(Manifest { key, labels: BTreeMap::new(), annotations: BTreeMap::new(), spec })
        };
        let app = AppSpec {
            description: None,
            source: Some(AppSource { image }),
            processes: self.processes.clone(),
        };
        let mut manifests = vec![manifest(Kind::App, &of.app, app.into())?];
        let mut mounts = Vec::new();
        for (file, secret) in &self.secrets {
            let name = of_app(&of.app, file)?;
            let spec = SecretSpec {
                description: secret.description.clone(),
                value: None,
                generate: Some(secret.generate),
            };
            manifests.push(manifest(Kind::Secret, &name, spec.into())?);
            mounts.push(SecretMount { name, file: file.as_str().parse().ok(), env: secret.env.clone() });
        }
        let environment = EnvironmentSpec {
            app: of.app.clone(),
            image: None,
            plan: self.plan.clone(),
            region: None,
            env: self.env.clone(),
            secrets: mounts,
            processes: BTreeMap::new(),
            rollout: Default::default(),
            restart: Default::default(),
            security: self.security.clone(),
        };
        manifests.push(manifest(Kind::Environment, &of.environment, environment.into())?);
        if let Some((host, tls)) = &of.host {
            let domain = DomainSpec {
                host: host.clone(),
                environment: of.environment.clone(),
                process: None,
                port: None,
                tls: *tls,
            };
            manifests.push(manifest(Kind::Domain, &of.app, domain.into())?);
        }
        Ok(manifests)
    }
}

/// The name of a Secret of an app: others of the organisation may begin with the same template.
fn of_app(app: &ResourceName, file: &ResourceName) -> Result<ResourceName, TemplateError> {
    let name = format!("{app}-{file}");
    name.parse().map_err(|why| TemplateError::Name { name, why })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn application(image: Option<&str>) -> Application {
        Application {
            org: "acme".parse().unwrap(),
            app: "shop".parse().unwrap(),
            environment: "shop-production".parse().unwrap(),
            image: image.map(|image| image.parse().unwrap()),
            host: Some(("shop.acme.example".parse().unwrap(), TlsMode::Automatic)),
        }
    }

    #[test]
    fn an_application_has_what_its_template_says_under_names_of_its_own() {
        let template: TemplateSpec = serde_json::from_value(json!({
            "description": "d", "plan": "hobby", "env": {"STAGE": "live"}, "secrets": {"key": {"env": "KEY"}},
            "processes": {"web": {"ports": [{"name": "http", "port": 8080}]}, "release": {"command": ["migrate"]}},
        }))
        .unwrap();
        assert_eq!(template.manifests(&application(None)), Err(TemplateError::NoImage));
        let made = template.manifests(&application(Some("ghcr.io/acme/shop:1"))).unwrap();
        let keys: Vec<String> = made.iter().map(|manifest| manifest.key.to_string()).collect();
        assert_eq!(
            keys,
            ["acme/App/shop", "acme/Secret/shop-key", "acme/Environment/shop-production", "acme/Domain/shop"]
        );
        let spec = |place: usize| made[place].spec.to_json().unwrap();
        assert_eq!(spec(0)["processes"]["release"]["command"], json!(["migrate"]));
        assert_eq!(spec(1)["generate"]["length"], 32);
        assert_eq!(spec(2)["secrets"], json!([{"name": "shop-key", "file": "key", "env": "KEY"}]));
        assert_eq!((&spec(2)["plan"], &spec(2)["env"]["STAGE"]), (&json!("hobby"), &json!("live")));
        assert_eq!(spec(3)["host"], "shop.acme.example");
    }
}
