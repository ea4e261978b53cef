//! `skep serve`: API and controller in one process.
//!
//! Everything is checked before anything is started: [`ServeArgs::into_config`] makes of what was given a [`ServeConfig`] in which
//! nothing that is needed is missing. There is no default for the key: a key that nobody chose is a key that nobody keeps.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use ipnet::Ipv4Net;
use secrecy::{ExposeSecret, SecretString};
use skep_api::{Issuers, ServeOptions, TlsFiles};
use skep_controller::serve::Started;
use skep_controller::{SafetySettings, ServeConfig};
use skep_planner::NetworkPool;
use skep_planner::policy::reach::{Allowed, Reach};
use skep_planner::safety::RemovalLimits;
use skep_planner::settings::{AnchorImage, EdgeSettings};
use skep_store::{MasterKey, MasterKeys};
use tokio::signal::unix::{SignalKind, signal};

use super::{Outcome, variable};
use crate::args::{secret, span};
use crate::dev::key;
use crate::telemetry::LogFormat;
use crate::{database, issuers, trusted_root};

/// The shortest resync: each one reads every resource and all that belongs to it.
const RESYNC_MIN: Duration = Duration::from_secs(1);

/// `skep serve`
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Postgres database.
    #[arg(long, env = "SKEP_DATABASE_URL", hide_env_values = true, value_name = "URL", value_parser = secret)]
    database_url: Option<SecretString>,
    /// File with the password of the database's user, for a URL without one.
    #[arg(long, env = "SKEP_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    database_password_file: Option<PathBuf>,
    /// File with the key that seals secret values; SKEP_KEY can hold the key itself.
    #[arg(long, env = "SKEP_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// File with a further key that opens what it sealed: the one to come, or the one before, while the key is changed (`skep master-key
    /// --help`); may be given several times, and the variable with `:` between files.
    #[arg(
        long = "further-key-file",
        env = "SKEP_FURTHER_KEY_FILES",
        value_name = "FILE",
        value_delimiter = ':'
    )]
    further_key_files: Vec<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// What `skep serve` and `skep dev` have in common.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Docker engine that is a manager of the Swarm: `unix://PATH` or `tcp://HOST:PORT`.
    #[arg(long, env = "DOCKER_HOST", value_name = "URL", default_value = "unix:///var/run/docker.sock")]
    docker_host: String,
    /// Directory with `ca.pem`, `cert.pem` and `key.pem` for an engine that is reached by TCP.
    #[arg(long, env = "DOCKER_CERT_PATH", value_name = "DIR")]
    docker_cert_path: Option<PathBuf>,
    /// Address to serve the API on.
    #[arg(long, env = "SKEP_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:7700")]
    listen: SocketAddr,
    /// Certificate to serve the API with, as a PEM file.
    #[arg(long, env = "SKEP_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate, as a PEM file.
    #[arg(long, env = "SKEP_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Serve plain HTTP to other machines; for a proxy on a private network that ends TLS.
    #[arg(long, env = "SKEP_ALLOW_PLAIN_REMOTE")]
    allow_plain_remote: bool,
    /// File that says who vouches for people (docs/guides/logins.md); without one, nobody but the platform's owners.
    #[arg(long, env = "SKEP_IDENTITY_FILE", value_name = "FILE")]
    identity_file: Option<PathBuf>,
    /// Host or range of addresses inside that may be asked although tenants name it (registries): `registry.internal:5000`, `10.20.0.0/16`, or
    /// `http://127.0.0.1:5000` without TLS; may be given several times, and the variable with `,` between.
    #[arg(long, env = "SKEP_OUTBOUND_ALLOW", value_name = "HOST|CIDR", value_delimiter = ',')]
    outbound_allow: Vec<Allowed>,
    /// `trusted_root.json` of sigstore, by which signatures of identities are verified (docs/guides/signed-images.md); without one no image is
    /// signed by an identity.
    #[arg(long, env = "SKEP_SIGSTORE_TRUSTED_ROOT", value_name = "FILE")]
    sigstore_trusted_root: Option<PathBuf>,
    /// Address of a Loki that keeps what containers print, to read former lines from: `http://loki:3100`, `https://user:password@loki.example.com`
    /// (docs/guides/logs.md).
    #[arg(long, env = "SKEP_LOKI_URL", hide_env_values = true, value_name = "URL", value_parser = secret)]
    loki_url: Option<SecretString>,
    /// Range that the networks of organisations are taken from.
    #[arg(long, env = "SKEP_NETWORK_POOL", value_name = "CIDR", default_value = "10.128.0.0/9")]
    network_pool: Ipv4Net,
    /// Prefix length of one organisation's network.
    #[arg(long, env = "SKEP_NETWORK_PREFIX", value_name = "LENGTH", default_value_t = 22)]
    network_prefix: u8,
    /// The edge proxy's entry point for HTTP.
    #[arg(long, env = "SKEP_EDGE_HTTP_ENTRYPOINT", value_name = "NAME", default_value = "web")]
    edge_http_entrypoint: String,
    /// The edge proxy's entry point for HTTPS.
    #[arg(long, env = "SKEP_EDGE_HTTPS_ENTRYPOINT", value_name = "NAME", default_value = "websecure")]
    edge_https_entrypoint: String,
    /// Seconds between two looks of the edge proxy at the Swarm, as in its own settings; processes with ports are drained for as long, and three
    /// seconds more, before they are asked to stop. 0 drains nothing. Another number restarts them.
    #[arg(long, env = "SKEP_EDGE_REFRESH_SECONDS", value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(..=600))]
    edge_refresh_seconds: u64,
    /// The edge proxy's certificate resolver.
    #[arg(long, env = "SKEP_CERTIFICATE_RESOLVER", value_name = "NAME")]
    certificate_resolver: Option<String>,
    /// Image of the tasks that make an organisation's network exist on edge nodes; any image whose program waits.
    #[arg(
        long,
        env = "SKEP_ANCHOR_IMAGE",
        value_name = "IMAGE",
        default_value = "registry.k8s.io/pause:3.10"
    )]
    anchor_image: String,
    /// Argument of that image's program; may be given several times.
    #[arg(long = "anchor-arg", value_name = "ARG", allow_hyphen_values = true)]
    anchor_args: Vec<String>,
    /// Image of the tasks that carry links between organisations: Skep's own. Without one there are no links.
    #[arg(long, env = "SKEP_FORWARD_IMAGE", value_name = "IMAGE")]
    forward_image: Option<String>,
    /// Port under which clients reach the edge's HTTP entry point.
    #[arg(long, env = "SKEP_PUBLIC_HTTP_PORT", value_name = "PORT", default_value_t = 80)]
    public_http_port: u16,
    /// Port under which clients reach the edge's HTTPS entry point.
    #[arg(long, env = "SKEP_PUBLIC_HTTPS_PORT", value_name = "PORT", default_value_t = 443)]
    public_https_port: u16,
    /// How often every resource is looked at even if nothing is heard of it: events of the engine do get lost.
    #[arg(long, env = "SKEP_RESYNC", value_name = "SPAN", default_value = "60s", value_parser = resync)]
    resync: Duration,
    /// Objects that may be removed at a time without anyone confirming it, however large a share they are.
    #[arg(long, env = "SKEP_REMOVALS_FLOOR", value_name = "COUNT", default_value_t = RemovalLimits::USUAL.floor)]
    removals_floor: u64,
    /// Share of all managed objects, in percent, that may be removed at a time without anyone confirming it.
    #[arg(
        long,
        env = "SKEP_REMOVALS_SHARE",
        value_name = "PERCENT",
        default_value_t = RemovalLimits::USUAL.percent,
        value_parser = clap::value_parser!(u8).range(0..=100)
    )]
    removals_share: u8,
    /// How long an object that Skep made and nothing refers to is listed before it is removed.
    #[arg(long, env = "SKEP_ORPHAN_GRACE", value_name = "SPAN", default_value = "24h", value_parser = span)]
    orphan_grace: Duration,
    /// How long an image stays on this engine that was released and that no kept release names any more: a span, or `never` to remove none
    /// (docs/guides/images.md).
    #[arg(long, env = "SKEP_IMAGE_GRACE", value_name = "SPAN|never", default_value = "1h", value_parser = image_grace)]
    image_grace: ImageGrace,
    /// Form of the log on standard error.
    #[arg(long, env = "SKEP_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
}

