//! `skep login` and `skep logout`: a session of one's own, kept in a file that only its owner may read.
//!
//! The session belongs to a context of the configuration file, which is made if there is none for the server. A token that somebody
//! put into a context is never replaced.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use skep_api::wire::{EndedSession, LoginRequest, LoginView, MadeSession};
use skep_schemas::{Code, Duration};

use super::{Outcome, variable};
use crate::args::Global;
use crate::client::Client;
use crate::config::{self, ConfigFile};
use crate::context::{Flags, Server, resolve, same_server};
use crate::login::id_token;
use crate::output::print;

/// `skep login`
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Only print the address; do not open a browser.
    #[arg(long)]
    no_browser: bool,
    /// When the session ends by itself, at most 30 days; without this after twelve hours.
    #[arg(long, value_name = "SPAN")]
    expires_in: Option<Duration>,
}

/// `skep logout`
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {}

/// Where the session of a login is kept.
struct Place {
    config: PathBuf,
    name: String,
    file: PathBuf,
}

/// Carries `skep login` out.
pub(super) async fn run(global: Global, args: LoginArgs) -> Result<Outcome> {
    let path = config_path()?;
    let show = |url: &str| {
        eprintln!("Log in at this address:\n\n  {url}\n");
        if !args.no_browser {
            open_browser(url);
        }
    };
    log_in(&path, global.into_flags(), args.expires_in, show).await?;
    Ok(Outcome::Done)
}

/// The same for a configuration file, with somebody who is shown the address.
pub(crate) async fn log_in(
    path: &Path,
    flags: Flags,
    expires_in: Option<Duration>,
    show: impl FnOnce(&str),
) -> Result<()> {
    let mut config = ConfigFile::load(path)?;
    let (place, server) = place(path, &config, &flags)?;
    let login: LoginView = client(&flags, &server, None)?.get("/v1/login").await?;
    let provider = login.provider.with_context(|| {
        format!(
            "{server} has no identity provider to log in at\nhelp: whoever runs it gives you a session (`skep person session`) or a token (`skep token create`)"
        )
    })?;
    let token = id_token(&provider, show).await?;
    let request = LoginRequest { expires_in };
    let made: MadeSession = client(&flags, &server, Some(token))?.post("/v1/sessions", &request).await?;
    keep(&place.file, &SecretString::from(made.token))?;
    let entry = config.contexts.entry(place.name.clone()).or_default();
    entry.server = Some(server.to_string());
    entry.token_file = Some(place.file);
    if entry.ca.is_none() {
        entry.ca = flags.ca;
    }
    config.current_context = Some(place.name.clone());
    config.save(&place.config)?;
    print(&format!(
        "{} is logged in until {}; the context is now {}\n",
        made.email, made.expires_at, place.name
    ))?;
    if variable("SKEP_TOKEN").is_some_and(|token| !token.is_empty()) {
        eprintln!("note: SKEP_TOKEN is set, and goes before the session");
    }
    Ok(())
}

/// Carries `skep logout` out.
pub(super) async fn log_out(global: Global, _: &LogoutArgs) -> Result<Outcome> {
    end(&config_path()?, global.into_flags()).await?;
    Ok(Outcome::Done)
}

/// The same for a configuration file.
pub(crate) async fn end(path: &Path, flags: Flags) -> Result<()> {
    let mut config = ConfigFile::load(path)?;
    let (place, server) = place(path, &config, &flags)?;
    let text = match fs::read_to_string(&place.file) {
        Ok(text) => SecretString::from(text.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("nobody is logged in in the context {}", place.name)
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", place.file.display())),
    };
    let ended: Result<EndedSession, _> = client(&flags, &server, Some(text))?.delete("/v1/session").await;
    match ended {
        Ok(_) => {}
        // It was over already.
        Err(error) if error.code() == Some(Code::Unauthorized) => {}
        Err(error) => return Err(error).context("the session goes on, and its file stays"),
    }
    fs::remove_file(&place.file).with_context(|| format!("cannot remove {}", place.file.display()))?;
    if let Some(entry) = config.contexts.get_mut(&place.name) {
        entry.token_file = None;
    }
    config.save(&place.config)?;
    print("logged out\n")?;
    Ok(())
}

fn config_path() -> Result<PathBuf> {
    config::path(variable).context("there is no home directory, and SKEP_CONFIG is not set")
}

/// The context that the session belongs to, and its server.
fn place(path: &Path, config: &ConfigFile, flags: &Flags) -> Result<(Place, Server)> {
    // What is there already must neither be sent anywhere nor be read.
    let mut without_tokens = config.clone();
    for entry in without_tokens.contexts.values_mut() {
        (entry.token, entry.token_file) = (None, None);
    }
    let named = flags.context.clone().filter(|name| !config.contexts.contains_key(name));
    ensure!(
        named.is_none() || flags.server.is_some(),
        "there is no context `{}`\nhelp: say which server it is for with --server, and it is made",
        named.unwrap_or_default()
    );
    let context = if named.is_some() { None } else { flags.context.clone() };
    let asked = Flags { context, token: None, ..flags.clone() };
    let without_token = |name: &str| variable(name).filter(|_| name != "SKEP_TOKEN");
    let server = resolve(asked, without_token, &without_tokens)?.server;
    let current = config.current_context.clone();
    let of_server =
        current.filter(|name| config.contexts.get(name).is_some_and(|entry| same_server(entry, &server)));
    let name = flags.context.clone().or(of_server).unwrap_or_else(|| name_of(&server));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    ensure!(
        name.chars().all(plain) && !name.starts_with('.'),
        "a session cannot be kept for the context `{name}`\nhelp: name another with --context, of letters, digits, dots and hyphens"
    );
    let file = path.with_file_name("sessions").join(format!("{name}.token"));
    if let Some(entry) = config.contexts.get(&name) {
        let other = entry.token.is_some() || entry.token_file.as_ref().is_some_and(|of| *of != file);
        ensure!(
            !other,
            "the context {name} has a token of its own\nhelp: name another with --context NAME --server {server}"
        );
    }
    Ok((Place { config: path.to_owned(), name, file }, server))
}

/// A context's name for a server.
fn name_of(server: &Server) -> String {
    let text = server.to_string();
    let host = text.split("://").nth(1).unwrap_or(&text);
    host.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}

fn client(flags: &Flags, server: &Server, token: Option<SecretString>) -> Result<Client> {
    let asked = Flags { server: Some(server.to_string()), token, context: None, ..flags.clone() };
    let env = |name: &str| variable(name).filter(|_| name == "SKEP_CA");
    Ok(Client::new(&resolve(asked, env, &ConfigFile::default())?)?)
}

/// Writes the session's file in one step; only its owner can read it.
fn keep(path: &Path, token: &SecretString) -> Result<()> {
    let part = path.with_extension("part");
    let write = || -> std::io::Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        match fs::remove_file(&part) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&part)?;
        writeln!(file, "{}", token.expose_secret())?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Opens the person's browser, if there is one; the address was printed.
fn open_browser(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let begun = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = begun {
        tracing::debug!(%error, program, "no browser was opened");
    }
}
