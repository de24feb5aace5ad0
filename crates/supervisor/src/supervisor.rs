//! The supervisor itself: its tables, and the loop that hands out what became ready.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::OwnedFd;

use protocol::{Plan, Target, Tell};
use rustix::fs::{CWD, Mode, OFlags};

use crate::adopt::Adoption;
use crate::client::Client;
use crate::clock;
use crate::entry::Entry;
use crate::error::Error;
use crate::ledger::{BATCH_BYTES, Ledger};
use crate::poll::{Poll, Ready, Token};
use crate::root::Root;

/// Everything there is.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) root: Root,
    pub(crate) lock: OwnedFd,
    pub(crate) listener: OwnedFd,
    pub(crate) signals: OwnedFd,
    pub(crate) poll: Poll,
    pub(crate) ledger: Ledger,
    /// By slot.
    pub(crate) entries: Vec<Option<Entry>>,
    /// Container and exec id → slot.
    pub(crate) names: HashMap<(String, String), usize>,
    /// By number; numbers never come twice.
    pub(crate) clients: HashMap<u64, Client>,
    pub(crate) next_client: u64,
    /// Connections attached to what is not started yet.
    pub(crate) early: HashMap<(String, String), Vec<u64>>,
    /// Event number → slot.
    pub(crate) unacknowledged: BTreeMap<u64, usize>,
    /// What is due when (boot time) in which slot.
    pub(crate) timers: BTreeSet<(i64, usize)>,
    /// Ended containers whose cgroups go after everybody was told.
    pub(crate) to_clean: Vec<(usize, Plan)>,
    /// Records of a dead supervisor, until the daemon has handed over what it held.
    pub(crate) adoption: Option<Adoption>,
    /// The dead supervisor's last batch, for its clients who come back.
    pub(crate) last: Option<crate::log::Last>,
    /// The path of the program to become, once no start is under way.
    pub(crate) upgrade: Option<(String, u64, u64)>,
    /// One for all.
    pub(crate) buffer: Vec<u8>,
    pub(crate) null: OwnedFd,
    pub(crate) instance: u64,
    pub(crate) quit: bool,
}

/// The descriptors that an upgrade carries over.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) lock: OwnedFd,
    pub(crate) listener: OwnedFd,
    pub(crate) instance: u64,
}

