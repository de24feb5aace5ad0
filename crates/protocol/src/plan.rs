//! The plan: every act of a container's start as plain data, in order. It prints as text and crosses the
//! protocol unchanged; the same plan is replayed on the host and in a guest.
//!
//! Targets of mounts, nodes and links are paths inside the container's root and are always walked from its
//! handle; sources are paths of the host. Mount attribute words are those of `mount_setattr(2)`.
//!
//! Long because it is one table: the acts and their arguments.

use prost::{Message, Oneof};

/// Start of a container, decided to the last detail.
#[derive(Clone, PartialEq, Message)]
pub struct Plan {
    /// The container's id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Acts on the host before the clone, each with its undo.
    #[prost(message, repeated, tag = "2")]
    pub prepare: Vec<Step>,
    /// Acts of the child, in its own namespaces, before the program is executed.
    #[prost(message, repeated, tag = "3")]
    pub setup: Vec<Step>,
    /// The program.
    #[prost(message, optional, tag = "4")]
    pub process: Option<Process>,
    /// Namespaces that are not the host's.
    #[prost(message, repeated, tag = "5")]
    pub namespaces: Vec<Namespace>,
    /// Where its processes are counted and limited.
    #[prost(message, optional, tag = "6")]
    pub cgroup: Option<Cgroup>,
    /// Id maps of the container's own user namespace.
    #[prost(message, optional, tag = "7")]
    pub users: Option<Users>,
    /// For tests of the undo: fail at this step (counted over `prepare`, the clone, `setup`, the process).
    #[prost(uint32, optional, tag = "8")]
    pub fault_step: Option<u32>,
}

/// One act.
#[derive(Clone, PartialEq, Message)]
pub struct Step {
    /// Which.
    #[prost(
        oneof = "Act",
        tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 31, 40, 41, 42"
    )]
    pub act: Option<Act>,
}

/// The acts there are.
#[derive(Clone, PartialEq, Oneof)]
pub enum Act {
    /// Write a cgroup file. Undo: none of its own, the cgroup goes.
    #[prost(message, tag = "1")]
    Write(Write),
    /// Make a cgroup. Undo: kill what is in it, remove it.
    #[prost(message, tag = "2")]
    MakeCgroup(MakeCgroup),
    /// Attach a device filter to a cgroup (v2). Undo: dies with the cgroup.
    #[prost(message, tag = "3")]
    DeviceProgram(DeviceProgram),
    /// The child writes itself into a cgroup (v1): the path of its `tasks` file.
    #[prost(string, tag = "4")]
    EnterCgroup(String),
    /// Make a cgroup namespace whose root is the cgroup just entered (v1).
    #[prost(message, tag = "5")]
    UnshareCgroup(Nothing),
    /// Make a time namespace with these clock offsets.
    #[prost(message, tag = "6")]
    UnshareTime(TimeOffsets),
    /// Change the propagation of every mount in the child's namespace: a propagation word of `mount_setattr`.
    #[prost(uint64, tag = "7")]
    Propagate(u64),
    /// Mount what will be the root.
    #[prost(message, tag = "8")]
    Root(Root),
    /// Mount a new instance of a file system.
    #[prost(message, tag = "9")]
    Filesystem(Filesystem),
    /// Mount a file or directory of the host.
    #[prost(message, tag = "10")]
    Bind(Bind),
    /// Make a device node or FIFO.
    #[prost(message, tag = "11")]
    Node(Node),
    /// Make a symbolic link, unless something is there.
    #[prost(message, tag = "12")]
    Link(Link),
    /// Make a directory and its parents.
    #[prost(message, tag = "13")]
    MakeDir(MakeDir),
    /// Open the terminal in the container's devpts and bind it on this path.
    #[prost(string, tag = "14")]
    Console(String),
    /// Hide paths behind one empty read-only directory or file; missing ones are skipped.
    #[prost(message, tag = "15")]
    Mask(Paths),
    /// Make paths read-only, each with the mounts below it; missing ones are skipped.
    #[prost(message, tag = "16")]
    ReadOnly(Paths),
    /// Write a sysctl, as the child's namespaces see it.
    #[prost(message, tag = "17")]
    Sysctl(Sysctl),
    /// Set the host name.
    #[prost(string, tag = "18")]
    Hostname(String),
    /// Set the NIS domain name.
    #[prost(string, tag = "19")]
    Domainname(String),
    /// Bring the loopback interface up.
    #[prost(message, tag = "20")]
    Loopback(Nothing),
    /// Set attributes of a mount that is there.
    #[prost(message, tag = "21")]
    Attributes(Attributes),
    /// Make the new root the root, and detach the host's.
    #[prost(message, tag = "22")]
    Pivot(Nothing),
    /// Set the propagation of the new root after the pivot: a propagation word of `mount_setattr`, with [`ALL_BELOW`] for
    /// every mount of the container.
    #[prost(uint64, tag = "23")]
    RootPropagation(u64),
    /// Wait while the caller runs programs of its own on the host's side.
    #[prost(message, tag = "24")]
    AwaitHooks(Nothing),
    /// Run a program of the host, inside the container's namespaces.
    #[prost(message, tag = "25")]
    Hook(Hook),
    /// Wait while the parent moves network devices of its own namespace into this one. Undo: they are moved back.
    #[prost(message, tag = "26")]
    NetDevices(NetDevices),
    /// Find or make a class of service of resctrl. Undo: remove what the container has for itself.
    #[prost(message, tag = "27")]
    Class(Class),
    /// Make the new root the root where the old one cannot be detached (`--no-pivot`): cover it, and `chroot(2)`.
    #[prost(message, tag = "31")]
    Chroot(Nothing),
    /// For a container without a mount namespace of its own, on the host's side: hang its root into the mounts there are.
    #[prost(message, tag = "40")]
    HangRoot(HungRoot),
    /// Take the root that hangs at this path.
    #[prost(string, tag = "41")]
    OpenRoot(String),
    /// Make the root that hangs the root: `chroot(2)`, and leave the mounts of others alone.
    #[prost(message, tag = "42")]
    ChangeRoot(Nothing),
}

