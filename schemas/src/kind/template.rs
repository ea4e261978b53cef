//! Template: what an application of one framework begins with.
//!
//! It says what of a manifest is the same for all applications of the framework: the processes, the variables, which values are made at random. `skep init` and the
//! panel make manifests of it, which are the user's from then on: nothing looks at the template again, and a change of it changes no application.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::environment::{SecuritySpec, is_default};
use super::process::{ProcessSpec, check_env, check_processes};
use super::secret::{GenerateSpec, check_generate};
use super::{Kind, KindSpec, Problems};
use crate::resource::{ResourceKey, Scope};
use crate::scalar::{EnvName, ImageRef, ProcessName, ResourceName};

/// More values than any framework needs.
const SECRETS_MAX: usize = 32;

/// What an application of one framework begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateSpec {
    /// What it is for, in a sentence.
    pub description: String,
    /// The image of applications that need none of their own. Whoever uses the template names one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRef>,
    /// The Stack that builds what is made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<ResourceName>,
    /// The Plan that fits its environments. That of the organisation when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ResourceName>,
    /// Variables of its environments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<EnvName, String>,
    /// Values of its environments that are made at random, each in a Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<ResourceName, TemplateSecret>,
    /// Its processes by type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub processes: BTreeMap<ProcessName, ProcessSpec>,
    /// What its containers may do, within the restricted profile that always holds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub security: SecuritySpec,
    /// What is to be done before it can run, for people: one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// It stays for what has it, and is not offered to anything new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// A value that is made at random for each application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateSecret {
    /// What it is, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How it looks.
    #[serde(default)]
    pub generate: GenerateSpec,
    /// The variable that processes read it from. They find it as a file in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvName>,
}

/// What is so about a template.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateDetail {}

impl KindSpec for TemplateSpec {
    const KIND: Kind = Kind::Template;
    type Detail = TemplateDetail;

    fn check(&self, problems: &mut Problems) {
        check_env("/env", &self.env, problems);
        check_processes(&self.processes, problems);
        self.security.check(problems);
        if self.secrets.len() > SECRETS_MAX {
            problems.push(
                "/secrets",
                format!("{} secrets are too many", self.secrets.len()),
                format!("use at most {SECRETS_MAX}"),
            );
        }
        let mut variables: BTreeSet<&EnvName> = self.env.keys().collect();
        for (name, secret) in &self.secrets {
            check_generate(&format!("/secrets/{name}/generate"), secret.generate, problems);
            if let Some(variable) = secret.env.as_ref().filter(|variable| !variables.insert(*variable)) {
                problems.push(
                    format!("/secrets/{name}/env"),
                    format!("the variable `{variable}` is set somewhere else as well"),
                    "set it in one place",
                );
            }
        }
        if let Some(place) = self.notes.iter().position(|note| note.contains(char::is_control)) {
            problems.push(format!("/notes/{place}"), "a note is one line", "make a note of each line");
        }
    }

    fn references(&self, _: &ResourceKey) -> Vec<ResourceKey> {
        let stack = self.stack.clone().map(|stack| (Kind::Stack, stack));
        let plan = self.plan.clone().map(|plan| (Kind::Plan, plan));
        let keys =
            stack.into_iter().chain(plan).map(|(kind, name)| ResourceKey::new(Scope::Platform, kind, name));
        keys.flatten().collect()
    }
}
