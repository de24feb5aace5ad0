//! System call filters: from the OCI document (or Docker's profile format) to a classic BPF program.
//!
//! The kernel runs a new filter once per system call number to fill its cache, so the length of the *path* through
//! the program counts, not the length of the program: a program here is one balanced tree per architecture.
//!
//! ```
//! use plan::seccomp::{Arch, compile, default_profile};
//! let profile = default_profile(&["CAP_CHOWN"], (6, 1), Arch::X86_64);
//! let program = compile(&profile, Arch::X86_64).unwrap();
//! assert_eq!(program.filter.len() % 8, 0);
//! ```

mod arch;
mod assembler;
mod condition;
mod default;
mod multiplex;
mod profile;
mod recent;
mod rules;
mod syscalls;
#[cfg(test)]
mod tests;
mod tree;

use oci::runtime::{LinuxSeccomp, LinuxSeccompAction};

pub use arch::Arch;
pub use default::default_profile;
pub use profile::read_profile;

use crate::Error;
use assembler::{Assembler, Label, Test};
use rules::Rules;

/// Offset of the system call number in the kernel's `struct seccomp_data`.
const NUMBER: u32 = 0;
/// Offset of the architecture in `struct seccomp_data`.
const ARCHITECTURE: u32 = 4;
/// The kernel takes no longer program (`BPF_MAXINSNS`).
const LONGEST: usize = 4096;

const WAIT_KILLABLE: u32 = 1 << 5;

/// The flags there are, with their bits. The filter is installed by a process with one thread, so for `TSYNC` nothing is to be done.
pub const FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_LOG", 1 << 1),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 1 << 2),
    ("SECCOMP_FILTER_FLAG_TSYNC", 0),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", WAIT_KILLABLE),
];

/// The actions there are, as documents name them.
pub const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

/// The comparisons there are.
pub const OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// A filter as seccomp(2) takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// An array of `struct sock_filter`, in the byte order of this machine.
    pub filter: Vec<u8>,
    /// `SECCOMP_FILTER_FLAG_…` bits. With [`Program::NEW_LISTENER`] the call answers a descriptor.
    pub flags: u32,
}

impl Program {
    /// `SECCOMP_FILTER_FLAG_NEW_LISTENER`: some rule asks the notification listener.
    pub const NEW_LISTENER: u32 = 1 << 3;
}

/// Compiles a filter for a host whose own architecture is `native`.
///
/// Names that no table knows are skipped, as are rules that say what the default says. A rule without conditions beats
/// one with conditions; among equals the first wins. System calls with a number above every one that the
/// document names get `ENOSYS` where the default would refuse them: they are newer than the document.
///
/// # Errors
/// An unknown architecture or flag, an argument index above 5, a listener on the default action, on `write` or on `sendmsg`
/// (by which the listener is handed over: the start itself could not go on), an errno for an action that has none, or a document that makes too long a program.
pub fn compile(document: &LinuxSeccomp, native: Arch) -> Result<Program, Error> {
    if let Some(program) = recent::find(document, native) {
        return Ok(program);
    }
    let program = compile_anew(document, native)?;
    recent::keep(document, native, &program);
    Ok(program)
}

fn compile_anew(document: &LinuxSeccomp, native: Arch) -> Result<Program, Error> {
    check(document)?;
    let arches = arch::listed(document, native)?;
    let rules = Rules::of(document);
    let mut assembler = Assembler::default();
    // From the end to the beginning: the native architecture is emitted last and so lies first.
    let mut next = assembler.ret(arch::WRONG_ARCHITECTURE);
    let mut audits: Vec<u32> = arches.iter().rev().map(|arch| arch.audit()).collect();
    audits.sort_by_key(|audit| *audit == native.audit());
    audits.dedup();
    for audit in audits {
        let members: Vec<Arch> = arches.iter().copied().filter(|arch| arch.audit() == audit).collect();
        let tree = tree::emit(&mut assembler, &rules.ranges(&members));
        let start = assembler.load(NUMBER, tree);
        next = assembler.jump_if(Test::Equal, audit, start, next);
    }
    assembler.load(ARCHITECTURE, next);
    if assembler.len() > LONGEST {
        return Err(Error::invalid(format!(
            "seccomp profile makes a filter of {} instructions, the kernel takes {LONGEST}",
            assembler.len()
        )));
    }
    Ok(Program { filter: assembler.bytes(), flags: flags(document)? })
}

fn check(document: &LinuxSeccomp) -> Result<(), Error> {
    if document.default_action == LinuxSeccompAction::Notify {
        return Err(Error::invalid("SCMP_ACT_NOTIFY cannot be used as default action"));
    }
    has_errno("defaultErrnoRet", document.default_action, document.default_errno_ret)?;
    for rule in &document.syscalls {
        has_errno("errnoRet", rule.action, rule.errno_ret)?;
        if rule.action == LinuxSeccompAction::Notify
            && let Some(name) = rule.names.iter().find(|name| ["write", "sendmsg"].contains(&name.as_str()))
        {
            return Err(Error::invalid(format!("SCMP_ACT_NOTIFY cannot be used for the {name} syscall")));
        }
        if let Some(arg) = rule.args.iter().find(|arg| arg.index > 5) {
            return Err(Error::invalid(format!(
                "seccomp rule for {} names argument {}, there are 0 to 5",
                rule.names.join(", "),
                arg.index
            )));
        }
    }
    Ok(())
}

/// Only some actions answer a number.
fn has_errno(field: &str, action: LinuxSeccompAction, errno: Option<u32>) -> Result<(), Error> {
    match (action, errno) {
        (LinuxSeccompAction::Errno | LinuxSeccompAction::Trace, _) | (_, None) => Ok(()),
        (action, Some(_)) => {
            Err(Error::invalid(format!("seccomp {field} has no meaning for the action {action:?}")))
        }
    }
}

fn flags(document: &LinuxSeccomp) -> Result<u32, Error> {
    let mut bits = 0;
    for flag in &document.flags {
        match FLAGS.iter().find(|(name, _)| name == flag) {
            Some((_, bit)) => bits |= bit,
            None => return Err(Error::invalid(format!("unknown seccomp flag {flag:?}"))),
        }
    }
    if document.syscalls.iter().any(|rule| rule.action == LinuxSeccompAction::Notify) {
        bits |= Program::NEW_LISTENER;
    } else {
        // Without a listener nobody waits, and the kernel takes the one only with the other.
        bits &= !WAIT_KILLABLE;
    }
    Ok(bits)
}

/// Where a condition or a leaf goes on.
#[derive(Clone, Copy)]
struct Branch {
    yes: Label,
    no: Label,
}
