//! Mounts of a container.

use super::wire::{Extra, Labels};

wire_struct! {
    /// One mount. Source, target and volume labels are Go templates to Swarm.
    pub struct Mount {
        /// What kind; the engine refuses one it does not know.
        mount_type: Option<MountType> = "Type",
        /// Volume name or path on the node; none for tmpfs.
        source: String = "Source",
        /// Path in the container.
        target: String = "Target",
        /// Whether it is read-only.
        read_only: bool = "ReadOnly",
        /// Consistency, of no effect on Linux; the engine drops `default`.
        consistency: String = "Consistency",
        /// Settings of a bind mount.
        bind_options: Option<BindOptions> = "BindOptions",
        /// Settings of a volume.
        volume_options: Option<VolumeOptions> = "VolumeOptions",
        /// Settings of a tmpfs.
        tmpfs_options: Option<TmpfsOptions> = "TmpfsOptions",
        /// Settings of a cluster volume, API 1.42.
        cluster_options: Option<Extra> = "ClusterOptions",
    }
}

wire_enum! {
    /// The kind of a mount.
    pub enum MountType {
        /// A path of the node.
        Bind = "bind",
        /// A named volume of the node.
        Volume = "volume",
        /// Memory.
        Tmpfs = "tmpfs",
        /// A Windows named pipe.
        NamedPipe = "npipe",
        /// A volume of the cluster.
        Cluster = "cluster",
    }
}

wire_struct! {
    /// Settings of a bind mount.
    pub struct BindOptions {
        /// How later mounts propagate.
        propagation: String = "Propagation",
        /// Whether mounts below the source are left out.
        non_recursive: bool = "NonRecursive",
        /// Whether a missing source is created, API 1.44.
        create_mountpoint: bool = "CreateMountpoint",
        /// Whether only the top is read-only, API 1.44.
        read_only_non_recursive: bool = "ReadOnlyNonRecursive",
        /// Whether failing to make all of it read-only is an error, API 1.44.
        read_only_force_recursive: bool = "ReadOnlyForceRecursive",
    }
}

wire_struct! {
    /// Settings of a volume.
    pub struct VolumeOptions {
        /// Whether the image's files are not copied into a new volume.
        no_copy: bool = "NoCopy",
        /// Labels of a volume made for this mount.
        labels: Labels = "Labels",
        /// A path inside the volume, engine 26.1.
        subpath: String = "Subpath",
        /// The driver of a volume made for this mount.
        driver_config: Option<MountDriver> = "DriverConfig",
    }
}

wire_struct! {
    /// The driver of a volume.
    pub struct MountDriver {
        /// The driver.
        name: String = "Name",
        /// Its options.
        options: Labels = "Options",
    }
}

wire_struct! {
    /// Settings of a tmpfs.
    pub struct TmpfsOptions {
        /// Its size.
        size_bytes: i64 = "SizeBytes",
        /// Permission bits, as a plain number.
        mode: u32 = "Mode",
        /// Mount options, API 1.46.
        options: Vec<Vec<String>> = "Options",
    }
}
