//! An engine whose events never arrive: a socket in front of the real one that passes everything on but the event stream, which it
//! opens and leaves silent. Real engines do this (moby#36834), and only the regular look at everything notices anything then.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};

/// The answer to a request for events: a stream that goes on for ever and says nothing.
const SILENCE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A socket in front of an engine. It ends with the process.
#[derive(Debug)]
pub struct Deaf {
    socket: PathBuf,
}

impl Deaf {
    /// Listens in `directory` and passes on to `engine`.
    pub fn start(directory: &Path, engine: PathBuf) -> Result<Self> {
        let socket = directory.join("deaf.sock");
        let listener = UnixListener::bind(&socket).context("listen in front of the engine")?;
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let engine = engine.clone();
                thread::spawn(move || drop(serve(client, &engine)));
            }
        });
        Ok(Self { socket })
    }

    /// As `DOCKER_HOST`.
    pub fn docker_host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

/// A client sends a request when the former is answered, so a request begins with what was read at once.
fn serve(mut client: UnixStream, engine: &Path) -> Result<()> {
    let mut upstream = UnixStream::connect(engine)?;
    let (mut from_engine, mut to_client) = (upstream.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_engine, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = match client.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        if asks_for_events(&buffer[..read]) {
            client.write_all(SILENCE)?;
            continue;
        }
        upstream.write_all(&buffer[..read])?;
    }
    let _ = upstream.shutdown(Shutdown::Both);
    Ok(())
}

fn asks_for_events(request: &[u8]) -> bool {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    line.starts_with(b"GET ") && line.windows(8).any(|part| part == b"/events?" || part == b"/events ")
}