fn resync(text: &str) -> Result<Duration, String> {
    let resync = span(text)?;
    if resync < RESYNC_MIN { Err("it takes a second or more".to_owned()) } else { Ok(resync) }
}

/// How long images stay that nothing needs.
#[derive(Debug, Clone, Copy)]
enum ImageGrace {
    Never,
    After(Duration),
}

fn image_grace(text: &str) -> Result<ImageGrace, String> {
    if text == "never" {
        return Ok(ImageGrace::Never);
    }
    span(text).map(ImageGrace::After).map_err(|error| format!("{error}; or `never`"))
}

impl ServeArgs {
    /// Checks what was given. `env` looks a variable up.
    pub(crate) fn into_config(self, env: impl Fn(&str) -> Option<String>) -> Result<ServeConfig> {
        let from_env = env("SKEP_KEY").filter(|key| !key.is_empty()).map(SecretString::from);
        let key = match (&self.key_file, from_env) {
            (Some(_), Some(_)) => bail!("both SKEP_KEY and a key file are given\nhelp: give one of them"),
            (Some(path), None) => key::read(path)?,
            (None, Some(text)) => key::parse(&text).context("SKEP_KEY")?,
            (None, None) => bail!(
                "no key is given, and without one no secret can be kept\nhelp: make one with `(umask 077; openssl rand -hex 32 > skep.key)`, keep a copy apart from the database, and start with --key-file skep.key"
            ),
        };
        let database_url = self.database_url.context(
            "no database is named\nhelp: set SKEP_DATABASE_URL, or try `skep dev`, which brings its own",
        )?;
        let database_url = match &self.database_password_file {
            Some(path) => database::with_password(&database_url, path)?,
            None => database_url,
        };
        let further: Result<Vec<MasterKey>> =
            self.further_key_files.iter().map(|path| key::read(path)).collect();
        let keys = MasterKeys::new(key, further?)?;
        self.server.into_config(database_url, keys)
    }
}

