//! Putting the table back when somebody else removes it, as firewall services do when they reload. Only needed where
//! the kernel cannot keep others away from it (before Linux 6.9).

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use sys::nft::Monitor;

use crate::filter::Filter;

/// How long it waits after a failure: the table may be put back next time.
const REST: Duration = Duration::from_millis(200);

/// Watches until `stop` becomes readable.
pub(crate) fn run(filter: &Mutex<Filter>, mut monitor: Monitor, stop: &OwnedFd) {
    let mut missing = false;
    loop {
        let mut fds = [PollFd::new(&monitor, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        let patience = rustix::time::Timespec { tv_sec: 0, tv_nsec: REST.subsec_nanos().into() };
        match poll(&mut fds, missing.then_some(&patience)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        if !fds[1].revents().is_empty() {
            return;
        }
        let mut filter = filter.lock().unwrap_or_else(PoisonError::into_inner);
        missing |= monitor.heard_deletion(filter.table(), filter.number()).unwrap_or(true);
        if missing {
            missing = filter.install().is_err();
        }
    }
}
