//! The container's terminal.

use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fstat, fstatfs};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, ptsname, unlockpt};
use rustix::termios::{OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use types::Kind;

use crate::error::{Error, Tried};
use crate::mounts::attach;
use crate::tree::Tree;
use crate::weak;

/// Both sides of a terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    pub(crate) master: OwnedFd,
    pub(crate) slave: OwnedFd,
}

const DEVPTS_MAGIC: i64 = 0x1cd1;
const PTMX_DEVICE: u64 = 5 << 8 | 2;

/// Opens a terminal of the container's devpts. The slave comes from the master, not from a path that somebody could have
/// exchanged (CVE-2025-52565).
pub(crate) fn open(tree: &Tree, width: u16, height: u16, plain: bool) -> Result<Terminal, Error> {
    let tried = || "open a terminal in the container's /dev/pts";
    let master = tree.open("/dev/pts/ptmx", OFlags::RDWR | OFlags::NOCTTY).tried(tried)?;
    if fstatfs(&master).tried(tried)?.f_type != DEVPTS_MAGIC
        || fstat(&master).tried(tried)?.st_rdev != PTMX_DEVICE
    {
        return Err(Error::said(Kind::InvalidInput, "a terminal needs a devpts mounted on /dev/pts"));
    }
    unlockpt(&master).tried(tried)?;
    let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .tried(tried)?;
    if width != 0 && height != 0 {
        let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).tried(|| "set the size of the terminal")?;
    }
    if plain {
        let tried = || "set the modes of the terminal";
        let mut modes = tcgetattr(&master).tried(tried)?;
        modes.output_modes.remove(OutputModes::ONLCR);
        tcsetattr(&master, OptionalActions::Now, &modes).tried(tried)?;
    }
    Ok(Terminal { master, slave })
}

/// Binds the terminal on a path, so that what writes to the console is seen.
pub(crate) fn bind(tree: &mut Tree, terminal: &Terminal, path: &str) -> Result<(), Error> {
    let tried = || format!("bind the terminal on {path}");
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let name = ptsname(&terminal.master, Vec::new()).tried(tried)?;
    let slave = fcntl_dupfd_cloexec(&terminal.slave, 0).tried(tried)?;
    let slave = weak::again("R09", tree.root(), &name.to_string_lossy(), slave).tried(tried)?;
    let mount = open_tree(&slave, "", flags | OpenTreeFlags::AT_EMPTY_PATH).tried(tried)?;
    let place = tree.file(path)?;
    attach(&mount, &place).tried(tried)?;
    Ok(())
}
