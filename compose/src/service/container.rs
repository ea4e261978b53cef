//! The image, and what is run in it.

use skep_schemas::kind::{Capability, RestartCondition};
use skep_schemas::{ImageRef, ScalarError};

use super::draft::Draft;
use super::{Surroundings, number};
use crate::Report;
use crate::keys::{Keys, Taken};
use crate::value;

/// What is said of what ends by itself.
pub(super) const ONCE: &str = "what is to run once is `skep run`, a process with a `schedule`, or the process `release` of another App, which runs before each roll-out";

pub(super) fn take(draft: &mut Draft, keys: &mut Keys, around: &Surroundings<'_>, report: &mut Report) {
    image(draft, keys, around, report);
    for (key, is_entrypoint) in [("entrypoint", true), ("command", false)] {
        let Some(taken) = keys.take(key) else { continue };
        match value::words(&taken.value) {
            Some(words) => {
                let words =
                    words.into_iter().map(|word| super::environment::readdressed(&word, around)).collect();
                report.done(taken.pointer, draft.in_process(key));
                let field = if is_entrypoint { &mut draft.entrypoint } else { &mut draft.command };
                *field = Some(words);
            }
            None if taken.value.is_null() => {
                report.done(taken.pointer, "the image's, as here when nothing is said")
            }
            None => report
                .refuse(taken.pointer, "it is neither a list of words nor a text whose quotes are closed"),
        }
    }
    if let Some(taken) = keys.take("working_dir") {
        match taken.text().map(|text| text.parse()) {
            Some(Ok(path)) => {
                draft.working_dir = Some(path);
                report.done(taken.pointer, draft.in_process("workingDir"));
            }
            Some(Err(error)) => refuse_scalar(report, &taken, &error),
            None => report.refuse(taken.pointer, "it is no path"),
        }
    }
    rights(draft, keys, report);
    ending(draft, keys, report);
}

fn refuse_scalar(report: &mut Report, taken: &Taken, error: &ScalarError) {
    report.refuse(&taken.pointer, format!("{}; {}", error.problem, error.help));
}

fn image(draft: &mut Draft, keys: &mut Keys, around: &Surroundings<'_>, report: &mut Report) {
    let instead = around.options.images.get(&draft.service).cloned();
    let written = keys.take("image");
    let to = format!("App {}: source.image", draft.name);
    if let Some(taken) = &written {
        match (&instead, taken.text().unwrap_or_default().parse::<ImageRef>()) {
            (Some(image), _) => {
                report.done(&taken.pointer, format!("{to}, {image} in its place as --image says"))
            }
            (None, Ok(image)) => {
                draft.image = Some(image);
                report.done(&taken.pointer, to.clone());
            }
            (None, Err(error)) => refuse_scalar(report, taken, &error),
        }
    }
    draft.image = instead.or(draft.image.take());
    if let Some(taken) = keys.take("build") {
        let what = match &draft.image {
            Some(image) => format!("Skep builds no images: build it, push it as {image}, and it runs"),
            None => format!(
                "Skep builds no images: build it, push it to a registry, and name it with --image {}=REGISTRY/NAME:TAG",
                draft.service
            ),
        };
        report.decide(taken.pointer, what);
    } else if draft.image.is_none() {
        let what = format!("it has no image; name one with --image {}=REGISTRY/NAME:TAG", draft.service);
        report.decide(keys.pointer(), what);
    }
    keys.need_not(
        &["pull_policy"],
        "each release pins the digest that the tag has then; nodes pull what they do not have",
        report,
    );
    keys.refuse(&["platform"], "an image runs on the nodes that it fits", report);
}

