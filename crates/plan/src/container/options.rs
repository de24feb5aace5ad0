//! Mount options as fstab writes them, read into mount attributes.

use crate::Error;

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

/// What a list of options means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mounting {
    /// Attributes to set and to clear on the mount.
    pub set: u64,
    pub clear: u64,
    /// The same for the whole tree (`rro`, `rnosuid` …).
    pub set_all: u64,
    pub clear_all: u64,
    /// Propagation, and whether the mounts below get it too.
    pub propagation: u64,
    pub propagate_all: bool,
    /// `bind`, `rbind`.
    pub bind: bool,
    pub recursive: bool,
    /// `tmpcopyup`.
    pub copy_up: bool,
    /// `idmap`, `ridmap`.
    pub mapped: bool,
    /// `copy-symlink`.
    pub no_follow: bool,
    /// What is left for the file system.
    pub data: Vec<String>,
}

impl Mounting {
    /// Reads options in order; later ones win.
    pub(super) fn of(options: &[String]) -> Result<Self, Error> {
        let mut mounting = Self::default();
        for option in options {
            mounting.read(option)?;
        }
        Ok(mounting)
    }

    fn read(&mut self, option: &str) -> Result<(), Error> {
        if let Some((set, clear)) = attribute(option) {
            self.set = self.set & !clear & !set | set;
            self.clear = self.clear & !set | clear;
            return Ok(());
        }
        if let Some((set, clear)) = option.strip_prefix('r').and_then(attribute) {
            self.set_all = self.set_all & !clear & !set | set;
            self.clear_all = self.clear_all & !set | clear;
            return Ok(());
        }
        if let Some((word, all)) = propagation(option) {
            (self.propagation, self.propagate_all) = (word, all);
            return Ok(());
        }
        match option {
            "" | "defaults" | "async" | "nomand" | "loud" | "norelatime" | "nostrictatime" => {}
            "bind" => self.bind = true,
            "rbind" => (self.bind, self.recursive) = (true, true),
            "tmpcopyup" => self.copy_up = true,
            "copy-symlink" => self.no_follow = true,
            "idmap" | "ridmap" => self.mapped = true,
            "remount" => {
                return Err(Error::invalid("mount option remount has no meaning in a new container"));
            }
            data => self.data.push(data.to_owned()),
        }
        Ok(())
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

/// A propagation word, and whether it goes for the whole tree.
pub(super) fn propagation(option: &str) -> Option<(u64, bool)> {
    Some(match option {
        "private" => (bit::PRIVATE, false),
        "rprivate" => (bit::PRIVATE, true),
        "slave" => (bit::SLAVE, false),
        "rslave" => (bit::SLAVE, true),
        "shared" => (bit::SHARED, false),
        "rshared" => (bit::SHARED, true),
        "unbindable" => (bit::UNBINDABLE, false),
        "runbindable" => (bit::UNBINDABLE, true),
        _ => return None,
    })
}
