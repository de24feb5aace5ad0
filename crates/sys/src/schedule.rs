//! When and where a process runs, and as what: `sched_setattr(2)`, `sched_setaffinity(2)`, `ioprio_set(2)`, `personality(2)`.
//! All act on the caller.

use std::ptr;

use rustix::io::Result;

use crate::process::last_errno;

/// Arguments of `sched_setattr(2)`; times in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Nice value.
    pub nice: i32,
    /// Static priority.
    pub priority: u32,
    /// Processor time per period.
    pub runtime: u64,
    /// Until when it must be had.
    pub deadline: u64,
    /// Length of a period.
    pub period: u64,
}

/// The kernel's own `struct sched_attr`, in its first version.
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Changes this process's scheduling.
///
/// # Errors
/// `EPERM` without the right to it, `EINVAL` for values that do not go together.
pub fn set_policy(policy: &Policy) -> Result<()> {
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: policy.policy,
        flags: policy.flags,
        nice: policy.nice,
        priority: policy.priority,
        runtime: policy.runtime,
        deadline: policy.deadline,
        period: policy.period,
    };
    // SAFETY: `attributes` is a whole sched_attr of the size it names.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, ptr::from_ref(&attributes), 0) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Changes this process's class and level of I/O, which children inherit.
///
/// # Errors
/// `EPERM` without the right to it.
pub fn set_io_priority(priority: u32) -> Result<()> {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    // SAFETY: takes three numbers.
    let done = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Lets this process run on every processor that its cpuset has: `sched_setaffinity(2)`.
///
/// # Errors
/// None is expected.
pub fn use_every_processor() -> Result<()> {
    // More than any kernel is built for; it takes what there is.
    const ALL: [u64; 128] = [u64::MAX; 128];
    // SAFETY: pointer and length describe `ALL`, which is only read.
    let done = unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(&ALL), ALL.as_ptr()) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Changes this process's execution domain.
///
/// # Errors
/// The kernel's.
pub fn set_personality(domain: u32) -> Result<()> {
    // SAFETY: takes one number.
    let done = unsafe { libc::syscall(libc::SYS_personality, libc::c_ulong::from(domain)) };
    if done >= 0 { Ok(()) } else { Err(last_errno()) }
}
