//! Quantities: CPU, bytes and durations.
//!
//! They are stored in the unit the engine wants (nano CPUs, bytes, milliseconds) and shown in the largest unit that is
//! exact, so that reading what was written gives an equal value.

use std::fmt;

use super::names::excerpt;
use super::{Scalar, ScalarError, scalar_impls};

/// An amount of CPU time, in thousandths of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu {
    millis: u32,
}

impl Cpu {
    /// The largest amount that can be asked for: no machine has more than 1,024 cores to give to one task.
    const MAX_MILLIS: u32 = 1_024_000;

    /// Thousandths of a core.
    pub const fn millis(self) -> u32 {
        self.millis
    }

    /// Billionths of a core, the engine's unit (`NanoCPUs`).
    pub fn nanos(self) -> i64 {
        i64::from(self.millis) * 1_000_000
    }

    /// From thousandths of a core; `None` for zero or more than 1,024 cores.
    pub const fn from_millis(millis: u32) -> Option<Self> {
        if millis == 0 || millis > Self::MAX_MILLIS { None } else { Some(Self { millis }) }
    }
}

impl Scalar for Cpu {
    const NAME: &'static str = "cpu";
    const DESCRIPTION: &'static str = "CPU: thousandths of a core (`500m`) or cores (`2`, `0.5`).";
    const PATTERN: &'static str = r"^([0-9]+m|[0-9]+(\.[0-9]{1,3})?)$";
    const NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, ScalarError> {
        let bad = || {
            ScalarError::new(
                format!("`{}` is not an amount of CPU", excerpt(text)),
                "write thousandths of a core such as `500m`, or cores such as `2` or `0.5`; between `1m` and `1024`",
            )
        };
        let millis = match text.strip_suffix('m') {
            Some(digits) => whole(digits),
            None => {
                let (cores, fraction) = text.split_once('.').unwrap_or((text, ""));
                if text.contains('.') && (fraction.is_empty() || fraction.len() > 3) {
                    return Err(bad());
                }
                let fraction = whole(&format!("{fraction:0<3}"));
                whole(cores)
                    .and_then(|c| c.checked_mul(1000))
                    .zip(fraction)
                    .and_then(|(c, f)| c.checked_add(f))
            }
        };
        millis.and_then(|m| u32::try_from(m).ok()).and_then(Self::from_millis).ok_or_else(bad)
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.millis.is_multiple_of(1000) {
            return write!(f, "{}", self.millis / 1000);
        }
        write!(f, "{}m", self.millis)
    }
}

scalar_impls!(Cpu);

/// An amount of memory or storage, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes {
    bytes: u64,
}

impl Bytes {
    const UNITS: [(&'static str, u64); 6] = [
        ("Ti", 1 << 40),
        ("Gi", 1 << 30),
        ("Mi", 1 << 20),
        ("Ki", 1 << 10),
        ("G", 1_000_000_000),
        ("M", 1_000_000),
    ];
    /// What fits the engine's signed 64-bit field with room for sums.
    const MAX: u64 = 1 << 50;

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.bytes
    }

    /// From a number of bytes; `None` for zero or more than 1 PiB.
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        if bytes == 0 || bytes > Self::MAX { None } else { Some(Self { bytes }) }
    }
}

impl Scalar for Bytes {
    const NAME: &'static str = "bytes";
    const DESCRIPTION: &'static str = "Bytes with a unit: `256Mi`, `1Gi`, `500M`.";
    const PATTERN: &'static str = r"^[0-9]+(Ki|Mi|Gi|Ti|M|G)$";

    fn parse(text: &str) -> Result<Self, ScalarError> {
        let bad = || {
            ScalarError::new(
                format!("`{}` is not an amount of bytes", excerpt(text)),
                "write a whole number with a unit: `Ki`, `Mi`, `Gi`, `Ti` (powers of 1024), `M`, `G` (powers of 1000), for example `256Mi`",
            )
        };
        let (digits, unit) = Self::UNITS
            .iter()
            .find_map(|(name, size)| text.strip_suffix(name).map(|digits| (digits, *size)))
            .ok_or_else(bad)?;
        whole(digits).and_then(|n| n.checked_mul(unit)).and_then(Self::from_bytes).ok_or_else(bad)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = Self::UNITS.iter().find(|(_, size)| self.bytes.is_multiple_of(*size));
        match exact {
            Some((name, size)) => write!(f, "{}{name}", self.bytes / size),
            // Only reachable for values made by arithmetic: every parsed value has a unit that divides it.
            None => write!(f, "{}", self.bytes),
        }
    }
}

