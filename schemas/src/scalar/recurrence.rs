//! When something recurs: crontab's five fields, and the time zone in which they are read.
//!
//! The fields are those of crontab(5) and nothing else: numbers, names of months and days, lists, ranges and steps. What some readers take besides (`L`,
//! `W`, `#`, `@daily`) is refused: it does not mean the same to all of them.

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::names::excerpt;
use super::{ScalarError, text_scalar};

/// More than any schedule that somebody can read.
const EXPRESSION_MAX: usize = 200;
const HELP: &str = "write minute, hour, day of the month, month and day of the week, for example `0 3 * * *` for every night at three";

text_scalar! {
    /// When something runs: the five fields of a crontab.
    CronExpression, "cron-expression",
    "Minute, hour, day of the month, month and day of the week, as in a crontab, for example 0 3 * * *.",
    r"^[0-9A-Za-z*,/-]+( +[0-9A-Za-z*,/-]+){4}$", cron_expression
}

text_scalar! {
    /// A time zone by its name.
    TimeZoneName, "time-zone", "Name of a time zone, for example Europe/Berlin.",
    r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$", time_zone_name
}

impl TimeZoneName {
    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self("UTC".to_owned())
    }
}

impl CronExpression {
    /// The first instant after one that the fields name in a time zone; `None` if there is none within four years, or the zone is not known here.
    ///
    /// Where clocks are changed: a local time that comes twice counts once, the first time; one that does not come counts as the instant at which the
    /// clock is put forward. What runs in every hour has no such times: it goes on hour by hour.
    pub fn next_after(&self, zone: &TimeZoneName, after: Timestamp) -> Option<Timestamp> {
        if self.runs_every_hour() {
            let fields = cronexpr::parse_crontab(&format!("{self} {zone}")).ok()?;
            return fields.find_next(MakeTimestamp(after)).ok().map(|next| next.timestamp());
        }
        let (fields, zone) = (self.fields()?, TimeZone::get(zone.as_str()).ok()?);
        let mut local = zone.to_datetime(after);
        // In their order the local times name instants that never go back. Only those of one change of the clock name what is over already.
        loop {
            local = next_local(&fields, local)?;
            let at = instant(&zone, local)?;
            if at > after {
                return Some(at);
            }
        }
    }

    fn fields(&self) -> Option<Crontab> {
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        cronexpr::parse_crontab_with(self.as_str(), options).ok()
    }

    fn runs_every_hour(&self) -> bool {
        matches!(self.as_str().split_whitespace().nth(1), Some("*" | "*/1" | "0-23"))
    }
}

/// The next local time that the fields name.
fn next_local(fields: &Crontab, after: DateTime) -> Option<DateTime> {
    let after = TimeZone::UTC.to_timestamp(after).ok()?;
    fields.find_next(MakeTimestamp(after)).ok().map(|next| next.datetime())
}

/// The instant of a local time: the first of two, and for one that does not come, the change of the clock that leaves it out.
fn instant(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(local).ok()
        }
        AmbiguousOffset::Gap { before, .. } => {
            // By the old clock it would be after the change, or in that very instant.
            let by_old_clock = before.to_timestamp(local).ok()?;
            let later = by_old_clock.checked_add(SignedDuration::from_secs(1)).ok()?;
            zone.preceding(later).next().map(|change| change.timestamp())
        }
    }
}

