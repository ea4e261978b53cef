//! What runs in a container of a tenant: it answers to others, and it tries what it can reach.
//!
//! `probe listen PORT` echoes datagrams on a port and writes each to standard output. `probe ask TARGET…` tries all targets at once
//! and writes a line for each, `TARGET ANSWER`. A program of its own and not busybox, because busybox has neither datagrams nor a
//! resolver that works where there is no libc; without dependencies, because the tests link it statically with `rustc` alone
//! (`Recipe::probe` in the test bed).
//!
//! Targets: `tcp/ADDRESS/PORT`, `udp/ADDRESS/PORT`, `http/ADDRESS/PORT/HOST`, `name/NAME` (asked of the engine's resolver),
//! `file/PATH`, and `vxlan/NODE/PORT/VNI/MAC/ADDRESS/PORT/WORD`: a datagram for a container of another network, wrapped as if a node
//! had sent it.

mod frame;
mod name;
mod target;

use std::net::UdpSocket;
use std::process::ExitCode;
use std::thread;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((verb, ports)) if verb == "listen" => listen(ports),
        Some((verb, targets)) if verb == "ask" => ask(targets),
        _ => {
            eprintln!("usage: probe listen PORT | probe ask TARGET…");
            ExitCode::from(2)
        }
    }
}

fn listen(ports: &[String]) -> ExitCode {
    let [port] = ports else { return ExitCode::from(2) };
    match echo(port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn echo(port: &str) -> std::io::Result<()> {
    let socket = UdpSocket::bind(format!("0.0.0.0:{port}"))?;
    let mut datagram = [0; 512];
    loop {
        let (length, from) = socket.recv_from(&mut datagram)?;
        let word = String::from_utf8_lossy(&datagram[..length]).into_owned();
        println!("heard {word}");
        socket.send_to(&datagram[..length], from)?;
    }
}

fn ask(targets: &[String]) -> ExitCode {
    let attempts: Vec<_> = targets
        .iter()
        .map(|target| {
            let wanted = target.clone();
            (target, thread::spawn(move || target::ask(&wanted)))
        })
        .collect();
    for (target, attempt) in attempts {
        let answer = attempt.join().unwrap_or_else(|_| "the probe itself failed".to_owned());
        println!("{target} {answer}");
    }
    ExitCode::SUCCESS
}
