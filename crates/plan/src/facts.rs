//! What the host was seen to be. Plain data: `runtime::facts` gathers it, plans depend on it, tests make it up.

/// The host, as far as a container plan depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Where the cgroup hierarchies are.
    pub cgroups: Cgroups,
    /// Kernel version, major and minor.
    pub kernel: (u32, u32),
    /// Seccomp filters can be installed.
    pub seccomp: bool,
    /// Namespace kinds the kernel has, by the names of their links in `/proc/self/ns`.
    pub namespaces: Vec<String>,
    /// The highest capability the kernel knows.
    pub last_capability: u32,
    /// This process's effective capabilities, bit n for capability n.
    pub effective: u64,
    /// This process's bounding set.
    pub bounding: u64,
    /// Hard limit of open files.
    pub nofile_hard: u64,
    /// `user.max_user_namespaces`; 0 forbids them.
    pub max_user_namespaces: u64,
    /// This process's effective user.
    pub uid: u32,
    /// This process's effective group.
    pub gid: u32,
    /// This process is in a user namespace other than the host's.
    pub nested: bool,
    /// Cgroups are to be had only where somebody has handed a place down (runc's `--rootless`).
    pub rootless: bool,
    /// Swap is counted (`memory.memsw.*` or `memory.swap.max` exists).
    pub swap_limit: bool,
    /// AppArmor confines programs here.
    pub apparmor: bool,
    /// SELinux confines programs here.
    pub selinux: bool,
    /// Where resctrl is mounted (Intel RDT and its like), with what it can divide.
    pub resctrl: Option<Resctrl>,
}

/// The file system of cache and memory bandwidth allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resctrl {
    /// Mount point.
    pub mount: String,
    /// Directories of its `info`: `L3`, `MB`, `L3_MON` …
    pub resources: Vec<String>,
}

/// The cgroup hierarchies that are mounted. v1 only, v2 only, both (hybrid), or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroups {
    /// v1 hierarchies in mount order.
    pub v1: Vec<V1>,
    /// The v2 hierarchy.
    pub v2: Option<V2>,
}

/// A v1 hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct V1 {
    /// Its controllers; `name=systemd` for a named one.
    pub controllers: Vec<String>,
    /// Mount point.
    pub mount: String,
    /// The cgroup of this process.
    pub own: String,
    /// With [`Facts::rootless`]: the directory in which this process may make cgroups; empty when there is none.
    pub delegated: String,
}

/// The v2 hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct V2 {
    /// Controllers at its root, or at the place that was handed down.
    pub controllers: Vec<String>,
    /// Mount point.
    pub mount: String,
    /// The cgroup of this process.
    pub own: String,
    /// As [`V1::delegated`]. Beside the own cgroup, not in it: one with processes hands no controllers down.
    pub delegated: String,
}

impl Facts {
    /// This process is neither the host's root nor anything like it: devices, other users' files and namespaces are out of its reach.
    #[must_use]
    pub const fn unprivileged(&self) -> bool {
        self.uid != 0 || self.nested
    }
}

impl Cgroups {
    /// The v1 hierarchy of a controller.
    #[must_use]
    pub fn v1_of(&self, controller: &str) -> Option<&V1> {
        self.v1.iter().find(|h| h.controllers.iter().any(|c| c == controller))
    }

    /// Does v2 hold this controller?
    #[must_use]
    pub fn v2_has(&self, controller: &str) -> bool {
        self.v2.as_ref().is_some_and(|v2| v2.controllers.iter().any(|c| c == controller))
    }

    /// Is v2 the only one?
    #[must_use]
    pub fn only_v2(&self) -> bool {
        self.v1.is_empty() && self.v2.is_some()
    }
}
