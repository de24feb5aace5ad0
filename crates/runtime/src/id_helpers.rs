//! The id maps of a new user namespace: written by whoever may, else by `newuidmap` and `newgidmap`, programs that the host's manager
//! lets map what `/etc/subuid` and `/etc/subgid` give a user. The only programs that a start runs without being told to by a document.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use protocol::plan::{IdMap, Users};
use rustix::fs::{Access, access};
use types::Kind;

use crate::error::{Error, Tried};
use crate::kernel::write_file;
use crate::users::lines;

/// Where the helpers are looked for after `PATH`.
const PLACES: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/bin"];

/// Gives the namespace of process `pid` its maps.
pub(crate) fn write(users: &Users, pid: i32) -> Result<(), Error> {
    if users.uid_by_helper {
        run("newuidmap", "linux.uidMappings", pid, &users.uid)?;
    } else {
        put(&format!("/proc/{pid}/uid_map"), "linux.uidMappings", &lines(&users.uid))?;
    }
    if users.gid_by_helper {
        return run("newgidmap", "linux.gidMappings", pid, &users.gid);
    }
    if users.deny_groups {
        put(&format!("/proc/{pid}/setgroups"), "linux.gidMappings", "deny")?;
    }
    put(&format!("/proc/{pid}/gid_map"), "linux.gidMappings", &lines(&users.gid))
}

fn put(path: &str, field: &str, text: &str) -> Result<(), Error> {
    write_file(path, text).tried(|| format!("{field}: write {:?} to {path}", text.trim_end()))
}

fn run(helper: &str, field: &str, pid: i32, maps: &[IdMap]) -> Result<(), Error> {
    let Some(program) = find(helper) else {
        return Err(Error::said(
            Kind::Unavailable,
            format!(
                "{field}: an unprivileged user can map more than itself only by {helper}, which is not installed (package uidmap)"
            ),
        ));
    };
    let numbers = maps.iter().flat_map(|m| [m.inside, m.outside, m.count]).map(|n| n.to_string());
    let mut command = Command::new(&program);
    command.arg(pid.to_string()).args(numbers).env_clear().stdin(Stdio::null());
    let ended = command
        .output()
        .map_err(|e| Error::said(Kind::Unavailable, format!("{field}: run {}: {e}", program.display())))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let said = said.lines().next().unwrap_or_default().trim();
    let why = if said.is_empty() { format!("{helper}: {}", ended.status) } else { said.to_owned() };
    Err(Error::said(Kind::Forbidden, format!("{field}: {why}")))
}

fn find(helper: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let directories = path.split(':').filter(|d| d.starts_with('/')).chain(PLACES);
    let mut candidates = directories.map(|directory| Path::new(directory).join(helper));
    candidates.find(|program| program.is_file() && access(program, Access::EXEC_OK).is_ok())
}