/// In [`Act::RootPropagation`]: the mounts below as well (`AT_RECURSIVE`).
pub const ALL_BELOW: u64 = 0x8000;

/// No arguments.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Nothing {}

/// A change of a mount's propagation.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Propagation {
    /// Propagation word of `mount_setattr`.
    #[prost(uint64, tag = "1")]
    pub word: u64,
    /// For the mounts below as well.
    #[prost(bool, tag = "2")]
    pub all: bool,
}

/// A value for a cgroup (or other kernel) file.
#[derive(Clone, PartialEq, Message)]
pub struct Write {
    /// Absolute path.
    #[prost(string, tag = "1")]
    pub path: String,
    /// What to write.
    #[prost(string, tag = "2")]
    pub value: String,
    /// The request field that asked for it, for messages. Empty: nobody asked, so a refusal is a warning.
    #[prost(string, tag = "3")]
    pub field: String,
    /// Done instead when there is no such file.
    #[prost(message, optional, boxed, tag = "4")]
    pub otherwise: Option<Box<Write>>,
}

/// A cgroup directory to make.
#[derive(Clone, PartialEq, Message)]
pub struct MakeCgroup {
    /// Absolute path. Missing parents are made and stay.
    #[prost(string, tag = "1")]
    pub path: String,
    /// Controllers to enable for it in its parents (v2), as `+cpu +memory`.
    #[prost(string, tag = "2")]
    pub enable: String,
    /// A cpuset of v1: parents hand their processors and memory nodes down.
    #[prost(bool, tag = "3")]
    pub seed: bool,
    /// Where parents begin: the mount point, which is never made.
    #[prost(string, tag = "4")]
    pub mount: String,
    /// One that is there and has no process is used as it is; else it is made anew.
    #[prost(bool, tag = "5")]
    pub keep: bool,
    /// The user of the host that may make cgroups in it (v2).
    #[prost(uint32, optional, tag = "6")]
    pub owner: Option<u32>,
}

/// A BPF program of type `cgroup_device`.
#[derive(Clone, PartialEq, Message)]
pub struct DeviceProgram {
    /// Absolute path of the cgroup.
    #[prost(string, tag = "1")]
    pub cgroup: String,
    /// Instructions, eight bytes each.
    #[prost(bytes = "vec", tag = "2")]
    pub program: Vec<u8>,
    /// The request field, as in [`Write`].
    #[prost(string, tag = "3")]
    pub field: String,
}

/// Offsets of a time namespace.
#[derive(Clone, PartialEq, Message)]
pub struct TimeOffsets {
    /// Lines of `/proc/self/timens_offsets`: clock, seconds, nanoseconds.
    #[prost(string, tag = "1")]
    pub lines: String,
}

