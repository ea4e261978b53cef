//! `cargo run -p skep-models -- explore lease`: the states of a model, step by step, in a browser.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Result, bail};
use skep_models::lease::Leases;
use skep_models::watch::Watches;
use stateright::Model;

const USAGE: &str = "usage: skep-models explore lease|watch";
/// Where the pages are served.
const ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 3000);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["explore", "lease"] => {
            explore(Leases { members: 2, generations: 2, faults: 2, without: &[] });
        }
        ["explore", "watch"] => {
            explore(Watches { transactions: 3, compacts: true, restores: false, without: &[] });
        }
        _ => bail!("{USAGE}"),
    }
    Ok(())
}

fn explore<M>(model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: std::fmt::Debug + std::hash::Hash + Clone + PartialEq + Send + Sync,
    M::Action: std::fmt::Debug + Clone + PartialEq + Send + Sync,
{
    println!("http://{}", SocketAddr::from(ADDRESS));
    // Serves until the process is ended.
    drop(model.checker().serve(ADDRESS));
}
