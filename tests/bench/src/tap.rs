//! A way to a server that counts the bytes that go through it, both ways.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// How much is passed on at once.
const CHUNK: usize = 64 * 1024;

/// A way that counts. It lasts as long as the process.
pub(crate) struct Tap {
    place: Place,
    bytes: Arc<AtomicU64>,
}

enum Place {
    Unix(TempDir),
    Tcp(u16),
}

impl Tap {
    /// To a socket.
    pub(crate) fn of_unix(socket: &Path) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let listener = UnixListener::bind(dir.path().join("tap.sock")).context("listen on a socket")?;
        let (to, bytes) = (socket.to_owned(), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&bytes);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = UnixStream::connect(&to) else { continue };
                let (Ok(near2), Ok(far2)) = (near.try_clone(), far.try_clone()) else { continue };
                pass(near, far2, Arc::clone(&counted), |to| drop(to.shutdown(Shutdown::Write)));
                pass(far, near2, Arc::clone(&counted), |to| drop(to.shutdown(Shutdown::Write)));
            }
        });
        Ok(Self { place: Place::Unix(dir), bytes })
    }

    /// To the server of a database's URL.
    pub(crate) fn of_tcp(url: &str) -> Result<Self> {
        let to = host(url)?.to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen on a port")?;
        let port = listener.local_addr().context("a listener has an address")?.port();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(&to) else { continue };
                let _ = (near.set_nodelay(true), far.set_nodelay(true));
                let (Ok(near2), Ok(far2)) = (near.try_clone(), far.try_clone()) else { continue };
                pass(near, far2, Arc::clone(&counted), |to| drop(to.shutdown(Shutdown::Write)));
                pass(far, near2, Arc::clone(&counted), |to| drop(to.shutdown(Shutdown::Write)));
            }
        });
        Ok(Self { place: Place::Tcp(port), bytes })
    }

    /// The engine's address through it.
    pub(crate) fn docker_host(&self) -> String {
        match &self.place {
            Place::Unix(dir) => format!("unix://{}", dir.path().join("tap.sock").display()),
            Place::Tcp(port) => format!("tcp://127.0.0.1:{port}"),
        }
    }

    /// A database's URL through it.
    pub(crate) fn url(&self, url: &str) -> Result<String> {
        match &self.place {
            Place::Unix(_) => Ok(url.to_owned()),
            Place::Tcp(port) => Ok(url.replace(host(url)?, &format!("127.0.0.1:{port}"))),
        }
    }

    /// How many bytes went through it so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn host(url: &str) -> Result<&str> {
    let (_, rest) = url.split_once('@').context("the URL names a user")?;
    rest.split('/').next().context("a host follows")
}

fn pass<R: Read + Send + 'static, W: Write + Send + 'static>(
    mut from: R,
    mut to: W,
    bytes: Arc<AtomicU64>,
    end: impl FnOnce(W) + Send + 'static,
) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            bytes.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
            if to.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
                break;
            }
        }
        end(to);
    });
}