/// The root file system.
#[derive(Clone, PartialEq, Message)]
pub struct Root {
    /// A directory of the host, bound with everything below it. Empty for an overlay.
    #[prost(string, tag = "1")]
    pub directory: String,
    /// Read-only layers, topmost first.
    #[prost(string, repeated, tag = "2")]
    pub lower: Vec<String>,
    /// The writable layer.
    #[prost(string, tag = "3")]
    pub upper: String,
    /// Overlayfs' scratch directory.
    #[prost(string, tag = "4")]
    pub work: String,
    /// More overlay options, as `key` or `key=value`.
    #[prost(string, repeated, tag = "5")]
    pub options: Vec<String>,
    /// Map owners through the container's user namespace.
    #[prost(bool, tag = "6")]
    pub mapped: bool,
    /// Where it hangs until it becomes the root, for hooks that look for it; empty: over the host's "/".
    #[prost(string, tag = "7")]
    pub place: String,
    /// Propagation word of `mount_setattr` for a directory; 0: private. Else the parent makes it before the clone, out of the host's
    /// mounts as they are.
    #[prost(uint64, tag = "8")]
    pub propagation: u64,
}

/// A root among others' mounts.
#[derive(Clone, PartialEq, Message)]
pub struct HungRoot {
    /// The directory that becomes a mount of its own.
    #[prost(string, tag = "1")]
    pub directory: String,
    /// Path of the mount namespace; empty: the caller's.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// That namespace's inode number at the start: later the path may lead to another.
    #[prost(uint64, tag = "3")]
    pub inode: u64,
    /// How many mounts lay on the directory before: they are not to be taken down.
    #[prost(uint32, tag = "4")]
    pub covered: u32,
}

/// A new file system instance.
#[derive(Clone, PartialEq, Message)]
pub struct Filesystem {
    /// Type, as in `/proc/filesystems`.
    #[prost(string, tag = "1")]
    pub kind: String,
    /// Source, as mount tables show it.
    #[prost(string, tag = "2")]
    pub source: String,
    /// Where, inside the root.
    #[prost(string, tag = "3")]
    pub target: String,
    /// Options of the file system, as `key` or `key=value`.
    #[prost(string, repeated, tag = "4")]
    pub options: Vec<String>,
    /// Mount attributes to set.
    #[prost(uint64, tag = "5")]
    pub attributes: u64,
    /// Only an ordinary directory will do as mount point, no link (proc and sysfs: CVE-2019-19921).
    #[prost(bool, tag = "6")]
    pub strict: bool,
    /// Made by the parent before the clone, while it still has the rights (sysfs of a network namespace that
    /// the container's user namespace does not own).
    #[prost(bool, tag = "7")]
    pub early: bool,
    /// Copy what the image has at the target into the new file system (OCI `tmpcopyup`).
    #[prost(bool, tag = "8")]
    pub copy_up: bool,
    /// Propagation word of `mount_setattr`; 0 leaves it.
    #[prost(uint64, tag = "9")]
    pub propagation: u64,
    /// The request field, for messages: `mounts[3]`.
    #[prost(string, tag = "10")]
    pub field: String,
    /// Further changes of the propagation, in order.
    #[prost(message, repeated, tag = "11")]
    pub then: Vec<Propagation>,
    /// Give it the permission bits of the directory in its place, if there is one (tmpfs).
    #[prost(bool, tag = "12")]
    pub inherit_mode: bool,
    /// Not a new one: change the one that is mounted there.
    #[prost(bool, tag = "13")]
    pub remount: bool,
    /// Mount attributes to clear, for a remount.
    #[prost(uint64, tag = "14")]
    pub clear: u64,
}

