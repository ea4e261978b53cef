//! Manifests for tests. They are JSON, which is YAML, so that no value has to be quoted by hand.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// An organisation with one web application in one environment, called `production`, and its domains.
#[derive(Debug, Clone)]
pub struct Web {
    /// The organisation.
    pub org: String,
    /// The organisation's plan, which is not one of the manifests.
    pub plan: Option<String>,
    /// The image.
    pub image: String,
    /// How many instances.
    pub instances: u32,
    /// Environment variables of the environment.
    pub env: BTreeMap<String, String>,
    /// Labels of the environment.
    pub labels: BTreeMap<String, String>,
    /// Hosts, each with a domain of its own.
    pub hosts: Vec<String>,
    /// Secrets that its processes read, by name.
    pub secrets: Vec<String>,
    /// How long a roll-out may take.
    pub deadline: String,
    /// How long an instance may take to stop.
    pub stop_grace_period: Option<String>,
}

impl Web {
    /// Two instances of `hello:v1` at `<org>.localhost`.
    pub fn new(org: &str) -> Self {
        Self {
            org: org.to_owned(),
            plan: None,
            image: image("hello:v1"),
            instances: 2,
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            hosts: vec![format!("{org}.localhost")],
            secrets: Vec::new(),
            deadline: "2m".to_owned(),
            stop_grace_period: None,
        }
    }

    /// The same with another image of the registry.
    #[must_use]
    pub fn with_image(mut self, name: &str) -> Self {
        self.image = image(name);
        self
    }

    /// The service of its process.
    pub fn service(&self) -> String {
        format!("{}_production_web", self.org)
    }

    /// All of it as one text.
    pub fn manifests(&self) -> String {
        documents(&self.all())
    }

    /// The same with the number of instances left to whoever scales.
    pub fn manifests_without_number(&self) -> String {
        let mut all = self.all();
        for environment in all.iter_mut().filter(|document| document["kind"] == "Environment") {
            environment["spec"]["processes"]["web"] = json!({});
        }
        documents(&all)
    }

    fn all(&self) -> Vec<Value> {
        let mut organization = organization(&self.org);
        if let Some(plan) = &self.plan {
            organization["spec"]["plan"] = json!(plan);
        }
        let mut all = vec![organization, self.app()];
        let value = json!({ "value": "a value of no importance" });
        all.extend(self.secrets.iter().map(|name| resource(&self.org, "Secret", name, value.clone())));
        all.push(self.environment());
        all.extend(self.hosts.iter().map(|host| self.domain(host)));
        all
    }

    fn app(&self) -> Value {
        // A check that fails does so at once; on a busy machine one that succeeds may take seconds.
        let health = json!({
            "command": ["/bin/healthy", "8080"], "interval": "1s", "timeout": "20s", "retries": 2, "startPeriod": "2s",
        });
        let mut web = json!({ "ports": [{ "name": "http", "port": 8080 }], "healthCheck": health });
        if let Some(period) = &self.stop_grace_period {
            web["stopGracePeriod"] = json!(period);
        }
        let spec = json!({ "source": { "image": self.image }, "processes": { "web": web } });
        resource(&self.org, "App", "shop", spec)
    }

    fn environment(&self) -> Value {
        let spec = json!({
            "app": "shop",
            "env": self.env,
            "secrets": self.secrets.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
            "processes": { "web": { "instances": self.instances } },
            "rollout": { "deadline": self.deadline, "parallelism": 1 },
            "restart": { "delay": "1s" },
        });
        let mut environment = resource(&self.org, "Environment", "production", spec);
        environment["metadata"]["labels"] = json!(self.labels);
        environment
    }

    fn domain(&self, host: &str) -> Value {
        let spec = json!({ "host": host, "environment": "production", "tls": "off" });
        resource(&self.org, "Domain", &host.replace('.', "-"), spec)
    }
}

/// An image of the engine's registry.
pub fn image(name: &str) -> String {
    format!("127.0.0.1:5000/{name}")
}

/// An organisation.
pub fn organization(name: &str) -> Value {
    json!({ "apiVersion": "skep.dev/v1", "kind": "Organization", "metadata": { "name": name }, "spec": {} })
}

/// A resource of an organisation.
pub fn resource(org: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({ "apiVersion": "skep.dev/v1", "kind": kind, "metadata": { "org": org, "name": name }, "spec": spec })
}

/// Several documents as one text.
pub fn documents(all: &[Value]) -> String {
    all.iter().map(|document| format!("---\n{document:#}\n")).collect()
}
