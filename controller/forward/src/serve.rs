//! Taking connections: who may connect, how many at once, and what happens to those that are not carried.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::carry::carry;
use crate::resolve::Target;

/// How many connections are carried at once. With their buffers they take a quarter of the memory that the task may use.
const CONNECTIONS_MAX: usize = 1000;
/// How many instances are tried for one connection.
const INSTANCES_TRIED: usize = 3;
/// How long one instance has to answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// For how long nothing may be sent either way. Longer than pools of connections keep one that nobody uses.
const SILENCE_MAX: Duration = Duration::from_secs(60 * 60);
/// How long connections have to end after it was told to; its task is killed two seconds later.
const LINGER: Duration = Duration::from_secs(8);
/// After the system refused to give a connection: it has too many, and asking at once would ask for ever.
const BREATH: Duration = Duration::from_millis(100);

/// How much it carries, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at once.
    pub(crate) connections: usize,
    /// For how long nothing may be sent.
    pub(crate) silence: Duration,
    /// For how long connections go on at the end.
    pub(crate) linger: Duration,
}

impl Limits {
    /// Those that links have.
    pub(crate) const USUAL: Self =
        Self { connections: CONNECTIONS_MAX, silence: SILENCE_MAX, linger: LINGER };
}

/// Carries connections from one network to a target.
pub(crate) struct Forward {
    from: Ipv4Net,
    target: Target,
    limits: Limits,
}

impl Forward {
    /// From that network to that target.
    pub(crate) const fn new(from: Ipv4Net, target: Target, limits: Limits) -> Self {
        Self { from, target, limits }
    }

    /// Takes connections until `end`, and then lets those that are under way end for a while.
    pub(crate) async fn serve(self, listener: TcpListener, end: impl Future<Output = ()>) {
        let free = Arc::new(Semaphore::new(self.limits.connections));
        let limits = self.limits;
        let this = Arc::new(self);
        let mut carried = JoinSet::new();
        tokio::pin!(end);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = carried.join_next() => continue,
                () = &mut end => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(why) => {
                    refused(None, &format!("cannot take a connection: {why}"));
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&free).try_acquire_owned() else {
                refused(Some(peer), &format!("{} connections are open already", limits.connections));
                continue;
            };
            let this = Arc::clone(&this);
            carried.spawn(async move {
                if let Err(why) = this.take(stream, peer).await {
                    refused(Some(peer), &why);
                }
                drop(permit);
            });
        }
        drop(listener);
        let all_ended = async { while carried.join_next().await.is_some() {} };
        let _ = timeout(limits.linger, all_ended).await;
    }

    /// One connection, to its end; an error says why it was not carried.
    async fn take(&self, user: TcpStream, peer: SocketAddr) -> Result<(), String> {
        let is_from = match peer.ip() {
            IpAddr::V4(address) => self.from.contains(&address),
            IpAddr::V6(_) => false,
        };
        if !is_from {
            return Err(format!("it does not come from {}", self.from));
        }
        let mut why = String::new();
        for address in self.target.addresses().await?.into_iter().take(INSTANCES_TRIED) {
            match timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
                Ok(Ok(target)) => {
                    carry(user, target, self.limits.silence).await;
                    return Ok(());
                }
                Ok(Err(error)) => why = format!("{address}: {error}"),
                Err(_) => why = format!("{address} does not answer"),
            }
        }
        Err(why)
    }
}

fn refused(peer: Option<SocketAddr>, why: &str) {
    eprintln!("{}", serde_json::json!({ "event": "refused", "peer": peer, "why": why }));
}