/// A piece of the host's tree.
#[derive(Clone, PartialEq, Message)]
pub struct Bind {
    /// Path on the host.
    #[prost(string, tag = "1")]
    pub source: String,
    /// Where, inside the root. Made if missing, as what the source is.
    #[prost(string, tag = "2")]
    pub target: String,
    /// With the mounts below the source.
    #[prost(bool, tag = "3")]
    pub recursive: bool,
    /// Mount attributes to set.
    #[prost(uint64, tag = "4")]
    pub set: u64,
    /// Mount attributes to clear.
    #[prost(uint64, tag = "5")]
    pub clear: u64,
    /// Mount attributes to set on the mounts below as well.
    #[prost(uint64, tag = "6")]
    pub set_all: u64,
    /// Mount attributes to clear on the mounts below as well.
    #[prost(uint64, tag = "7")]
    pub clear_all: u64,
    /// Propagation word of `mount_setattr`; 0 leaves it.
    #[prost(uint64, tag = "8")]
    pub propagation: u64,
    /// The propagation goes for the mounts below as well.
    #[prost(bool, tag = "9")]
    pub propagate_all: bool,
    /// Map owners through the container's user namespace.
    #[prost(bool, tag = "10")]
    pub mapped: bool,
    /// Do not follow a link in the last part of the source.
    #[prost(bool, tag = "11")]
    pub no_follow: bool,
    /// The request field, for messages: `mounts[3]`.
    #[prost(string, tag = "12")]
    pub field: String,
    /// Further changes of the propagation, in order.
    #[prost(message, repeated, tag = "13")]
    pub then: Vec<Propagation>,
    /// Opened by the parent before the clone, while the source still has the host's propagation.
    #[prost(bool, tag = "14")]
    pub early: bool,
    /// With `mapped`: these ids instead of the container's.
    #[prost(message, optional, tag = "15")]
    pub maps: Option<Users>,
    /// With `mapped`: the mounts below as well.
    #[prost(bool, tag = "16")]
    pub map_all: bool,
    /// Opened by the child, also in a user namespace: the source is among the container's own mounts.
    #[prost(bool, tag = "17")]
    pub late: bool,
}

/// A device node or FIFO.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// Where, inside the root.
    #[prost(string, tag = "1")]
    pub path: String,
    /// File type and permission bits, as in `st_mode`.
    #[prost(uint32, tag = "2")]
    pub mode: u32,
    /// Major number.
    #[prost(uint32, tag = "3")]
    pub major: u32,
    /// Minor number.
    #[prost(uint32, tag = "4")]
    pub minor: u32,
    /// Owner.
    #[prost(uint32, tag = "5")]
    pub uid: u32,
    /// Group.
    #[prost(uint32, tag = "6")]
    pub gid: u32,
}

/// A symbolic link.
#[derive(Clone, PartialEq, Message)]
pub struct Link {
    /// Where, inside the root.
    #[prost(string, tag = "1")]
    pub path: String,
    /// What it says.
    #[prost(string, tag = "2")]
    pub text: String,
}

/// A directory.
#[derive(Clone, PartialEq, Message)]
pub struct MakeDir {
    /// Where, inside the root.
    #[prost(string, tag = "1")]
    pub path: String,
    /// Permission bits.
    #[prost(uint32, tag = "2")]
    pub mode: u32,
}

/// A program of the caller's that runs at a point of the start, with the container's state on its stdin.
#[derive(Clone, PartialEq, Message)]
pub struct Hook {
    /// The document's field and place in its list, for messages: `createContainer hook #0`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The program.
    #[prost(string, tag = "2")]
    pub path: String,
    /// Its arguments, its own name first.
    #[prost(string, repeated, tag = "3")]
    pub args: Vec<String>,
    /// Its environment, `NAME=value`.
    #[prost(string, repeated, tag = "4")]
    pub env: Vec<String>,
    /// Seconds until it is killed; 0: as long as it likes.
    #[prost(uint32, tag = "5")]
    pub timeout_s: u32,
}

/// Network devices that move into the container.
#[derive(Clone, PartialEq, Message)]
pub struct NetDevices {
    /// In the order of their names.
    #[prost(message, repeated, tag = "1")]
    pub devices: Vec<NetDevice>,
}

/// One network device.
#[derive(Clone, PartialEq, Message)]
pub struct NetDevice {
    /// Its name outside.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its name inside; `%d` in it is a number of the kernel's choice.
    #[prost(string, tag = "2")]
    pub inside: String,
}

/// A class of service (resctrl), which the container's first process enters by a step of its own.
#[derive(Clone, PartialEq, Message)]
pub struct Class {
    /// Its directory.
    #[prost(string, tag = "1")]
    pub path: String,
    /// The container's own: made here, removed with it.
    #[prost(bool, tag = "2")]
    pub own: bool,
    /// Somebody has made it before.
    #[prost(bool, tag = "3")]
    pub existing: bool,
    /// Lines of its `schemata`: written when it is new, compared when it is there.
    #[prost(string, repeated, tag = "4")]
    pub schemata: Vec<String>,
    /// Directory of the container's monitoring group; empty for none.
    #[prost(string, tag = "5")]
    pub monitor: String,
}

