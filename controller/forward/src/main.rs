//! The forwarder of a link: takes connections in the network of the organisation that uses it, and carries each to the process of the organisation
//! that offers it.
//!
//! It runs alone in a container on both networks, so it is what keeps them apart:
//! - it listens on its address in the one network, and nowhere else; whoever is on the other finds no open port;
//! - it connects to addresses in the other network and nowhere else, whatever the target's name says; names are looked up anew for each
//!   connection, by the name of that network, so that nothing of the using side can be in its way;
//! - it opens connections one way only. What is sent back goes back on a connection that was made from the using side.
//!
//! Connections have a cap, a deadline to come about, and one for silence; buffers have a fixed size. A connection that is not carried is closed and
//! told of in one line of JSON. SIGTERM ends it: what is under way has some seconds more.

mod carry;
#[cfg(test)]
mod forward_tests;
mod resolve;
mod serve;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::process::ExitCode;

use clap::Parser;
use ipnet::Ipv4Net;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::resolve::Target;
use crate::serve::{Forward, Limits};

/// Carries one port from one network to a process on another.
#[derive(Debug, Parser)]
#[command(name = "skep-forward", version)]
struct Args {
    /// The port to listen on, and the port of the process.
    #[arg(long)]
    port: u16,
    /// The network whose containers may connect.
    #[arg(long, value_name = "CIDR")]
    from: Ipv4Net,
    /// The name of the process.
    #[arg(long, value_name = "NAME")]
    to: String,
    /// The network that the process is on.
    #[arg(long, value_name = "CIDR")]
    within: Ipv4Net,
    /// Who is asked for names: every container has its engine there.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.11:53")]
    resolver: SocketAddr,
}

/// Why it cannot begin.
#[derive(Debug, thiserror::Error)]
enum StartError {
    /// It is not on the network that connections come from.
    #[error("this container has no address in {0}, so nobody there could connect: is it on that network?")]
    NotOnNetwork(Ipv4Net),
    /// The resolver cannot be set up.
    #[error("cannot look up names: {0}")]
    Resolver(#[from] hickory_resolver::net::NetError),
    /// The system does not let it listen, or be told to end.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(StartError::from).and_then(|runtime| runtime.block_on(run(args)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", serde_json::json!({ "event": "cannot-begin", "why": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), StartError> {
    let address = own_address(args.from)?.ok_or(StartError::NotOnNetwork(args.from))?;
    let listener = TcpListener::bind(SocketAddrV4::new(address, args.port)).await?;
    let target = Target::new(args.resolver, args.to, args.within, args.port)?;
    let mut terminated = signal(SignalKind::terminate())?;
    let end = async move {
        terminated.recv().await;
    };
    eprintln!("{}", serde_json::json!({ "event": "listening", "address": address, "port": args.port }));
    Forward::new(args.from, target, Limits::USUAL).serve(listener, end).await;
    Ok(())
}

/// The address that this container has in a network. No packet is sent: connecting a socket for datagrams only chooses by which address they would go.
fn own_address(network: Ipv4Net) -> Result<Option<Ipv4Addr>, std::io::Error> {
    let Some(neighbour) = network.hosts().next() else { return Ok(None) };
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    if socket.connect((neighbour, 9)).is_err() {
        return Ok(None);
    }
    Ok(match socket.local_addr()?.ip() {
        IpAddr::V4(address) if network.contains(&address) => Some(address),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_in_the_network_that_was_asked_for() {
        assert_eq!(own_address("127.0.0.0/8".parse().unwrap()).unwrap(), Some(Ipv4Addr::LOCALHOST));
        // Reached through a gateway, if at all: no address of this machine is there.
        assert_eq!(own_address("240.1.0.0/24".parse().unwrap()).unwrap(), None);
    }
}
