//! Upgrade in place: the program executes another over itself. Children stay children, descriptors stay open; which is which stands
//! in a memfd.

use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use prost::Message;
use protocol::{Empty, Target, Tell};
use rustix::fs::MemfdFlags;
use rustix::io::{Errno, FdFlags};
use types::Kind;

use crate::client::{Client, Outgoing, Role};
use crate::error::Error;
use crate::poll::{Ready, Token};
use crate::supervisor::{Fixed, Supervisor, key};

/// Everything that is not in the ledger. Numbers are descriptors.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Handover {
    #[prost(uint64, tag = "1")]
    instance: u64,
    #[prost(int32, tag = "2")]
    lock: i32,
    #[prost(int32, tag = "3")]
    listener: i32,
    #[prost(message, repeated, tag = "4")]
    entries: Vec<CarriedEntry>,
    #[prost(message, repeated, tag = "5")]
    clients: Vec<CarriedClient>,
    #[prost(uint64, tag = "6")]
    next_client: u64,
    /// Who asked for the upgrade, and with which request.
    #[prost(uint64, tag = "7")]
    asker: u64,
    #[prost(uint64, tag = "8")]
    seq: u64,
}

#[derive(Clone, PartialEq, Message)]
struct CarriedEntry {
    #[prost(uint64, tag = "1")]
    slot: u64,
    #[prost(string, repeated, tag = "2")]
    names: Vec<String>,
    #[prost(int32, repeated, tag = "3")]
    fds: Vec<i32>,
    #[prost(bytes = "vec", tag = "4")]
    input: Vec<u8>,
    #[prost(bool, tag = "5")]
    input_ends: bool,
    /// Attached clients, by number.
    #[prost(uint64, repeated, tag = "6")]
    clients: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct CarriedClient {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(int32, tag = "2")]
    fd: i32,
    /// 0 new, 1 control, 2 subscriber, 3 attached.
    #[prost(uint32, tag = "3")]
    role: u32,
    #[prost(message, optional, tag = "4")]
    target: Option<Target>,
    #[prost(bool, tag = "5")]
    stdin: bool,
    #[prost(bool, tag = "6")]
    output: bool,
    /// Attached to what has not started yet.
    #[prost(bool, tag = "7")]
    early: bool,
    /// Received, not yet understood.
    #[prost(bytes = "vec", tag = "8")]
    input: Vec<u8>,
    #[prost(int32, repeated, tag = "9")]
    fds: Vec<i32>,
    #[prost(message, repeated, tag = "10")]
    outgoing: Vec<CarriedFrame>,
}

#[derive(Clone, PartialEq, Message)]
struct CarriedFrame {
    #[prost(bytes = "vec", tag = "1")]
    bytes: Vec<u8>,
    #[prost(uint64, tag = "2")]
    sent: u64,
    #[prost(int32, repeated, tag = "3")]
    fds: Vec<i32>,
}

/// Inherited descriptors by number.
type Inherited = HashMap<i32, OwnedFd>;

impl Supervisor {
    /// Remembers the wish; it is done when no start is under way.
    pub(crate) fn ask_upgrade(&mut self, client: u64, seq: u64, path: String) -> Result<(), Error> {
        if self.upgrade.is_some() {
            return Err(Error::new(Kind::Conflict, "an upgrade is under way already"));
        }
        if !path.starts_with('/') {
            return Err(Error::invalid(format!("{path:?} is no absolute path")));
        }
        self.upgrade = Some((path, client, seq));
        Ok(())
    }

    /// Becomes the other program, if that was asked for. Comes back only when that fails.
    pub(crate) fn upgrade_if_asked(&mut self) {
        if self.adoption.is_some() || self.entries.iter().flatten().any(|entry| entry.starting.is_some()) {
            return;
        }
        let Some((path, client, seq)) = self.upgrade.take() else { return };
        let Err(errno) = self.execute(&path, client, seq);
        self.refuse(client, seq, &Error::call(format!("execute {path}"), errno));
    }

