//! What Compose writes as text: truth values, spans of time, sizes, and words of a command.

use serde_json::Value;
use skep_schemas::{Bytes, Cpu, Duration};

/// The text of a scalar. YAML reads `80` as a number and `true` as a truth value; Compose means the text.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The words of a command: a list as it is, a text as a shell would take it apart, without a shell's other doings.
pub(crate) fn words(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::Null => None,
        _ => shlex::split(&text(value)?),
    }
}

/// A span such as `1m30s`, `500ms` or `1.5s`, as Go writes it.
pub(crate) fn duration(written: &str) -> Option<Duration> {
    let mut millis = 0.0_f64;
    let mut rest = written.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest.get(..end)?.parse().ok()?;
        let after = rest.get(end..)?;
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let factor = match after.get(..unit_end)? {
            "h" => 3_600_000.0,
            "m" => 60_000.0,
            "s" => 1000.0,
            "ms" => 1.0,
            "us" | "µs" => 0.001,
            "ns" => 0.000_001,
            _ => return None,
        };
        millis += number * factor;
        rest = after.get(unit_end..)?;
    }
    // Through its text: milliseconds are what Skep counts in.
    format!("{}ms", millis.round().max(0.0)).parse().ok()
}

/// A size such as `512m`, `1gb`, `64k` or a number of bytes. Compose counts in 1024s, whatever the letters.
pub(crate) fn bytes(written: &str) -> Option<Bytes> {
    let text = written.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let shift = match unit.trim().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().ok()?;
    let unit = 1_u64 << shift;
    // Tenths, hundredths and so on, without a float: `1.5g` is exact.
    let part = match part {
        "" => 0,
        digits => {
            let digits = digits.get(..digits.len().min(9))?;
            let scale = 10_u64.checked_pow(u32::try_from(digits.len()).ok()?)?;
            u64::try_from(u128::from(unit) * u128::from(digits.parse::<u64>().ok()?) / u128::from(scale))
                .ok()?
        }
    };
    Bytes::from_bytes(whole.checked_mul(unit)?.checked_add(part)?)
}

/// Cores such as `0.5`.
pub(crate) fn cpus(written: &str) -> Option<Cpu> {
    let (whole, part) = written.trim().split_once('.').unwrap_or((written.trim(), ""));
    let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits: String = part.chars().chain("000".chars()).take(3).collect();
    let millis = whole.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    Cpu::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_and_sizes_are_read_as_compose_means_them() {
        for (written, millis) in
            [("1m30s", 90_000), ("500ms", 500), ("1.5s", 1500), ("1h", 3_600_000), ("10s", 10_000)]
        {
            assert_eq!(duration(written).map(Duration::millis), Some(millis), "{written}");
        }
        for written in ["", "10", "s", "10 s", "1d", "-1s", "1..s"] {
            assert_eq!(duration(written), None, "{written}");
        }
        for (written, size) in [
            ("512m", 512 << 20),
            ("512M", 512 << 20),
            ("1gb", 1 << 30),
            ("1.5g", 3 << 29),
            ("64kib", 64 << 10),
            ("1024", 1024),
        ] {
            assert_eq!(bytes(written).map(Bytes::get), Some(size), "{written}");
        }
        for written in ["", "m", "1x", "1.x", "-1m", "1 0"] {
            assert_eq!(bytes(written), None, "{written}");
        }
        for (written, millis) in [("0.5", 500), ("2", 2000), ("1.25", 1250), (".5", 500), ("0.0005", 0)] {
            assert_eq!(cpus(written).map_or(0, Cpu::millis), millis, "{written}");
        }
    }

    #[test]
    fn a_command_as_text_is_taken_apart_and_no_shell_runs_it() {
        let words = |value| words(&value);
        assert_eq!(
            words(json!("sh -c 'echo $HOME'")),
            Some(vec!["sh".into(), "-c".into(), "echo $HOME".into()])
        );
        assert_eq!(words(json!(["a b", 1, true])), Some(vec!["a b".into(), "1".into(), "true".into()]));
        assert_eq!(words(json!("echo 'open")), None);
    }
}
