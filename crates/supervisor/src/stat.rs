//! What `/proc/<pid>/stat` tells of a process that is not our child.

use rustix::fs::{CWD, Mode, OFlags};
use rustix::thread::{CapabilitySet, capabilities};

/// The fields of interest, by `proc_pid_stat(5)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stat {
    /// Field 3: `Z` is a zombie.
    state: u8,
    /// Field 22: when it began, in clock ticks since boot.
    ticks: u64,
    /// Field 52: its wait status, once it has ended.
    status: i32,
}

/// When a process began, in clock ticks since boot; 0 when it cannot be read. With the pid it names one process for good.
pub(crate) fn birth_ticks(pid: i32) -> u64 {
    read(pid).map_or(0, |stat| stat.ticks)
}

/// The wait status of a process that has ended and was not reaped, if it is the one that began then. Any kernel tells
/// that to one who may trace the process; to others it says 0, so nothing is believed without the capability.
pub(crate) fn zombie_status(pid: i32, ticks: u64) -> Option<i32> {
    if !capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_PTRACE)) {
        return None;
    }
    read(pid).filter(|stat| stat.state == b'Z' && stat.ticks == ticks && ticks != 0).map(|stat| stat.status)
}

fn read(pid: i32) -> Option<Stat> {
    let path = format!("/proc/{pid}/stat");
    let fd = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = [0; 1024];
    let length = rustix::io::read(&fd, &mut text).ok()?;
    parse(&String::from_utf8_lossy(&text[..length]))
}

/// The program's name, which may hold anything, ends with the last parenthesis.
fn parse(stat: &str) -> Option<Stat> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let ticks = fields.nth(18)?.parse().ok()?;
    let status = fields.nth(29)?.parse().ok()?;
    Some(Stat { state, ticks, status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let stat = "42 (a) b) c) Z 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 0 0 18446744073709551615 \
                    0 0 0 0 0 0 0 4096 81920 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 10752\n";
        assert_eq!(parse(stat), Some(Stat { state: b'Z', ticks: 987_654, status: 10_752 }));
        assert_eq!(parse("garbage"), None);
        assert!(birth_ticks(std::process::id() as i32) > 0);
        assert_eq!(zombie_status(std::process::id() as i32, birth_ticks(std::process::id() as i32)), None);
    }
}
