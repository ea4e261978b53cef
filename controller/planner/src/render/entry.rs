//! The entry program: how a process gets secrets as variables.
//!
//! The value is a file like any other secret's. What the service starts is the entry program, which reads the file, sets the variable and
//! becomes the process's own program. The spec has names of variables and files, and never a value. The program comes as a config,
//! one for the whole Swarm, which whoever claims the Swarm puts there.

use skep_schemas::kind::SECRETS_DIRECTORY;

use crate::naming::{self, InstanceId, LABEL_INSTANCE, LABEL_ROLE, ROLE_ENTRY};
use crate::release::ReleaseContent;
use crate::settings::Architecture;
use crate::swarm::{Config, ConfigId, ConfigReference, ConfigSpec, FileTarget};

/// Where containers have it.
const PATH: &str = "/.skep/entry";
/// Ends its variables; what follows is the program that it becomes.
const END: &str = "--";

/// The config. `program` is the entry program in base64.
pub fn entry_spec(instance: &InstanceId, architecture: Architecture, program: String) -> ConfigSpec {
    let labels = [(LABEL_INSTANCE, instance.as_str()), (LABEL_ROLE, ROLE_ENTRY)];
    ConfigSpec {
        name: naming::entry(architecture),
        labels: labels.map(|(label, value)| (label.to_owned(), value.to_owned())).into(),
        data: program,
        ..ConfigSpec::default()
    }
}

/// Did this instance put the config there?
pub fn is_entry_of(instance: &InstanceId, config: &Config) -> bool {
    let label = |name| config.spec.labels.get(name).map(String::as_str);
    label(LABEL_INSTANCE) == Some(instance.as_str()) && label(LABEL_ROLE) == Some(ROLE_ENTRY)
}

/// What a process starts: its own entry point, or what sets its variables first.
pub(super) fn command(content: &ReleaseContent, entrypoint: Vec<String>) -> Vec<String> {
    let mut variables: Vec<String> = content
        .secrets
        .iter()
        .filter_map(|secret| Some(format!("{}={SECRETS_DIRECTORY}/{}", secret.env.as_ref()?, secret.file)))
        .collect();
    if variables.is_empty() {
        return entrypoint;
    }
    variables.sort();
    let own = [PATH.to_owned()].into_iter().chain(variables).chain([END.to_owned()]);
    own.chain(entrypoint).collect()
}

/// The config as a file that everybody in the container may run.
pub(super) fn reference(architecture: Architecture, id: ConfigId) -> ConfigReference {
    ConfigReference {
        file: Some(FileTarget {
            name: PATH.to_owned(),
            uid: "0".to_owned(),
            gid: "0".to_owned(),
            mode: 0o555,
            ..FileTarget::default()
        }),
        config_id: id,
        config_name: naming::entry(architecture),
        ..ConfigReference::default()
    }
}
