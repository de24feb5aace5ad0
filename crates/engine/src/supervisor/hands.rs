//! What the daemon holds for the day the supervisor is killed.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::{Adopt, Ask, Held, Target};

use super::wire::Wire;

/// Duplicates of every live process's descriptors.
#[derive(Debug, Default)]
pub(super) struct Hands {
    held: HashMap<(String, String), Grip>,
}

#[derive(Debug)]
struct Grip {
    fds: Vec<(String, OwnedFd)>,
    /// What the supervisor wants to be told with them.
    record: Vec<u8>,
    /// The present supervisor has confirmed it.
    fresh: bool,
}

impl Hands {
    /// Takes what came with a message; it replaces what was held of that process.
    pub(super) fn take(&mut self, held: Held, fds: Vec<OwnedFd>) {
        let fds = held.fds.into_iter().zip(fds).collect();
        let grip = Grip { fds, record: held.record, fresh: true };
        self.held.insert(key(held.target.as_ref()), grip);
    }

    /// Another supervisor answers: what is held may be of no use to it.
    pub(super) fn doubt(&mut self) {
        self.held.values_mut().for_each(|grip| grip.fresh = false);
    }

    /// It has named everything it has: the rest goes.
    pub(super) fn settle(&mut self) {
        self.held.retain(|_, grip| grip.fresh);
    }

    /// Lets go of the descriptors named, or of all of that process.
    pub(super) fn release(&mut self, released: &Held) {
        let key = key(released.target.as_ref());
        let left = match self.held.get_mut(&key) {
            Some(grip) if !released.fds.is_empty() => {
                grip.fds.retain(|(name, _)| !released.fds.contains(name));
                grip.fds.len()
            }
            _ => 0,
        };
        if left == 0 {
            self.held.remove(&key);
        }
    }

    /// Hands everything to a supervisor that has taken the place of a dead one.
    pub(super) async fn give(&self, wire: &Wire, seq: u64) -> io::Result<()> {
        for ((container, exec), Grip { fds, record, .. }) in &self.held {
            let target = Target { container: container.clone(), exec: exec.clone() };
            let names = fds.iter().map(|(name, _)| name.clone()).collect();
            let held = Held { target: Some(target), fds: names, record: record.clone() };
            let fds: Vec<BorrowedFd<'_>> = fds.iter().map(|(_, fd)| fd.as_fd()).collect();
            wire.ask(seq, Ask::Adopt(Adopt { held: vec![held], more: true }), &fds).await?;
        }
        wire.ask(seq, Ask::Adopt(Adopt { held: Vec::new(), more: false }), &[]).await
    }
}

fn key(target: Option<&Target>) -> (String, String) {
    target.map_or_else(Default::default, |target| (target.container.clone(), target.exec.clone()))
}
