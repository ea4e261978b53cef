//! A Prometheus server that scrapes one process, with rules, on a port of its own.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::wait::{ready, wait_until};
use crate::{Process, command, http};

/// How long the server may take to answer.
const START: Duration = Duration::from_secs(60);

/// A running server; gone when dropped.
pub struct Prometheus {
    _process: Process,
    _dir: TempDir,
    address: SocketAddr,
}

impl Prometheus {
    /// Scrapes `target` every second with this token, and evaluates the rules of a file as often.
    pub fn start(target: SocketAddr, token: &str, rules: &Path) -> Result<Prometheus> {
        let dir = tempfile::tempdir()?;
        // Free now; whoever takes it in between makes the start fail, which says so.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        fs::write(dir.path().join("token"), token)?;
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\nscrape_configs:\n- job_name: skep\n  authorization: {{credentials_file: {}}}\n  static_configs: [{{targets: ['{target}']}}]\n",
            rules.display(),
            dir.path().join("token").display()
        );
        let file = dir.path().join("prometheus.yml");
        fs::write(&file, config)?;
        let process = Process::start(command::command(
            "prometheus",
            [
                format!("--config.file={}", file.display()),
                format!("--storage.tsdb.path={}", dir.path().join("data").display()),
                format!("--web.listen-address={address}"),
            ],
        ))?;
        let server = Prometheus { _process: process, _dir: dir, address };
        wait_until("Prometheus to answer", START, || {
            ready(server.get("/-/ready")?.status == 200, "it is not ready")
        })?;
        Ok(server)
    }

    /// What its API answers.
    pub fn api(&self, path: &str) -> Result<serde_json::Value> {
        let answer = self.get(path)?;
        serde_json::from_str(&answer.body).with_context(|| format!("{path}: {}", answer.body))
    }

    fn get(&self, path: &str) -> Result<http::Answer> {
        let ip: IpAddr = self.address.ip();
        http::get(ip, self.address.port(), "prometheus", path)
    }
}
