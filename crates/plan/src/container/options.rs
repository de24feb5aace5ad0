//! Mount options as fstab writes them, read into mount attributes (runtime-spec, config.md#linux-mount-options).

use protocol::plan::Propagation;

/// Attribute bits of `mount_setattr(2)`.
pub(super) mod bit {
    pub(crate) const RDONLY: u64 = 0x1;
    pub(crate) const NOSUID: u64 = 0x2;
    pub(crate) const NODEV: u64 = 0x4;
    pub(crate) const NOEXEC: u64 = 0x8;
    pub(crate) const ATIME: u64 = 0x70;
    pub(crate) const NOATIME: u64 = 0x10;
    pub(crate) const STRICTATIME: u64 = 0x20;
    pub(crate) const NODIRATIME: u64 = 0x80;
    pub(crate) const NOSYMFOLLOW: u64 = 0x20_0000;
    pub(crate) const UNBINDABLE: u64 = 1 << 17;
    pub(crate) const PRIVATE: u64 = 1 << 18;
    pub(crate) const SLAVE: u64 = 1 << 19;
    pub(crate) const SHARED: u64 = 1 << 20;
}

/// The words that are understood; others are the file system's own.
pub const MOUNT_OPTIONS: [&str; 63] = [
    "async",
    "atime",
    "bind",
    "copy-symlink",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "idmap",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
    "tmpcopyup",
    "unbindable",
];

/// What a list of options means.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Mounting {
    /// Attributes to set and to clear on the mount.
    pub set: u64,
    pub clear: u64,
    /// The same for the whole tree (`rro`, `rnosuid` …).
    pub set_all: u64,
    pub clear_all: u64,
    /// Changes of the propagation, in the order asked for: a slave that is then shared is both.
    pub propagation: Vec<Propagation>,
    /// `bind`, `rbind`.
    pub bind: bool,
    pub recursive: bool,
    /// `tmpcopyup`.
    pub copy_up: bool,
    /// `idmap`, `ridmap`.
    pub mapped: bool,
    pub map_all: bool,
    /// `copy-symlink`.
    pub no_follow: bool,
    /// Change what is mounted there.
    pub remount: bool,
    /// `iversion`: the mount API has no word for it.
    pub iversion: bool,
    /// What is left for the file system, its flags (`sync`, `lazytime` …) among it.
    pub data: Vec<String>,
}

/// Flags of a file system, which the mount API takes among its options, and the words that take them back.
const FLAGS: [(&str, &str); 4] =
    [("sync", "async"), ("dirsync", ""), ("lazytime", "nolazytime"), ("mand", "nomand")];

impl Mounting {
    /// Reads options in order; later ones win.
    pub(super) fn of(options: &[String]) -> Self {
        let mut mounting = Self::default();
        for option in options {
            mounting.read(option);
        }
        mounting
    }

    fn read(&mut self, option: &str) {
        if let Some((set, clear)) = attribute(option) {
            self.set = self.set & !clear & !set | set;
            self.clear = self.clear & !set | clear;
        } else if let Some((set, clear)) = option.strip_prefix('r').and_then(recursive_attribute) {
            self.set_all = self.set_all & !clear & !set | set;
            self.clear_all = self.clear_all & !set | clear;
        } else if let Some(change) = propagation(option) {
            self.propagation.push(change);
        } else if let Some((flag, opposite)) =
            FLAGS.iter().find(|(on, off)| option == *on || option == *off && !off.is_empty())
        {
            self.data.retain(|word| word != flag && word != opposite);
            self.data.extend((option != *opposite).then(|| (*flag).to_owned()));
        } else {
            self.read_word(option);
        }
    }

    fn read_word(&mut self, option: &str) {
        match option {
            // Nothing is printed anyway; and no mount has these unless it was told another way.
            "" | "defaults" | "silent" | "loud" | "norelatime" => {}
            // It takes back what the list said, not what a source has.
            "nostrictatime" => self.set &= !bit::STRICTATIME,
            "iversion" => self.iversion = true,
            "noiversion" => self.iversion = false,
            "bind" => self.bind = true,
            "rbind" => (self.bind, self.recursive) = (true, true),
            "tmpcopyup" => self.copy_up = true,
            "copy-symlink" => self.no_follow = true,
            "idmap" => self.mapped = true,
            "ridmap" => (self.mapped, self.map_all) = (true, true),
            "remount" => self.remount = true,
            data => self.data.push(data.to_owned()),
        }
    }
}

/// Attributes that an option sets and clears.
fn attribute(option: &str) -> Option<(u64, u64)> {
    Some(match option {
        "ro" => (bit::RDONLY, 0),
        "rw" => (0, bit::RDONLY),
        "nosuid" => (bit::NOSUID, 0),
        "suid" => (0, bit::NOSUID),
        "nodev" => (bit::NODEV, 0),
        "dev" => (0, bit::NODEV),
        "noexec" => (bit::NOEXEC, 0),
        "exec" => (0, bit::NOEXEC),
        "noatime" => (bit::NOATIME, bit::ATIME),
        "atime" | "relatime" => (0, bit::ATIME),
        "strictatime" => (bit::STRICTATIME, bit::ATIME),
        "nodiratime" => (bit::NODIRATIME, 0),
        "diratime" => (0, bit::NODIRATIME),
        "nosymfollow" => (bit::NOSYMFOLLOW, 0),
        "symfollow" => (0, bit::NOSYMFOLLOW),
        _ => return None,
    })
}

/// As [`attribute`], for the words that change a tree. One of the policies for access times is always in force: without the others
/// it is `relatime`.
fn recursive_attribute(option: &str) -> Option<(u64, u64)> {
    match option {
        "norelatime" | "nostrictatime" => Some((0, bit::ATIME)),
        option => attribute(option),
    }
}

/// A change of the propagation.
pub(super) fn propagation(option: &str) -> Option<Propagation> {
    let (word, all) = match option {
        "private" => (bit::PRIVATE, false),
        "rprivate" => (bit::PRIVATE, true),
        "slave" => (bit::SLAVE, false),
        "rslave" => (bit::SLAVE, true),
        "shared" => (bit::SHARED, false),
        "rshared" => (bit::SHARED, true),
        "unbindable" => (bit::UNBINDABLE, false),
        "runbindable" => (bit::UNBINDABLE, true),
        _ => return None,
    };
    Some(Propagation { word, all })
}