/// Paths inside the root.
#[derive(Clone, PartialEq, Message)]
pub struct Paths {
    /// In order.
    #[prost(string, repeated, tag = "1")]
    pub paths: Vec<String>,
}

/// A kernel parameter.
#[derive(Clone, PartialEq, Message)]
pub struct Sysctl {
    /// Path below `/proc/sys`.
    #[prost(string, tag = "1")]
    pub path: String,
    /// What to write.
    #[prost(string, tag = "2")]
    pub value: String,
    /// The request field, as in [`Write`].
    #[prost(string, tag = "3")]
    pub field: String,
    /// Written by the parent before the clone, while it still has the rights (a network namespace that the
    /// container's user namespace does not own).
    #[prost(bool, tag = "4")]
    pub early: bool,
}

/// Attributes of a mount.
#[derive(Clone, PartialEq, Message)]
pub struct Attributes {
    /// Mount point inside the root; empty for the root itself.
    #[prost(string, tag = "1")]
    pub target: String,
    /// Attributes to set.
    #[prost(uint64, tag = "2")]
    pub set: u64,
}

/// Kinds of namespaces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum NamespaceKind {
    /// `mnt_namespaces(7)` and so on for the others.
    Mount = 0,
    /// Process ids.
    Pid = 1,
    /// Network.
    Net = 2,
    /// Host name.
    Uts = 3,
    /// System V IPC and POSIX message queues.
    Ipc = 4,
    /// Users and capabilities.
    User = 5,
    /// Cgroup root.
    Cgroup = 6,
    /// Monotonic and boot-time clocks.
    Time = 7,
}

impl NamespaceKind {
    /// The name of its link in `/proc/<pid>/ns`.
    #[must_use]
    pub const fn link(self) -> &'static str {
        match self {
            Self::Mount => "mnt",
            Self::Pid => "pid",
            Self::Net => "net",
            Self::Uts => "uts",
            Self::Ipc => "ipc",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }
}

/// Of the descriptors a plan names: with a container's id behind it, the pidfd that the supervisor has of that container.
pub const OF_CONTAINER: &str = "container:";

impl Plan {
    /// A new namespace of this kind is made.
    #[must_use]
    pub fn makes(&self, kind: NamespaceKind) -> bool {
        self.namespaces.iter().any(|n| n.kind == kind as i32 && n.path.is_empty())
    }

    /// Path of the user namespace to join.
    #[must_use]
    pub fn joined_users(&self) -> Option<&str> {
        let kind = NamespaceKind::User as i32;
        self.namespaces.iter().find(|n| n.kind == kind && !n.path.is_empty()).map(|n| n.path.as_str())
    }
}

/// A namespace the container is in.
#[derive(Clone, PartialEq, Message)]
pub struct Namespace {
    /// One of [`NamespaceKind`].
    #[prost(enumeration = "NamespaceKind", tag = "1")]
    pub kind: i32,
    /// Empty for a new one, made by the clone; `fd:<name>` for one sent along, or with [`OF_CONTAINER`] for one the
    /// supervisor has; else a path such as `/proc/1/ns/net`.
    #[prost(string, tag = "2")]
    pub path: String,
    /// New, but made by a step of the child instead of the clone (see the steps' reasons).
    #[prost(bool, tag = "3")]
    pub late: bool,
}

/// Id maps of a user namespace; those of one that is joined stand already.
#[derive(Clone, PartialEq, Message)]
pub struct Users {
    /// User ids.
    #[prost(message, repeated, tag = "1")]
    pub uid: Vec<IdMap>,
    /// Group ids.
    #[prost(message, repeated, tag = "2")]
    pub gid: Vec<IdMap>,
    /// The caller has no rights over the host: what else its parent would open, the child opens, in the user namespace and as the
    /// caller.
    #[prost(bool, tag = "3")]
    pub inside: bool,
    /// `newuidmap` writes the map of user ids: the caller may only map itself.
    #[prost(bool, tag = "4")]
    pub uid_by_helper: bool,
    /// `newgidmap` writes the map of group ids.
    #[prost(bool, tag = "5")]
    pub gid_by_helper: bool,
    /// Nobody may set groups inside: the price of a map of group ids that is written without any rights.
    #[prost(bool, tag = "6")]
    pub deny_groups: bool,
}

