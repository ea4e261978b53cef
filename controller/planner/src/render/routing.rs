//! Routes, and their rendering as Traefik service labels.
//!
//! Service labels are read by Traefik's Swarm provider and restart nothing when they change. Router, middleware and service names
//! carry organisation and uid, because two of one name with different content drop each other (tried on Traefik 3.7). Hosts are
//! parsed types, so a rule cannot be escaped from.

use skep_schemas::{Host, Port};

use crate::settings::EdgeSettings;
use crate::swarm::Labels;

/// One host that is routed to one port of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The name of the router; unique in the Swarm.
    pub name: String,
    /// The host.
    pub host: Host,
    /// The port that the process listens on.
    pub port: Port,
    /// How clients reach it.
    pub tls: RouteTls,
}

/// How clients reach a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteTls {
    /// Plain HTTP.
    Off,
    /// HTTPS with a certificate from this resolver; HTTP is redirected.
    Resolver(String),
}

impl Route {
    /// The rule by which the proxy knows it.
    pub fn rule(&self) -> String {
        format!("Host(`{}`)", self.host)
    }

    /// Where it can be reached.
    pub fn url(&self, edge: &EdgeSettings) -> String {
        url(edge, &self.host, &self.tls)
    }
}

/// Where clients reach a host.
pub fn url(edge: &EdgeSettings, host: &Host, tls: &RouteTls) -> String {
    let (scheme, port, usual) = match tls {
        RouteTls::Off => ("http", edge.public_http_port, 80),
        RouteTls::Resolver(_) => ("https", edge.public_https_port, 443),
    };
    if port == usual { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") }
}

/// The labels that make Traefik serve these routes from a service on that network. Empty when there is no route, so that a
/// service that serves nothing is not looked at by Traefik at all.
pub fn route_labels(edge: &EdgeSettings, network: &str, routes: &[Route]) -> Labels {
    let mut labels = Labels::new();
    if routes.is_empty() {
        return labels;
    }
    let mut set = |key: String, value: &str| labels.insert(key, value.to_owned());
    set("traefik.enable".to_owned(), "true");
    set("traefik.swarm.network".to_owned(), network);
    // Task addresses instead of the virtual IP: a virtual IP keeps sending to tasks that are shutting down (moby#38841).
    set("traefik.swarm.lbswarm".to_owned(), "false");
    for route in routes {
        let router = format!("traefik.http.routers.{}", route.name);
        set(format!("{router}.rule"), &route.rule());
        set(format!("{router}.service"), &route.name);
        set(
            format!("traefik.http.services.{}.loadbalancer.server.port", route.name),
            &route.port.to_string(),
        );
        match &route.tls {
            RouteTls::Off => {
                set(format!("{router}.entrypoints"), &edge.http_entrypoint);
            }
            RouteTls::Resolver(resolver) => {
                set(format!("{router}.entrypoints"), &edge.https_entrypoint);
                set(format!("{router}.tls"), "true");
                set(format!("{router}.tls.certresolver"), resolver);
                let redirect = format!("{}-redirect", route.name);
                let plain = format!("traefik.http.routers.{redirect}");
                set(format!("{plain}.rule"), &route.rule());
                set(format!("{plain}.entrypoints"), &edge.http_entrypoint);
                set(format!("{plain}.middlewares"), &redirect);
                set(format!("{plain}.service"), &route.name);
                set(format!("traefik.http.middlewares.{redirect}.redirectscheme.scheme"), "https");
                set(format!("traefik.http.middlewares.{redirect}.redirectscheme.permanent"), "true");
            }
        }
    }
    labels
}
