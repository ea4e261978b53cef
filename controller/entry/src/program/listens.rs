//! Does the container listen on a port? As the kernel's own table says it, so that nobody is connected to and nothing appears in a program's log.

/// The argument that asks, before the port.
const ARGUMENT: &[u8] = b"--listens=";
/// What the kernel calls a socket that listens.
const LISTEN: &[u8] = b"0A";
/// An IPv4 address of the machine itself ends like this: the kernel writes the words of an address backwards.
const LOOPBACK_V4: &[u8] = b"7F";
/// Such an address of IPv6.
const LOOPBACK_V6: &[u8] = b"00000000000000000000000001000000";
/// The same as an IPv4 address within IPv6.
const MAPPED: &[u8] = b"0000000000000000FFFF0000";

/// How a port is listened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Listening {
    /// It is not.
    Nowhere,
    /// For the container itself alone, so that nobody else can reach it.
    Inside,
    /// For others.
    Outside,
}

/// The port of `--listens=PORT`.
pub(crate) fn port(argument: &[u8]) -> Option<&[u8]> {
    argument.strip_prefix(ARGUMENT)
}

/// The number of a port in decimal.
pub(crate) fn number(port: &[u8]) -> Option<u16> {
    let mut number: u16 = 0;
    for digit in port {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number = number.checked_mul(10)?.checked_add(u16::from(digit))?;
    }
    (number > 0).then_some(number)
}

/// How a port is listened on by one table of the kernel, `/proc/net/tcp` or `/proc/net/tcp6`.
pub(crate) fn by(table: &[u8], port: u16) -> Listening {
    table.split(|byte| *byte == b'\n').map(|line| by_line(line, port)).max().unwrap_or(Listening::Nowhere)
}

/// A line is `  0: 0100007F:1F90 00000000:0000 0A …`: its number, its own address, the other's, its state.
fn by_line(line: &[u8], port: u16) -> Listening {
    let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let (Some(own), Some(state)) = (fields.nth(1), fields.nth(1)) else { return Listening::Nowhere };
    let Some(colon) = own.iter().position(|byte| *byte == b':') else { return Listening::Nowhere };
    let (address, of) = own.split_at(colon);
    if state != LISTEN || of.get(1..).and_then(hexadecimal) != Some(port) {
        return Listening::Nowhere;
    }
    let v4 =
        if address.starts_with(MAPPED) { address.get(MAPPED.len()..).unwrap_or_default() } else { address };
    let is_inside = address == LOOPBACK_V6 || (v4.len() == 8 && v4.ends_with(LOOPBACK_V4));
    if is_inside { Listening::Inside } else { Listening::Outside }
}

fn hexadecimal(digits: &[u8]) -> Option<u16> {
    let mut number: u16 = 0;
    for digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        number = number.checked_mul(16)?.checked_add(u16::from(value))?;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn table(lines: &[(&str, &str)]) -> Vec<u8> {
        let line = |(own, state): &(&str, &str)| {
            format!("   0: {own} 00000000:0000 {state} 00000000:00000000 00:00\n")
        };
        format!("{HEAD}{}", lines.iter().map(line).collect::<String>()).into_bytes()
    }

    #[test]
    fn a_port_is_listened_on_for_others_for_the_container_alone_or_not_at_all() {
        let any = table(&[("00000000:1F90", "0A")]);
        assert_eq!((by(&any, 8080), by(&any, 80)), (Listening::Outside, Listening::Nowhere));
        assert_eq!(by(&table(&[("0100007F:1F90", "0A")]), 8080), Listening::Inside);
        assert_eq!(by(&table(&[("0300000A:1F90", "0A"), ("0100007F:1F90", "0A")]), 8080), Listening::Outside);
        assert_eq!(by(&table(&[("00000000:1F90", "01")]), 8080), Listening::Nowhere, "that is a connection");
        assert_eq!(by(b"", 8080), Listening::Nowhere);
    }

    #[test]
    fn addresses_of_version_six_are_told_apart_alike() {
        let at = |address: &str| by(&table(&[(&format!("{address}:1F90"), "0A")]), 8080);
        assert_eq!(at("00000000000000000000000000000000"), Listening::Outside);
        assert_eq!(at("00000000000000000000000001000000"), Listening::Inside);
        assert_eq!(at("0000000000000000FFFF00000100007F"), Listening::Inside);
        assert_eq!(at("0000000000000000FFFF00000300000A"), Listening::Outside);
    }

    #[test]
    fn a_port_is_a_number_that_there_is() {
        assert_eq!(port(b"--listens=8080").and_then(number), Some(8080));
        for wrong in [&b"--listens="[..], b"--listens=0", b"--listens=65536", b"--listens=80a", b"--drain=80"]
        {
            assert_eq!(port(wrong).and_then(number), None);
        }
    }
}
