//! A browser without a screen, driven over the WebDriver protocol.
//!
//! Chromium and its driver run in a [`Machine`], so that all of their processes end with the test. The protocol is HTTP with
//! JSON, and few of its commands are needed, so they are spoken here directly.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::command;
use crate::http;
use crate::lease::Lease;
use crate::machine::Machine;
use crate::postgres::free_port;
use crate::wait::{ready, wait_until};

/// How long the driver may take to answer its first question.
const START: Duration = Duration::from_secs(30);

/// Longest wait for a command: the first one starts the browser, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// A browser with one window.
#[derive(Debug)]
pub struct Browser {
    port: u16,
    session: String,
    // In this order: what runs ends before its directory is removed.
    _machine: Machine,
    _lease: Lease,
}

impl Browser {
    /// Starts one, with a window of this size.
    pub fn start(width: u32, height: u32) -> Result<Browser> {
        let lease = Lease::take()?;
        let dir = lease.dir();
        let mut machine = Machine::start(&dir.join("machines"), "browser", None)?;
        let port = free_port()?;
        let mut driver = machine.command("chromedriver", [format!("--port={port}")]);
        driver.env("HOME", &dir).env("TMPDIR", &dir);
        let log = dir.join("chromedriver.log");
        machine.serve(driver, &log)?;
        let mut browser = Browser { port, session: String::new(), _machine: machine, _lease: lease };
        wait_until("the browser's driver to answer", START, || {
            let status = browser.ask("GET", "/status", &Value::Null)?;
            ready(status["ready"] == true, "it is not ready")
        })?;
        let profile = format!("--user-data-dir={}", dir.join("profile").display());
        let size = format!("--window-size={width},{height}");
        let flags = [
            "--headless",
            // Its sandbox is made for users, and the testbed is root; only pages of our own are shown.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            profile.as_str(),
            size.as_str(),
        ];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let session = browser.ask("POST", "/session", &capabilities).with_context(|| {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            format!("the driver's log:\n{}", command::tail(&log))
        })?;
        let id = session["sessionId"].as_str().context("the driver names no session")?;
        browser.session = format!("/session/{id}");
        Ok(browser)
    }

    /// Goes to an address, and waits until it is loaded.
    pub fn open(&self, url: &str) -> Result<()> {
        self.order("POST", "/url", &json!({ "url": url })).map(drop)
    }

    /// The value of a script's `return`.
    pub fn run(&self, script: &str, args: &[Value]) -> Result<Value> {
        self.order("POST", "/execute/sync", &json!({ "script": script, "args": args }))
    }

    /// Types into the first element of a selector, as a person would; `\u{e007}` is the Enter key.
    pub fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.find(selector)?;
        self.order("POST", &format!("/element/{element}/value"), &json!({ "text": text })).map(drop)
    }

    /// Clicks the first element of a selector, which must be in sight.
    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.find(selector)?;
        self.order("POST", &format!("/element/{element}/click"), &json!({})).map(drop)
    }

    /// What the window shows, as PNG.
    pub fn screenshot(&self) -> Result<Vec<u8>> {
        let image = self.order("GET", "/screenshot", &Value::Null)?;
        STANDARD.decode(image.as_str().context("the image is text")?).context("the image is not base64")
    }

    /// What the page and the browser wrote to the console since it was last asked for.
    pub fn console(&self) -> Result<Vec<String>> {
        let entries = self.order("POST", "/se/log", &json!({ "type": "browser" }))?;
        let entries = entries.as_array().context("the log is a list")?;
        Ok(entries.iter().filter_map(|entry| entry["message"].as_str().map(str::to_owned)).collect())
    }

    /// Pretends that the system wants dark or light pages.
    pub fn prefer_colours(&self, scheme: &str) -> Result<()> {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let command = json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": features } });
        self.order("POST", "/goog/cdp/execute", &command).map(drop)
    }

    fn find(&self, selector: &str) -> Result<String> {
        let query = json!({ "using": "css selector", "value": selector });
        let found = self.order("POST", "/element", &query)?;
        let id = found.as_object().and_then(|found| found.values().next()?.as_str());
        id.map(str::to_owned).with_context(|| format!("the driver names no element for {selector}"))
    }

    fn order(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        self.ask(method, &format!("{}{path}", self.session), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = http::send(self.port, method, path, &text, PATIENCE)?;
        let read: Value = serde_json::from_str(&answer.body)
            .with_context(|| format!("{method} {path}: not JSON: {}", answer.body))?;
        ensure!(
            answer.status == 200,
            "{method} {path}: {} {}",
            read["value"]["error"],
            read["value"]["message"]
        );
        Ok(read["value"].clone())
    }
}