fn rights(draft: &mut Draft, keys: &mut Keys, report: &mut Report) {
    let is_read_only = keys.take("read_only");
    draft.security.writable_root = !is_read_only.as_ref().is_some_and(Taken::is_true);
    if let Some(taken) = is_read_only {
        report.done(taken.pointer, draft.in_environment("security.writableRoot"));
    }
    if let Some(taken) = keys.take("user") {
        let text = taken.text().unwrap_or_default();
        let (user, group) =
            text.split_once(':').map_or((text.as_str(), None), |(user, group)| (user, Some(group)));
        match user.parse::<u32>() {
            Ok(0) => report.refuse(taken.pointer, "user 0 is root; the image's own user counts, and it keeps no rights of root"),
            Ok(user) => {
                draft.security.user = Some(user);
                let to = draft.in_environment("security.user");
                match group {
                    None => report.done(taken.pointer, to),
                    Some(group) => report.decide(taken.pointer, format!("{to}; the group {group} is not taken over, it is that of the image's user")),
                }
            }
            Err(_) => report.decide(
                taken.pointer,
                format!("`{user}` is a name, and only a number says the same in every image: set `security.user`, or leave it to the image"),
            ),
        }
    }
    capabilities(draft, keys, report);
    keys.refuse(
        &["privileged", "devices", "device_cgroup_rules", "gpus", "use_api_socket"],
        "containers have no devices and no rights on the node",
        report,
    );
    keys.refuse(
        &[
            "cgroup",
            "cgroup_parent",
            "ipc",
            "pid",
            "uts",
            "userns_mode",
            "isolation",
            "runtime",
            "security_opt",
            "credential_spec",
        ],
        "how containers are kept apart is the platform's (IsolationTier), and not an application's",
        report,
    );
    keys.refuse(&["group_add"], "a process has the groups of the image's user", report);
}

fn capabilities(draft: &mut Draft, keys: &mut Keys, report: &mut Report) {
    for item in keys.take("cap_drop").iter().flat_map(Taken::each) {
        report.done(item.pointer, "containers keep no capability that is not asked for");
    }
    for item in keys.take("cap_add").iter().flat_map(Taken::each) {
        let text = item.text().unwrap_or_default().to_ascii_uppercase();
        let name = text.strip_prefix("CAP_").unwrap_or(&text);
        match serde_json::from_value::<Capability>(name.into()).ok() {
            Some(capability) if draft.security.user.is_none() => {
                draft.security.capabilities.insert(capability);
                report.decide(
                    item.pointer,
                    format!(
                        "{}; the IsolationTier of the organisation's plan has to allow it",
                        draft.in_environment("security.capabilities")
                    ),
                );
            }
            Some(_) => {
                report.refuse(item.pointer, "only root has capabilities, and `user` names another user")
            }
            None => report.refuse(
                item.pointer,
                format!("`{name}` reaches beyond the container; no application has it"),
            ),
        }
    }
}

/// How it ends, and what happens then.
fn ending(draft: &mut Draft, keys: &mut Keys, report: &mut Report) {
    if let Some(taken) = keys.take("restart") {
        let text = taken.text().unwrap_or_default();
        let (word, most) =
            text.split_once(':').map_or((text.as_str(), None), |(word, most)| (word, Some(most)));
        let condition = match word {
            "always" | "unless-stopped" => Some(RestartCondition::Any),
            "on-failure" => Some(RestartCondition::OnFailure),
            // YAML reads a bare `no` as a text, and some readers as false.
            "no" | "false" => Some(RestartCondition::None),
            _ => None,
        };
        match condition {
            None => report.refuse(
                taken.pointer,
                format!("`{text}` is none of no, always, on-failure and unless-stopped"),
            ),
            Some(condition) => {
                draft.restart.condition = condition;
                let to = draft.in_environment("restart.condition");
                match most {
                    None if condition == RestartCondition::None => {
                        report.decide(taken.pointer, format!("{to}; {ONCE}"));
                    }
                    None => report.done(taken.pointer, to),
                    Some(most) => report.decide(
                        taken.pointer,
                        format!("{to}; instances are begun again without an end, and not {most} times"),
                    ),
                }
            }
        }
    }
    if let Some(taken) = keys.take("stop_grace_period") {
        match taken.text().as_deref().and_then(value::duration) {
            Some(period) => {
                draft.stop_grace_period = Some(period);
                report.done(taken.pointer, draft.in_process("stopGracePeriod"));
            }
            None => report.refuse(taken.pointer, "it is no span of time such as `1m30s`"),
        }
    }
    keys.refuse(&["stop_signal"], "the image's STOPSIGNAL counts", report);
    if let Some(taken) = keys.take("scale") {
        match number(&taken.value) {
            Some(instances) => {
                draft.instances = Some(instances);
                report.done(taken.pointer, draft.in_environment("processes.web.instances"));
            }
            None => report.refuse(taken.pointer, "it is no number"),
        }
    }
    keys.refuse(&["init"], "zombies are the program's to reap, or the image's to bring an init for", report);
}
