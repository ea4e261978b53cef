//! One target, and what it answers.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::{frame, name};

/// What a peer on the same machine or the next one answers within many times over.
const PATIENCE: Duration = Duration::from_secs(3);

/// The word for no answer at all.
const SILENT: &str = "silent";

/// Tries a target. The answer is one word or begins with it: `open`, `answered`, `refused`, `unreachable`, `silent`, `unknown`,
/// `resolved …`, `sent`.
pub(crate) fn ask(target: &str) -> String {
    let parts: Vec<&str> = target.split('/').collect();
    match parts.as_slice() {
        ["tcp", address, port] => answer(connect(address, port).map(|_| "open".to_owned())),
        ["http", address, port, host] => answer(request(address, port, host)),
        ["udp", address, port] => answer(datagram(address, port)),
        ["name", host] => answer(name::resolve(host, PATIENCE)),
        ["file", path @ ..] => file(&format!("/{}", path.join("/"))),
        ["vxlan", node, port, inner @ ..] => answer(wrapped(node, port, inner)),
        _ => "is no target".to_owned(),
    }
}

fn answer(result: std::io::Result<String>) -> String {
    match result {
        Ok(answer) => answer,
        Err(error) => match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => SILENT.to_owned(),
            ErrorKind::ConnectionRefused => "refused".to_owned(),
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => "unreachable".to_owned(),
            _ => format!("failed: {error}"),
        },
    }
}

fn socket_address(address: &str, port: &str) -> std::io::Result<SocketAddr> {
    let parsed = format!("{address}:{port}").parse();
    parsed.map_err(|error| std::io::Error::new(ErrorKind::InvalidInput, format!("{address}:{port}: {error}")))
}

fn connect(address: &str, port: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&socket_address(address, port)?, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The status of `GET /`.
fn request(address: &str, port: &str, host: &str) -> std::io::Result<String> {
    let mut stream = connect(address, port)?;
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(format!("answered {}", String::from_utf8_lossy(&head[9..])))
}

fn datagram(address: &str, port: &str) -> std::io::Result<String> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(socket_address(address, port)?)?;
    socket.send(b"are you there")?;
    socket.recv(&mut [0; 512])?;
    Ok("answered".to_owned())
}

fn file(path: &str) -> String {
    match std::fs::symlink_metadata(path) {
        Ok(_) => "is there".to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => "absent".to_owned(),
        Err(error) => format!("failed: {error}"),
    }
}

/// Sends a datagram in the wrapping in which nodes send those of their containers to each other. Whether it arrived, only the
/// container at the other end can tell.
fn wrapped(node: &str, port: &str, inner: &[&str]) -> std::io::Result<String> {
    let frame = frame::of(inner).ok_or_else(|| std::io::Error::new(ErrorKind::InvalidInput, "no frame"))?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.send_to(&frame, socket_address(node, port)?)?;
    Ok("sent".to_owned())
}
