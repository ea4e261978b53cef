//! The entry program: how a process gets secrets as variables, and how it is asked to stop when nobody sends it anything any more.
//!
//! The value of a secret is a file like any other secret's. What the service starts is the entry program, which reads the file, sets the variable and
//! starts the process's own program. The spec has names of variables and files, and never a value. The program comes as a config,
//! one for the whole Swarm, which whoever claims the Swarm puts there.
//!
//! A process with ports is *drained*: the edge hears of a task that is to stop only when it looks the next time (traefik#7886), and
//! sends it requests until then. So the entry program stays as the task's first process, and keeps what asks it to stop to itself for that long.
//! And where neither the manifest nor the image says how to tell that it is up, it is up when it listens on its first port ([`listens_on`]).

use skep_schemas::kind::SECRETS_DIRECTORY;
use skep_schemas::{Duration, Port};

use super::service::EngineFeatures;
use crate::naming::{self, InstanceId, LABEL_INSTANCE, LABEL_ROLE, ROLE_ENTRY};
use crate::release::{ReleaseContent, ReleaseProcess};
use crate::settings::{Architecture, EdgeSettings};
use crate::swarm::{Config, ConfigId, ConfigReference, ConfigSpec, FileTarget, Healthcheck, Nanos};

/// Where containers have it.
const PATH: &str = "/.skep/entry";
/// Ends its variables; what follows is the program that it starts.
const END: &str = "--";

/// Between two looks whether a process listens: each is a process of its own on the node.
const LOOKS: Duration = Duration::from_secs(10);
/// The same before the first time that it does, on engines that can tell these apart.
const LOOKS_FIRST: Duration = Duration::from_secs(1);
/// A process that has not listened for so long is started anew. Of a release that is judged long before; this is for one that ran already.
const STARTS: Duration = Duration::from_secs(300);

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

/// Does any process of a release start by the entry program?
pub fn has_entry(edge: &EdgeSettings, content: &ReleaseContent) -> bool {
    content.runnables().any(|(_, process)| Start::of(edge, content, process).is_by_entry())
}

/// The port on which a process has to listen to be up; `None` where something else tells, or nothing can be asked.
pub(crate) fn listens_on(
    edge: &EdgeSettings,
    content: &ReleaseContent,
    process: &ReleaseProcess,
) -> Option<Port> {
    let is_told = process.health_check.is_some()
        || content.image.start.as_ref().is_some_and(|start| start.has_health_check);
    let port = process.ports.first().filter(|_| !is_told)?.port;
    Start::of(edge, content, process).drain.map(|_| port)
}

/// Asks the entry program whether the container listens on a port. Nothing is connected to, so no log shows it.
pub(super) fn listening(port: Port, engine: EngineFeatures) -> Healthcheck {
    Healthcheck {
        test: vec!["CMD".to_owned(), PATH.to_owned(), format!("--listens={port}")],
        interval: Nanos(LOOKS.nanos()),
        timeout: Nanos(LOOKS.nanos()),
        start_period: Nanos(STARTS.nanos()),
        start_interval: if engine.has_start_interval() {
            Nanos(LOOKS_FIRST.nanos())
        } else {
            Nanos::default()
        },
        retries: 3,
        ..Healthcheck::default()
    }
}

/// How a process starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    /// What the entry program is told, if there is a need for it.
    own: Vec<String>,
    entrypoint: Vec<String>,
    args: Vec<String>,
    /// For how long it is kept from the process that it is to stop.
    pub(super) drain: Option<Duration>,
}

impl Start {
    /// How this process of a release starts.
    pub(super) fn of(edge: &EdgeSettings, content: &ReleaseContent, process: &ReleaseProcess) -> Self {
        let start = content.image.start.as_ref();
        let own_entrypoint = process.entrypoint.clone().filter(|entrypoint| !entrypoint.is_empty());
        // As engines do it: whoever gives an entry point gives up the image's command.
        let entrypoint = own_entrypoint.clone().or_else(|| Some(start?.entrypoint.clone()));
        let of_image = || start.filter(|_| own_entrypoint.is_none()).map(|start| start.command.clone());
        let args = process.command.clone().or_else(of_image).unwrap_or_default();
        let starts_something = entrypoint.as_ref().is_some_and(|program| program.len() + args.len() > 0);
        let drain = edge.drain.zip(start).filter(|_| starts_something && !process.ports.is_empty());
        let stays = drain.map(|(time, start)| format!("--drain={}:{}", start.stop_signal, time.millis()));
        let own: Vec<String> = stays.into_iter().chain(variables(content)).collect();
        if own.is_empty() {
            let [entrypoint, args] =
                [process.entrypoint.clone(), process.command.clone()].map(Option::unwrap_or_default);
            return Self { own, entrypoint, args, drain: None };
        }
        Self { own, entrypoint: entrypoint.unwrap_or_default(), args, drain: drain.map(|(time, _)| time) }
    }

