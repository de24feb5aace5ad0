//! The program: identity, capabilities, limits, filter.

use std::collections::BTreeSet;

use oci::runtime::{LinuxSeccomp, PosixRlimit, Process as Document};
use protocol::plan::{Capabilities, Process, Rlimit, Seccomp};

use super::scheduling;
use crate::Error;
use crate::facts::Facts;

/// What is refused because Berth does not have it, by name.
fn refuse_unknown(document: &Document) -> Result<(), Error> {
    let asked = [
        ("commandLine", !document.command_line.is_empty()),
        ("user.username", !document.user.username.is_empty()),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        Some((field, _)) => Err(Error::unimplemented(format!("process.{field} is not supported"))),
        None => Ok(()),
    }
}

/// The program of a document, without its filter.
pub(super) fn process(
    document: &Document,
    facts: &Facts,
    warnings: &mut Vec<String>,
) -> Result<Process, Error> {
    refuse_unknown(document)?;
    if document.args.first().is_none_or(String::is_empty) {
        return Err(Error::invalid("process.args names no program"));
    }
    if !document.cwd.starts_with('/') {
        return Err(Error::invalid(format!("process.cwd {:?} is not an absolute path", document.cwd)));
    }
    for (field, strings) in [("args", &document.args), ("env", &document.env)] {
        if strings.iter().any(|s| s.contains('\0')) {
            return Err(Error::invalid(format!("process.{field} holds a NUL byte")));
        }
    }
    // To the kernel this number means "as it is", and that is root.
    let ids = [document.user.uid, document.user.gid];
    if ids.iter().chain(&document.user.additional_gids).any(|id| *id == u32::MAX) {
        return Err(Error::invalid(format!("process.user: {} is not a user or group id", u32::MAX)));
    }
    let oom = document.oom_score_adj;
    if oom.is_some_and(|score| !(-1000..=1000).contains(&score)) {
        return Err(Error::invalid(format!(
            "process.oomScoreAdj {} is not within -1000 and 1000",
            oom.unwrap_or(0)
        )));
    }
    Ok(Process {
        args: document.args.clone(),
        env: environment(&document.env),
        cwd: document.cwd.clone(),
        uid: document.user.uid,
        gid: document.user.gid,
        groups: groups(document),
        umask: document.user.umask,
        capabilities: capabilities(document, facts, warnings),
        no_new_privs: document.no_new_privileges,
        seccomp: None,
        rlimits: rlimits(&document.rlimits)?,
        oom_score_adj: oom,
        terminal: document.terminal,
        unprivileged: facts.unprivileged(),
        scheduler: document.scheduler.as_ref().map(scheduling::scheduler).transpose()?,
        io_priority: document.io_priority.as_ref().map(scheduling::io_priority).transpose()?,
        exec_affinity: document.exec_cpu_affinity.as_ref().map(scheduling::affinity).transpose()?,
        apparmor: apparmor(&document.apparmor_profile, facts)?,
        selinux: selinux(&document.selinux_label, facts)?,
        ..Process::default()
    })
}

/// The primary group belongs to the list, or files that deny the group could be opened (CVE-2022-36109).
fn groups(document: &Document) -> Vec<u32> {
    let mut groups = document.user.additional_gids.clone();
    if !groups.contains(&document.user.gid) {
        groups.insert(0, document.user.gid);
    }
    groups
}

/// Of a name that is there more than once, the last value; an empty `HOME` is none.
fn environment(list: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut env: Vec<String> = list
        .iter()
        .rev()
        .filter(|entry| seen.insert(entry.split('=').next().unwrap_or_default()) && *entry != "HOME=")
        .cloned()
        .collect();
    env.reverse();
    env
}

/// Where nothing confines programs, "unconfined" asks for nothing.
fn apparmor(profile: &str, facts: &Facts) -> Result<String, Error> {
    match profile {
        "unconfined" if !facts.apparmor => Ok(String::new()),
        profile if profile.is_empty() || facts.apparmor => Ok(profile.to_owned()),
        profile => Err(Error::unimplemented(format!(
            "process.apparmorProfile {profile:?} cannot be applied: apparmor not supported by this kernel, or switched off"
        ))),
    }
}

fn selinux(label: &str, facts: &Facts) -> Result<String, Error> {
    if label.is_empty() || facts.selinux {
        return Ok(label.to_owned());
    }
    Err(Error::unimplemented(format!(
        "process.selinuxLabel {label:?} cannot be applied: selinux is disabled or not supported by this kernel"
    )))
}