    fn execute(&self, path: &str, asker: u64, seq: u64) -> Result<std::convert::Infallible, Errno> {
        let mut kept = Vec::new();
        let handover = self.hand_over(asker, seq, &mut kept);
        let memory = rustix::fs::memfd_create("berth-handover", MemfdFlags::CLOEXEC)?;
        let bytes = handover.encode_to_vec();
        let mut written = 0;
        while written < bytes.len() {
            written += rustix::io::pwrite(&memory, &bytes[written..], written as u64)?;
        }
        kept.push(memory.as_fd());
        let number = memory.as_raw_fd().to_string();
        let args = ["berth-runtime", "supervisor", "--root", self.root.path(), "--resume", &number];
        #[allow(clippy::disallowed_methods, reason = "the next program gets the environment of this one")]
        let env: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
        let program = CString::new(path).map_err(|_| Errno::INVAL)?;
        let args = sys::process::StringList::new(&args).ok_or(Errno::INVAL)?;
        let env = sys::process::StringList::new(&env).ok_or(Errno::INVAL)?;
        for fd in &kept {
            rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
        }
        let errno = sys::process::exec(&program, &args, &env);
        for fd in &kept {
            let _ = rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC);
        }
        Err(errno)
    }

    fn hand_over<'a>(&'a self, asker: u64, seq: u64, kept: &mut Vec<BorrowedFd<'a>>) -> Handover {
        let mut keep = |fd: BorrowedFd<'a>| {
            kept.push(fd);
            fd.as_raw_fd()
        };
        let entries = self.entries.iter().flatten().map(|entry| carry_entry(entry, &mut keep)).collect();
        let clients = self.clients.iter().map(|(number, client)| {
            let early = matches!(&client.role, Role::Attached { target, .. }
                if self.early.get(&key(target)).is_some_and(|early| early.contains(number)));
            carry_client(*number, client, early, &mut keep)
        });
        let clients = clients.collect();
        Handover {
            instance: self.instance,
            lock: keep(self.lock.as_fd()),
            listener: keep(self.listener.as_fd()),
            entries,
            clients,
            next_client: self.next_client,
            asker,
            seq,
        }
    }

    /// Takes over what the program before handed on.
    pub(crate) fn resume(&mut self, handover: Handover, mut inherited: Inherited) -> Result<(), Error> {
        self.next_client = handover.next_client;
        for carried in handover.clients {
            self.resume_client(carried, &mut inherited);
        }
        let records =
            self.ledger.load().map_err(|errno| Error::call("read the supervisor's ledger", errno))?;
        self.ledger.recover_journal().map_err(|errno| Error::call("read the supervisor's journal", errno))?;
        let mut carried: HashMap<u64, CarriedEntry> =
            handover.entries.into_iter().map(|entry| (entry.slot, entry)).collect();
        for (slot, record) in records {
            let CarriedEntry { names, fds, input, input_ends, clients, .. } =
                carried.remove(&(slot as u64)).unwrap_or_default();
            let fds = fds.iter().filter_map(|number| inherited.remove(number));
            self.revive(slot, record, names.into_iter().zip(fds).collect(), false);
            let Some(entry) = self.entry(slot) else { continue };
            entry.clients = clients;
            if let Some(process) = &mut entry.process {
                process.stdio.input = input.into();
                process.stdio.input_ends = input_ends;
            }
            self.write_input(slot);
        }
        self.tell(handover.asker, handover.seq, Tell::Done(Empty {}));
        for number in self.clients.keys().copied().collect::<Vec<_>>() {
            self.take_frames(number);
        }
        Ok(())
    }

    fn resume_client(&mut self, carried: CarriedClient, inherited: &mut Inherited) {
        let Some(fd) = inherited.remove(&carried.fd) else { return };
        let mut client = Client::new(fd);
        let target = carried.target.clone().unwrap_or_default();
        client.role = match carried.role {
            0 => Role::New,
            1 | 2 => Role::Control { subscribed: carried.role == 2 },
            _ => Role::Attached { target: target.clone(), stdin: carried.stdin, output: carried.output },
        };
        client.fds = carried.fds.iter().filter_map(|number| inherited.remove(number)).collect();
        let outgoing = carried.outgoing.into_iter().map(|frame| Outgoing {
            sent: frame.sent as usize,
            bytes: frame.bytes,
            fds: frame.fds.iter().filter_map(|number| inherited.remove(number)).collect(),
        });
        client.restore(&carried.input, outgoing.collect());
        if carried.early {
            self.early.entry(key(&target)).or_default().push(carried.number);
        }
        if self.poll.add(&client.fd, Token::Client(carried.number), Ready::IN).is_ok() {
            self.clients.insert(carried.number, client);
            self.watch_client(carried.number);
        }
    }
}