fn cron_expression(text: &str) -> Result<(), ScalarError> {
    let bad = |why: &str, help: &str| {
        Err(ScalarError::new(format!("`{}` is no schedule: {why}", excerpt(text)), help))
    };
    if let Some(fields) = shorthand(text) {
        return bad("it is a shorthand that not all readers know", &format!("write `{fields}`"));
    }
    if text.len() > EXPRESSION_MAX || text.trim() != text {
        return bad("it is too long, or has spaces around it", HELP);
    }
    let fields: Vec<&str> = text.split(' ').filter(|field| !field.is_empty()).collect();
    if fields.len() == 6 && time_zone_name(fields[5]).is_ok() {
        return bad("the time zone is no field of it", "name the zone in `timeZone`, beside `cron`");
    }
    if fields.len() != 5 {
        return bad(&format!("it has {} fields instead of five", fields.len()), HELP);
    }
    if let Some(field) = fields.iter().find(|field| !is_plain(field)) {
        let why = format!("`{}` is none of crontab's fields", excerpt(field));
        return bad(&why, "use numbers, names such as `MON` and `JAN`, `*`, lists, ranges and steps");
    }
    let expression = CronExpression(text.to_owned());
    let Some(parsed) = expression.fields() else { return bad(&why_not(text), HELP) };
    if parsed.find_next(MakeTimestamp(Timestamp::UNIX_EPOCH)).is_err() {
        return bad("there is no such day", "name a day that the month has");
    }
    Ok(())
}

/// What the reader of the fields says, in one line.
fn why_not(text: &str) -> String {
    let said = cronexpr::parse_crontab(&format!("{text} UTC")).err().map(|error| error.to_string());
    let said = said.unwrap_or_default();
    let last = said.lines().last().unwrap_or_default();
    last.trim_start_matches([' ', '^']).to_owned()
}

fn shorthand(text: &str) -> Option<&'static str> {
    Some(match text {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        _ => return None,
    })
}

/// Are there only the characters of crontab's fields, and no words but names of three letters?
fn is_plain(field: &str) -> bool {
    let of_field = |c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | ',' | '-' | '/');
    let mut words = field.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    field.chars().all(of_field) && words.all(|word| is_number(word) || is_name(word))
}

