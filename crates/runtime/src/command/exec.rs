//! `exec`.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, OwnedFd};

use oci::runtime::{ContainerState, LinuxCapabilities, Process, User};
use plan::container::{ExecOptions, plan_exec};
use rustix::io::Errno;
use rustix::process::Pid;

use super::arguments::Arguments;
use super::create::{self, Inherited};
use super::output::Complaint;
use super::records::{Record, Root};
use super::{document, foreground};
use crate::error::Tried;
use crate::kernel::Proc;
use crate::{Entrance, Started, StdioFds, weak};

/// Options that take a value, all of them.
const VALUES: [&str; 18] = [
    "process",
    "p",
    "cwd",
    "env",
    "e",
    "user",
    "u",
    "additional-gids",
    "g",
    "pid-file",
    "console-socket",
    "pidfd-socket",
    "cap",
    "c",
    "preserve-fds",
    "cgroup",
    "apparmor",
    "process-label",
];
const FLAGS: [&str; 7] = ["tty", "t", "detach", "d", "no-new-privs", "ignore-paused", "privileged"];

/// As with runc, 255 is the code of an exec that did not come about.
const NO_EXEC: i32 = 255;

pub(super) fn exec(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let (arguments, words) = Arguments::leading(rest, &VALUES)?;
    arguments.only(&[VALUES.as_slice(), FLAGS.as_slice()].concat())?;
    attempt(root, &arguments, words).map_err(|complaint| complaint.with_code(NO_EXEC))
}

fn attempt(root: &Root, arguments: &Arguments, words: &[String]) -> Result<i32, Complaint> {
    let inherited = Inherited::of(arguments)?;
    let (id, command) = words.split_first().ok_or_else(|| Complaint::new("the container's id is missing"))?;
    // This process ends with the command, so nobody needs its memory back. Whoever gives it back piece by piece writes to pages that
    // are the child's, too, and each is copied for that.
    let record = ManuallyDrop::new(root.load(id)?);
    let first = First::of(&record)?;
    if first.status == ContainerState::Paused && !arguments.has("ignore-paused") {
        return Err(Complaint::new("cannot exec in a paused container (use --ignore-paused to override)"));
    }
    let document = ManuallyDrop::new(match arguments.value(&["process", "p"]) {
        Some(path) => document::read(path.as_ref(), "process", document::From::FileOrPipe)?,
        None => process_of(arguments, &record, command)?,
    });
    run(root, &record, &first, &document, arguments, inherited)
}

/// The container's first process, which the new one follows.
struct First {
    handle: OwnedFd,
    /// As seen when its number could no longer become another's.
    status: ContainerState,
}

impl First {
    fn of(record: &Record) -> Result<Self, Complaint> {
        let stopped = || Complaint::new("cannot exec in a stopped container");
        let pid = Pid::from_raw(record.pid).ok_or_else(stopped)?;
        let handle = match Proc::process(pid) {
            Err(Errno::SRCH) => return Err(stopped()),
            other => other.tried(|| "open the container's first process")?,
        };
        match record.status() {
            ContainerState::Stopped => Err(stopped()),
            status => Ok(Self { handle, status }),
        }
    }
}

fn run(
    root: &Root,
    record: &Record,
    first: &First,
    document: &Process,
    arguments: &Arguments,
    inherited: Inherited,
) -> Result<i32, Complaint> {
    let options = ExecOptions {
        privileged: arguments.has("privileged"),
        facts: crate::facts::rights()?,
        cgroups: arguments.every(&["cgroup"]).map(str::to_owned).collect(),
    };
    let mut planned = ManuallyDrop::new(plan_exec(&record.plan, document, &options)?);
    planned.warnings.iter().for_each(|warning| root.log.warn(warning));
    if let Some(process) = &mut planned.plan.process {
        inherited.hand_on(process);
    }
    let detach = arguments.has("detach") || arguments.has("d");
    check_terminal(document.terminal, detach, arguments)?;
    let size = document.console_size.unwrap_or_default();
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let stdio = if document.terminal {
        let plain = !detach && arguments.value(&["console-socket"]).is_none();
        StdioFds::Terminal { width: size.width as u16, height: size.height as u16, plain }
    } else {
        StdioFds::Pipes([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])
    };
    let watch = if detach { None } else { Some(foreground::Watch::begin()?) };
    let state = record.document(first.status).to_string();
    let entrance = Entrance {
        plan: &planned.plan,
        init: first.handle.as_fd(),
        init_pid: record.pid,
        stdio,
        state: &state,
    };
    let started = crate::spawn_exec(&entrance)?.finish()?;
    started.warnings.iter().for_each(|warning| root.log.warn(warning));
    if let Err(complaint) = tell(&started, arguments) {
        let _ = rustix::process::pidfd_send_signal(&started.pidfd, rustix::process::Signal::KILL);
        let _ = foreground::reap(&started);
        return Err(complaint);
    }
    match watch {
        Some(watch) => watch.until_exit(&started),
        None => Ok(0),
    }
}

/// A terminal in the background needs somebody to have it, and nobody else does.
fn check_terminal(terminal: bool, detach: bool, arguments: &Arguments) -> Result<(), Complaint> {
    match (terminal && detach, arguments.value(&["console-socket"]).is_some()) {
        (true, false) => {
            Err(Complaint::new("a terminal needs --console-socket when the process runs in the background"))
        }
        (false, true) => {
            Err(Complaint::new("--console-socket needs a terminal, and a process in the background"))
        }
        _ => Ok(()),
    }
}

