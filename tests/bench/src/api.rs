//! The API under fifty clients.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use skep_testbed::EngineVersion;

use crate::client::Client;
use crate::ground::Ground;
use crate::report::{Findings, percentile, time};
use crate::server::Server;

/// How many clients there are, and how many requests each makes.
const CLIENTS: usize = 50;
const REQUESTS: usize = 100;

/// What all of them saw.
struct Seen {
    took: Duration,
    times: Vec<Duration>,
    cpu: Duration,
}

/// Measures.
pub(crate) fn measure() -> Result<Findings> {
    let ground = Ground::start(EngineVersion::V26_1)?;
    let server = Server::start(&ground, &[("SKEP_RESYNC", "1h")])?;
    let token = server.token().context("an empty database gets a token")?.to_owned();
    let mut client = Client::connect(server.port(), &token)?;
    let organisation = json!({"apiVersion": "skep.dev/v1", "kind": "Organization", "metadata": {"name": "acme"}, "spec": {}});
    client.ask("POST", "/v1/apply", &batch(&organisation))?;
    for number in 0..CLIENTS {
        client.ask("POST", "/v1/apply", &app(number, 0))?;
    }
    let run =
        |request: &(dyn Fn(&mut Client, usize, usize) -> Result<()> + Sync)| crowd(&server, &token, request);
    let writes =
        run(&|client, who, number| client.ask("POST", "/v1/apply", &app(who, number + 1)).map(drop))?;
    let same = run(&|client, who, _| client.ask("POST", "/v1/apply", &app(who, REQUESTS)).map(drop))?;
    let reads =
        run(&|client, who, _| client.ask("GET", &format!("/v1/orgs/acme/apps/app-{who}"), "").map(drop))?;
    let lists = run(&|client, _, _| client.ask("GET", "/v1/orgs/acme/apps", "").map(drop))?;
    let mut section =
        "| requests | per second | p50 | p99 | CPU of skep for each |\n|---|--:|--:|--:|--:|\n".to_owned();
    let rows = [
        ("writes that change an App", writes),
        ("writes that change nothing", same),
        ("reads of one App", reads),
        ("lists of 50 Apps", lists),
    ];
    for (what, mut seen) in rows {
        seen.times.sort_unstable();
        let count = f64::from(u32::try_from(seen.times.len())?);
        let _ = writeln!(
            section,
            "| {what} | {:.0} | {} | {} | {} |",
            count / seen.took.as_secs_f64(),
            time(percentile(&seen.times, 50)),
            time(percentile(&seen.times, 99)),
            time(seen.cpu.div_f64(count)),
        );
    }
    let _ = write!(
        section,
        "\n{CLIENTS} clients, each over a connection of its own, make {REQUESTS} requests one after the other; clients, \
         server, Postgres (with fsync) and engine share the machine."
    );
    server.stop()?;
    Ok(Findings::new(section))
}

fn app(number: usize, value: usize) -> String {
    let spec = json!({"source": {"image": "127.0.0.1:5000/anchor:1"}, "description": value.to_string(), "processes": {"web": {}}});
    batch(
        &json!({"apiVersion": "skep.dev/v1", "kind": "App", "metadata": {"org": "acme", "name": format!("app-{number}")}, "spec": spec}),
    )
}

/// The body that applies one document.
fn batch(document: &Value) -> String {
    json!({"documents": [document]}).to_string()
}

fn crowd(
    server: &Server,
    token: &str,
    request: &(dyn Fn(&mut Client, usize, usize) -> Result<()> + Sync),
) -> Result<Seen> {
    let (cpu, began) = (server.cpu()?, Instant::now());
    let times = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|who| {
                scope.spawn(move || -> Result<Vec<Duration>> {
                    let mut client = Client::connect(server.port(), token)?;
                    let mut times = Vec::with_capacity(REQUESTS);
                    for number in 0..REQUESTS {
                        let began = Instant::now();
                        request(&mut client, who, number)?;
                        times.push(began.elapsed());
                    }
                    Ok(times)
                })
            })
            .collect();
        let joined =
            clients.into_iter().map(|client| client.join().map_err(|_| anyhow!("a client panicked"))?);
        joined.collect::<Result<Vec<_>>>()
    })?;
    let took = began.elapsed();
    Ok(Seen { took, times: times.into_iter().flatten().collect(), cpu: server.cpu()? - cpu })
}
