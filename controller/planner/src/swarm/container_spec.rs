//! The container of a task: image, process, files, and how it is confined.

use super::id::{ConfigId, SecretId};
use super::mount::Mount;
use super::wire::{Extra, Labels, Nanos};

wire_struct! {
    /// What a container runs. Env, hostname and mount fields are Go templates to Swarm: `{{` must be escaped.
    pub struct ContainerSpec {
        /// Reference, with digest when it was resolved.
        image: String = "Image",
        /// Labels of the container; changing them replaces tasks.
        labels: Labels = "Labels",
        /// Replaces the image's entry point.
        command: Vec<String> = "Command",
        /// Arguments of the command.
        args: Vec<String> = "Args",
        /// Name inside the container.
        hostname: String = "Hostname",
        /// `NAME=value`; order is significant.
        env: Vec<String> = "Env",
        /// Working directory.
        dir: String = "Dir",
        /// User, or user and group.
        user: String = "User",
        /// Further groups.
        groups: Vec<String> = "Groups",
        /// Confinement; an empty object where there was none is a difference.
        privileges: Option<Privileges> = "Privileges",
        /// Whether a small init reaps processes; absent is the engine's default.
        init: Option<bool> = "Init",
        /// Signal that asks the process to end.
        stop_signal: String = "StopSignal",
        /// Whether there is a terminal.
        tty: bool = "TTY",
        /// Whether standard input stays open.
        open_stdin: bool = "OpenStdin",
        /// Whether the root file system is read-only.
        read_only: bool = "ReadOnly",
        /// Volumes and tmpfs; order is significant.
        mounts: Vec<Mount> = "Mounts",
        /// How long the process has between the signal and the kill.
        stop_grace_period: Option<Nanos> = "StopGracePeriod",
        /// How health is known.
        healthcheck: Option<Healthcheck> = "Healthcheck",
        /// Lines of the hosts file.
        hosts: Vec<String> = "Hosts",
        /// Name resolution.
        dns_config: Option<DnsConfig> = "DNSConfig",
        /// Secrets as files.
        secrets: Vec<SecretReference> = "Secrets",
        /// Configs as files.
        configs: Vec<ConfigReference> = "Configs",
        /// Windows isolation; the engine adds `default`.
        isolation: String = "Isolation",
        /// Kernel parameters of the container's namespaces.
        sysctls: Labels = "Sysctls",
        /// Capabilities added, kept as they are written.
        capability_add: Vec<String> = "CapabilityAdd",
        /// Capabilities dropped, kept as they are written.
        capability_drop: Vec<String> = "CapabilityDrop",
        /// Resource limits of the process.
        ulimits: Vec<Ulimit> = "Ulimits",
        /// Inclination to be killed when memory is short, API 1.46.
        oom_score_adj: i64 = "OomScoreAdj",
    }
}

wire_struct! {
    /// How health is known. `Test` begins with `CMD`, `CMD-SHELL` or `NONE`.
    pub struct Healthcheck {
        /// The probe.
        test: Vec<String> = "Test",
        /// The pause between probes.
        interval: Nanos = "Interval",
        /// How long a probe may take.
        timeout: Nanos = "Timeout",
        /// How long failures do not count after the start.
        start_period: Nanos = "StartPeriod",
        /// The pause between probes within the start period, API 1.44.
        start_interval: Nanos = "StartInterval",
        /// Failures in a row that mean unhealthy.
        retries: i64 = "Retries",
    }
}

wire_struct! {
    /// How a container is confined. Engines below API 1.44 store none of the last three and do not say so.
    pub struct Privileges {
        /// Windows credentials.
        credential_spec: Option<CredentialSpec> = "CredentialSpec",
        /// SELinux labels.
        selinux_context: Option<SelinuxContext> = "SELinuxContext",
        /// System call filter.
        seccomp: Option<Seccomp> = "Seccomp",
        /// AppArmor profile.
        app_armor: Option<AppArmor> = "AppArmor",
        /// Whether set-uid programs gain nothing.
        no_new_privileges: bool = "NoNewPrivileges",
    }
}

wire_struct! {
    /// Where a Windows credential spec comes from.
    pub struct CredentialSpec {
        /// A Swarm config.
        config: String = "Config",
        /// A file on the node.
        file: String = "File",
        /// A registry value.
        registry: String = "Registry",
    }
}

wire_struct! {
    /// SELinux labels of the container.
    pub struct SelinuxContext {
        /// Whether labelling is off.
        disable: bool = "Disable",
        /// User label.
        user: String = "User",
        /// Role label.
        role: String = "Role",
        /// Type label.
        selinux_type: String = "Type",
        /// Level label.
        level: String = "Level",
    }
}

wire_struct! {
    /// System call filter.
    pub struct Seccomp {
        /// Which filter.
        mode: Option<ProfileMode> = "Mode",
        /// A filter of one's own, base64.
        profile: String = "Profile",
    }
}

wire_struct! {
    /// AppArmor profile.
    pub struct AppArmor {
        /// Which profile.
        mode: Option<ProfileMode> = "Mode",
    }
}

wire_enum! {
    /// Which security profile applies.
    pub enum ProfileMode {
        /// The engine's own.
        Default = "default",
        /// None.
        Unconfined = "unconfined",
        /// None (AppArmor's word).
        Disabled = "disabled",
        /// One of one's own.
        Custom = "custom",
    }
}

wire_struct! {
    /// Name resolution of a container.
    pub struct DnsConfig {
        /// Servers.
        nameservers: Vec<String> = "Nameservers",
        /// Search domains.
        search: Vec<String> = "Search",
        /// Options of the resolver.
        options: Vec<String> = "Options",
    }
}

wire_struct! {
    /// A secret the container gets as a file. The engine wants id and name, and that they match.
    pub struct SecretReference {
        /// Where the file is; a name without a slash is below `/run/secrets`.
        file: Option<FileTarget> = "File",
        /// The secret's id.
        secret_id: SecretId = "SecretID",
        /// The secret's name.
        secret_name: String = "SecretName",
    }
}

wire_struct! {
    /// A config the container gets as a file.
    pub struct ConfigReference {
        /// Where the file is.
        file: Option<FileTarget> = "File",
        /// Set when it is for the runtime and not a file.
        runtime: Option<Extra> = "Runtime",
        /// The config's id.
        config_id: ConfigId = "ConfigID",
        /// The config's name.
        config_name: String = "ConfigName",
    }
}

wire_struct! {
    /// A file in the container.
    pub struct FileTarget {
        /// Name or path.
        name: String = "Name",
        /// Owner, numeric.
        uid: String = "UID",
        /// Group, numeric.
        gid: String = "GID",
        /// Permission bits.
        mode: u32 = "Mode",
    }
}

wire_struct! {
    /// A resource limit of the process.
    pub struct Ulimit {
        /// Which, like `nofile`.
        name: String = "Name",
        /// What it cannot exceed.
        hard: i64 = "Hard",
        /// What it starts with.
        soft: i64 = "Soft",
    }
}
