//! Device filters of v2 cgroups: loading and attaching a program of type `cgroup_device`, `bpf(2)`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::io::Result;

use crate::process::last_errno;

const BPF_PROG_LOAD: u32 = 5;
const BPF_PROG_ATTACH: u32 = 8;
const BPF_PROG_DETACH: u32 = 9;
const BPF_PROG_GET_FD_BY_ID: u32 = 13;
const BPF_PROG_QUERY: u32 = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;
const BPF_F_REPLACE: u32 = 4;

/// As many as the kernel allows at one place.
const MOST_FILTERS: usize = 64;

/// The head of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// The head of `union bpf_attr` for `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`.
#[repr(C)]
struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

/// The head of `union bpf_attr` for `BPF_PROG_QUERY`.
#[repr(C)]
struct Query {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
}

/// The head of `union bpf_attr` for `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
struct ById {
    prog_id: u32,
    next_id: u32,
    open_flags: u32,
}

fn bpf<T>(command: u32, attributes: &mut T) -> Result<i64> {
    // SAFETY: `attributes` is the head of a `bpf_attr` of the size passed, and what it points to is alive during the call; the kernel
    // takes the rest as zero.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, ptr::from_mut(attributes), size_of::<T>()) };
    if done < 0 { Err(last_errno()) } else { Ok(done) }
}

/// Loads a device filter.
///
/// # Errors
/// The kernel's: `EINVAL` or `EACCES` when the verifier refuses it.
pub fn load_device_filter(program: &[u8]) -> Result<OwnedFd> {
    let license = c"Apache-2.0";
    let mut load = Load {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: (program.len() / 8) as u32,
        insns: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        ..Load::default()
    };
    let fd = bpf(BPF_PROG_LOAD, &mut load)?;
    Ok(own(fd))
}

/// Makes this the only device filter of a cgroup's own: an access needs the consent of all there are, also of those that an earlier
/// user of the cgroup has left. At no moment is there none.
///
/// # Errors
/// The kernel's.
pub fn set_device_filter(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<()> {
    // A host that does not tell has a filter more, not less.
    let old = device_filters(cgroup).unwrap_or_default();
    let attach = |replaced: Option<&OwnedFd>| {
        let mut attach = of(cgroup, program);
        attach.attach_flags |= if replaced.is_some() { BPF_F_REPLACE } else { 0 };
        attach.replace_bpf_fd = replaced.map_or(0, |fd| fd.as_raw_fd() as u32);
        bpf(BPF_PROG_ATTACH, &mut attach)
    };
    if let [only] = old.as_slice() {
        // Before 5.6, and where the old one was attached alone, there is no replacing.
        if attach(Some(only)).is_ok() {
            return Ok(());
        }
    }
    attach(None)?;
    for old in &old {
        bpf(BPF_PROG_DETACH, &mut Attach { attach_flags: 0, ..of(cgroup, old.as_fd()) })?;
    }
    Ok(())
}

fn of(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Attach {
    Attach {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
        replace_bpf_fd: 0,
    }
}

/// The device filters that are attached to the cgroup itself.
fn device_filters(cgroup: BorrowedFd<'_>) -> Result<Vec<OwnedFd>> {
    let mut ids = [0_u32; MOST_FILTERS];
    let mut query = Query {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: ids.len() as u32,
    };
    bpf(BPF_PROG_QUERY, &mut query)?;
    let found = ids.iter().take(query.prog_cnt as usize);
    found
        .map(|id| bpf(BPF_PROG_GET_FD_BY_ID, &mut ById { prog_id: *id, next_id: 0, open_flags: 0 }).map(own))
        .collect()
}

fn own(fd: i64) -> OwnedFd {
    // SAFETY: the kernel just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}
