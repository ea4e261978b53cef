//! A place in a stream of output, by which a reader goes on where it was.
//!
//! Lines of several instances come in no order among each other, so a place is one for each: up to when its lines are told, and which
//! of that last instant. An instant and what it says are what a line is known by: the same place holds at every server, and after the
//! engine has been asked anew.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::str::FromStr;

use jiff::Timestamp;

use super::LogLine;

/// Instances that a place knows.
const INSTANCES_MAX: usize = 4096;
/// Instances that its text knows. It stays under 6 kB, which a header and a URL hold.
const WRITTEN_MAX: usize = 96;
/// Lines of one instant that a place knows. A line over 16 KiB comes in parts of one instant; of more parts some are told twice.
const SAME_INSTANT_MAX: usize = 4;

/// A place in a stream of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPlace {
    /// Lines before this are not asked for, whoever printed them.
    since: Timestamp,
    /// Were instances forgotten because there were too many?
    forgot: bool,
    instances: BTreeMap<String, Told>,
}

/// What is told of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    until: Timestamp,
    /// Hashes of the lines of that instant.
    last: Vec<u32>,
}

impl LogPlace {
    /// Where nothing is told yet, and nothing before an instant is asked for.
    pub const fn since(since: Timestamp) -> Self {
        Self { since, forgot: false, instances: BTreeMap::new() }
    }

    /// Is what is told of some instances not known any more, because there are so many?
    pub const fn forgot(&self) -> bool {
        self.forgot
    }

    /// The instant of the newest line that is told.
    pub fn newest(&self) -> Option<Timestamp> {
        self.instances.values().map(|told| told.until).max()
    }

    /// Is the line told already, or not asked for? Of lines of the last instant that are the same each counts once, so a line that
    /// is put to this is not to be put to it again.
    pub fn covers(&mut self, line: &LogLine) -> bool {
        match self.instances.get_mut(&line.instance) {
            None => line.at < self.since,
            Some(told) if line.at == told.until => {
                let hash = hash(line);
                let same = told.last.iter().position(|known| *known == hash);
                same.map(|index| told.last.remove(index)).is_some()
            }
            Some(told) => line.at < told.until,
        }
    }

    /// Takes note that a line is told.
    pub fn note(&mut self, line: &LogLine) {
        let hash = hash(line);
        match self.instances.get_mut(&line.instance) {
            Some(told) if line.at == told.until => {
                if told.last.len() < SAME_INSTANT_MAX {
                    told.last.push(hash);
                }
            }
            Some(told) if line.at > told.until => *told = Told { until: line.at, last: vec![hash] },
            Some(_) => {}
            None => {
                self.instances.insert(line.instance.clone(), Told { until: line.at, last: vec![hash] });
                self.forget_beyond(INSTANCES_MAX);
            }
        }
    }

    fn forget_beyond(&mut self, most: usize) {
        while self.instances.len() > most {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.instances.iter().min_by_key(|(_, told)| told.until).map(|(id, _)| id.clone());
        if let Some(told) = oldest.and_then(|id| self.instances.remove(&id)) {
            self.forgot = true;
            self.since = self.since.max(told.until);
        }
    }
}

/// Of the text alone: the instant and the instance stand beside it. One that another version makes differs at worst, and a line is
/// told twice.
fn hash(line: &LogLine) -> u32 {
    let mut hasher = DefaultHasher::new();
    line.text.hash(&mut hasher);
    u32::try_from(hasher.finish() >> 32).unwrap_or_default()
}

impl fmt::Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.instances.len() > WRITTEN_MAX {
            let mut short = self.clone();
            short.forget_beyond(WRITTEN_MAX);
            return short.fmt(f);
        }
        let mark = if self.forgot { "f" } else { "a" };
        write!(f, "{mark}{}", self.since.as_nanosecond())?;
        for (instance, told) in &self.instances {
            write!(f, ".{instance}_{:x}", told.until.as_nanosecond().max(0))?;
            for hash in &told.last {
                write!(f, "_{hash:x}")?;
            }
        }
        Ok(())
    }
}

