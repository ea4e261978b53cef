//! Counting tests from what the runners print, so that a run ends with one line for people and machines alike.

use std::fmt;
use std::ops::AddAssign;

/// Tests by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Totals {
    /// Reads a closing line of nextest or of cargo's own runner; any other line counts nothing.
    pub(crate) fn of_line(line: &str) -> Totals {
        let closing = if line.trim_start().starts_with("Summary [") {
            line.split_once("run:").map(|(_, counts)| counts)
        } else {
            // Not indented: nextest repeats the output of a failed test, its own result line included, with an indent.
            line.strip_prefix("test result:").and_then(|rest| rest.split_once(". ")).map(|(_, counts)| counts)
        };
        let mut totals = Totals::default();
        for part in closing.unwrap_or_default().split([',', ';']) {
            // "16 passed (2 slow, 1 leaky)": what is in parentheses is part of the count before it.
            let mut words = part.split_whitespace();
            let Some(count) = words.next().and_then(|word| word.parse::<u64>().ok()) else { continue };
            match words.next() {
                Some("passed") => totals.passed += count,
                Some("failed" | "timed" | "exec") => totals.failed += count,
                Some("skipped" | "ignored") => totals.skipped += count,
                _ => {}
            }
        }
        totals
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(passed: u64, failed: u64, skipped: u64) -> Totals {
        Totals { passed, failed, skipped }
    }

    #[test]
    fn nextest_summaries_are_read_with_and_without_failures() {
        let clean = "     Summary [  75.707s] 16 tests run: 16 passed, 0 skipped";
        assert_eq!(Totals::of_line(clean), totals(16, 0, 0));
        let slow = "     Summary [   1.2s] 9 tests run: 7 passed (2 slow, 1 leaky), 1 failed, 1 timed out, 3 skipped";
        assert_eq!(Totals::of_line(slow), totals(7, 2, 3));
    }

    #[test]
    fn cargo_test_results_are_read() {
        let line = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 5 filtered out; finished in 0.1s";
        assert_eq!(Totals::of_line(line), totals(3, 1, 2));
    }

    #[test]
    fn the_output_of_a_failed_test_is_not_counted_again() {
        assert_eq!(
            Totals::of_line("    test result: FAILED. 0 passed; 1 failed; 0 ignored"),
            Totals::default()
        );
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in ["", "PASS [ 0.1s] 16 passed", "running 3 tests", "Summary of changes: 3 passed"] {
            assert_eq!(Totals::of_line(line), Totals::default(), "{line}");
        }
    }
}
