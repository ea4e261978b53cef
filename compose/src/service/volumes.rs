//! Volumes: named ones are an Environment's; paths of a node are nobody's.

use serde_json::Value;
use skep_schemas::MountPath;
use skep_schemas::kind::VolumeMount;

use super::Surroundings;
use super::draft::Draft;
use crate::Report;
use crate::keys::{Keys, Taken};
use crate::project::label;
use crate::value;

/// One entry of `volumes`, in either form.
struct Mount {
    kind: String,
    source: Option<String>,
    target: String,
    is_read_only: bool,
    /// What it says besides.
    options: Vec<String>,
}

pub(super) fn take(draft: &mut Draft, keys: &mut Keys, around: &mut Surroundings<'_>, report: &mut Report) {
    for item in keys.take("volumes").iter().flat_map(Taken::each) {
        match mount(&item.value) {
            Some(mount) => put(draft, &item, &mount, around, report),
            None => report.refuse(&item.pointer, "it is no volume such as `data:/var/lib/data`"),
        }
    }
    for item in keys.take("tmpfs").iter().flat_map(Taken::each) {
        let text = item.text().unwrap_or_default();
        temporary(draft, &item.pointer, text.split(':').next().unwrap_or_default(), report);
    }
    keys.refuse(&["volumes_from"], "volumes are those of one Environment, and nobody else has them", report);
    keys.refuse(&["shm_size"], "shared memory has the engine's 64 MB", report);
    keys.refuse(&["storage_opt"], "how images are kept is the engine's", report);
}

fn temporary(draft: &Draft, pointer: &str, path: &str, report: &mut Report) {
    if path == "/tmp" || draft.security.writable_root {
        return report.done(pointer, format!("{path} can be written to and goes with the instance"));
    }
    report.decide(pointer, format!("{path} cannot be written to: only /tmp and volumes can; make it a volume, or set security.writableRoot"));
}

fn put(draft: &mut Draft, item: &Taken, mount: &Mount, around: &mut Surroundings<'_>, report: &mut Report) {
    match mount.kind.as_str() {
        "volume" => named(draft, item, mount, around, report),
        "tmpfs" => temporary(draft, &item.pointer, &mount.target, report),
        "bind" => {
            let source = mount.source.as_deref().unwrap_or_default();
            let why = if source.ends_with("docker.sock") {
                "whoever has the engine's socket has the node, and all that runs on it".to_owned()
            } else {
                format!(
                    "{source} is a path of one machine, and instances run on any: put the files into the image, small ones into a Secret, and what is written into a named volume"
                )
            };
            report.refuse(&item.pointer, why);
        }
        other => report.refuse(&item.pointer, format!("there are no mounts of the type `{other}`")),
    }
}

fn named(draft: &mut Draft, item: &Taken, mount: &Mount, around: &mut Surroundings<'_>, report: &mut Report) {
    let path: MountPath = match mount.target.parse() {
        Ok(path) => path,
        Err(error) => {
            let error: skep_schemas::ScalarError = error;
            return report.refuse(&item.pointer, format!("{}; {}", error.problem, error.help));
        }
    };
    let name = mount.source.clone().unwrap_or_else(|| label(&mount.target));
    if let Some(why) = around.declared.refused_volumes.get(&name) {
        return report.refuse(&item.pointer, why);
    }
    let volume = match label(&name).parse() {
        Ok(volume) => volume,
        Err(error) => {
            let error: skep_schemas::ScalarError = error;
            return report.decide(
                &item.pointer,
                format!("the volume cannot be called so ({}); give it a shorter name", error.problem),
            );
        }
    };
    let to = draft.in_process("volumes");
    if mount.source.is_some() {
        let owner = around.volume_owners.entry(name.clone()).or_insert_with(|| draft.service.clone());
        if *owner != draft.service {
            let what = format!(
                "{to}, and it is another volume than that of `{owner}`: an Environment's volumes are its own. What both need is reached by the network, or both are processes of one App"
            );
            draft.volumes.push(VolumeMount { name: volume, path, read_only: mount.is_read_only });
            return report.decide(&item.pointer, what);
        }
    }
    draft.volumes.push(VolumeMount { name: volume, path, read_only: mount.is_read_only });
    if mount.options.is_empty() {
        report.done(&item.pointer, to);
    } else {
        report.decide(&item.pointer, format!("{to}; without {}", mount.options.join(", ")));
    }
}

fn mount(value: &Value) -> Option<Mount> {
    let Value::Object(long) = value else { return short(&value::text(value)?) };
    let text = |key: &str| long.get(key).and_then(value::text);
    let known = ["type", "source", "target", "read_only"];
    let options = long.keys().filter(|key| !known.contains(&key.as_str())).map(|key| format!("`{key}`"));
    let kind = text("type").unwrap_or_else(|| "volume".to_owned());
    // What a bind or a tmpfs says besides is of no more use than itself.
    let options = if kind == "volume" { options.collect() } else { Vec::new() };
    Some(Mount {
        kind,
        source: text("source").filter(|source| !source.is_empty()),
        target: text("target")?,
        is_read_only: text("read_only").is_some_and(|is| is == "true"),
        options,
    })
}

/// `[SOURCE:]TARGET[:OPTION,…]`
fn short(text: &str) -> Option<Mount> {
    let mut parts = text.split(':');
    let (first, second, third) = (parts.next()?, parts.next(), parts.next());
    if parts.next().is_some() || first.is_empty() {
        return None;
    }
    let Some(target) = second else {
        let kind = "volume".to_owned();
        return Some(Mount {
            kind,
            source: None,
            target: first.to_owned(),
            is_read_only: false,
            options: Vec::new(),
        });
    };
    let is_path = first.starts_with(['.', '/', '~']);
    let options: Vec<&str> = third.unwrap_or("rw").split(',').collect();
    Some(Mount {
        kind: if is_path { "bind" } else { "volume" }.to_owned(),
        source: Some(first.to_owned()),
        target: target.to_owned(),
        is_read_only: options.contains(&"ro"),
        // Labels for SELinux and the consistency of macOS mean nothing to a named volume.
        options: options
            .into_iter()
            .filter(|option| !["ro", "rw", "z", "Z", "cached", "delegated", "consistent"].contains(option))
            .map(|option| format!("`{option}`"))
            .collect(),
    })
}
