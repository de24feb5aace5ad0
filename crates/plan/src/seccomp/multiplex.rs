//! Calls that 32-bit x86 also reaches through one number: sockets through `socketcall`, System V IPC through `ipc`.

use oci::runtime::{LinuxSeccompArg, LinuxSeccompOperator as Operator};

const SOCKETCALL: u32 = 102;
const IPC: u32 = 117;

/// The number that the call is also reached by, and the condition on the first argument that means this call. A rule for
/// the call holds there too; its own conditions cannot (the arguments are in memory).
pub(super) fn multiplexed(name: &str) -> Option<(u32, LinuxSeccompArg)> {
    let of = |op, value, value_two| LinuxSeccompArg { index: 0, value, value_two, op };
    if let Some(call) = socket(name) {
        return Some((SOCKETCALL, of(Operator::Equal, call, 0)));
    }
    // The upper half of ipc's first argument is a version.
    ipc(name).map(|call| (IPC, of(Operator::MaskedEqual, 0xffff, call)))
}

fn socket(name: &str) -> Option<u64> {
    Some(match name {
        "socket" => 1,
        "bind" => 2,
        "connect" => 3,
        "listen" => 4,
        "accept" => 5,
        "getsockname" => 6,
        "getpeername" => 7,
        "socketpair" => 8,
        "send" => 9,
        "recv" => 10,
        "sendto" => 11,
        "recvfrom" => 12,
        "shutdown" => 13,
        "setsockopt" => 14,
        "getsockopt" => 15,
        "sendmsg" => 16,
        "recvmsg" => 17,
        "accept4" => 18,
        "recvmmsg" => 19,
        "sendmmsg" => 20,
        _ => return None,
    })
}

fn ipc(name: &str) -> Option<u64> {
    Some(match name {
        "semop" => 1,
        "semget" => 2,
        "semctl" => 3,
        "semtimedop" => 4,
        "msgsnd" => 11,
        "msgrcv" => 12,
        "msgget" => 13,
        "msgctl" => 14,
        "shmat" => 21,
        "shmdt" => 22,
        "shmget" => 23,
        "shmctl" => 24,
        _ => return None,
    })
}
