//! Engines and clusters, started for real.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use skep_testbed::wait::ready;
use skep_testbed::{
    Cluster, ClusterOptions, Engine, EngineOptions, EngineVersion, Events, Node, Recipe, wait_until,
};
use skep_testbed::{http, install};

const SOON: Duration = Duration::from_secs(60);

/// Runs `reference` as a service and waits until its page, asked for from outside, says `expected`.
fn serve(node: &Node, reference: &str, expected: &str) -> Result<()> {
    node.docker_ok(&[
        "service",
        "create",
        "--detach",
        "--name=web",
        "--endpoint-mode=dnsrr",
        "--publish=mode=host,published=18080,target=8080",
        "--cap-drop=ALL",
        "--read-only",
        reference,
    ])?;
    page(node, 18080, expected)
}

fn page(node: &Node, port: u16, expected: &str) -> Result<()> {
    wait_until("the service's page", SOON, || {
        let answer = http::get(node.address(), port, "web", "/")?;
        ready(answer.status == 200 && answer.body.trim() == expected, &format!("{answer:?}"))
    })
}

/// What a test could leave behind: namespaces, links, mounts and control groups of the testbed with this prefix.
fn traces(prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for dir in
        ["/run/netns", "/sys/class/net", "/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids"]
    {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == prefix
                || name.starts_with(&format!("{prefix}n"))
                || name.starts_with(&format!("{prefix}hub"))
            {
                found.insert(entry.path().display().to_string());
            }
        }
    }
    found
}

/// Command lines of processes that mention the directory.
fn processes_of(dir: &Path) -> Vec<String> {
    let dir = format!("{}/", dir.display());
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&dir))
        .collect()
}

fn prefix_of(dir: &Path) -> String {
    format!("skt{}", dir.file_name().unwrap_or_default().to_string_lossy())
}

#[test]
fn two_engines_of_different_releases_serve_side_by_side_and_leave_nothing() -> Result<()> {
    let (old, new) = std::thread::scope(|scope| {
        let old = scope.spawn(|| Engine::start(EngineVersion::V20_10, EngineOptions::default()));
        let new = scope.spawn(|| Engine::start(EngineVersion::V26_1, EngineOptions::default()));
        (old.join().expect("no panic"), new.join().expect("no panic"))
    });
    let (old, new) = (old?, new?);
    let directories = [old.dir(), new.dir()];
    for (engine, version) in [(&old, "v1"), (&new, "v2")] {
        let image = engine.publish(&Recipe::web(version)?, "web:test")?;
        assert!(image.digest.starts_with("sha256:"), "{image:?}");
        serve(engine, &image.pinned(), version)?;
    }
    for dir in &directories {
        assert!(!traces(&prefix_of(dir)).is_empty(), "a running engine has namespaces");
        assert!(!processes_of(dir).is_empty(), "a running engine has processes");
    }

    drop((old, new));
    for dir in &directories {
        assert_eq!(traces(&prefix_of(dir)), BTreeSet::new());
        assert_eq!(processes_of(dir), Vec::<String>::new());
        assert!(!dir.exists(), "{} is still there", dir.display());
        let mounts = std::fs::read_to_string("/proc/mounts")?;
        assert!(!mounts.contains(&format!("{}/", dir.display())), "{mounts}");
    }
    Ok(())
}

