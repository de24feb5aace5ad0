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

/// Lets this process run on these processors only, bit n of word m for processor 64 m + n.
///
/// # Errors
/// `EINVAL` when its cpuset has none of them.
pub fn use_processors(words: &[u64]) -> Result<()> {
    // SAFETY: pointer and length describe `words`, which are only read.
    let done = unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(words), words.as_ptr()) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// The processors this process may run on, as [`use_processors`] takes them.
///
/// # Errors
/// None is expected.
pub fn processors() -> Result<Vec<u64>> {
    let mut words = vec![0_u64; 128];
    let length = size_of_val(words.as_slice());
    // SAFETY: pointer and length describe `words`, which the kernel fills from the front.
    let read = unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, length, words.as_mut_ptr()) };
    if read < 0 {
        return Err(last_errno());
    }
    words.truncate(read as usize / size_of::<u64>());
    Ok(words)
}

/// Sets this process's NUMA policy, which children inherit: `set_mempolicy(2)`. Bit n of word m is node 64 m + n.
///
/// # Errors
/// `EINVAL` for a mode, a flag or nodes that the kernel does not take, `ENOSYS` for a kernel without NUMA.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> Result<()> {
    let pointer = if nodes.is_empty() { ptr::null() } else { nodes.as_ptr() };
    // One more than there are: the kernel leaves the last one out.
    let bits = if nodes.is_empty() { 0 } else { nodes.len() * 64 + 1 };
    // SAFETY: the kernel reads as many words as hold `bits - 1` bits, which is all of `nodes`.
    let done = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode as i32, pointer, bits) };
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