/// What is no place in a stream of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not the id of an event of output")]
pub struct NoPlace;

impl FromStr for LogPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut parts = text.split('.');
        let head = parts.next().ok_or(NoPlace)?;
        let (forgot, since) = match (head.strip_prefix('a'), head.strip_prefix('f')) {
            (Some(since), _) => (false, since),
            (None, Some(since)) => (true, since),
            (None, None) => return Err(NoPlace),
        };
        let since = instant(since.parse().map_err(|_| NoPlace)?)?;
        let mut place = Self { forgot, ..Self::since(since) };
        for part in parts {
            let mut words = part.split('_');
            let (Some(instance), Some(until)) = (words.next(), words.next()) else { return Err(NoPlace) };
            let until = instant(i128::from_str_radix(until, 16).map_err(|_| NoPlace)?)?;
            let last: Result<Vec<u32>, _> = words.map(|hash| u32::from_str_radix(hash, 16)).collect();
            let last = last.map_err(|_| NoPlace)?;
            let readable = instance.len() <= 32 && instance.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !readable || last.len() > SAME_INSTANT_MAX || place.instances.len() == WRITTEN_MAX {
                return Err(NoPlace);
            }
            place.instances.insert(instance.to_owned(), Told { until, last });
        }
        Ok(place)
    }
}

fn instant(nanoseconds: i128) -> Result<Timestamp, NoPlace> {
    Timestamp::from_nanosecond(nanoseconds).map_err(|_| NoPlace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::LogStream;

    fn line(instance: &str, nanosecond: i64, text: &str) -> LogLine {
        LogLine {
            at: Timestamp::from_nanosecond(i128::from(nanosecond)).unwrap(),
            process: "web".parse().unwrap(),
            instance: instance.to_owned(),
            slot: Some(1),
            stream: LogStream::Stdout,
            text: text.to_owned(),
            cut: false,
        }
    }

    #[test]
    fn a_place_survives_its_text_and_knows_exactly_what_was_told() {
        let mut place = LogPlace::since(Timestamp::from_second(-1).unwrap());
        for told in [line("a1", 5, "x"), line("a1", 7, "y"), line("a1", 7, "y"), line("b2", 3, "z")] {
            place.note(&told);
        }
        let mut read: LogPlace = place.to_string().parse().unwrap();
        assert_eq!(read, place);
        assert!(read.covers(&line("a1", 6, "late")) && read.covers(&line("b2", 3, "z")));
        // Twice the same line of one instant was told twice; the third is new.
        assert!(read.covers(&line("a1", 7, "y")) && read.covers(&line("a1", 7, "y")));
        assert!(!read.covers(&line("a1", 7, "y")) && !read.covers(&line("a1", 7, "other")));
        assert!(!read.covers(&line("b2", 4, "new")), "another instance's newer line does not hide it");
        assert!(
            !read.covers(&line("c3", 1, "new")),
            "of an instance that said nothing yet everything is new"
        );
        assert_eq!(place.newest(), Some(line("a1", 7, "").at));
    }

    #[test]
    fn a_place_has_a_bound_and_says_that_it_forgot() {
        let mut place = LogPlace::since(Timestamp::UNIX_EPOCH);
        for number in 0..2000 {
            place.note(&line(&format!("abcdefghi{number:03}"), 1_800_000_000_000_000_000 + number, "x"));
        }
        let text = place.to_string();
        let read: LogPlace = text.parse().unwrap();
        assert!(read.forgot() && text.len() < 6 * 1024, "{}", text.len());
        assert_eq!((read.to_string(), read.newest()), (text, place.newest()));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let many: String = (0..=WRITTEN_MAX).map(|number| format!(".a{number}_1")).collect();
        for wrong in
            ["", "x", "a", "a1.b", "a1.b_x", "a1.b!_1", "a1.b_1_1_1_1_1_1", "a999999999999999999999999999999"]
        {
            assert!(wrong.parse::<LogPlace>().is_err(), "{wrong}");
        }
        assert!(format!("a0{many}").parse::<LogPlace>().is_err());
    }
}
