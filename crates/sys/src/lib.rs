//! Floor 3: the kernel's calls, typed. The only crate with unsafe code: one operation per block, each with a SAFETY note.
//! Knows nothing of containers; callers decide, this does.

pub mod bpf;
pub mod clone;
pub mod heap;
pub mod inherit;
pub mod loopback;
pub mod mount;
pub mod netlink;
pub mod nft;
pub mod pidfd;
pub mod process;
pub mod program_file;
pub mod schedule;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod writeback;