impl Supervisor {
    /// A supervisor with empty tables.
    pub(crate) fn new(root: Root, fixed: Fixed) -> Result<Self, Error> {
        let ledger = root.ledger()?;
        let context = |errno| Error::call("set the supervisor up", errno);
        let signals = sys::signal::descriptor(&[15, 2]).map_err(context)?;
        let poll = Poll::new().map_err(context)?;
        poll.add(&fixed.listener, Token::Listener, Ready::IN).map_err(context)?;
        poll.add(&signals, Token::Signal, Ready::IN).map_err(context)?;
        let null = rustix::fs::openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| Error::call("open /dev/null", errno))?;
        Ok(Self {
            root,
            lock: fixed.lock,
            listener: fixed.listener,
            signals,
            poll,
            ledger,
            entries: Vec::new(),
            names: HashMap::new(),
            clients: HashMap::new(),
            next_client: 1,
            early: HashMap::new(),
            unacknowledged: BTreeMap::new(),
            timers: BTreeSet::new(),
            to_clean: Vec::new(),
            adoption: None,
            last: None,
            upgrade: None,
            buffer: vec![0; BATCH_BYTES],
            null,
            instance: fixed.instance,
            quit: false,
        })
    }

    /// Runs until told to end.
    pub(crate) fn run(&mut self) -> Result<(), Error> {
        while !self.quit {
            let ready = self
                .poll
                .wait(self.timers.first().map(|(at, _)| *at))
                .map_err(|errno| Error::call("wait for events", errno))?;
            for (token, flags) in ready {
                self.dispatch(token, flags);
            }
            self.run_due();
            self.clean_ended();
            self.upgrade_if_asked();
        }
        self.root.close();
        Ok(())
    }

    fn dispatch(&mut self, token: Token, flags: Ready) {
        match token {
            Token::Listener => self.accept(),
            Token::Signal => self.signalled(),
            Token::Client(number) => self.client_ready(number, flags),
            Token::Starting(slot) => self.finish_start(slot),
            Token::Process(slot) => self.process_ready(slot, flags.contains(Ready::HUP)),
            Token::Stdin(slot) => self.stdin_ready(slot),
            Token::Output(slot, stream) => self.output_ready(slot, stream),
            Token::Terminal(slot) => self.terminal_ready(slot, flags),
            Token::Memory(slot) => self.memory_ready(slot),
        }
    }

    /// SIGTERM ends a supervisor that holds nothing; another one goes on.
    fn signalled(&mut self) {
        let mut ignored = [0; 128];
        while rustix::io::read(&self.signals, &mut ignored).is_ok_and(|n| n > 0) {}
        self.quit = self.is_idle();
    }

    /// Nothing runs, or will run by itself.
    pub(crate) fn is_idle(&self) -> bool {
        self.adoption.is_none()
            && self.entries.iter().flatten().all(|entry| entry.phase() == crate::record::Phase::Exited)
    }

    fn run_due(&mut self) {
        let now = clock::boot_ns();
        while let Some((at, slot)) = self.timers.first().copied() {
            if at > now {
                return;
            }
            self.timers.pop_first();
            match slot {
                crate::adopt::ADOPTION_TIMER => self.adopt_now(),
                crate::adopt::LAST_TIMER => self.last = None,
                crate::connections::LISTENER_TIMER => self.accept_again(),
                slot => {
                    if let Some(entry) = self.entry(slot) {
                        entry.due_ns = None;
                        self.due(slot);
                    }
                }
            }
        }
    }

    /// The entry in a slot.
    pub(crate) fn entry(&mut self, slot: usize) -> Option<&mut Entry> {
        self.entries.get_mut(slot)?.as_mut()
    }

    /// The slot of a target.
    pub(crate) fn find(&self, target: &Target) -> Option<usize> {
        self.names.get(&key(target)).copied()
    }

    /// The slot of a container or exec, or the error that says there is none.
    pub(crate) fn need(&self, target: &Target) -> Result<usize, Error> {
        self.find(target).ok_or_else(|| {
            let what = if target.exec.is_empty() { "container" } else { "exec" };
            let id = if target.exec.is_empty() { &target.container } else { &target.exec };
            Error::not_found(&format!("{what} {id}"))
        })
    }

    /// Puts an entry into the tables.
    pub(crate) fn insert(&mut self, entry: Entry) {
        let slot = entry.slot;
        self.names.insert(key(&entry.target()), slot);
        if self.entries.len() <= slot {
            self.entries.resize_with(slot + 1, || None);
        }
        self.entries[slot] = Some(entry);
    }

    /// Forgets an entry: its descriptors, its slot, its plan.
    pub(crate) fn forget(&mut self, slot: usize) {
        self.set_due(slot, None);
        let Some(mut entry) = self.entries.get_mut(slot).and_then(Option::take) else { return };
        for event in &entry.record.events {
            self.unacknowledged.remove(&event.number);
        }
        let target = entry.target();
        self.names.remove(&key(&target));
        let _ = self.ledger.free_slot(slot);
        if target.exec.is_empty() {
            self.root.drop_plan(&target.container);
        }
        // Who is attached to it may wait for the next of that name.
        let clients = std::mem::take(&mut entry.clients);
        if !clients.is_empty() {
            self.early.entry(key(&target)).or_default().extend(clients);
        }
    }

    /// Writes an entry's record.
    pub(crate) fn save(&mut self, slot: usize) {
        if let Some(entry) = self.entries.get(slot).and_then(Option::as_ref)
            && let Err(errno) = self.ledger.put_record(slot, &entry.record)
        {
            complain!("write the record of {}: {errno}", entry.container());
        }
    }

    /// Sets (or clears) when something is due in a slot.
    pub(crate) fn set_due(&mut self, slot: usize, at_ns: Option<i64>) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        if let Some(before) = std::mem::replace(&mut entry.due_ns, at_ns) {
            self.timers.remove(&(before, slot));
        }
        if let Some(at) = at_ns {
            self.timers.insert((at, slot));
        }
    }

    /// Sends to a client, which is dropped when it cannot be reached.
    pub(crate) fn tell(&mut self, number: u64, seq: u64, tell: Tell) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        if client.tell(seq, tell, &[]) {
            self.watch_client(number);
        } else {
            self.drop_client(number);
        }
    }
}

/// How a target is looked up.
pub(crate) fn key(target: &Target) -> (String, String) {
    (target.container.clone(), target.exec.clone())
}
