//! What an image starts by itself: its own words, which a process's entry point and command take the place of.
//!
//! Whoever starts a process in the engine's place (the entry program, [`crate::render`]) has to know them. They stand in the image's configuration, which
//! a release keeps: the same digest always says the same.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What stands in an image's configuration may be as long as its maker likes; what a release keeps may not. Real ones have some hundred bytes.
const BYTES_MAX: usize = 16 << 10;
/// What asks a container to stop if its image says nothing.
const SIGTERM: i32 = 15;
/// Signals by their names, as engines read them.
const SIGNALS: [(&str, i32); 12] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", SIGTERM),
    ("WINCH", 28),
    ("PWR", 30),
];
/// The first of those without names of their own, and the last, as engines count them.
const REAL_TIME: (i32, i32) = (34, 64);

/// What an image starts, and how it is asked to stop.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageStart {
    /// Its entry point; empty when it has none.
    pub entrypoint: Vec<String>,
    /// Its command; empty when it has none.
    pub command: Vec<String>,
    /// The number of the signal that asks it to stop.
    pub stop_signal: i32,
    /// It has a health check of its own.
    pub has_health_check: bool,
}

impl ImageStart {
    /// Of the part `config` of an image's configuration, as registries and engines give it. `None` when it cannot be read, or is too long to be kept.
    pub fn of(config: &Value) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Config {
            #[serde(default)]
            entrypoint: Option<Vec<String>>,
            #[serde(default)]
            cmd: Option<Vec<String>>,
            #[serde(default)]
            stop_signal: Option<String>,
            #[serde(default)]
            healthcheck: Option<Healthcheck>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Healthcheck {
            #[serde(default)]
            test: Option<Vec<String>>,
        }
        let config = Config::deserialize(config).ok()?;
        let checks = |check: &Healthcheck| {
            check.test.as_ref().and_then(|test| test.first()).is_some_and(|kind| kind != "NONE")
        };
        let start = Self {
            entrypoint: config.entrypoint.unwrap_or_default(),
            command: config.cmd.unwrap_or_default(),
            stop_signal: signal(config.stop_signal.as_deref().unwrap_or_default())?,
            has_health_check: config.healthcheck.as_ref().is_some_and(checks),
        };
        let bytes: usize = start.entrypoint.iter().chain(&start.command).map(String::len).sum();
        (bytes <= BYTES_MAX).then_some(start)
    }
}

/// The number of a signal, as engines read it: by number, or by name with or without `SIG`. `None` for what no engine would send.
fn signal(text: &str) -> Option<i32> {
    let (first, last) = REAL_TIME;
    let text = text.to_ascii_uppercase();
    let number = match text.strip_prefix("SIG").unwrap_or(&text) {
        "" => SIGTERM,
        name if name.starts_with("RTMIN") => first + name.get(5..)?.parse::<i32>().unwrap_or_default(),
        name if name.starts_with("RTMAX") => last + name.get(5..)?.parse::<i32>().unwrap_or_default(),
        name => match name.parse() {
            Ok(number) => number,
            Err(_) => SIGNALS.iter().find(|(known, _)| *known == name)?.1,
        },
    };
    (1..=last).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_image_starts_is_read_from_its_configuration() {
        let nginx = json!({
            "Entrypoint": ["/docker-entrypoint.sh"], "Cmd": ["nginx", "-g", "daemon off;"], "StopSignal": "SIGQUIT",
            "Healthcheck": {"Test": ["CMD", "true"]}, "Env": ["PATH=/bin"],
        });
        let start = ImageStart::of(&nginx).unwrap();
        assert_eq!((start.entrypoint.len(), start.command.len()), (1, 3));
        assert_eq!((start.stop_signal, start.has_health_check), (3, true));
        // What imported images say, and such as take their base's health check back.
        let bare = json!({"Cmd": ["/bin/serve"], "Entrypoint": null, "Healthcheck": {"Test": ["NONE"]}});
        let start = ImageStart::of(&bare).unwrap();
        assert_eq!((start.entrypoint.len(), start.stop_signal, start.has_health_check), (0, 15, false));
    }

    #[test]
    fn what_cannot_be_read_or_kept_is_not_guessed() {
        assert_eq!(ImageStart::of(&json!({"Cmd": "serve"})), None);
        assert_eq!(ImageStart::of(&json!({"StopSignal": "SIGNONE"})), None);
        assert_eq!(ImageStart::of(&json!({"Cmd": ["x".repeat(BYTES_MAX + 1)]})), None);
        assert_eq!(ImageStart::of(&Value::Null), None);
    }

    #[test]
    fn signals_are_read_as_engines_read_them() {
        let numbers = ["", "SIGTERM", "term", "9", "SIGRTMIN+3", "RTMAX-1", "SIGWINCH"].map(signal);
        assert_eq!(numbers, [15, 15, 15, 9, 37, 63, 28].map(Some));
        assert_eq!(["0", "65", "-1", "SIGRTMIN+99", "now"].map(signal), [None; 5]);
    }
}
