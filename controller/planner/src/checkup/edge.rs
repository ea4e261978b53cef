//! The proxy at the edge: Traefik's release, and whether it shows itself to strangers.

use super::advisories::{Release, TRAEFIK, against};
use super::{Check, Look};
use crate::swarm::Service;

pub(super) fn checks(look: &Look<'_>) -> Vec<Check> {
    let edges: Vec<&Service> = look.edges().collect();
    vec![
        Check {
            id: "cluster.traefik-release",
            benchmark: None,
            title: "Traefik is of a release without a known weakness",
            why: "everything that tenants serve goes through it",
            fix: "name a release with all three numbers in the service's image, and follow Traefik's security advisories",
            looked_at: edges.len(),
            findings: edges.iter().flat_map(|edge| release(edge)).collect(),
        },
        Check {
            id: "cluster.traefik-dashboard",
            benchmark: None,
            title: "Traefik's dashboard and API are not open",
            why: "they tell every tenant's hosts, services and addresses to whoever asks",
            fix: "take `--api.insecure` and `--api.debug` away from Traefik",
            looked_at: edges.len(),
            findings: edges.iter().flat_map(|edge| dashboard(edge)).collect(),
        },
    ]
}

fn release(edge: &Service) -> Vec<String> {
    let (name, image) = (&edge.spec.name, image(edge));
    let tag = image.split('@').next().and_then(|image| image.rsplit_once(':')).map(|(_, tag)| tag);
    let Some(release) = tag.and_then(Release::read) else {
        return vec![format!("service {name} runs {image}, which does not say its release")];
    };
    let found = against(release, TRAEFIK);
    found.into_iter().map(|what| format!("service {name} runs {image}: {what}")).collect()
}

fn dashboard(edge: &Service) -> Vec<String> {
    let container = edge.spec.task_template.container_spec.as_ref();
    let arguments =
        container.into_iter().flat_map(|container| container.command.iter().chain(&container.args));
    let opens = |argument: &&String| {
        let (option, value) = argument.split_once('=').unwrap_or((argument.as_str(), "true"));
        let option = option.to_ascii_lowercase();
        ["--api.insecure", "--api.debug"].contains(&option.as_str()) && value != "false"
    };
    arguments.filter(opens).map(|argument| format!("service {} has {argument}", edge.spec.name)).collect()
}

fn image(edge: &Service) -> &str {
    edge.spec.task_template.container_spec.as_ref().map_or("", |container| container.image.as_str())
}