/// Sets of numbers for sets of names. Inheritable ones stay empty unless ambient ones need them (CVE-2022-24769).
/// A name that is none is told, as the specification wants it: it gives nothing.
fn capabilities(document: &Document, facts: &Facts, warnings: &mut Vec<String>) -> Option<Capabilities> {
    let sets = document.capabilities.as_ref()?;
    let mut read = |set: &str, names: &[String]| {
        names.iter().fold(0, |bits, name| match crate::capability::number(name) {
            Some(number) if number <= facts.last_capability => bits | 1 << number,
            // A name newer than the kernel cannot be withheld nor granted: what is not there is not had.
            Some(_) => bits,
            None => {
                warnings.push(format!("process.capabilities.{set}: {name:?} is not a capability"));
                bits
            }
        })
    };
    let ambient = read("ambient", &sets.ambient);
    let bounding = read("bounding", &sets.bounding);
    let effective = read("effective", &sets.effective);
    let inheritable = read("inheritable", &sets.inheritable);
    let permitted = read("permitted", &sets.permitted);
    let raisable = inheritable & permitted;
    // Root has what is permitted without any; engines that build images ask for ambient ones all the same.
    let lost = if document.user.uid == 0 { 0 } else { ambient & !raisable };
    if lost != 0 {
        warnings.push(format!(
            "process.capabilities.ambient: can't raise ambient capability {}: it is not both permitted and inheritable",
            crate::capability::names(lost).join(", ")
        ));
    }
    let ambient = ambient & raisable;
    // What this process itself does not have it cannot give.
    let own = if facts.effective == 0 { u64::MAX } else { facts.bounding };
    Some(Capabilities {
        bounding: bounding & own,
        effective: effective & own,
        inheritable: inheritable & ambient & own,
        permitted: permitted & own,
        ambient: ambient & own,
    })
}

/// Names of the limits, at their numbers.
const RLIMITS: [&str; 16] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];

fn rlimits(document: &[PosixRlimit]) -> Result<Vec<Rlimit>, Error> {
    let limits: Vec<Rlimit> = document.iter().map(rlimit).collect::<Result<_, _>>()?;
    let twice =
        |(index, limit): (usize, &Rlimit)| limits[..index].iter().any(|l| l.resource == limit.resource);
    match limits.iter().enumerate().find(|each| twice(*each)) {
        Some((_, limit)) => Err(Error::invalid(format!("{} is there twice", limit.field))),
        None => Ok(limits),
    }
}

fn rlimit(limit: &PosixRlimit) -> Result<Rlimit, Error> {
    let name = limit.kind.strip_prefix("RLIMIT_").unwrap_or(&limit.kind);
    let resource = RLIMITS
        .iter()
        .position(|known| *known == name)
        .ok_or_else(|| Error::invalid(format!("process.rlimits: {:?} is not a limit", limit.kind)))?;
    if limit.soft > limit.hard {
        return Err(Error::invalid(format!(
            "process.rlimits: {} has a soft limit ({}) above its hard limit ({})",
            limit.kind, limit.soft, limit.hard
        )));
    }
    Ok(Rlimit {
        resource: resource as u32,
        soft: limit.soft,
        hard: limit.hard,
        field: format!("process.rlimits {}", limit.kind),
    })
}

/// Compiles the document's filter, or takes the one that was compiled from it before.
pub(super) fn filter(
    document: Option<&LinuxSeccomp>,
    compiled: Option<&Seccomp>,
    facts: &Facts,
) -> Result<Option<Seccomp>, Error> {
    if (document.is_some() || compiled.is_some()) && !facts.seccomp {
        return Err(Error::unimplemented("linux.seccomp: this kernel has no system call filters"));
    }
    let Some(document) = document else { return Ok(compiled.cloned()) };
    if document.listener_path.is_empty() && !document.listener_metadata.is_empty() {
        return Err(Error::invalid("linux.seccomp.listenerMetadata means nothing without listenerPath"));
    }
    let program = crate::seccomp::compile(document, crate::seccomp::Arch::native())?;
    // A path that no rule needs is of no account.
    let notifies = program.flags & crate::seccomp::Program::NEW_LISTENER != 0;
    let (listener, metadata) = match (notifies, document.listener_path.as_str()) {
        (false, _) => (String::new(), String::new()),
        (true, "") => {
            return Err(Error::invalid(
                "linux.seccomp: SCMP_ACT_NOTIFY needs listenerPath: nobody would answer",
            ));
        }
        (true, path) => (path.to_owned(), document.listener_metadata.clone()),
    };
    Ok(Some(Seccomp { filter: program.filter, flags: program.flags, listener, metadata }))
}
