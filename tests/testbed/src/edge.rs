//! The edge: Traefik on an engine, deployed from the manifest that users deploy.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::cluster::Node;
use crate::image::Recipe;
use crate::wait::wait_until;
use crate::{command, http, install, registry};

/// The port on which the edge answers, at the node's address.
pub const HTTP_PORT: u16 = 80;

/// How long the edge may take to listen.
const START: Duration = Duration::from_secs(60);

/// Deploys `manifest` (the repository's `manifests/traefik.yaml`) and waits until the edge answers requests. It looks at the Swarm every
/// `refresh` seconds, which are five in the manifest, to spare a large cluster.
pub fn deploy(node: &Node, manifest: &Path, refresh: u32) -> Result<()> {
    let image = format!("{}/traefik:local", registry::HOST);
    node.import(&Recipe::traefik(&install::traefik()?)?, &image)?;
    let mut deploy = node.client();
    deploy
        .args(["stack", "deploy", "--resolve-image", "never", "--compose-file"])
        .arg(manifest)
        .arg("skep-edge")
        .env("SKEP_TRAEFIK_IMAGE", image)
        .env("SKEP_EDGE_REFRESH_SECONDS", refresh.to_string())
        .env("SKEP_DOCKER_SOCKET", node.socket());
    command::stdout(deploy)?;
    wait_until("the edge to listen", START, || {
        http::get(node.address(), HTTP_PORT, "nobody.localhost", "/").map(drop)
    })
}
