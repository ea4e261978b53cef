//! From a loopback port to the edge.
//!
//! The engine lives in a network of its own, and no name leads there. `*.localhost` leads to 127.0.0.1 in every browser and in
//! curl, so a port there that passes connections on makes the example's URL one that can be clicked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// Connections at a time: two threads each, and nobody tries things on by hand with more.
const MAX_CONNECTIONS: usize = 64;

/// How long the edge may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Silence after which a connection is given up, so that forgotten ones do not use up the others' places.
const IDLE: Duration = Duration::from_secs(120);

/// A loopback listener on this port, or on any other if it is in use.
pub(crate) fn listen(preferred: u16) -> Result<TcpListener> {
    let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    at(preferred).or_else(|_| at(0)).context("no loopback port is free")
}

/// Passes the listener's connections on to `target` until this process ends.
pub(crate) fn start(listener: TcpListener, target: (IpAddr, u16)) {
    let places = Arc::new(());
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // One count is the listener's own.
            if Arc::strong_count(&places) > MAX_CONNECTIONS {
                continue;
            }
            let place = Arc::clone(&places);
            thread::spawn(move || {
                // A connection that breaks concerns its two ends, which see it for themselves.
                let _ = pass_on(&client, target.into());
                drop(place);
            });
        }
    });
}

fn pass_on(client: &TcpStream, target: SocketAddr) -> io::Result<()> {
    let edge = TcpStream::connect_timeout(&target, CONNECT)?;
    for stream in [client, &edge] {
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_write_timeout(Some(IDLE))?;
    }
    thread::scope(|scope| {
        let upwards = scope.spawn(|| one_way(client, &edge));
        let downwards = one_way(&edge, client);
        upwards.join().unwrap_or(Ok(())).and(downwards)
    })
}

fn one_way(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let copied = io::copy(&mut from, &mut to);
    to.shutdown(Shutdown::Write)?;
    copied.map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn what_one_end_sends_reaches_the_other_and_the_end_does_too() {
        let echo = listen(0).unwrap();
        let target = echo.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = echo.accept().unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).unwrap();
            heard.reverse();
            stream.write_all(&heard).unwrap();
        });
        let front = listen(0).unwrap();
        let address = front.local_addr().unwrap();
        start(front, (target.ip(), target.port()));
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"abc").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "cba");
    }

    #[test]
    fn a_port_in_use_is_replaced_by_a_free_one() {
        let first = listen(0).unwrap();
        let taken = first.local_addr().unwrap().port();
        assert_ne!(listen(taken).unwrap().local_addr().unwrap().port(), taken);
    }
}
