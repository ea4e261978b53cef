//! Names: organisations, resources, processes, regions, environment variables, files and mount paths.
//!
//! The lengths are chosen so that every name Skep derives for a Swarm object fits Swarm's limits (63 for services and
//! networks, 64 for secrets) without truncation: a truncated name would no longer be unique. The compile-time checks at the
//! end prove it; `planner::naming` builds the names.

use super::{ScalarError, text_scalar};

/// Longest organisation name.
const ORG_NAME_MAX: usize = 20;
/// Longest name of any other resource.
const RESOURCE_NAME_MAX: usize = 30;
/// Longest process type.
const PROCESS_NAME_MAX: usize = 11;
/// Longest region, which ends up in a node label.
const REGION_MAX: usize = 30;
/// Longest environment variable name; the kernel has no limit, 128 keeps service specs bounded.
const ENV_NAME_MAX: usize = 128;
/// Longest file name under `/run/secrets`.
const FILE_NAME_MAX: usize = 128;
/// Longest mount path.
const MOUNT_PATH_MAX: usize = 255;

// service: org_name_process <= 63; secret: org_name_hash12 <= 64
const _: () = assert!(ORG_NAME_MAX + 1 + RESOURCE_NAME_MAX + 1 + PROCESS_NAME_MAX <= 63);
const _: () = assert!(ORG_NAME_MAX + 1 + RESOURCE_NAME_MAX + 1 + 12 <= 64);

text_scalar! {
    /// The name of an organisation: a DNS label of at most 20 characters.
    OrgName, "org-name", "Name of an organisation: lower-case letters, digits and inner hyphens, at most 20 characters.",
    "^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$", |text| dns_label("organisation name", text, ORG_NAME_MAX)
}

text_scalar! {
    /// The name of a resource: a DNS label of at most 30 characters.
    ResourceName, "resource-name", "Name of a resource: lower-case letters, digits and inner hyphens, at most 30 characters.",
    "^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$", |text| dns_label("name", text, RESOURCE_NAME_MAX)
}

text_scalar! {
    /// A process type such as `web` or `worker`: a DNS label of at most 11 characters.
    ProcessName, "process-name", "Process type such as web or worker: lower-case letters, digits and inner hyphens, at most 11 characters.",
    "^[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?$", |text| dns_label("process type", text, PROCESS_NAME_MAX)
}

text_scalar! {
    /// A region, matched against the node label `region`.
    Region, "region", "Region, matched against the node label `region`.",
    "^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$", |text| dns_label("region", text, REGION_MAX)
}

text_scalar! {
    /// The name of an environment variable.
    EnvName, "env-name", "Name of an environment variable: letters, digits and underscores, not starting with a digit.",
    "^[A-Za-z_][A-Za-z0-9_]{0,127}$", env_name
}

text_scalar! {
    /// A plain file name, without directories.
    FileName, "file-name", "File name without directories: letters, digits, dots, hyphens and underscores.",
    "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$", file_name
}

text_scalar! {
    /// An absolute, normalised path inside a container.
    MountPath, "mount-path", "Absolute path inside the container, without `.` and `..` parts.",
    "^/[A-Za-z0-9._/-]{1,254}$", mount_path
}

impl OrgName {
    /// Every organisation name is also a resource name: the Organization resource is called after it.
    pub fn to_resource_name(&self) -> ResourceName {
        ResourceName(self.0.clone())
    }
}

impl TryFrom<&ResourceName> for OrgName {
    type Error = ScalarError;

    fn try_from(name: &ResourceName) -> Result<Self, ScalarError> {
        name.as_str().parse()
    }
}

fn dns_label(what: &str, text: &str, max: usize) -> Result<(), ScalarError> {
    let help = || {
        format!(
            "use lower-case letters, digits and inner hyphens, 1 to {max} characters, for example `shop-1`"
        )
    };
    if text.is_empty() {
        return Err(ScalarError::new(format!("the {what} is empty"), help()));
    }
    if text.len() > max {
        return Err(ScalarError::new(
            format!(
                "the {what} `{}` is {} characters long, the limit is {max}",
                excerpt(text),
                text.chars().count()
            ),
            help(),
        ));
    }
    if let Some(bad) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return Err(ScalarError::new(
            format!("the {what} `{}` contains `{}`", excerpt(text), bad.escape_debug()),
            help(),
        ));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(ScalarError::new(format!("the {what} `{text}` begins or ends with a hyphen"), help()));
    }
    Ok(())
}

fn env_name(text: &str) -> Result<(), ScalarError> {
    let help = "use letters, digits and underscores, not starting with a digit, for example `LOG_LEVEL`";
    let mut chars = text.chars();
    let head = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let tail = chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if head && tail && text.len() <= ENV_NAME_MAX {
        return Ok(());
    }
    Err(ScalarError::new(format!("`{}` is not the name of an environment variable", excerpt(text)), help))
}

fn file_name(text: &str) -> Result<(), ScalarError> {
    let help = "use letters, digits, dots, hyphens and underscores, for example `db-url`";
    let head = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let tail = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if head && tail && text.len() <= FILE_NAME_MAX {
        return Ok(());
    }
    Err(ScalarError::new(format!("`{}` is not a plain file name", excerpt(text)), help))
}

fn mount_path(text: &str) -> Result<(), ScalarError> {
    let help = "write an absolute path such as `/data`, without `.`, `..`, doubled or trailing slashes";
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'));
    let parts_ok = text
        .strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")));
    if !plain || !parts_ok || text.len() > MOUNT_PATH_MAX {
        return Err(ScalarError::new(format!("`{}` is not a path that can be mounted", excerpt(text)), help));
    }
    // Mounting over these would break the container's view of the kernel or of its secrets.
    let first = text.split('/').nth(1).unwrap_or_default();
    if matches!(first, "proc" | "sys" | "dev")
        || text == "/run"
        || text.starts_with("/run/secrets")
        || text == "/var/run"
    {
        return Err(ScalarError::new(format!("`{text}` is reserved by the system"), help));
    }
    Ok(())
}

/// The start of a text, short enough for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 40;
    if text.chars().count() <= SHOWN {
        return text.escape_debug().to_string();
    }
    let head: String = text.chars().take(SHOWN).collect();
    format!("{}…", head.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_upper_case_is_refused_and_the_letter_is_named() {
        let error = "Shop".parse::<ResourceName>().unwrap_err();
        assert_eq!(error.problem, "the name `Shop` contains `S`");
    }

    #[test]
    fn a_refusal_moves_no_cursor_and_stays_short_whatever_the_name_is() {
        for text in ["a\u{1b}[2J", "a\u{202e}b", "\0"] {
            let problem = text.parse::<ResourceName>().unwrap_err().problem;
            assert!(!problem.contains(|c: char| c.is_control() || c == '\u{202e}'), "{problem:?}");
        }
    }

    #[test]
    fn a_name_at_the_limit_is_accepted_and_one_beyond_it_is_not() {
        assert!("a".repeat(30).parse::<ResourceName>().is_ok());
        assert!("a".repeat(31).parse::<ResourceName>().is_err());
        assert!("a".repeat(20).parse::<OrgName>().is_ok());
        assert!("a".repeat(21).parse::<OrgName>().is_err());
    }

    #[test]
    fn system_paths_cannot_be_mounted_over() {
        for path in
            ["/proc/x", "/sys", "/dev/shm", "/run/secrets", "/var/run", "/a/../etc", "/a//b", "data", "/"]
        {
            assert!(path.parse::<MountPath>().is_err(), "{path}");
        }
        assert!("/var/lib/data".parse::<MountPath>().is_ok());
    }
}
