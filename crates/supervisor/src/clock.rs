//! The two clocks: wall time for what people read, boot time for what is waited for.

use rustix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> i64 {
    let now = clock_gettime(clock);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Nanoseconds since the epoch.
pub(crate) fn wall_ns() -> i64 {
    read(ClockId::Realtime)
}

/// Nanoseconds since boot, sleep included.
pub(crate) fn boot_ns() -> i64 {
    read(ClockId::Boottime)
}