scalar_impls!(Bytes);

/// A span of time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    millis: u64,
}

impl Duration {
    const UNITS: [(&'static str, u64); 4] = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    /// 30 days: longer than any roll-out, and far from the engine's limit in nanoseconds.
    const MAX: u64 = 30 * 24 * 3_600_000;

    /// From whole seconds, for defaults in code.
    ///
    /// More than 30 days are cut to 30 days.
    pub const fn from_secs(secs: u64) -> Self {
        let millis = secs.saturating_mul(1000);
        Self { millis: if millis > Self::MAX { Self::MAX } else { millis } }
    }

    /// Milliseconds.
    pub const fn millis(self) -> u64 {
        self.millis
    }

    /// Nanoseconds, the engine's unit.
    pub fn nanos(self) -> i64 {
        // at most 30 days = 2.6e15 ns, far below i64::MAX
        i64::try_from(self.millis * 1_000_000).unwrap_or(i64::MAX)
    }

    /// The same span for `std` and `tokio`.
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.millis)
    }

    /// The sum, at most 30 days.
    pub const fn plus(self, other: Self) -> Self {
        Self::bounded(self.millis + other.millis)
    }

    /// The span repeated, at most 30 days.
    pub fn times(self, factor: u32) -> Self {
        Self::bounded(self.millis.saturating_mul(u64::from(factor)))
    }

    const fn bounded(millis: u64) -> Self {
        Self { millis: if millis > Self::MAX { Self::MAX } else { millis } }
    }
}

impl Scalar for Duration {
    const NAME: &'static str = "duration";
    const DESCRIPTION: &'static str = "Span of time: `30s`, `1m30s`, `2h`, `500ms`; at most 30 days.";
    const PATTERN: &'static str = r"^([0-9]+(ms|h|m|s))+$";

    fn parse(text: &str) -> Result<Self, ScalarError> {
        let bad = || {
            ScalarError::new(
                format!("`{}` is not a span of time", excerpt(text)),
                "write numbers with the units `h`, `m`, `s` or `ms`, for example `30s` or `1m30s`; at most 720h",
            )
        };
        let mut rest = text;
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, tail) = rest.split_at(digits);
            let (unit, size) = Self::UNITS.iter().find(|(name, _)| tail.starts_with(name)).ok_or_else(bad)?;
            let part = whole(number).and_then(|n| n.checked_mul(*size)).ok_or_else(bad)?;
            total = total.checked_add(part).filter(|t| *t <= Self::MAX).ok_or_else(bad)?;
            rest = tail.split_at(unit.len()).1;
        }
        if text.is_empty() { Err(bad()) } else { Ok(Self { millis: total }) }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.millis;
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

scalar_impls!(Duration);

/// A whole number written in plain digits only: no sign, no spaces, no exponent.
fn whole(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_read_in_thousandths_and_cores_and_shown_in_the_largest_exact_unit() {
        for (text, millis, shown) in [
            ("500m", 500, "500m"),
            ("2", 2000, "2"),
            ("0.5", 500, "500m"),
            ("1.25", 1250, "1250m"),
            ("3000m", 3000, "3"),
        ] {
            let cpu: Cpu = text.parse().unwrap();
            assert_eq!((cpu.millis(), cpu.to_string().as_str()), (millis, shown), "{text}");
        }
    }

    #[test]
    fn quantities_that_are_zero_negative_unitless_or_too_large_are_refused() {
        for text in ["0", "0m", "-1", "1.2345", "1.", ".5", "1e3", "", "m", "2000", "99999999999999999999m"] {
            assert!(text.parse::<Cpu>().is_err(), "{text}");
        }
        for text in ["0Mi", "256", "256mb", "-1Gi", "1.5Gi", "", "Mi", "99999999999999999999Ti", "2000Ti"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1d", "800h", "1s1", "18446744073709551615h"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_equal() {
        for text in ["1Ti", "3Gi", "256Mi", "12Ki", "500M", "7G"] {
            let bytes: Bytes = text.parse().unwrap();
            assert_eq!(bytes.to_string().parse::<Bytes>().unwrap(), bytes);
        }
        for text in ["1h", "1m30s", "90s", "500ms", "0s", "1h1ms"] {
            let span: Duration = text.parse().unwrap();
            assert_eq!(span.to_string().parse::<Duration>().unwrap(), span);
        }
    }
}
