//! A way to a server that a test can cut or block: a program that is pointed at it believes that the network failed.
//!
//! Cut, connections end and no new ones are made. Blocked, they stay open and nothing comes through, as when packets are dropped on
//! the way: nobody is told.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

const OPEN: u8 = 0;
const CUT: u8 = 1;
const BLOCKED: u8 = 2;
const ENDED: u8 = 3;

/// How often a blocked connection looks whether it may go on.
const LOOK: Duration = Duration::from_millis(10);

/// A forwarder on a loopback port. It ends when it is dropped.
#[derive(Debug)]
pub struct Forwarder {
    address: SocketAddr,
    way: Arc<Way>,
}

#[derive(Debug)]
struct Way {
    to: SocketAddr,
    state: AtomicU8,
    // Both ends of every connection since the last cut; tests make dozens.
    open: Mutex<Vec<TcpStream>>,
}

impl Forwarder {
    /// Forwards every connection to a server.
    pub fn start(to: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no loopback port is free")?;
        let address = listener.local_addr().context("a bound socket has an address")?;
        let way = Arc::new(Way { to, state: AtomicU8::new(OPEN), open: Mutex::default() });
        let accepting = Arc::clone(&way);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.state() == ENDED {
                    return;
                }
                // A connection that fails at once is what a cut way is.
                let _ = stream.map(|stream| accepting.connect(stream));
            }
        });
        Ok(Self { address, way })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections and refuses new ones.
    pub fn cut(&self) {
        self.way.state.store(CUT, Ordering::SeqCst);
        self.way.close_all();
    }

    /// Lets nothing through and tells nobody.
    pub fn block(&self) {
        self.way.state.store(BLOCKED, Ordering::SeqCst);
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        self.way.state.store(OPEN, Ordering::SeqCst);
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.way.state.store(ENDED, Ordering::SeqCst);
        self.way.close_all();
        // Wakes the thread that accepts, so that it sees the end.
        let _ = TcpStream::connect(self.address);
    }
}

impl Way {
    fn state(&self) -> u8 {
        self.state.load(Ordering::SeqCst)
    }

    fn close_all(&self) {
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn connect(self: &Arc<Self>, near: TcpStream) -> Result<()> {
        if self.state() == CUT {
            return Ok(());
        }
        let far = TcpStream::connect(self.to)?;
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend([near.try_clone()?, far.try_clone()?]);
        self.copy(near.try_clone()?, far.try_clone()?);
        self.copy(far, near);
        Ok(())
    }

    fn copy(self: &Arc<Self>, mut from: TcpStream, mut to: TcpStream) {
        let way = Arc::clone(self);
        std::thread::spawn(move || {
            let mut buffer = [0; 16 << 10];
            while let Ok(read) = from.read(&mut buffer) {
                while way.state() == BLOCKED {
                    std::thread::sleep(LOOK);
                }
                let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
                if to.write_all(part).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut reader = stream.try_clone().expect("a second handle");
                    std::io::copy(&mut reader, &mut stream)
                });
            }
        });
        address
    }

    fn ask(stream: &mut TcpStream) -> std::io::Result<u8> {
        stream.write_all(b"x")?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        Ok(answer[0])
    }

    #[test]
    fn a_way_is_open_cut_or_blocked() {
        let forwarder = Forwarder::start(echo()).expect("a forwarder");
        let connect = || TcpStream::connect(forwarder.address()).expect("it listens");
        let mut stream = connect();
        assert_eq!(ask(&mut stream).expect("it is open"), b'x');
        forwarder.block();
        stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a bound");
        assert!(ask(&mut stream).is_err());
        forwarder.mend();
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a bound");
        let mut late = [0];
        stream.read_exact(&mut late).expect("what was held back comes through");
        forwarder.cut();
        assert!(ask(&mut stream).is_err());
        assert!(ask(&mut connect()).is_err());
        forwarder.mend();
        assert_eq!(ask(&mut connect()).expect("it is mended"), b'x');
    }
}
