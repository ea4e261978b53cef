//! The fields of a network, as they are asked for and as they are answered. Nothing of a network can change in place.

use super::field::Absent::{Empty, Is, Open, Written};
use super::field::Kind::{Flag, List, Map, Object, Text};
use super::field::{fields, lax};

fields! {
    /// Every field of a network.
    pub const NETWORK;
    Skep   24 "/Name": Text, Open, AsSent, r#""acme-other""#; "convert/network.go BasicNetworkCreateToGRPC"
    Swarm  24 "/Id": Text, Open, AsSent, ""; "given by the manager"
    Swarm  24 "/Created": Text, Open, AsSent, ""; "given by the manager"
    Nobody 24 "/Scope": lax(&["swarm", "local", "global"]), Is(r#""swarm""#), Never, ""; "follows from the driver; answered always"
    Skep   24 "/Driver": Text, Open, AsSent, ""; "absent in the answer until the manager has allocated the network"
    Nobody 47 "/EnableIPv4": Flag, Is("true"), Never, ""; "swarm networks always have it (convert/network.go); answered since API 1.47"
    Nobody 24 "/EnableIPv6": Flag, Empty, AsSent, "true"; "convert/network.go"
    Skep   24 "/Internal": Flag, Empty, AsSent, "true"; "convert/network.go"
    Skep   25 "/Attachable": Flag, Empty, AsSent, "true"; "convert/network.go"
    Nobody 29 "/Ingress": Flag, Empty, AsSent, ""; "there is one in a swarm, and it has one already"
    Nobody 30 "/ConfigOnly": Flag, Empty, Never, ""; "for networks of one engine; refused or forgotten for the Swarm's"
    Nobody 30 "/ConfigFrom": Object, Empty, AsSent, ""; "names a network of one engine; answered as an empty object"
    Nobody 30 "/ConfigFrom/Network": Text, Empty, AsSent, ""; "convert/network.go"
    Skep   24 "/IPAM": Object, Is(r#"{"Driver": "default"}"#), AsSent, r#"{"Config": [{"Subnet": "10.200.1.0/24"}]}"#; "the manager's pool when not said"
    Skep   24 "/IPAM/Driver": Text, Written(r#""default""#), AsSent, ""; "convert/network.go BasicNetworkCreateToGRPC"
    Nobody 24 "/IPAM/Options": Map, Empty, AsSent, r#"{"a": "b"}"#; "answered as null when empty"
    Nobody 24 "/IPAM/Options/*": Text, Open, AsSent, r#""c""#; "convert/network.go"
    Swarm  24 "/IPAM/Options/com.docker.network.ipam.serial": Text, Open, AsSent, ""; "tried: added as soon as there are options"
    Skep   24 "/IPAM/Config": List, Empty, AsSent, r#"[{"Subnet": "10.200.2.0/24"}]"#; "the manager's pool when not said"
    Skep   24 "/IPAM/Config/*": Object, Empty, AsSent, ""; "convert/network.go"
    Skep   24 "/IPAM/Config/*/Subnet": Text, Open, AsSent, r#""10.200.3.0/24""#; "convert/network.go"
    Skep   24 "/IPAM/Config/*/IPRange": Text, Empty, AsSent, r#""10.200.0.64/26""#; "convert/network.go"
    Swarm  24 "/IPAM/Config/*/Gateway": Text, Open, AsSent, ""; "tried: the first address of the range when not said"
    Nobody 24 "/IPAM/Config/*/AuxiliaryAddresses": Map, Empty, Never, r#"{"a": "10.200.0.9"}"#; "convert/network.go does not pass it on"
    Nobody 24 "/IPAM/Config/*/AuxiliaryAddresses/*": Text, Open, Never, ""; "convert/network.go does not pass it on"
    Skep   24 "/Options": Map, Empty, AsSent, r#"{"encrypted": ""}"#; "convert/network.go"
    Skep   24 "/Options/*": Text, Open, AsSent, r#""true""#; "an empty value is kept and means something (`encrypted`)"
    Swarm  24 "/Options/com.docker.network.driver.overlay.vxlanid_list": Text, Open, AsSent, ""; "tried: given by the manager"
    Skep   24 "/Labels": Map, Empty, AsSent, r#"{"by": "hand"}"#; "answered as null when empty"
    Skep   24 "/Labels/*": Text, Open, AsSent, r#""hand""#; "an empty value is kept"
    Swarm  24 "/Containers": Map, Empty, AsSent, ""; "who is attached on the asked engine"
    Swarm  24 "/Containers/*": Object, Open, AsSent, ""; "who is attached on the asked engine"
    Swarm  24 "/Peers": List, Empty, AsSent, ""; "which nodes have it"
    Swarm  30 "/Services": Map, Empty, AsSent, ""; "what is on it, when asked verbosely"
    Swarm  52 "/Status": Map, Empty, AsSent, ""; "how many addresses are taken"
}