/// One line of an id map.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct IdMap {
    /// First id inside.
    #[prost(uint32, tag = "1")]
    pub inside: u32,
    /// First id outside.
    #[prost(uint32, tag = "2")]
    pub outside: u32,
    /// How many.
    #[prost(uint32, tag = "3")]
    pub count: u32,
}

/// A container's cgroups.
#[derive(Clone, PartialEq, Message)]
pub struct Cgroup {
    /// The directory in each hierarchy, with its mount point and controllers.
    #[prost(message, repeated, tag = "1")]
    pub hierarchies: Vec<Hierarchy>,
    /// The one of v2, which the clone enters; empty when v2 is not mounted.
    #[prost(string, tag = "2")]
    pub unified: String,
}

/// A container's directory in one v1 hierarchy.
#[derive(Clone, PartialEq, Message)]
pub struct Hierarchy {
    /// Controllers, as `cpu,cpuacct`, or `name=systemd`.
    #[prost(string, tag = "1")]
    pub controllers: String,
    /// Absolute path.
    #[prost(string, tag = "2")]
    pub path: String,
}

/// A program to execute.
#[derive(Clone, PartialEq, Message)]
pub struct Process {
    /// The program and its arguments; never empty.
    #[prost(string, repeated, tag = "1")]
    pub args: Vec<String>,
    /// `NAME=value`.
    #[prost(string, repeated, tag = "2")]
    pub env: Vec<String>,
    /// Working directory inside the root.
    #[prost(string, tag = "3")]
    pub cwd: String,
    /// User id.
    #[prost(uint32, tag = "4")]
    pub uid: u32,
    /// Group id.
    #[prost(uint32, tag = "5")]
    pub gid: u32,
    /// Supplementary groups.
    #[prost(uint32, repeated, tag = "6")]
    pub groups: Vec<u32>,
    /// File mode creation mask.
    #[prost(uint32, optional, tag = "7")]
    pub umask: Option<u32>,
    /// Absent leaves the sets as they are.
    #[prost(message, optional, tag = "8")]
    pub capabilities: Option<Capabilities>,
    /// `PR_SET_NO_NEW_PRIVS`.
    #[prost(bool, tag = "9")]
    pub no_new_privs: bool,
    /// System call filter.
    #[prost(message, optional, tag = "10")]
    pub seccomp: Option<Seccomp>,
    /// Resource limits.
    #[prost(message, repeated, tag = "11")]
    pub rlimits: Vec<Rlimit>,
    /// `/proc/self/oom_score_adj`.
    #[prost(int32, optional, tag = "12")]
    pub oom_score_adj: Option<i32>,
    /// Stdio is a terminal.
    #[prost(bool, tag = "13")]
    pub terminal: bool,
    /// Descriptors from 3 on that are the caller's and stay open.
    #[prost(uint32, tag = "14")]
    pub preserve_fds: u32,
    /// Stay with the caller's session keyring.
    #[prost(bool, tag = "15")]
    pub keep_keyring: bool,
    /// Scheduling policy.
    #[prost(message, optional, tag = "16")]
    pub scheduler: Option<Scheduler>,
    /// Class and level of I/O, as `ioprio_set(2)` takes them.
    #[prost(uint32, optional, tag = "17")]
    pub io_priority: Option<u32>,
    /// Execution domain, as `personality(2)` takes it.
    #[prost(uint32, optional, tag = "18")]
    pub personality: Option<u32>,
    /// Run inside, after the start is asked for and before the program.
    #[prost(message, repeated, tag = "19")]
    pub start_hooks: Vec<Hook>,
    /// Processors of an exec; a container's first process does not look at it.
    #[prost(message, optional, tag = "20")]
    pub exec_affinity: Option<Affinity>,
    /// NUMA policy.
    #[prost(message, optional, tag = "21")]
    pub memory_policy: Option<MemoryPolicy>,
    /// AppArmor profile; empty leaves the caller's.
    #[prost(string, tag = "22")]
    pub apparmor: String,
    /// SELinux label; empty leaves it to the policy.
    #[prost(string, tag = "23")]
    pub selinux: String,
    /// The caller has no rights over the host: groups that it cannot drop stay, and a refused OOM score is told, not fatal.
    #[prost(bool, tag = "30")]
    pub unprivileged: bool,
}