fn carry_entry<'a>(
    entry: &'a crate::entry::Entry,
    keep: &mut impl FnMut(BorrowedFd<'a>) -> i32,
) -> CarriedEntry {
    let mut carried =
        CarriedEntry { slot: entry.slot as u64, clients: entry.clients.clone(), ..CarriedEntry::default() };
    let mut named: Vec<(&str, BorrowedFd<'a>)> =
        entry.fds.iter().map(|(name, fd)| (name.as_str(), fd.as_fd())).collect();
    if let Some(process) = &entry.process {
        named.push(("pidfd", process.pidfd.as_fd()));
        named.extend(process.stdio.named());
        carried.input = process.stdio.input.iter().copied().collect();
        carried.input_ends = process.stdio.input_ends;
    }
    for (name, fd) in named {
        carried.names.push(name.to_owned());
        carried.fds.push(keep(fd));
    }
    carried
}

fn carry_client<'a>(
    number: u64,
    client: &'a Client,
    early: bool,
    keep: &mut impl FnMut(BorrowedFd<'a>) -> i32,
) -> CarriedClient {
    let mut carried = CarriedClient {
        number,
        fd: keep(client.fd.as_fd()),
        early,
        input: client.frames.rest().to_vec(),
        fds: client.fds.iter().map(|fd| keep(fd.as_fd())).collect(),
        ..CarriedClient::default()
    };
    match &client.role {
        Role::New => {}
        Role::Control { subscribed } => carried.role = if *subscribed { 2 } else { 1 },
        Role::Attached { target, stdin, output } => {
            (carried.role, carried.stdin, carried.output) = (3, *stdin, *output);
            carried.target = Some(target.clone());
        }
    }
    for out in &client.outgoing {
        let fds = out.fds.iter().map(|fd| keep(fd.as_fd())).collect();
        carried.outgoing.push(CarriedFrame { bytes: out.bytes.clone(), sent: out.sent as u64, fds });
    }
    carried
}

/// Reads what the program before wrote into this descriptor.
pub(crate) fn read_handover(number: i32) -> Result<(Handover, Fixed, Inherited), Error> {
    let context = |errno| Error::call("take over what the supervisor before handed on", errno);
    let mut inherited: Inherited = sys::inherit::descriptors().map_err(context)?.into_iter().collect();
    let memory = inherited.remove(&number).ok_or_else(|| context(Errno::BADF))?;
    let mut bytes = vec![0; rustix::fs::fstat(&memory).map_err(context)?.st_size as usize];
    let mut done = 0;
    while done < bytes.len() {
        match rustix::io::pread(&memory, &mut bytes[done..], done as u64).map_err(context)? {
            0 => break,
            n => done += n,
        }
    }
    let handover = Handover::decode(&bytes[..])
        .map_err(|error| Error::new(Kind::Corrupt, format!("the handover is damaged: {error}")))?;
    let mut take = |number: i32| inherited.remove(&number).ok_or_else(|| context(Errno::BADF));
    let fixed =
        Fixed { lock: take(handover.lock)?, listener: take(handover.listener)?, instance: handover.instance };
    Ok((handover, fixed, inherited))
}