    /// Is it the entry program that is started?
    pub(super) fn is_by_entry(&self) -> bool {
        !self.own.is_empty()
    }

    /// In place of the image's entry point, and in place of its command.
    pub(super) fn command_and_args(self) -> (Vec<String>, Vec<String>) {
        if !self.is_by_entry() {
            return (self.entrypoint, self.args);
        }
        let own = [PATH.to_owned()].into_iter().chain(self.own).chain([END.to_owned()]);
        (own.chain(self.entrypoint).collect(), self.args)
    }
}

/// What is set from secrets, as the entry program is told it.
fn variables(content: &ReleaseContent) -> Vec<String> {
    let secrets = content.secrets.iter();
    let mut variables: Vec<String> = secrets
        .filter_map(|secret| Some(format!("{}={SECRETS_DIRECTORY}/{}", secret.env.as_ref()?, secret.file)))
        .collect();
    variables.sort();
    variables
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use skep_schemas::Duration;

    use super::*;
    use crate::settings::AnchorImage;

    fn edge(drain: Option<Duration>) -> EdgeSettings {
        EdgeSettings {
            http_entrypoint: "web".to_owned(),
            https_entrypoint: "websecure".to_owned(),
            certificate_resolver: None,
            public_http_port: 80,
            public_https_port: 443,
            anchor: AnchorImage { image: "pause:1".to_owned(), args: Vec::new() },
            drain,
        }
    }

    /// A release of an image that starts `/init serve`, and is stopped by SIGQUIT, with what a process says.
    fn content(image_says: bool, process: &Value, secrets: &Value) -> ReleaseContent {
        let mut web = json!({"env": {}, "ports": [{"name": "http", "port": 8080}], "volumes": [],
            "resources": {"cpu": "250m", "memory": "64Mi", "pids": 100}, "stopGracePeriod": "10s"});
        web.as_object_mut().unwrap().extend(process.as_object().unwrap().clone());
        let mut image = json!({"reference": "shop:1", "resolved": {"from": "registry", "digest": format!("sha256:{}", "a".repeat(64))}});
        if image_says {
            image["start"] = json!({"entrypoint": ["/init"], "command": ["serve"], "stopSignal": 3, "hasHealthCheck": false});
        }
        serde_json::from_value(
            json!({"image": image, "processes": {"web": web}, "secrets": secrets, "region": null,
            "restart": {"condition": "any", "delay": "1s"}, "security": {}}),
        )
        .unwrap()
    }

    fn started(image_says: bool, process: &Value, secrets: &Value) -> (String, String) {
        let content = content(image_says, process, secrets);
        let edge = edge(Some(Duration::from_secs(8)));
        let start = Start::of(&edge, &content, content.processes.values().next().unwrap());
        assert_eq!(has_entry(&edge, &content), start.is_by_entry());
        let (command, args) = start.command_and_args();
        (command.join(" "), args.join(" "))
    }

    fn pair(command: &str, args: &str) -> (String, String) {
        (command.to_owned(), args.to_owned())
    }

    #[test]
    fn a_process_with_ports_is_drained_with_what_the_image_or_the_manifest_starts() {
        let none = json!([]);
        let by_entry = "/.skep/entry --drain=3:8000 --";
        assert_eq!(started(true, &json!({}), &none), pair(&format!("{by_entry} /init"), "serve"));
        assert_eq!(
            started(true, &json!({"command": ["work"]}), &none),
            pair(&format!("{by_entry} /init"), "work")
        );
        // An entry point of one's own goes without the image's command, as with the engine itself.
        assert_eq!(started(true, &json!({"entrypoint": ["/x"]}), &none), pair(&format!("{by_entry} /x"), ""));
    }

    #[test]
    fn without_ports_or_without_the_images_own_words_nothing_is_put_before_it() {
        let none = json!([]);
        assert_eq!(started(true, &json!({"ports": []}), &none), pair("", ""));
        assert_eq!(started(false, &json!({"command": ["work"]}), &none), pair("", "work"));
        assert_eq!(started(false, &json!({"entrypoint": ["/x"]}), &none), pair("/x", ""));
        let content = content(true, &json!({}), &none);
        assert!(!has_entry(&edge(None), &content), "the operator does without");
    }

    #[test]
    fn variables_of_secrets_are_set_with_and_without_a_drain() {
        let token = json!([{"name": "token", "version": 1, "object": "o", "file": "token", "env": "TOKEN"}]);
        let variable = "TOKEN=/run/secrets/token";
        assert_eq!(
            started(true, &json!({}), &token),
            pair(&format!("/.skep/entry --drain=3:8000 {variable} -- /init"), "serve")
        );
        assert_eq!(
            started(true, &json!({"ports": []}), &token),
            pair(&format!("/.skep/entry {variable} -- /init"), "serve")
        );
        assert_eq!(
            started(false, &json!({"entrypoint": ["/x"]}), &token),
            pair(&format!("/.skep/entry {variable} -- /x"), "")
        );
    }
}
