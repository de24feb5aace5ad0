//! Docker's default profile, as data: which system calls a container may make, and which only with a capability.
//!
//! Left out on purpose, so refused whatever the capabilities: `io_uring_*`, `userfaultfd`, the key ring calls, `kexec_*`,
//! swap, `pivot_root`, `move_pages`, `nfsservctl`, and what is older than Linux 2.6.

use oci::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator as Operator, LinuxSyscall,
};

use super::Arch;

/// Always allowed, by subject.
const ALWAYS: [&str; 13] = [
    // Processes: life, waiting, identity of the program.
    "alarm capget capset execve execveat exit exit_group fork get_robust_list get_thread_area getcpu \
     getpgid getpgrp getpid getppid getpriority getrusage getsid gettid ioprio_get ioprio_set \
     landlock_add_rule landlock_create_ruleset landlock_restrict_self membarrier pause pidfd_open \
     pidfd_send_signal prctl process_mrelease restart_syscall riscv_hwprobe rseq seccomp \
     set_robust_list set_thread_area set_tid_address setpgid setpriority setsid sysinfo times umask \
     uname uretprobe vfork wait4 waitid waitpid",
    // Users and groups.
    "getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32 \
     getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 \
     setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid \
     setreuid32 setuid setuid32",
    // Signals.
    "kill rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend \
     rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signalfd signalfd4 \
     sigprocmask sigreturn tgkill tkill",
    // Scheduling and limits.
    "getrlimit prlimit64 sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr \
     sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 \
     sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield setrlimit ugetrlimit",
    // Memory.
    "brk madvise map_shadow_stack memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 \
     mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect \
     remap_file_pages",
    // Time and timers.
    "adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime \
     clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer \
     time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime \
     timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64",
    // Waiting for descriptors.
    "_newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait \
     epoll_wait_old eventfd eventfd2 fanotify_mark futex futex_requeue futex_time64 futex_wait \
     futex_waitv futex_wake inotify_add_watch inotify_init inotify_init1 inotify_rm_watch poll ppoll \
     ppoll_time64 pselect6 pselect6_time64 select",
    // Asynchronous I/O.
    "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit",
    // Sockets.
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg \
     recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair",
    // System V and POSIX message queues, semaphores, shared memory.
    "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend \
     mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop \
     semtimedop_time64 shmat shmctl shmdt shmget",
    // Extended attributes.
    "fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat \
     llistxattr lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat",
    // Reading and writing.
    "_llseek cachestat close close_range copy_file_range dup dup2 dup3 fadvise64 fadvise64_64 fallocate \
     fcntl fcntl64 fdatasync flock fsync ftruncate ftruncate64 ioctl lseek pipe pipe2 pread64 preadv \
     preadv2 pwrite64 pwritev pwritev2 read readahead readv sendfile sendfile64 splice sync \
     sync_file_range syncfs tee truncate truncate64 vmsplice write writev",
    // The file tree.
    "access chdir chmod chown chown32 creat faccessat faccessat2 fchdir fchmod fchmodat fchmodat2 \
     fchown fchown32 fchownat fstat fstat64 fstatat64 fstatfs fstatfs64 futimesat getcwd getdents \
     getdents64 getrandom lchown lchown32 link linkat listmount lstat lstat64 mkdir mkdirat mknod \
     mknodat name_to_handle_at newfstatat open openat openat2 readlink readlinkat rename renameat \
     renameat2 rmdir stat stat64 statfs statfs64 statmount statx symlink symlinkat unlink unlinkat \
     utime utimensat utimensat_time64 utimes",
];

/// Always allowed on a machine of this kind.
const BY_ARCH: [(Arch, &str); 2] = [
    (Arch::X86_64, "arch_prctl modify_ldt"),
    (Arch::Aarch64, "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls"),
];