impl ServerArgs {
    /// The log's form.
    pub(crate) const fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// Checks what was given.
    pub(crate) fn into_config(self, database_url: SecretString, keys: MasterKeys) -> Result<ServeConfig> {
        let pool = NetworkPool::new(self.network_pool, self.network_prefix)
            .context("--network-pool and --network-prefix do not make networks")?;
        let tls = self.tls_cert.zip(self.tls_key).map(|(certificate, key)| TlsFiles { certificate, key });
        if tls.is_none() && !self.allow_plain_remote && !self.listen.ip().is_loopback() {
            bail!(
                "tokens would travel unencrypted to {}\nhelp: give --tls-cert and --tls-key, listen on a loopback address, or add --allow-plain-remote if a proxy ends TLS",
                self.listen
            );
        }
        if self.docker_cert_path.is_some() && !self.docker_host.starts_with("tcp://") {
            tracing::debug!("the engine is reached by a socket, so its certificates are not used");
        }
        let issuers = self.identity_file.as_deref().map_or_else(|| Ok(Issuers::none()), issuers::read)?;
        let root = self.sigstore_trusted_root.as_deref().map(trusted_root::read).transpose()?;
        let loki = self.loki_url.map(|url| url.expose_secret().parse());
        Ok(ServeConfig {
            issuers: Arc::new(issuers),
            database_url,
            keys,
            docker_host: self.docker_host,
            docker_cert_path: self.docker_cert_path,
            listen: self.listen,
            serve: ServeOptions { tls, allow_plain_remote: self.allow_plain_remote },
            pool,
            edge: EdgeSettings {
                http_entrypoint: self.edge_http_entrypoint,
                https_entrypoint: self.edge_https_entrypoint,
                certificate_resolver: self.certificate_resolver,
                public_http_port: self.public_http_port,
                public_https_port: self.public_https_port,
                drain: EdgeSettings::drain_for(skep_schemas::Duration::from_secs(self.edge_refresh_seconds)),
                anchor: AnchorImage { image: self.anchor_image, args: self.anchor_args },
            },
            forward_image: self.forward_image,
            resync: self.resync,
            reach: Reach::with(self.outbound_allow),
            trusted_root: root.map(Arc::new),
            loki: loki.transpose().context("--loki-url")?,
            safety: SafetySettings {
                limits: RemovalLimits {
                    floor: self.removals_floor,
                    percent: self.removals_share,
                    ..RemovalLimits::USUAL
                },
                orphan_grace: self.orphan_grace,
            },
            image_grace: match self.image_grace {
                ImageGrace::Never => None,
                ImageGrace::After(grace) => Some(grace),
            },
        })
    }
}