#[test]
fn the_nodes_of_a_cluster_join_pull_from_one_registry_and_notice_when_one_is_cut_off() -> Result<()> {
    let mut cluster = Cluster::start(2, &ClusterOptions::default())?;
    let manager = cluster.manager()?;
    let names = manager.docker_ok(&["node", "ls", "--format", "{{.Hostname}}"])?;
    assert_eq!(names.lines().collect::<BTreeSet<_>>(), BTreeSet::from(["node-1", "node-2"]));

    let image = manager.publish(&Recipe::web("v1")?, "web:v1")?;
    manager.docker_ok(&[
        "service",
        "create",
        "--detach",
        "--name=web",
        "--mode=global",
        "--endpoint-mode=dnsrr",
        "--publish=mode=host,published=18080,target=8080",
        &image.pinned(),
    ])?;
    page(manager, 18080, "v1")?;
    page(cluster.node(1)?, 18080, "v1")?;

    let status_of_worker = |cluster: &Cluster| -> Result<String> {
        cluster.manager()?.docker_ok(&["node", "inspect", "--format", "{{.Status.State}}", "node-2"])
    };
    cluster.cut(1)?;
    assert!(
        http::get(cluster.node(1)?.address(), 18080, "web", "/").is_err(),
        "a node cut off cannot be reached"
    );
    wait_until("the manager to miss its worker", SOON, || {
        ready(status_of_worker(&cluster)? == "down", "the worker is not down")
    })?;
    cluster.heal(1)?;
    wait_until("the worker to be back", SOON, || {
        ready(status_of_worker(&cluster)? == "ready", "the worker is not ready")
    })?;

    cluster.kill(1)?;
    assert!(cluster.node(1)?.docker_ok(&["version"]).is_err(), "a node switched off does not answer");
    cluster.restart(1)?;
    page(cluster.node(1)?, 18080, "v1")
}

#[test]
fn tasks_on_different_nodes_reach_each_other_over_an_overlay_network() -> Result<()> {
    let cluster = Cluster::start(2, &ClusterOptions::default())?;
    let manager = cluster.manager()?;
    let image = manager.publish(&Recipe::web("far away")?, "web:v1")?.pinned();
    manager.docker_ok(&["network", "create", "--driver=overlay", "--attachable", "tenant"])?;
    let service =
        ["service", "create", "--detach", "--name=web", "--network=tenant", "--endpoint-mode=dnsrr"];
    manager.docker_ok(&[&service[..], &["--constraint=node.hostname==node-2", &image]].concat())?;
    let request = "printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 2 web 8080";
    wait_until("an answer from the other node", SOON, || {
        let answer = manager.docker_ok(&["run", "--rm", "--network=tenant", &image, "sh", "-c", request])?;
        ready(answer.contains("far away"), &answer)
    })
}

#[test]
fn containers_go_on_without_their_engine_and_are_served_again_when_it_returns() -> Result<()> {
    let mut engine = Engine::start(EngineVersion::V20_10, EngineOptions::default())?;
    engine.import(&Recipe::web("v1")?, "local/web:v1")?;
    serve(&engine, "local/web:v1", "v1")?;
    engine.node_mut().kill_engine()?;
    assert!(engine.docker_ok(&["version"]).is_err(), "a killed engine does not answer");
    page(&engine, 18080, "v1")?;
    engine.node_mut().start_engine()?;
    page(&engine, 18080, "v1")
}

#[test]
fn each_recipe_behaves_as_its_name_says() -> Result<()> {
    let engine = Engine::start(EngineVersion::V20_10, EngineOptions::default())?;
    let state = |name: &str, field: &str| -> Result<String> {
        engine.docker_ok(&["container", "inspect", "--format", &format!("{{{{.State.{field}}}}}"), name])
    };
    let run = |name: &str, recipe: Recipe, options: &[&str]| -> Result<()> {
        let reference = format!("local/{name}:v1");
        engine.import(&recipe, &reference)?;
        let mut args = vec!["run", "--detach", "--name", name];
        args.extend_from_slice(options);
        args.push(&reference);
        engine.docker_ok(&args).map(drop)
    };
    let confined =
        ["--cap-drop=ALL", "--read-only", "--user=65534:65534", "--security-opt=no-new-privileges"];
    run(
        "web",
        Recipe::web("v7")?,
        &[&confined[..], &["--publish=8080:8080", "--env=COLOUR=green"]].concat(),
    )?;
    run("other", Recipe::web_on("v7", 9090)?, &confined)?;
    run("unhealthy", Recipe::unhealthy("v7")?, &confined)?;
    run("exits", Recipe::exits()?, &confined)?;
    run("eats", Recipe::eats_memory()?, &["--memory=32m", "--memory-swap=32m"])?;

    for (name, health) in [("web", "healthy"), ("other", "healthy"), ("unhealthy", "unhealthy")] {
        wait_until(&format!("{name} to be {health}"), SOON, || {
            let now = state(name, "Health.Status")?;
            ready(now == health, &now)
        })?;
    }
    page(&engine, 8080, "v7")?;
    let environment = http::get(engine.address(), 8080, "web", "/cgi-bin/env")?;
    assert!(environment.body.contains("COLOUR=green"), "{environment:?}");
    wait_until("the failing program's end", SOON, || {
        let code = state("exits", "ExitCode")?;
        ready(code == "3", &code)
    })?;
    wait_until("the greedy program's end", SOON, || {
        let killed = state("eats", "OOMKilled")?;
        ready(killed == "true", &killed)
    })?;
    Ok(())
}

