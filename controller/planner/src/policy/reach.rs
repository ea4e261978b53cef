//! Which addresses may be asked on behalf of tenants.
//!
//! A tenant names hosts: registries, hooks. Whoever asks them stands inside, and reaches what the tenant does not: the database, the engine,
//! the metadata of a cloud. So only addresses that anybody on the Internet could ask are asked, and what the operator allows besides.
//!
//! A name says nothing; it is the address behind it that is looked at, and then connected to ([`Reach::permits`]). Where somebody else looks the name up,
//! as the engine does for images, what can be told from the name alone is refused ([`Reach::names_inside`]).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Addresses of version 4 that are not everybody's (IANA's registry of special-purpose addresses), or that mean the machine itself
/// where it runs: Azure's 168.63.129.16 is routable by its number alone.
const INSIDE_V4: [([u8; 4], u8); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([168, 63, 129, 16], 32),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];
/// Of version 6 only these are given out to the world.
const WORLD_V6: ([u16; 2], u8) = ([0x2000, 0], 3);
/// And of them not these: protocols (Teredo among them), documentation, 6to4, which has an address of version 4 inside.
const INSIDE_V6: [([u16; 2], u8); 4] =
    [([0x2001, 0], 23), ([0x2001, 0x0db8], 32), ([0x2002, 0], 16), ([0x3fff, 0], 20)];

/// What may be asked: the world, and what the operator allows besides. The default allows nothing besides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    allowed: Vec<Allowed>,
}

/// Something inside that may be asked all the same, as `registry.internal:5000`, `http://127.0.0.1:5000` or `10.20.0.0/16`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// A host by the name that is written, wherever that leads.
    Host {
        /// May it be asked without TLS?
        plain: bool,
        /// The name or address, in lower case and without brackets.
        host: String,
        /// The port; any when absent.
        port: Option<u16>,
    },
    /// Whatever has an address in this range.
    Range(IpNet),
}

/// Something that is neither a host nor a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither a host nor a range of addresses; write `registry.internal:5000`, `http://127.0.0.1:5000` (without TLS) or `10.20.0.0/16`"
)]
pub struct AllowedError(String);

impl FromStr for Allowed {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Self, AllowedError> {
        let wrong = || AllowedError(text.to_owned());
        if let Ok(range) = text.parse::<IpNet>() {
            return Ok(Self::Range(range.trunc()));
        }
        let (plain, authority) = match text.strip_prefix("http://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("https://").unwrap_or(text)),
        };
        let (host, port) = split_port(authority).ok_or_else(wrong)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || !host.chars().all(fits) {
            return Err(wrong());
        }
        Ok(Self::Host { plain, host: folded(host), port })
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(range) => range.fmt(f),
            Self::Host { plain, host, port } => {
                f.write_str(if *plain { "http://" } else { "" })?;
                if host.contains(':') {
                    write!(f, "[{host}]")?
                } else {
                    f.write_str(host)?
                }
                port.map_or(Ok(()), |port| write!(f, ":{port}"))
            }
        }
    }
}

impl Reach {
    /// The world, and these.
    pub fn with(allowed: impl IntoIterator<Item = Allowed>) -> Self {
        Self { allowed: allowed.into_iter().collect() }
    }

    /// May this address be asked, to which that host leads?
    pub fn permits(&self, host: &str, port: u16, address: IpAddr) -> bool {
        is_world(address) || self.named(host, port).is_some() || self.in_range(address)
    }

    /// May this host be asked without TLS?
    pub fn permits_plain(&self, host: &str, port: u16) -> bool {
        self.named(host, port) == Some(true)
    }

    /// Why a registry, as an image's name has it, cannot be in the world, if its name tells; nothing is looked up.
    pub fn names_inside(&self, registry: &str) -> Option<&'static str> {
        let Some((host, port)) = split_port(registry) else { return Some("is not a host with a port") };
        let permitted = |address: IpAddr| match port {
            Some(port) => self.permits(host, port, address),
            None => self.permits(host, 443, address) || self.permits(host, 80, address),
        };
        let folded = folded(host);
        if let Ok(address) = folded.parse::<IpAddr>() {
            return (!permitted(address)).then_some("is an address that is not of the Internet");
        }
        if folded == "localhost" || folded.ends_with(".localhost") {
            let here = permitted(IpAddr::V4(Ipv4Addr::LOCALHOST));
            return (!here).then_some("is the machine that asks");
        }
        // `127.1` and `0x7f000001` are addresses to some resolvers and names to others.
        let last = folded.rsplit('.').next().unwrap_or_default();
        let number = !last.is_empty() && last.chars().all(|c| c.is_ascii_digit());
        let hex = last.strip_prefix("0x").is_some_and(|hex| hex.chars().all(|c| c.is_ascii_hexdigit()));
        (number || hex).then_some("is an address in a form that is not read everywhere alike")
    }

    /// Is this host allowed by its name, and without TLS?
    fn named(&self, host: &str, port: u16) -> Option<bool> {
        let host = folded(host);
        let found = self.allowed.iter().filter_map(|allowed| match allowed {
            Allowed::Host { plain, host: name, port: only } => {
                (*name == host && only.is_none_or(|only| only == port)).then_some(*plain)
            }
            Allowed::Range(_) => None,
        });
        found.max()
    }

    fn in_range(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed.iter().any(|allowed| match allowed {
            Allowed::Range(range) => range.contains(&address),
            Allowed::Host { .. } => false,
        })
    }
}