fn time_zone_name(text: &str) -> Result<(), ScalarError> {
    let help = "name it as the tz database does, for example `Europe/Berlin` or `UTC`";
    let unknown = |help: &str| {
        Err(ScalarError::new(format!("`{}` is no time zone that is known", excerpt(text)), help))
    };
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '/');
    let begins = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    if !begins || !text.chars().all(of_name) || text.split('/').any(str::is_empty) {
        return unknown(help);
    }
    match TimeZone::get(text) {
        // Other systems know it by one spelling only.
        Ok(zone) => match zone.iana_name() {
            Some(name) if name != text => unknown(&format!("write `{name}`")),
            _ => Ok(()),
        },
        Err(_) => unknown(help),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instants after one that an expression names in Berlin, as the clock there shows them.
    fn in_berlin(expression: &str, after: &str, count: usize) -> Vec<String> {
        let (expression, zone): (CronExpression, TimeZoneName) =
            (expression.parse().unwrap(), "Europe/Berlin".parse().unwrap());
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let next = |at: &Timestamp| expression.next_after(&zone, *at);
        let first = next(&after.parse().unwrap());
        let found = std::iter::successors(first, next).take(count);
        found.map(|at| at.to_zoned(berlin.clone()).strftime("%m-%d %H:%M %z").to_string()).collect()
    }

    fn refused(expression: &str) -> String {
        expression.parse::<CronExpression>().unwrap_err().problem
    }

    #[test]
    fn a_local_time_that_comes_twice_counts_once() {
        // Clocks are put back from three to two on 25 October 2026.
        assert_eq!(
            in_berlin("30 2 * * *", "2026-10-23T12:00:00Z", 3),
            ["10-24 02:30 +0200", "10-25 02:30 +0200", "10-26 02:30 +0100"]
        );
        assert_eq!(
            in_berlin("*/30 2,3 * * *", "2026-10-24T23:59:00Z", 4),
            ["10-25 02:00 +0200", "10-25 02:30 +0200", "10-25 03:00 +0100", "10-25 03:30 +0100"]
        );
        // Asked while it comes for the second time.
        assert_eq!(in_berlin("30 2 * * *", "2026-10-25T01:10:00Z", 1), ["10-26 02:30 +0100"]);
    }

    #[test]
    fn a_local_time_that_does_not_come_counts_as_the_change_of_the_clock() {
        // Clocks are put forward from two to three on 29 March 2026.
        assert_eq!(
            in_berlin("30 2 * * *", "2026-03-27T12:00:00Z", 3),
            ["03-28 02:30 +0100", "03-29 03:00 +0200", "03-30 02:30 +0200"]
        );
        assert_eq!(in_berlin("*/20 2 29 3 *", "2026-03-28T12:00:00Z", 1), ["03-29 03:00 +0200"]);
        assert_eq!(in_berlin("0 2,3 29 3 *", "2026-03-28T12:00:00Z", 1), ["03-29 03:00 +0200"]);
        assert_eq!(in_berlin("0 2 * * *", "2026-03-29T01:00:00Z", 1), ["03-30 02:00 +0200"], "once");
    }

    #[test]
    fn what_runs_in_every_hour_goes_on_hour_by_hour() {
        assert_eq!(
            in_berlin("0 * * * *", "2026-10-24T23:30:00Z", 4),
            ["10-25 02:00 +0200", "10-25 02:00 +0100", "10-25 03:00 +0100", "10-25 04:00 +0100"]
        );
        assert_eq!(
            in_berlin("15 * * * *", "2026-03-29T00:00:00Z", 2),
            ["03-29 01:15 +0100", "03-29 03:15 +0200"]
        );
    }

    #[test]
    fn sunday_is_nought_and_seven_and_either_of_two_days_is_enough() {
        assert_eq!(in_berlin("0 3 * * 0", "2026-11-18T00:00:00Z", 1), ["11-22 03:00 +0100"]);
        assert_eq!(in_berlin("0 3 * * 7", "2026-11-18T00:00:00Z", 1), ["11-22 03:00 +0100"]);
        assert_eq!(in_berlin("0 3 * * sun", "2026-11-18T00:00:00Z", 1), ["11-22 03:00 +0100"]);
        let either = ["11-27 03:00 +0100", "12-01 03:00 +0100", "12-04 03:00 +0100"];
        assert_eq!(in_berlin("0 3 1 * FRI", "2026-11-22T00:00:00Z", 3), either);
    }

    #[test]
    fn a_leap_day_is_found_and_a_day_that_never_comes_is_refused() {
        assert_eq!(in_berlin("0 0 29 2 *", "2026-11-22T00:00:00Z", 1), ["02-29 00:00 +0100"]);
        assert_eq!(refused("0 0 30 2 *"), "`0 0 30 2 *` is no schedule: there is no such day");
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_what_is_wrong() {
        assert_eq!(refused("0 3 * *"), "`0 3 * *` is no schedule: it has 4 fields instead of five");
        assert!(
            refused("61 3 * * *").contains("must be in range 0..=59; found 61"),
            "{}",
            refused("61 3 * * *")
        );
        for extension in ["0 0 L * *", "0 0 15W * *", "0 0 * * 5L", "0 0 * * MON#1", "H 0 * * *", "? 0 * * *"]
        {
            assert!(refused(extension).contains("is none of crontab's fields"), "{extension}");
        }
        let zone = "0 3 * * * Europe/Berlin".parse::<CronExpression>().unwrap_err();
        assert_eq!(zone.help, "name the zone in `timeZone`, beside `cron`");
        assert_eq!("@daily".parse::<CronExpression>().unwrap_err().help, "write `0 0 * * *`");
    }

    #[test]
    fn a_zone_has_one_spelling() {
        assert_eq!("europe/berlin".parse::<TimeZoneName>().unwrap_err().help, "write `Europe/Berlin`");
        assert!(
            "Europe/Atlantis".parse::<TimeZoneName>().is_err()
                && "../etc/passwd".parse::<TimeZoneName>().is_err()
        );
        assert!(
            ["UTC", "America/New_York", "Etc/GMT+3"].iter().all(|zone| zone.parse::<TimeZoneName>().is_ok())
        );
    }
}