#[test]
fn a_service_stops_well_within_its_grace_period() -> Result<()> {
    let engine = Engine::start(EngineVersion::V26_1, EngineOptions::default())?;
    engine.import(&Recipe::web("v1")?, "local/web:v1")?;
    serve(&engine, "local/web:v1", "v1")?;
    engine.docker_ok(&["service", "rm", "web"])?;
    // The grace period is ten seconds.
    wait_until("the service's container to be gone", Duration::from_secs(8), || {
        let left = engine.docker_ok(&["ps", "--all", "--quiet"])?;
        ready(left.is_empty(), "it is still there")
    })
}

#[test]
fn recorded_events_tell_a_quiet_engine_from_one_that_was_written_to() -> Result<()> {
    let engine = Engine::start(EngineVersion::V26_1, EngineOptions::default())?;
    engine.import(&Recipe::web("v1")?, "local/web:v1")?;
    serve(&engine, "local/web:v1", "v1")?;
    let events = Events::record(&engine)?;
    let written = |events: &Events| -> Result<Vec<String>> {
        let all = events.so_far()?;
        Ok(all
            .iter()
            .filter(|event| event.is_write())
            .map(|event| format!("{} {}", event.kind, event.action))
            .collect())
    };
    assert_eq!(written(&events)?, Vec::<String>::new());
    engine.docker_ok(&["service", "update", "--detach", "--label-add=a=b", "web"])?;
    engine.docker_ok(&["network", "create", "--driver=overlay", "one"])?;
    let mut heard = written(&events)?;
    // An update of a service may be told more than once, and a new network is updated by the allocator.
    heard.dedup();
    heard.truncate(2);
    assert_eq!(heard, ["service update", "network create"]);
    Ok(())
}

#[test]
fn the_proxy_runs_from_an_image_made_of_its_binary() -> Result<()> {
    let engine = Engine::start(EngineVersion::V26_1, EngineOptions::default())?;
    engine.import(&Recipe::traefik(&install::traefik()?)?, "local/traefik:v3")?;
    let arguments = ["--ping=true", "--entrypoints.traefik.address=:8080"];
    let run = ["run", "--detach", "--publish=8080:8080", "--cap-drop=ALL", "--read-only", "local/traefik:v3"];
    engine.docker_ok(&[&run[..], &arguments].concat())?;
    wait_until("the proxy's answer", SOON, || {
        let answer = http::get(engine.address(), 8080, "proxy", "/ping")?;
        ready(answer.status == 200 && answer.body == "OK", &format!("{answer:?}"))
    })
}

#[test]
fn an_engine_on_tcp_admits_only_clients_with_its_authoritys_certificate() -> Result<()> {
    let options = EngineOptions { tls: true, standalone: true, ..EngineOptions::default() };
    let engine = Engine::start(EngineVersion::V26_1, options)?;
    let (host, credentials) = engine.tls().context("TLS was asked for")?;
    let version = |arguments: &[&str]| {
        let mut docker = skep_testbed::command::command("/usr/bin/docker", ["--host", &host, "--tlsverify"]);
        docker.arg("--tlscacert").arg(&credentials.ca).args(arguments);
        // The client falls back to certificates of its configuration directory; there are none in this one.
        docker.env("DOCKER_CONFIG", engine.dir().join("nothing"));
        docker.args(["version", "--format", "{{.Server.Version}}"]);
        skep_testbed::command::stdout(docker)
    };
    let certificate = credentials.client_certificate.display().to_string();
    let key = credentials.client_key.display().to_string();
    assert!(version(&["--tlscert", &certificate, "--tlskey", &key])?.starts_with("26.1."));
    let refused = version(&[]).expect_err("a client without a certificate is refused").to_string();
    assert!(refused.contains("certificate"), "{refused}");
    Ok(())
}