/// Allowed with a capability in the bounding set.
const BY_CAPABILITY: [(&str, &str); 14] = [
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr \
         lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl \
         quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    ("CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
];

/// Tracing was safe from a filter's point of view only from this kernel on.
const PTRACE_KERNEL: (u32, u32) = (4, 8);
/// Address families whose sockets are refused: the kernel's crypto, and the way to the hypervisor.
const AF_ALG: u64 = 38;
const AF_VSOCK: u64 = 40;
/// Execution domains that only change what uname(2) says, with and without `ADDR_NO_RANDOMIZE`'s neighbours, and the query.
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// Every `CLONE_NEW…` flag.
const CLONE_NEW: u64 = 0x7e02_0000;
const ENOSYS: u32 = 38;

/// Docker's default profile for a container with these capabilities (`CAP_…`) in its bounding set.
#[must_use]
pub fn default_profile(capabilities: &[impl AsRef<str>], kernel: (u32, u32), arch: Arch) -> LinuxSeccomp {
    let has = |wanted: &str| capabilities.iter().any(|capability| capability.as_ref() == wanted);
    let mut syscalls: Vec<LinuxSyscall> = ALWAYS.iter().map(|names| allow(names)).collect();
    if kernel >= PTRACE_KERNEL {
        syscalls.push(allow("process_vm_readv process_vm_writev ptrace"));
    }
    syscalls.extend(sockets());
    for domain in PERSONALITIES {
        syscalls.push(allow_if("personality", Operator::Equal, domain));
    }
    syscalls.extend(BY_ARCH.iter().filter(|(of, _)| *of == arch).map(|(_, names)| allow(names)));
    syscalls.extend(BY_CAPABILITY.iter().filter(|(of, _)| has(of)).map(|(_, names)| allow(names)));
    if !has("CAP_SYS_ADMIN") {
        syscalls.push(allow_if("clone", Operator::MaskedEqual, CLONE_NEW));
        // Its flags are in memory, where no filter sees them: C libraries then fall back to clone.
        let refused = LinuxSeccompAction::Errno;
        syscalls.push(LinuxSyscall { action: refused, errno_ret: Some(ENOSYS), ..allow("clone3") });
    }
    LinuxSeccomp {
        default_action: LinuxSeccompAction::Errno,
        default_errno_ret: Some(1),
        architectures: architectures(arch).iter().map(|arch| arch.name().to_owned()).collect(),
        syscalls,
        ..LinuxSeccomp::default()
    }
}

/// Every address family up to 63 except the two, as aligned runs of families. Only the lower 32 bits are looked at, as the kernel
/// does: Docker compares 64, so 2^32 + `AF_VSOCK` counts there as a family greater than all, passes, and makes a socket
/// of the family that was to be refused.
fn sockets() -> impl Iterator<Item = LinuxSyscall> {
    let runs = [(32, 0), (4, 32), (2, 36), (1, AF_ALG + 1), (1, AF_VSOCK + 1), (2, 42), (4, 44), (16, 48)];
    runs.into_iter().map(|(count, first)| {
        let mut rule = allow_if("socket", Operator::MaskedEqual, 0xffff_ffff & !(count - 1));
        rule.args[0].value_two = first;
        rule
    })
}

/// The architecture and those that its kernels run besides.
const fn architectures(arch: Arch) -> &'static [Arch] {
    match arch {
        Arch::X86_64 => &[Arch::X86_64, Arch::X86, Arch::X32],
        Arch::Aarch64 => &[Arch::Aarch64, Arch::Arm],
        Arch::X86 => &[Arch::X86],
        Arch::X32 => &[Arch::X32],
        Arch::Arm => &[Arch::Arm],
    }
}

fn allow(names: &str) -> LinuxSyscall {
    LinuxSyscall {
        names: names.split_ascii_whitespace().map(str::to_owned).collect(),
        action: LinuxSeccompAction::Allow,
        ..LinuxSyscall::default()
    }
}

/// Allowed when the first argument compares so with `value` (for a mask: when none of its bits is set).
fn allow_if(name: &str, op: Operator, value: u64) -> LinuxSyscall {
    LinuxSyscall { args: vec![LinuxSeccompArg { index: 0, value, value_two: 0, op }], ..allow(name) }
}
