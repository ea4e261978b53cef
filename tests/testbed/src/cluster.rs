//! Engines wired together: [`Cluster`] for several nodes, [`Engine`] for the common case of one.
//!
//! Node 0 is the first manager, the others join it as further managers or as workers. Every node has its own machine, network namespace, host name
//! (`node-1`, `node-2`, …) and a registry on its 127.0.0.1:5000; the registries share their storage, so an image pushed
//! once can be pulled by every node under one name.

use std::fs;
use std::net::IpAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::engine::{Daemon, EngineOptions, EngineVersion, TLS_PORT};
use crate::image::{Image, Recipe};
use crate::lease::Lease;
use crate::machine::Machine;
use crate::network::Network;
use crate::tls::Credentials;
use crate::wait::{ready, wait_until};
use crate::{command, registry};

/// More nodes than this do not fit on a machine of two cores.
const MAX_NODES: u8 = 9;

/// How long a joined node may take to be ready.
const JOIN: Duration = Duration::from_secs(60);

/// One node: an engine on a machine of its own.
#[derive(Debug)]
pub struct Node {
    number: u8,
    namespace: String,
    address: IpAddr,
    dir: PathBuf,
    records: PathBuf,
    registry_storage: PathBuf,
    daemon: Daemon,
    // None while the node is switched off.
    machine: Option<Machine>,
}

impl Node {
    /// The engine's Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.daemon.socket()
    }

    /// The value of `DOCKER_HOST` for the Unix socket.
    pub fn docker_host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The value of `DOCKER_HOST` for TCP with mutual TLS, and the credentials, if the engine was asked to offer it.
    pub fn tls(&self) -> Option<(String, &Credentials)> {
        let credentials = self.daemon.credentials()?;
        Some((format!("tcp://{}:{TLS_PORT}", self.address), credentials))
    }

    /// The node's address, reachable from the test process: published ports (in host mode) are found here.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The host name, as `docker node ls` shows it.
    pub fn name(&self) -> String {
        format!("node-{}", self.number)
    }

    /// Runs the `docker` command line against this engine, whatever comes of it.
    pub fn docker(&self, args: &[&str]) -> Result<Output> {
        let mut client = self.client();
        client.args(args);
        command::output(client)
    }

    /// Runs the `docker` command line against this engine and returns what it prints, without the last line's end. A
    /// failure is an error that shows what it said.
    pub fn docker_ok(&self, args: &[&str]) -> Result<String> {
        let mut client = self.client();
        client.args(args);
        command::stdout(client).map(|text| text.trim_end().to_owned())
    }

    /// A `docker` command for this engine, to be completed and run by the caller.
    pub fn client(&self) -> Command {
        self.daemon.client()
    }

    /// Makes an image known to this engine alone, without a registry, under `reference`.
    pub fn import(&self, recipe: &Recipe, reference: &str) -> Result<()> {
        let mut client = self.client();
        client.arg("import");
        for change in recipe.changes() {
            client.args(["--change", change]);
        }
        client.args(["-", reference]);
        command::feed(client, &recipe.archive()?).map(drop)
    }

    /// Imports an image and pushes it to the registry as `127.0.0.1:5000/<name>`; every node can pull it.
    pub fn publish(&self, recipe: &Recipe, name: &str) -> Result<Image> {
        let reference = format!("{}/{name}", registry::HOST);
        self.import(recipe, &reference)?;
        self.docker_ok(&["push", "--quiet", &reference])?;
        let pinned =
            self.docker_ok(&["image", "inspect", "--format", "{{index .RepoDigests 0}}", &reference])?;
        let (_, digest) = pinned.rsplit_once('@').context("a pushed image has a digest")?;
        Ok(Image { reference, digest: digest.to_owned() })
    }

    /// Makes the registry forget a repository (`hello`) of all tags and digests. Engines keep what they have pulled.
    pub fn withdraw(&self, repository: &str) -> Result<()> {
        let (published, withdrawn) = self.repository(repository);
        fs::rename(&published, withdrawn).with_context(|| format!("{repository} is not published"))
    }

    /// Makes the registry know a repository again after [`withdraw`](Self::withdraw), with the same digests.
    pub fn restore(&self, repository: &str) -> Result<()> {
        let (published, withdrawn) = self.repository(repository);
        fs::rename(withdrawn, published).with_context(|| format!("{repository} was not withdrawn"))
    }

    /// Where the registry keeps a repository's manifests, and where they are out of its sight.
    fn repository(&self, name: &str) -> (PathBuf, PathBuf) {
        let published = self.registry_storage.join("docker/registry/v2/repositories").join(name);
        (published, self.registry_storage.join(format!("withdrawn-{name}")))
    }

    /// Gives the machine a further address, such as `169.254.169.254/32`.
    pub fn add_address(&self, address: &str) -> Result<()> {
        let arguments = ["netns", "exec", &self.namespace, "ip", "address", "add", address, "dev", "lo"];
        command::run("ip", arguments).map(drop)
    }

    /// Changes the machine's firewall, with arguments of `iptables`.
    pub fn firewall(&self, arguments: &[&str]) -> Result<()> {
        let program = ["netns", "exec", &self.namespace, "iptables"];
        command::run("ip", program.iter().chain(arguments)).map(drop)
    }

    /// Everything the engine logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.daemon.log()).unwrap_or_default()
    }

    /// Ends `dockerd` without warning. Containers go on without it.
    pub fn kill_engine(&mut self) -> Result<()> {
        let machine = self.machine.as_ref().context("the node is switched off")?;
        self.daemon.kill(machine)
    }

    /// Starts `dockerd` again after [`kill_engine`](Self::kill_engine).
    pub fn start_engine(&mut self) -> Result<()> {
        let machine = self.machine.as_ref().context("the node is switched off")?;
        self.daemon.start(machine)
    }

    /// Switches the node off as a power cut would: engine, containers and registry are gone at once, disks stay.
    pub fn power_off(&mut self) -> Result<()> {
        if let Some(mut machine) = self.machine.take() {
            machine.kill()?;
            self.daemon.forget();
        }
        Ok(())
    }

    /// Whether the node is switched on.
    pub fn is_on(&self) -> bool {
        self.machine.is_some()
    }

    /// Switches the node on (again).
    pub fn power_on(&mut self) -> Result<()> {
        ensure!(self.machine.is_none(), "the node is switched on already");
        let machine = Machine::start(&self.records, &self.name(), Some(&self.namespace))?;
        let machine = self.machine.insert(machine);
        registry::start(machine, &self.dir, &self.registry_storage, self.address)?;
        if self.daemon.has_locked_registry() {
            registry::locked::start(machine, &self.dir, &self.registry_storage, self.address)?;
        }
        self.daemon.start(machine)
    }
}

