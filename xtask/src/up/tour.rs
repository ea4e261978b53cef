//! What `up` shows once everything runs: the example applied and served, what a change would do, and drift put right.
//!
//! Each command is printed as a user would type it, and then really run; only requests are made without `curl`, which may not be
//! there.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use skep_testbed::wait::ready;
use skep_testbed::{command, http, wait_until};

use super::home::{Home, Running};
use crate::workspace;

/// The host of the example's Domain.
const HOST: &str = "hello.localhost";

/// How long a route may take to be served after its environment is ready: the proxy reads routes every second.
const ROUTE: Duration = Duration::from_secs(30);

/// How long a change by hand may stand.
const DRIFT: Duration = Duration::from_secs(60);

/// How `skep diff` ends when there is a difference.
const DIFFERENT: i32 = 1;

/// Someone to show things to.
pub(crate) struct Tour<'a> {
    home: &'a Home,
    running: &'a Running,
    skep: PathBuf,
}

impl<'a> Tour<'a> {
    /// Of a running installation, with this `skep`.
    pub(crate) fn new(home: &'a Home, running: &'a Running, skep: PathBuf) -> Tour<'a> {
        Tour { home, running, skep }
    }

    /// The whole tour.
    pub(crate) fn give(&self) -> Result<()> {
        println!("\n# Apply the example and wait until it is ready");
        ensure!(
            self.skep(&["apply", "-f", "examples/hello", "--wait", "--timeout", "3m"])? == Some(0),
            "the example did not become ready"
        );
        println!("\n# Ask for it through Traefik");
        self.page()?;
        println!("\n# What is there");
        self.skep(&["get", "environments"])?;
        println!("\n# What would a changed variable cost?");
        self.diff()?;
        println!("\n# Drift: somebody scales the service by hand, behind Skep's back");
        self.drift()
    }

    /// Fetches the example's page.
    pub(crate) fn page(&self) -> Result<()> {
        let url = self.url();
        println!("GET {url}");
        let answer = wait_until("the example's page", ROUTE, || {
            let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let answer = http::get(loopback, self.running.edge_port, HOST, "/")?;
            ready(answer.status == 200, &answer.head).map(|()| answer)
        })?;
        let status = answer.head.lines().next().unwrap_or_default();
        println!("{status}\n\n{}", answer.body.trim_end());
        Ok(())
    }

    /// How to go on, and how to end.
    pub(crate) fn farewell(&self) -> Result<()> {
        let root = workspace::root()?;
        let program = self.skep.parent().unwrap_or(&root);
        println!(
            "\nThe example answers at {}\n\nTo go on in this shell:\n  export SKEP_CONFIG={}\n  export PATH={}:$PATH\n  skep get environments\n  DOCKER_HOST={} docker service ls\n\nLogs: {}\nTo remove every trace: cargo xtask down",
            self.url(),
            self.home.at("config.yaml").display(),
            program.display(),
            self.running.docker_host,
            self.home.at("server.log").display(),
        );
        Ok(())
    }

    fn url(&self) -> String {
        format!("http://{HOST}:{}/", self.running.edge_port)
    }

    /// Shows what changing a variable would do, on a copy of the example.
    fn diff(&self) -> Result<()> {
        let changed = self.home.at("changed");
        copy(&workspace::root()?.join("examples/hello"), &changed)?;
        let environment = changed.join("environment.yaml");
        let text = fs::read_to_string(&environment).context("the example has an environment")?;
        let greeting = "Hello from Skep";
        ensure!(text.contains(greeting), "the example greets no more");
        fs::write(&environment, text.replace(greeting, "Good morning")).context("cannot write the copy")?;
        let shown = changed.to_string_lossy().into_owned();
        ensure!(self.skep(&["diff", "-f", &shown])? == Some(DIFFERENT), "skep diff saw no difference");
        fs::remove_dir_all(&changed).context("cannot remove the copy")
    }

    /// Scales the example's service by hand, and watches Skep scale it back.
    fn drift(&self) -> Result<()> {
        let service = self.docker(&[
            "service",
            "ls",
            "--filter",
            "label=skep.dev/org=hello",
            "--filter",
            "mode=replicated",
            "--format",
            "{{.Name}}",
        ])?;
        let service = service.lines().next().context("the example has a service")?.to_owned();
        let replicas = || {
            self.docker(&["service", "inspect", "--format", "{{.Spec.Mode.Replicated.Replicas}}", &service])
        };
        let before = replicas()?;
        println!("$ docker service scale --detach {service}=4");
        let changed = Instant::now();
        self.docker(&["service", "scale", "--detach", &format!("{service}=4")])?;
        wait_until("Skep to put the number of instances back", DRIFT, || {
            let now = replicas()?;
            ready(now == before, &format!("there are {now} instances"))
        })?;
        println!("back at {before} instances after {} ms", changed.elapsed().as_millis());
        Ok(())
    }

    /// Runs `skep` with its output on ours, and returns its exit code.
    fn skep(&self, arguments: &[&str]) -> Result<Option<i32>> {
        println!("$ skep {}", arguments.join(" "));
        let mut skep = Command::new(&self.skep);
        skep.args(arguments).current_dir(workspace::root()?).env("SKEP_CONFIG", self.home.at("config.yaml"));
        // The configuration file would otherwise come second.
        for name in ["SKEP_SERVER", "SKEP_TOKEN", "SKEP_ORG", "SKEP_CA", "SKEP_CONTEXT"] {
            skep.env_remove(name);
        }
        Ok(skep.status().context("cannot run skep")?.code())
    }

    fn docker(&self, arguments: &[&str]) -> Result<String> {
        let mut docker = command::command("docker", arguments);
        docker.env("DOCKER_HOST", &self.running.docker_host).env_remove("DOCKER_CONTEXT");
        command::stdout(docker).map(|text| text.trim_end().to_owned())
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry.context("cannot list the example")?;
        fs::copy(entry.path(), to.join(entry.file_name())).context("cannot copy the example")?;
    }
    Ok(())
}
