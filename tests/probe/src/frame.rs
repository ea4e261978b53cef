//! A datagram for a container of another network, in the wrapping of VXLAN (RFC 7348). Nodes believe every such packet that reaches
//! them: unless the network is encrypted, the identifier of the network is all that it needs.

use std::net::Ipv4Addr;

/// Wraps `VNI/MAC/ADDRESS/PORT/WORD`; `None` when that cannot be read.
pub(crate) fn of(inner: &[&str]) -> Option<Vec<u8>> {
    let [vni, mac, address, port, word] = inner else { return None };
    let vni: u32 = vni.parse().ok()?;
    let to: Ipv4Addr = address.parse().ok()?;
    let mut packet = vec![0x08, 0, 0, 0];
    packet.extend((vni << 8).to_be_bytes());
    packet.extend(hardware_address(mac)?);
    packet.extend([0x02, 0x42, 0, 0, 0, 1]);
    packet.extend([0x08, 0x00]);
    packet.extend(ip(to, &udp(port.parse().ok()?, word.as_bytes())?)?);
    Some(packet)
}

fn hardware_address(text: &str) -> Option<Vec<u8>> {
    text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

/// A datagram without a checksum, which IPv4 allows.
fn udp(port: u16, word: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(word.len() + 8).ok()?;
    let mut datagram = Vec::new();
    for field in [4242, port, length, 0] {
        datagram.extend(field.to_be_bytes());
    }
    datagram.extend(word);
    Some(datagram)
}

/// A packet from an address of the same network: the first one, which no task has.
fn ip(to: Ipv4Addr, payload: &[u8]) -> Option<Vec<u8>> {
    let [a, b, c, _] = to.octets();
    let length = u16::try_from(payload.len() + 20).ok()?.to_be_bytes();
    let mut header = vec![0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, 17, 0, 0, a, b, c, 254];
    header.extend(to.octets());
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).ok()?;
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header.extend(payload);
    Some(header)
}