impl ServeArgs {
    /// The log's form.
    pub(crate) const fn log_format(&self) -> LogFormat {
        self.server.log_format()
    }
}

/// Carries it out.
pub(super) async fn run(args: ServeArgs) -> Result<Outcome> {
    let config = args.into_config(variable)?;
    serve(config).await?;
    Ok(Outcome::Done)
}

/// Runs API and controller until the process is told to stop.
pub(super) async fn serve(config: ServeConfig) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("asked to stop by SIGTERM"),
            _ = tokio::signal::ctrl_c() => tracing::info!("asked to stop from the terminal"),
        }
    };
    skep_controller::serve::run(config, stop, announce).await.map_err(anyhow::Error::from)
}

/// What the operator has to know, on standard output: the log is for what happens later.
fn announce(started: Started) {
    // The address comes last: whoever waits for it has read the token.
    if let Some(token) = started.bootstrap_token {
        println!("bootstrap token (shown this once, stored as a hash): {}", token.expose_secret());
    }
    println!("skep listens on {}", started.address);
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn config(line: &str, key: Option<&str>) -> Result<ServeConfig, String> {
        let cli = Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        let Command::Serve(args) = cli.command else { panic!("not serve") };
        let key = key.map(str::to_owned);
        args.into_config(|name| key.clone().filter(|_| name == "SKEP_KEY"))
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_server_needs_a_key_and_a_database_and_has_defaults_for_the_rest() {
        let url = "skep serve --database-url postgres://canary@x/y";
        assert!(config(url, None).unwrap_err().contains("no key is given"));
        assert!(config("skep serve", Some(KEY)).unwrap_err().contains("no database is named"));
        assert!(config(url, Some("short")).unwrap_err().contains("not 32 bytes"));
        let complete = config(url, Some(KEY)).unwrap();
        assert_eq!(complete.listen.to_string(), "127.0.0.1:7700");
        let shown = format!("{complete:?}");
        assert!(!shown.contains("canary") && !shown.contains(&KEY[..16]), "{shown}");
    }

    #[test]
    fn the_password_of_the_database_can_be_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "canary\n").unwrap();
        let line = |url: &str| {
            format!("skep serve --database-url {url} --database-password-file {}", path.display())
        };
        let complete = config(&line("postgres://skep@x/y"), Some(KEY)).unwrap();
        assert_eq!(complete.database_url.expose_secret(), "postgres://skep:canary@x/y");
        assert!(!format!("{complete:?}").contains("canary"));
        assert!(config(&line("postgres://skep:other@x/y"), Some(KEY)).unwrap_err().contains("already"));
    }

    #[test]
    fn the_address_of_a_loki_is_checked_and_its_password_is_not_shown() {
        let url = "skep serve --database-url postgres://x/y --loki-url";
        let complete = config(&format!("{url} https://skep:canary@loki.example.com"), Some(KEY)).unwrap();
        assert!(complete.loki.is_some() && !format!("{complete:?}").contains("canary"));
        let wrong = config(&format!("{url} ftp://skep:canary@loki"), Some(KEY)).unwrap_err();
        assert!(wrong.contains("--loki-url") && !wrong.contains("canary"), "{wrong}");
    }

    #[test]
    fn half_a_certificate_and_plain_http_for_everyone_are_refused() {
        let url = "skep serve --database-url postgres://x/y";
        assert!(config(&format!("{url} --tls-cert a.pem"), Some(KEY)).is_err());
        let open = format!("{url} --listen 0.0.0.0:7700");
        assert!(config(&open, Some(KEY)).unwrap_err().contains("unencrypted"));
        assert!(config(&format!("{open} --allow-plain-remote"), Some(KEY)).is_ok());
        assert!(config(&format!("{open} --tls-cert a --tls-key b"), Some(KEY)).unwrap().serve.tls.is_some());
        assert!(
            config(&format!("{url} --network-prefix 8"), Some(KEY)).unwrap_err().contains("--network-pool")
        );
    }
}