/// How a cluster is set up.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// The release of every engine.
    pub version: EngineVersion,
    /// How the engines are set up.
    pub engine: EngineOptions,
    /// How many of the nodes are managers, the first one included.
    pub managers: u8,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        ClusterOptions { version: EngineVersion::V26_1, engine: EngineOptions::default(), managers: 1 }
    }
}

/// Several nodes on one network. Dropping it removes everything.
#[derive(Debug)]
pub struct Cluster {
    // Before the lease: machines end first, then what carries the lease's names is removed.
    nodes: Vec<Node>,
    network: Network,
    lease: Lease,
}

impl Cluster {
    /// Starts `size` nodes; the first ones are managers, as many as the options say, and the others workers.
    pub fn start(size: u8, options: &ClusterOptions) -> Result<Cluster> {
        ensure!((1..=MAX_NODES).contains(&size), "a cluster has 1 to {MAX_NODES} nodes, not {size}");
        let lease = Lease::take()?;
        let network = Network::create(&lease)?;
        let mut cluster = Cluster { nodes: Vec::new(), network, lease };
        for number in 1..=size {
            let node = cluster.plug_in(number, options)?;
            cluster.nodes.push(node);
        }
        // All at once: a node spends most of its start waiting.
        std::thread::scope(|scope| {
            let starts: Vec<_> =
                cluster.nodes.iter_mut().map(|node| scope.spawn(|| node.power_on())).collect();
            starts.into_iter().try_for_each(|start| match start.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        if !options.engine.standalone {
            cluster.form_swarm(options.managers)?;
        }
        Ok(cluster)
    }

    /// The nodes; the first is the manager.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The manager.
    pub fn manager(&self) -> Result<&Node> {
        self.node(0)
    }

    /// A node by its index.
    pub fn node(&self, index: usize) -> Result<&Node> {
        self.nodes.get(index).with_context(|| format!("the cluster has no node {index}"))
    }

    /// A node by its index, to switch off and on.
    pub fn node_mut(&mut self, index: usize) -> Result<&mut Node> {
        self.nodes.get_mut(index).with_context(|| format!("the cluster has no node {index}"))
    }

    /// The address under which the nodes reach the test process.
    pub fn host_address(&self) -> IpAddr {
        self.network.host_address()
    }

    /// A directory that is removed with the cluster.
    pub fn dir(&self) -> PathBuf {
        self.lease.dir()
    }

    /// Cuts the node's network: neither its peers nor the test process reach it, its socket still answers.
    pub fn cut(&self, index: usize) -> Result<()> {
        self.network.cut(self.node(index)?.number)
    }

    /// Connects a node that was cut off.
    pub fn heal(&self, index: usize) -> Result<()> {
        self.network.heal(self.node(index)?.number)
    }

    /// Switches a node off without warning.
    pub fn kill(&mut self, index: usize) -> Result<()> {
        self.node_mut(index)?.power_off()
    }

    /// Switches a node off, if it is on, and on again.
    pub fn restart(&mut self, index: usize) -> Result<()> {
        let node = self.node_mut(index)?;
        node.power_off()?;
        node.power_on()
    }

    fn plug_in(&self, number: u8, options: &ClusterOptions) -> Result<Node> {
        self.network.add_node(number)?;
        let dir = self.lease.dir().join(format!("n{number}"));
        let namespace = self.network.namespace(number);
        let address = self.network.address(number);
        let daemon =
            Daemon::new(options.version, options.engine.clone(), dir.clone(), namespace.clone(), address)?;
        Ok(Node {
            number,
            namespace,
            address,
            dir,
            records: self.lease.dir().join("machines"),
            registry_storage: self.lease.dir().join("registry"),
            daemon,
            machine: None,
        })
    }

    fn form_swarm(&self, managers: u8) -> Result<()> {
        let Some((manager, others)) = self.nodes.split_first() else { return Ok(()) };
        let address = manager.address.to_string();
        manager.docker_ok(&["swarm", "init", "--advertise-addr", &address])?;
        let remote = format!("{address}:2377");
        for node in others {
            let role = if node.number <= managers { "manager" } else { "worker" };
            let token = manager.docker_ok(&["swarm", "join-token", "--quiet", role])?;
            let own = node.address.to_string();
            node.docker_ok(&["swarm", "join", "--token", &token, "--advertise-addr", &own, &remote])?;
        }
        wait_until("every node to be ready", JOIN, || {
            let states = manager.docker_ok(&["node", "ls", "--format", "{{.Status}}"])?;
            let up = states.lines().filter(|state| *state == "Ready").count();
            ready(up == self.nodes.len(), &format!("{up} of {} are ready", self.nodes.len()))
        })
    }
}

/// A single engine: a cluster of one node that reads as the node itself.
#[derive(Debug)]
pub struct Engine {
    // The cluster's first node, moved out so that it can be handed out without an index. It ends before the rest goes.
    node: Node,
    cluster: Cluster,
}

impl Engine {
    /// Starts an engine; unless the options say otherwise it manages a swarm of its own.
    pub fn start(version: EngineVersion, options: EngineOptions) -> Result<Engine> {
        let options = ClusterOptions { version, engine: options, managers: 1 };
        Engine::among(Cluster::start(1, &options)?).map(|(engine, _)| engine)
    }

    /// The first node of a cluster, and the others. They have to be dropped before it: the cluster goes with it.
    pub fn among(mut cluster: Cluster) -> Result<(Engine, Vec<Node>)> {
        let mut nodes = std::mem::take(&mut cluster.nodes).into_iter();
        let node = nodes.next().context("a cluster has a node")?;
        Ok((Engine { node, cluster }, nodes.collect()))
    }

    /// The node, to kill and start.
    pub fn node_mut(&mut self) -> &mut Node {
        &mut self.node
    }

    /// The address under which the engine reaches the test process.
    pub fn host_address(&self) -> IpAddr {
        self.cluster.host_address()
    }

    /// A directory that is removed with the engine.
    pub fn dir(&self) -> PathBuf {
        self.cluster.dir()
    }
}

impl Deref for Engine {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}
