//! The API as a program sees it that is not the command: one request, with the token or without.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use skep_testbed::http;

use crate::installation::Installation;

impl Installation {
    /// Where the server listens.
    pub fn api_address(&self) -> Result<SocketAddr> {
        let server = self.cli.server();
        server.strip_prefix("http://").context("it is served in the clear")?.parse().context("an address")
    }

    /// What the API answers a request with the token, whatever it is.
    pub fn api_answer(&self, path: &str) -> Result<http::Answer> {
        let authorization = format!("Bearer {}", self.cli.token());
        let address = self.api_address()?;
        http::get_with(address.ip(), address.port(), "skep", path, &[("Authorization", &authorization)])
    }

    /// What the API answers a request with the token, if it grants it.
    pub fn api(&self, path: &str) -> Result<String> {
        let answer = self.api_answer(path)?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
        Ok(answer.body)
    }

    /// The value of a metric's sample, labels included in the name as they are written; zero when there is none.
    pub fn metric(&self, sample: &str) -> Result<f64> {
        let text = self.api("/metrics")?;
        let value = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        value.map_or(Ok(0.0), |value| value.parse().with_context(|| format!("{sample} is {value}")))
    }
}
