//! After a death: the records in the ledger, and the descriptors a daemon held, become running containers again.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use protocol::{Adopt, Held};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::clock;
use crate::entry::{Entry, Ours, Process};
use crate::error::Error;
use crate::record::{Phase, Record};
use crate::stat::birth_ticks;
use crate::stdio::park;
use crate::supervisor::{Supervisor, key};

/// The timers' slot for giving up on a daemon.
pub(crate) const ADOPTION_TIMER: usize = usize::MAX;
/// The timers' slot for dropping the last batch of the dead.
pub(crate) const LAST_TIMER: usize = usize::MAX - 2;
/// How long clients of a dead supervisor have to come back to a container before its output goes on without them.
const CLIENTS_PATIENCE_NS: i64 = 300_000_000;
/// How long a daemon has to hand over what it holds; then processes are taken over without their stdio.
const PATIENCE_NS: i64 = 20_000_000_000;

/// Named descriptors of each target, with the life they are of.
type Named = HashMap<(String, String), (Vec<(String, OwnedFd)>, Vec<u8>)>;

/// What waits for its descriptors.
#[derive(Debug, Default)]
pub(crate) struct Adoption {
    records: Vec<(usize, Record)>,
    held: Named,
}

impl Supervisor {
    /// Reads the ledger. Records in it belonged to a supervisor that died: they wait for [`Supervisor::adopt`].
    pub(crate) fn load(&mut self) -> Result<(), Error> {
        let records =
            self.ledger.load().map_err(|errno| Error::call("read the supervisor's ledger", errno))?;
        let log_of = |slot: usize| {
            let found = records.iter().find(|(other, _)| *other == slot);
            found.and_then(|(_, record)| record.log.clone())
        };
        match crate::log::recover(&mut self.ledger, log_of) {
            Ok(last) => self.last = last,
            Err(errno) => complain!("finish the interrupted log: {errno}"),
        }
        if !records.is_empty() {
            self.adoption = Some(Adoption { records, held: Named::new() });
            self.timers.insert((clock::boot_ns() + PATIENCE_NS, ADOPTION_TIMER));
        }
        Ok(())
    }

    /// Takes the descriptors a daemon held, and after the last of them the containers.
    pub(crate) fn adopt(&mut self, client: u64, adopt: Adopt) -> Result<(), Error> {
        for Held { target, fds: names, record: life } in adopt.held {
            let fds = self.clients.get_mut(&client).and_then(|client| client.take_fds(names.len()));
            let fds = fds.ok_or_else(|| Error::invalid("held descriptors did not come along"))?;
            if let (Some(adoption), Some(target)) = (&mut self.adoption, target) {
                adoption.held.insert(key(&target), (names.into_iter().zip(fds).collect(), life));
            }
        }
        if !adopt.more {
            self.adopt_now();
        }
        Ok(())
    }

    /// Takes over every record, with the descriptors that came.
    pub(crate) fn adopt_now(&mut self) {
        let Some(Adoption { records, mut held }) = self.adoption.take() else { return };
        self.timers.retain(|(_, slot)| *slot != ADOPTION_TIMER);
        self.timers.insert((clock::boot_ns() + 10 * CLIENTS_PATIENCE_NS, LAST_TIMER));
        for (slot, record) in records {
            let held = record.target.as_ref().and_then(|target| held.remove(&key(target)));
            let (mut named, life) = held.unwrap_or_default();
            if life != record.life() {
                // The daemon had not heard of the present life yet: what it held of the one before would be taken for it.
                named.retain(|(name, _)| record.fds.contains(name));
            }
            let expects_clients = record.watched;
            self.revive(slot, record, named, expects_clients);
        }
    }

    /// Puts one record back to life.
    pub(crate) fn revive(
        &mut self,
        slot: usize,
        record: Record,
        named: Vec<(String, OwnedFd)>,
        expects_clients: bool,
    ) {
        for event in &record.events {
            self.unacknowledged.insert(event.number, slot);
        }
        let phase = record.phase();
        let again_at_ns = record.again_at_ns;
        let mut entry = Entry::new(slot, record);
        entry.clients = self.early.remove(&key(&entry.target())).unwrap_or_default();
        self.insert(entry);
        let pidfd = self.install(slot, named);
        match phase {
            Phase::Starting => self.abort_start(slot),
            Phase::Running => self.take_over(slot, pidfd, expects_clients),
            Phase::Waiting => {
                let left = (again_at_ns - clock::wall_ns()).clamp(0, 60_000_000_000);
                self.set_due(slot, Some(clock::boot_ns() + left));
                self.clean_later(slot);
            }
            Phase::Exited => self.clean_later(slot),
        }
    }

