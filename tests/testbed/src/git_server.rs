//! A Git server: `git http-backend` behind a small host of CGI, over TLS, with or without a password, and with the faults that servers have.
//!
//! [`GitServer::repository`] makes repositories. What is in them is written with Git's own plumbing (`fast-import`, `mktree`), so that a hundred thousand
//! files take a second, and trees can be made that no `git add` would make.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::tls::Credentials;

mod repository;

pub use repository::Repository;
use repository::plain;

/// The longest request that is read.
const REQUEST_MAX: usize = 4 << 20;
/// How long a client may take to send a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server does wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It stops in the middle of a pack, after this many bytes of the answer, and keeps the connection.
    Hangs(usize),
    /// It ends there.
    Ends(usize),
    /// It sends everybody elsewhere.
    Redirects(String),
    /// It answers with this, and nothing of Git.
    Answers(&'static str, &'static str),
    /// It says another byte in this place of each answer.
    Changes(usize),
    /// It knows no protocol but the oldest.
    Old,
}

/// A server that runs until the process ends.
pub struct GitServer {
    address: SocketAddr,
    tls: Credentials,
    shared: Arc<Shared>,
}

struct Shared {
    dir: TempDir,
    config: Arc<ServerConfig>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    password: Option<(String, String)>,
    fault: Option<Fault>,
    heard: Vec<String>,
    /// Connections that are kept and say nothing more.
    kept: Vec<TcpStream>,
}

impl GitServer {
    /// Starts one on a loopback port of its own, with an authority of its own.
    pub fn start() -> Result<Self> {
        let dir = tempfile::tempdir().context("no directory for repositories")?;
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let tls = Credentials::create(&dir.path().join("tls"), ip)?;
        let certificate = CertificateDer::from_pem_file(&tls.server_certificate)?;
        let key = PrivateKeyDer::from_pem_file(&tls.server_key)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_no_client_auth().with_single_cert(vec![certificate], key)?;
        let listener = TcpListener::bind((ip, 0)).context("no loopback port is free")?;
        let address = listener.local_addr().context("a bound socket has an address")?;
        let shared = Arc::new(Shared { dir, config: Arc::new(config), state: Mutex::default() });
        fs::create_dir(shared.repositories()).context("no directory for repositories")?;
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&of_thread);
                // A client that breaks off is its own matter.
                std::thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Ok(Self { address, tls, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a repository.
    pub fn url(&self, name: &str) -> String {
        format!("https://{}/{name}.git", self.address)
    }

    /// The certificate of the authority that vouches for it, as a PEM file.
    pub fn authority(&self) -> &Path {
        &self.tls.ca
    }

    /// The directory that all repositories are in.
    pub fn repositories(&self) -> PathBuf {
        self.shared.repositories()
    }

    /// A new repository.
    pub fn repository(&self, name: &str) -> Result<Repository> {
        Repository::create(&self.shared.repositories().join(format!("{name}.git")))
    }

    /// Only whoever has this name and password is let in from now on; everybody, if there is none.
    pub fn lock(&self, password: Option<(&str, &str)>) {
        self.shared.lock().password = password.map(|(name, word)| (name.to_owned(), word.to_owned()));
    }

    /// What it does wrong from now on.
    pub fn fault(&self, fault: Option<Fault>) {
        self.shared.lock().fault = fault;
    }

    /// The first lines of all requests since the last time this was asked.
    pub fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().heard)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repositories(&self) -> PathBuf {
        self.dir.path().join("repositories")
    }
}

/// One request, as the host of CGI sees it.
struct Request {
    method: String,
    path: String,
    query: String,
    fields: BTreeMap<String, String>,
    body: Vec<u8>,
}

fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let raw = stream.try_clone()?;
    let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&shared.config))?, stream);
    let request = request(&mut stream)?;
    let (password, fault) = {
        let mut state = shared.lock();
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        state.heard.push(format!("{} {}{query}", request.method, request.path));
        (state.password.clone(), state.fault.clone())
    };
    match fault {
        Some(Fault::Redirects(to)) => {
            return short(&mut stream, "302 Found", &format!("Location: {to}\r\n"), "");
        }
        Some(Fault::Answers(kind, body)) => {
            return short(&mut stream, "200 OK", &format!("Content-Type: {kind}\r\n"), body);
        }
        _ => {}
    }
    if let Some((name, word)) = password {
        let wanted = format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{word}")));
        if request.fields.get("authorization") != Some(&wanted) {
            let challenge = "WWW-Authenticate: Basic realm=\"tests\"\r\n";
            return short(&mut stream, "401 Unauthorized", challenge, "");
        }
    }
    let (head, mut body) = backend(&request, &shared.repositories(), fault == Some(Fault::Old))?;
    if let Some(Fault::Changes(at)) = &fault
        && let Some(byte) = body.get_mut(*at)
    {
        *byte ^= 0x15;
    }
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let fields: String = head
        .lines()
        .filter(|line| !line.starts_with("Status: ") && !line.is_empty())
        .map(|line| format!("{line}\r\n"))
        .collect();
    write!(stream, "HTTP/1.1 {status}\r\n{fields}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n")?;
    // The answer that holds a pack is the one that is broken.
    let cut = match fault.clone().filter(|_| request.path.ends_with("git-upload-pack") && holds_pack(&body)) {
        Some(Fault::Hangs(at) | Fault::Ends(at)) if at < body.len() => Some(at),
        _ => None,
    };
    let sent = body.get(..cut.unwrap_or(body.len())).unwrap_or_default();
    for piece in sent.chunks(16 * 1024) {
        write!(stream, "{:x}\r\n", piece.len())?;
        stream.write_all(piece)?;
        stream.write_all(b"\r\n")?;
    }
    stream.flush()?;
    match (cut, fault) {
        (Some(_), Some(Fault::Hangs(_))) => {
            shared.lock().kept.push(raw);
            return Ok(());
        }
        (Some(_), _) => return Ok(()),
        (None, _) => stream.write_all(b"0\r\n\r\n")?,
    }
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}

