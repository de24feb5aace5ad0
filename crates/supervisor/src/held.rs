//! What the daemon holds for the day the supervisor is killed: duplicates of every live process's descriptors.

use std::os::fd::{AsFd, BorrowedFd};

use protocol::{Held, Tell};

use crate::entry::Entry;
use crate::supervisor::Supervisor;

/// The target-less record's descriptor: bytes taken from a terminal and not yet in the journal live in it.
pub(crate) const HOLD: &str = "hold";

impl Supervisor {
    /// Hands the duplicates of a process to every subscriber.
    pub(crate) fn tell_held(&mut self, slot: usize) {
        for client in self.subscribers() {
            self.tell_held_to(slot, client, 0);
        }
    }

    /// Hands the duplicates of every process to one client.
    pub(crate) fn duplicate(&mut self, client: u64, seq: u64) {
        let hold = Held { target: None, fds: vec![HOLD.to_owned()], record: Vec::new() };
        if let Some(to) = self.clients.get_mut(&client)
            && !to.tell(seq, Tell::Held(hold), &[self.ledger.hold()])
        {
            return self.drop_client(client);
        }
        for slot in 0..self.entries.len() {
            self.tell_held_to(slot, client, seq);
        }
    }

    fn tell_held_to(&mut self, slot: usize, client: u64, seq: u64) {
        let Some(Some(entry)) = self.entries.get(slot) else { return };
        let named = held_fds(entry);
        let Some(to) = self.clients.get_mut(&client).filter(|_| !named.is_empty()) else { return };
        let (names, fds): (Vec<String>, Vec<BorrowedFd<'_>>) = named.into_iter().unzip();
        let held = Held { target: entry.record.target.clone(), fds: names, record: entry.record.life() };
        if to.tell(seq, Tell::Held(held), &fds) {
            self.watch_client(client);
        } else {
            self.drop_client(client);
        }
    }

    /// Tells every subscriber to close its duplicates of these (of all, when none is named).
    pub(crate) fn release(&mut self, slot: usize, names: &[&str]) {
        let Some(entry) = self.entry(slot) else { return };
        let fds = names.iter().map(|name| (*name).to_owned()).collect();
        let released = Held { target: entry.record.target.clone(), fds, record: Vec::new() };
        for client in self.subscribers() {
            self.tell(client, 0, Tell::Release(released.clone()));
        }
    }
}

/// An exec's stdin is not held: its end must reach the program at once, and its client is gone with the supervisor.
fn held_fds(entry: &Entry) -> Vec<(String, BorrowedFd<'_>)> {
    let kept = entry.fds.iter().map(|(name, fd)| (name.clone(), fd.as_fd()));
    let mut named: Vec<_> = kept.collect();
    if let Some(process) = &entry.process {
        named.push(("pidfd".to_owned(), process.pidfd.as_fd()));
        let stdio = process.stdio.named().into_iter();
        let held = stdio.filter(|(name, _)| !(entry.record.is_exec() && *name == "stdin"));
        named.extend(held.map(|(name, fd)| (name.to_owned(), fd)));
    }
    named
}