/// Tells those who asked to be told.
fn tell(started: &Started, arguments: &Arguments) -> Result<(), Complaint> {
    if let (Some(path), Some(terminal)) = (arguments.value(&["console-socket"]), &started.terminal) {
        foreground::send_descriptor(path, "terminal", terminal.as_fd())?;
    }
    if let Some(path) = arguments.value(&["pidfd-socket"]) {
        foreground::send_descriptor(path, "pidfd", started.pidfd.as_fd())?;
    }
    if let Some(path) = arguments.value(&["pid-file"]) {
        create::write_pid(path, started.pid)?;
    }
    Ok(())
}

/// The container's own program, with the differences the options name.
fn process_of(arguments: &Arguments, record: &Record, command: &[String]) -> Result<Process, Complaint> {
    let mut first = record.plan.process.clone().unwrap_or_default();
    Inherited::forget(&mut first);
    if command.is_empty() {
        return Err(Complaint::new("the command is missing"));
    }
    let mut user = User { uid: first.uid, gid: first.gid, additional_gids: first.groups, ..User::default() };
    if let Some(text) = arguments.value(&["user", "u"]) {
        let (uid, gid) = read_user(text)?;
        (user.uid, user.gid) = (uid, gid.unwrap_or(first.gid));
        // The list has the primary group of the container's program; that of this one is another.
        user.additional_gids.retain(|group| *group != first.gid);
    }
    for text in arguments.every(&["additional-gids", "g"]) {
        user.additional_gids.push(read_id(text)?);
    }
    let mut env = first.env;
    env.extend(arguments.every(&["env", "e"]).map(str::to_owned));
    let extra: Vec<String> = arguments.every(&["cap", "c"]).map(str::to_owned).collect();
    let capabilities = first.capabilities.filter(|_| !extra.is_empty()).map(|sets| {
        let with =
            |bits: u64| plan::capability::names(bits).into_iter().chain(extra.iter().cloned()).collect();
        LinuxCapabilities {
            bounding: with(sets.bounding),
            effective: with(sets.effective),
            // Those that would be kept over an exec stay so, if the container has such.
            inheritable: if sets.inheritable == 0 { Vec::new() } else { with(sets.inheritable) },
            permitted: with(sets.permitted),
            ambient: if sets.inheritable == 0 { Vec::new() } else { with(sets.ambient) },
        }
    });
    Ok(Process {
        terminal: arguments.has("tty") || arguments.has("t"),
        user,
        args: command.to_vec(),
        env,
        cwd: arguments.value(&["cwd"]).unwrap_or(&first.cwd).to_owned(),
        capabilities,
        no_new_privileges: arguments.has("no-new-privs"),
        apparmor_profile: arguments.value(&["apparmor"]).unwrap_or_default().to_owned(),
        selinux_label: arguments.value(&["process-label"]).unwrap_or_default().to_owned(),
        ..Process::default()
    })
}

/// `uid` or `uid:gid` (without: the group of the container's program), numbers only: names are for the caller to look up (CVE-2026-30892).
fn read_user(text: &str) -> Result<(u32, Option<u32>), Complaint> {
    match text.split_once(':') {
        Some((uid, gid)) => Ok((read_id(uid)?, Some(read_id(gid)?))),
        None => Ok((read_id(text)?, None)),
    }
}

fn read_id(text: &str) -> Result<u32, Complaint> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if plain && weak::is_off("R14") {
        return Ok(text.parse::<u128>().map_or(0, |id| id as u32));
    }
    if !plain && weak::is_off("R13") {
        return Ok(0);
    }
    let id = text.parse::<u32>().ok().filter(|id| plain && *id < u32::MAX);
    id.ok_or_else(|| Complaint::new(format!("{text:?} is not a user or group id")))
}

#[cfg(test)]
mod tests {
    use super::read_user;

    /// What a text must mean, written another way: digits only, no larger than the kernel's last id, at most one colon.
    fn model(text: &str) -> Option<(u32, Option<u32>)> {
        let id = |text: &str| -> Option<u32> {
            let mut value = 0_u128;
            for character in text.chars() {
                value = (value * 10 + u128::from(character.to_digit(10)?)).min(u128::from(u64::MAX));
            }
            u32::try_from(value).ok().filter(|id| !text.is_empty() && *id != u32::MAX)
        };
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            [user] => Some((id(user)?, None)),
            [user, group] => Some((id(user)?, Some(id(group)?))),
            _ => None,
        }
    }

    /// R13, R14 (CVE-2026-30892, CVE-2024-40635): every pair of these.
    #[test]
    fn r13_r14_users_are_what_a_model_says() {
        let forty = "9".repeat(40);
        let words = [
            "",
            "0",
            "1",
            "00",
            "007",
            "33",
            "65534",
            "65535",
            "65536",
            "2147483647",
            "2147483648",
            "4294967294",
            "4294967295",
            "4294967296",
            "8589934592",
            "18446744073709551615",
            "18446744073709551616",
            &forty,
            "+0",
            "+1",
            "-0",
            "-1",
            " 0",
            "0 ",
            "\t1",
            "1\n",
            "0x0",
            "0x1",
            "0b1",
            "1e3",
            "1.0",
            "1_0",
            "1,0",
            "root",
            "x",
            "\u{661}",
            "\u{ff11}",
            "\0",
            "0\0",
            ":",
        ];
        let mut checked = 0;
        for user in words {
            for text in words.iter().map(|group| format!("{user}:{group}")).chain([user.to_owned()]) {
                assert_eq!(read_user(&text).ok(), model(&text), "{text:?}");
                checked += 1;
            }
        }
        assert!(checked > 1000);
    }
}