fn holds_pack(body: &[u8]) -> bool {
    // What comes before it is short.
    body.get(..body.len().min(4096)).unwrap_or_default().windows(4).any(|four| four == b"PACK")
}

fn short(stream: &mut (impl Read + Write), status: &str, fields: &str, body: &str) -> Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()?;
    Ok(())
}

/// Reads a request whole.
fn request(stream: &mut impl Read) -> Result<Request> {
    let mut bytes = Vec::new();
    let mut part = [0_u8; 8192];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        let read = stream.read(&mut part)?;
        ensure!(read > 0 && bytes.len() + read <= REQUEST_MAX, "no whole request came");
        bytes.extend_from_slice(part.get(..read).unwrap_or_default());
    };
    let mut body = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).context("a head is text")?;
    let mut words = head.split_whitespace();
    let (method, target) =
        (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let fields: BTreeMap<String, String> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = fields.get("content-length").map_or(Ok(0), |length| length.parse())?;
    ensure!(length <= REQUEST_MAX, "the request is too long");
    while body.len() < length {
        let read = stream.read(&mut part)?;
        ensure!(read > 0, "the request was cut off");
        body.extend_from_slice(part.get(..read).unwrap_or_default());
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Ok(Request { method, path: path.to_owned(), query: query.to_owned(), fields, body })
}

/// Lets Git answer: the head and the body of what it says.
fn backend(request: &Request, repositories: &Path, old: bool) -> Result<(String, Vec<u8>)> {
    let mut command = plain("git").args(["http-backend"]).take();
    command
        .env("GIT_PROJECT_ROOT", repositories)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    for (field, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("git-protocol", "GIT_PROTOCOL"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
    ] {
        if let Some(value) = request.fields.get(field).filter(|_| !old || field != "git-protocol") {
            command.env(variable, value);
        }
    }
    let mut child = command.spawn().context("cannot run git http-backend")?;
    let mut stdin = child.stdin.take().context("it has an input")?;
    let body = request.body.clone();
    let feeding = std::thread::spawn(move || {
        // It may have answered without reading everything.
        let _ = stdin.write_all(&body);
    });
    let output = child.wait_with_output().context("cannot wait for git http-backend")?;
    feeding.join().map_err(|_| anyhow!("the request was not passed on"))?;
    let end = output.stdout.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.context("git http-backend wrote no head")?;
    let (head, body) = output.stdout.split_at(end + 4);
    Ok((String::from_utf8_lossy(head).replace("\r\n", "\n"), body.to_vec()))
}
