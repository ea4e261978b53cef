//! Known weaknesses of releases, of what Skep rests on: engines and Traefik. Those that touch no promise of Skep are not here.
//!
//! A release has a fix if it is at least the fixed one of its own line (`26.1`), or of a line after all that needed one. Distributions carry
//! fixes back under the old number; nobody but they can say so, and a finding tells to ask them.

/// A release's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release(u32, u32, u32);

impl Release {
    /// From its text, as `26.1.5+dfsg1` or `v3.7.3`; none without three numbers.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut numbers = text.splitn(3, '.');
        let (major, minor, rest) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let patch: String = rest.chars().take_while(char::is_ascii_digit).collect();
        // What comes before a release is older than it.
        let before = rest.contains("-rc") || rest.contains("-ea") || rest.contains("-beta");
        let patch: u32 = patch.parse().ok()?;
        let release = Self(major.parse().ok()?, minor.parse().ok()?, patch);
        if !before {
            return Some(release);
        }
        Some(match release {
            Self(major, 0, 0) => Self(major.checked_sub(1)?, u32::MAX, u32::MAX),
            Self(major, minor, 0) => Self(major, minor - 1, u32::MAX),
            Self(major, minor, patch) => Self(major, minor, patch - 1),
        })
    }

    const fn line(self) -> (u32, u32) {
        (self.0, self.1)
    }
}

/// One weakness.
pub(super) struct Advisory {
    /// Its numbers.
    id: &'static str,
    /// What goes wrong, in a few words.
    about: &'static str,
    /// The first release that has it.
    since: Release,
    /// The first release of each line that has the fix.
    fixed: &'static [Release],
}

impl Advisory {
    fn concerns(&self, release: Release) -> bool {
        let of_line = self.fixed.iter().find(|fixed| fixed.line() == release.line());
        let is_fixed = match of_line {
            Some(fixed) => release >= *fixed,
            None => self.fixed.iter().all(|fixed| release > *fixed),
        };
        release >= self.since && !is_fixed
    }
}

/// Of engines.
pub(super) const ENGINE: &[Advisory] = &[
    Advisory {
        id: "CVE-2023-28840, 28841, 28842",
        about: "encrypted networks let through what is not encrypted",
        since: Release(1, 12, 0),
        fixed: &[Release(20, 10, 24), Release(23, 0, 3)],
    },
    Advisory {
        id: "CVE-2024-29018",
        about: "names asked for in a network without a way out are asked for outside",
        since: Release(1, 12, 0),
        fixed: &[Release(23, 0, 11), Release(25, 0, 5), Release(26, 0, 0)],
    },
    Advisory {
        id: "CVE-2025-54410",
        about: "a reload of firewalld takes the isolation of networks on a node away",
        since: Release(1, 12, 0),
        fixed: &[Release(25, 0, 13), Release(28, 0, 0)],
    },
    Advisory {
        id: "CVE-2025-54388",
        about: "a reload of firewalld opens ports that were published to the node alone",
        since: Release(28, 2, 0),
        fixed: &[Release(28, 3, 3)],
    },
];

/// Of engines that leave decisions to plug-ins.
pub(super) const AUTHORIZATION: &[Advisory] = &[Advisory {
    id: "CVE-2024-41110, CVE-2026-34040",
    about: "requests get around plug-ins that decide about them",
    since: Release(1, 12, 0),
    fixed: &[Release(29, 3, 1)],
}];

/// Of Traefik.
pub(super) const TRAEFIK: &[Advisory] = &[
    Advisory {
        id: "CVE-2025-66490",
        about: "paths with encoded characters are routed as one thing and served as another",
        since: Release(1, 0, 0),
        fixed: &[Release(2, 11, 32), Release(3, 6, 3)],
    },
    Advisory {
        id: "CVE-2026-35051, 39858, 40912",
        about: "headers and paths are read in two ways, around authentication",
        since: Release(1, 0, 0),
        fixed: &[Release(2, 11, 43), Release(3, 6, 14), Release(3, 7, 0)],
    },
    Advisory {
        id: "CVE-2026-48020",
        about: "a stripped path reaches what another router guards",
        since: Release(1, 0, 0),
        fixed: &[Release(2, 11, 48), Release(3, 6, 19), Release(3, 7, 3)],
    },
];

/// What is known against a release, a sentence each.
pub(super) fn against(release: Release, known: &[Advisory]) -> Vec<String> {
    known.iter().filter(|one| one.concerns(release)).map(|one| format!("{}: {}", one.id, one.about)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str, known: &[Advisory]) -> Vec<String> {
        let release = Release::read(text).unwrap();
        known.iter().filter(|one| one.concerns(release)).map(|one| one.id.to_owned()).collect()
    }

    #[test]
    fn a_release_is_fixed_from_its_own_lines_fix_on_and_after_the_last_of_all() {
        assert_eq!(ids("20.10.24+dfsg1", ENGINE), ["CVE-2024-29018", "CVE-2025-54410"]);
        assert_eq!(ids("20.10.5", ENGINE).len(), 3);
        assert_eq!(ids("24.0.9", ENGINE), ["CVE-2024-29018", "CVE-2025-54410"]);
        assert_eq!(ids("25.0.13", ENGINE), [""; 0]);
        assert_eq!(ids("26.1.5+dfsg1", ENGINE), ["CVE-2025-54410"]);
        assert_eq!(ids("28.2.2", ENGINE), ["CVE-2025-54388"]);
        assert_eq!(ids("28.3.3", ENGINE), [""; 0]);
        assert_eq!(ids("29.0.0", ENGINE), [""; 0]);
        assert_eq!(ids("v3.7.2", TRAEFIK), ["CVE-2026-48020"]);
        assert_eq!(ids("v3.7.13", TRAEFIK), [""; 0]);
        assert_eq!(ids("3.5.0", TRAEFIK).len(), 3);
    }

    #[test]
    fn what_comes_before_a_release_does_not_have_its_fix() {
        assert_eq!(ids("26.0.0-rc1", ENGINE), ["CVE-2024-29018", "CVE-2025-54410"]);
        assert_eq!(ids("v3.7.3-rc.1", TRAEFIK), ["CVE-2026-48020"]);
    }

    #[test]
    fn what_is_no_release_is_not_taken_for_one() {
        assert!(
            ["", "latest", "v3", "v3.7", "3.x.1", "dev"]
                .into_iter()
                .all(|text| Release::read(text).is_none())
        );
    }
}