    /// Sorts descriptors into the entry: its process's stdio, and what came with its start. Answers the pidfd.
    fn install(&mut self, slot: usize, named: Vec<(String, OwnedFd)>) -> Option<(OwnedFd, Ours)> {
        let entry = self.entry(slot)?;
        let mut stdio = Ours::default();
        let mut pidfd = None;
        for (name, fd) in named {
            let fd = park(fd);
            if name == "pidfd" {
                pidfd = Some(fd);
            } else if entry.record.fds.contains(&name) {
                entry.fds.push((name, fd));
            } else {
                stdio.put(&name, fd);
            }
        }
        let pid = entry.record.pid;
        let ticks = entry.record.ticks;
        let pidfd = match pidfd {
            Some(pidfd) => pidfd,
            // No daemon held anything: it died, too.
            None => {
                let pidfd = find_process(pid, ticks)?;
                self.find_again(slot, &mut stdio);
                pidfd
            }
        };
        Some((pidfd, stdio))
    }

    /// What belonged to a live process and nobody held, as far as the container itself still has it.
    fn find_again(&mut self, slot: usize, stdio: &mut Ours) {
        let Some(Some(entry)) = self.entries.get(slot) else { return };
        let Record { pid, ticks, .. } = entry.record;
        let plan = self.root.plan(entry.container()).ok().filter(|_| !entry.record.is_exec());
        let others = plan.and_then(|plan| runtime::pids(&plan).ok()).unwrap_or_default();
        stdio.find_pipes(&entry.record.pipes, &[&[pid], &others[..]].concat());
        let Some(entry) = self.entry(slot) else { return };
        for name in entry.record.fds.iter().filter(|name| name.as_str() == "net") {
            if entry.fds.iter().all(|(there, _)| there != name)
                && let Some(namespace) = find_namespace(pid, ticks, name)
            {
                entry.fds.push((name.clone(), park(namespace)));
            }
        }
    }

    fn take_over(&mut self, slot: usize, process: Option<(OwnedFd, Ours)>, expects_clients: bool) {
        let Some(entry) = self.entry(slot) else { return };
        match process {
            Some((pidfd, stdio)) => {
                let container = entry.container().to_owned();
                let is_exec = entry.record.is_exec();
                entry.process = Some(Process { pidfd, stdio, memory: None });
                if let Some(plan) = self.root.plan(&container).ok().filter(|_| !is_exec) {
                    self.watch_memory(slot, runtime::watch_memory(&plan).ok().flatten());
                }
                if let Err(error) = self.open_log(slot) {
                    complain!("{}", crate::error::chain(&error));
                }
                self.tell_held(slot);
                if expects_clients {
                    self.expect_clients(slot);
                } else {
                    self.watch_process(slot);
                }
                self.wake_clients(slot);
            }
            None => self.ended(slot, None),
        }
    }

    /// Reads nothing, and does not see the end, before a client is back or too late.
    fn expect_clients(&mut self, slot: usize) {
        if let Some(entry) = self.entry(slot) {
            entry.expects_clients = true;
        }
        self.set_due(slot, Some(clock::boot_ns() + CLIENTS_PATIENCE_NS));
    }

    /// A start that was under way was never answered: it is undone. One by the policy is tried again.
    fn abort_start(&mut self, slot: usize) {
        self.clean_later(slot);
        let Some(entry) = self.entry(slot) else { return };
        if entry.record.started_at_ns != 0 && !entry.record.held {
            entry.record.restarts = entry.record.restarts.saturating_sub(1);
            entry.record.set_phase(Phase::Waiting);
            self.save(slot);
            return self.set_due(slot, Some(clock::boot_ns()));
        }
        if entry.record.events.is_empty() {
            self.clean_ended();
            self.forget(slot);
        } else {
            entry.record.set_phase(Phase::Exited);
            self.save(slot);
        }
    }

    fn clean_later(&mut self, slot: usize) {
        let Some(entry) = self.entry(slot).filter(|entry| entry.record.unclean) else { return };
        let container = entry.container().to_owned();
        if let Ok(plan) = self.root.plan(&container) {
            self.to_clean.push((slot, plan));
        }
    }
}

/// A namespace of the process with this pid, if that is still the one that began then.
fn find_namespace(pid: i32, ticks: u64, kind: &str) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let namespace = openat(CWD, format!("/proc/{pid}/ns/{kind}"), flags, Mode::empty()).ok()?;
    (birth_ticks(pid) == ticks).then_some(namespace)
}

/// The process with this pid, if it is still the one that began then.
fn find_process(pid: i32, ticks: u64) -> Option<OwnedFd> {
    let pidfd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let same = ticks != 0 && birth_ticks(pid) == ticks;
    same.then(|| park(pidfd))
}
