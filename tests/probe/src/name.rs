//! A question to the engine's resolver (RFC 1035), by hand: a static libc cannot ask it.

use std::io::{Error, ErrorKind, Result};
use std::net::UdpSocket;
use std::time::Duration;

/// Where every container of a user-defined network finds its engine's resolver.
const RESOLVER: &str = "127.0.0.11:53";

/// Asks for the addresses of a name: `resolved ADDRESS…`, `unknown`, or an error when nobody answers.
pub(crate) fn resolve(name: &str, patience: Duration) -> Result<String> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(patience))?;
    socket.connect(RESOLVER)?;
    socket.send(&question(name))?;
    let mut reply = [0; 1500];
    let length = socket.recv(&mut reply)?;
    let addresses =
        addresses(&reply[..length]).ok_or_else(|| Error::new(ErrorKind::InvalidData, "no reply"))?;
    Ok(if addresses.is_empty() { "unknown".to_owned() } else { format!("resolved {}", addresses.join(" ")) })
}

/// A question for addresses of IPv4, recursion desired.
fn question(name: &str) -> Vec<u8> {
    let mut message = vec![0x5e, 0xe9, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap_or(63));
        message.extend(label.bytes().take(63));
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// The addresses in the answers of a reply; `None` when it cannot be read.
fn addresses(reply: &[u8]) -> Option<Vec<String>> {
    let number = |at: usize| Some(usize::from(*reply.get(at)?) << 8 | usize::from(*reply.get(at + 1)?));
    let answers = number(6)?;
    // One question: its name, its type and its class.
    let mut at = after_name(reply, 12)? + 4;
    let mut found = Vec::new();
    for _ in 0..answers {
        at = after_name(reply, at)?;
        let (kind, length) = (number(at)?, number(at + 8)?);
        let data = reply.get(at + 10..at + 10 + length)?;
        if let (1, [a, b, c, d]) = (kind, data) {
            found.push(format!("{a}.{b}.{c}.{d}"));
        }
        at += 10 + length;
    }
    Some(found)
}

/// Where what follows a name begins. A name ends with an empty label, or with a pointer to an earlier one.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            pointer if pointer >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}