/// Processors, bit n of word m for processor 64 m + n; no words change nothing.
#[derive(Clone, PartialEq, Message)]
pub struct Affinity {
    /// Until the process is in the container's cgroup.
    #[prost(uint64, repeated, tag = "1")]
    pub initial: Vec<u64>,
    /// From then on.
    #[prost(uint64, repeated, tag = "2")]
    pub last: Vec<u64>,
}

/// Arguments of `set_mempolicy(2)`.
#[derive(Clone, PartialEq, Message)]
pub struct MemoryPolicy {
    /// `MPOL_*` with its `MPOL_F_*`.
    #[prost(uint32, tag = "1")]
    pub mode: u32,
    /// Memory nodes, bit n of word m for node 64 m + n.
    #[prost(uint64, repeated, tag = "2")]
    pub nodes: Vec<u64>,
}

/// Arguments of `sched_setattr(2)`.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Scheduler {
    /// `SCHED_*`.
    #[prost(uint32, tag = "1")]
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    #[prost(uint64, tag = "2")]
    pub flags: u64,
    /// Nice value.
    #[prost(int32, tag = "3")]
    pub nice: i32,
    /// Static priority.
    #[prost(uint32, tag = "4")]
    pub priority: u32,
    /// Nanoseconds.
    #[prost(uint64, tag = "5")]
    pub runtime_ns: u64,
    /// Nanoseconds.
    #[prost(uint64, tag = "6")]
    pub deadline_ns: u64,
    /// Nanoseconds.
    #[prost(uint64, tag = "7")]
    pub period_ns: u64,
}

/// Capability sets, bit n for capability n.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Capabilities {
    /// What may ever be gained.
    #[prost(uint64, tag = "1")]
    pub bounding: u64,
    /// In force.
    #[prost(uint64, tag = "2")]
    pub effective: u64,
    /// Empty unless ambient ones were asked for (CVE-2022-29162).
    #[prost(uint64, tag = "3")]
    pub inheritable: u64,
    /// May be put in force.
    #[prost(uint64, tag = "4")]
    pub permitted: u64,
    /// Kept over an exec without file capabilities.
    #[prost(uint64, tag = "5")]
    pub ambient: u64,
}

/// A compiled system call filter.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Seccomp {
    /// An array of `struct sock_filter`.
    #[prost(bytes = "vec", tag = "1")]
    pub filter: Vec<u8>,
    /// `SECCOMP_FILTER_FLAG_*`.
    #[prost(uint32, tag = "2")]
    pub flags: u32,
    /// Unix socket of whoever answers notifications; empty when the filter makes none.
    #[prost(string, tag = "3")]
    pub listener: String,
    /// Opaque text for it.
    #[prost(string, tag = "4")]
    pub metadata: String,
}

/// A resource limit.
#[derive(Clone, PartialEq, Message)]
pub struct Rlimit {
    /// The kernel's number (`RLIMIT_*`).
    #[prost(uint32, tag = "1")]
    pub resource: u32,
    /// Soft limit.
    #[prost(uint64, tag = "2")]
    pub soft: u64,
    /// Hard limit.
    #[prost(uint64, tag = "3")]
    pub hard: u64,
    /// The request field, as in [`Write`].
    #[prost(string, tag = "4")]
    pub field: String,
}

/// One more process in a running container.
#[derive(Clone, PartialEq, Message)]
pub struct ExecPlan {
    /// The container's id.
    #[prost(string, tag = "1")]
    pub container: String,
    /// The program.
    #[prost(message, optional, tag = "2")]
    pub process: Option<Process>,
    /// The container's namespaces, which the process joins all at once through the container's pidfd.
    #[prost(enumeration = "NamespaceKind", repeated, tag = "3")]
    pub namespaces: Vec<i32>,
    /// The container's cgroups, which the process enters.
    #[prost(message, optional, tag = "4")]
    pub cgroup: Option<Cgroup>,
    /// The container has a user namespace of its own.
    #[prost(bool, tag = "5")]
    pub users: bool,
    /// The cgroups were named by the caller: where the process cannot enter them, no others will do.
    #[prost(bool, tag = "6")]
    pub named_cgroup: bool,
    /// The container's root is not that of its mount namespace.
    #[prost(bool, tag = "7")]
    pub changed_root: bool,
    /// Rights over the container's other namespaces are had only inside that one.
    #[prost(bool, tag = "30")]
    pub from_inside: bool,
}