/// Could anybody on the Internet ask this address?
pub fn is_world(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_world_v4(address),
        IpAddr::V6(address) => match translated(address) {
            Some(inner) => is_world_v4(inner),
            None => is_world_v6(address),
        },
    }
}

fn is_world_v4(address: Ipv4Addr) -> bool {
    let contains = |(network, prefix): ([u8; 4], u8)| {
        Ipv4Net::new(network.into(), prefix).is_ok_and(|net| net.contains(&address))
    };
    !INSIDE_V4.into_iter().any(contains)
}

fn is_world_v6(address: Ipv6Addr) -> bool {
    let contains = |([first, second], prefix): ([u16; 2], u8)| {
        let network = Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0);
        Ipv6Net::new(network, prefix).is_ok_and(|net| net.contains(&address))
    };
    contains(WORLD_V6) && !INSIDE_V6.into_iter().any(contains)
}

/// The address of version 4 that a translator (NAT64, `64:ff9b::/96`) would ask in place of this one.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}

/// A host and its port, if one is written. An address of version 6 stands in brackets if a port follows.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((_, rest)) if rest.contains(':') => (authority, None),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.map(str::parse).transpose().ok()?;
    Some((host, port))
}

/// Names do not differ by case or by the dot at the end.
fn folded(host: &str) -> String {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(address: &str) -> bool {
        is_world(address.parse().unwrap())
    }

    #[test]
    fn no_address_that_is_not_everybodys_is_of_the_world_in_whatever_form() {
        for inside in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!world(inside), "{inside}");
        }
        for outside in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(world(outside), "{outside}");
        }
    }

    #[test]
    fn what_the_operator_allows_is_that_and_nothing_beside_it() {
        let allowed = ["http://127.0.0.1:5000", "Registry.Internal", "10.20.0.0/16", "[fd00::1]:443"];
        let reach = Reach::with(allowed.map(|one| one.parse().unwrap()));
        let permits = |host: &str, port, address: &str| reach.permits(host, port, address.parse().unwrap());
        assert!(permits("127.0.0.1", 5000, "127.0.0.1"));
        assert!(!permits("127.0.0.1", 5001, "127.0.0.1"));
        assert!(!permits("evil.example", 5000, "127.0.0.1"), "the name is allowed, not the address");
        assert!(permits("registry.internal.", 443, "192.168.0.1"));
        assert!(permits("evil.example", 443, "10.20.3.4"));
        assert!(permits("evil.example", 443, "::ffff:10.20.3.4"));
        assert!(!permits("evil.example", 443, "10.21.3.4"));
        assert!(permits("[fd00::1]", 443, "fd00::1"));
        assert!(reach.permits_plain("127.0.0.1", 5000) && !reach.permits_plain("registry.internal", 443));
        for wrong in ["", "http://", "a b", "host:port", "host:99999", "10.0.0.0/33", "a/b", "u@h"] {
            assert!(wrong.parse::<Allowed>().is_err(), "{wrong}");
        }
        for text in ["http://127.0.0.1:5000", "registry.internal", "10.20.0.0/16", "[fd00::1]:443"] {
            assert_eq!(text.parse::<Allowed>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_registry_that_can_only_be_inside_is_known_by_its_name() {
        let inside = [
            "127.0.0.1:2375",
            "169.254.169.254",
            "10.0.0.1:5000",
            "localhost",
            "localhost:5000",
            "a.localhost",
            "127.1",
            "0x7f000001",
            "0177.0.0.01",
            "2130706433:80",
            "LOCALHOST:5000",
        ];
        for registry in inside {
            assert!(Reach::default().names_inside(registry).is_some(), "{registry}");
        }
        for registry in ["docker.io", "ghcr.io", "1.1.1.1:5000", "registry.internal:5000", "a1.example"] {
            assert_eq!(Reach::default().names_inside(registry), None, "{registry}");
        }
        let reach = Reach::with(["http://127.0.0.1:5000", "10.0.0.0/8"].map(|one| one.parse().unwrap()));
        assert_eq!(reach.names_inside("127.0.0.1:5000"), None);
        assert_eq!(reach.names_inside("10.0.0.1:5000"), None);
        assert!(reach.names_inside("127.0.0.1:5001").is_some());
    }
}
