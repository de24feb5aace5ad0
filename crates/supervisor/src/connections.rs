//! Connections: accepted, read, written, and dropped.

use protocol::{Ask, Failure, Hello, Input, Request, Tell};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::client::{Client, Received, Role};
use crate::clock;
use crate::error::Error;
use crate::poll::{Ready, Token};
use crate::supervisor::{Supervisor, key};

/// The timers' slot for taking connections again.
pub(crate) const LISTENER_TIMER: usize = usize::MAX - 1;
const ACCEPT_REST_NS: i64 = 100_000_000;

impl Supervisor {
    /// Takes new connections; only our own user (and root) is let in.
    pub(crate) fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        loop {
            let fd = match rustix::net::accept_with(&self.listener, flags) {
                Ok(fd) => fd,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(Errno::AGAIN) => return,
                Err(errno) => return self.rest_from_accepting(errno),
            };
            let own = rustix::process::geteuid();
            let allowed = rustix::net::sockopt::socket_peercred(&fd)
                .is_ok_and(|peer| peer.uid == own || peer.uid.is_root());
            if !allowed {
                continue;
            }
            let number = self.next_client;
            if self.poll.add(&fd, Token::Client(number), Ready::IN).is_ok() {
                self.next_client += 1;
                self.clients.insert(number, Client::new(fd));
            }
        }
    }

    /// No descriptor is free: those who knock wait a moment.
    fn rest_from_accepting(&mut self, errno: Errno) {
        complain!("take a connection: {errno}");
        self.poll.remove(&self.listener);
        self.timers.insert((clock::boot_ns() + ACCEPT_REST_NS, LISTENER_TIMER));
    }

    /// Takes connections again.
    pub(crate) fn accept_again(&mut self) {
        let _ = self.poll.add(&self.listener, Token::Listener, Ready::IN);
    }

    /// A connection has input, room, or has gone.
    pub(crate) fn client_ready(&mut self, number: u64, flags: Ready) {
        if flags.contains(Ready::OUT) {
            let Some(client) = self.clients.get_mut(&number) else { return };
            if !client.flush() {
                return self.drop_client(number);
            }
            let full = client.is_full();
            self.watch_client(number);
            if !full {
                self.resume_output(number);
            }
        }
        if flags.contains(Ready::IN) {
            self.receive(number);
        } else if flags.intersects(Ready::HUP | Ready::ERR) {
            self.drop_client(number);
        }
    }

    fn receive(&mut self, number: u64) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        match client.receive(&mut self.buffer) {
            Received::Some => self.take_frames(number),
            Received::Nothing => {}
            Received::Gone => self.drop_client(number),
        }
    }

    /// Does what the frames received say. Input for a process that does not run yet, or does not take it, waits.
    pub(crate) fn take_frames(&mut self, number: u64) {
        loop {
            let stuck = self.is_stuck(number);
            let Some(client) = self.clients.get_mut(&number) else { return };
            if client.muted != stuck {
                client.muted = stuck;
                self.watch_client(number);
            }
            let Some(client) = self.clients.get_mut(&number).filter(|_| !stuck) else { return };
            let going_on = match client.role {
                Role::Attached { .. } => match client.frames.take::<Input>() {
                    Ok(Some(input)) => self.input(number, input),
                    Ok(None) => return,
                    Err(_) => false,
                },
                _ => match client.frames.take::<Request>() {
                    Ok(Some(request)) => self.request(number, request),
                    Ok(None) => return,
                    Err(_) => false,
                },
            };
            if !going_on {
                return self.drop_client(number);
            }
        }
    }

    /// Does one request. False: this is no peer of ours.
    fn request(&mut self, number: u64, request: Request) -> bool {
        let Request { seq, ask: Some(ask) } = request else {
            self.refuse(
                number,
                request.seq,
                &Error::invalid("the request asks for nothing this build knows"),
            );
            return true;
        };
        let is_new = self.clients.get(&number).is_some_and(|client| client.role == Role::New);
        match ask {
            Ask::Hello(_) => {
                if let Some(client) = self.clients.get_mut(&number).filter(|_| is_new) {
                    client.role = Role::Control { subscribed: false };
                }
                let build = env!("CARGO_PKG_VERSION").to_owned();
                let hello = Hello { version: protocol::VERSION, build, instance: self.instance };
                self.tell(number, seq, Tell::Hello(hello));
                true
            }
            _ if is_new => false,
            ask => {
                if let Err(error) = self.serve(number, seq, ask) {
                    self.refuse(number, seq, &error);
                }
                true
            }
        }
    }

    /// Tells a client that its request was not done.
    pub(crate) fn refuse(&mut self, number: u64, seq: u64, error: &Error) {
        let failure: Failure = error.to_failure();
        self.tell(number, seq, Tell::Failed(failure));
    }

    /// Waits for what this connection needs now.
    pub(crate) fn watch_client(&mut self, number: u64) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        let mut ready = Ready::empty();
        ready.set(Ready::IN, !client.muted);
        ready.set(Ready::OUT, client.is_behind());
        if client.watched != ready && self.poll.change(&client.fd, Token::Client(number), ready).is_ok() {
            client.watched = ready;
        }
    }

    /// Ends a connection. One that fed stdin ends it, if the container wants that.
    pub(crate) fn drop_client(&mut self, number: u64) {
        let Some(client) = self.clients.remove(&number) else { return };
        self.poll.remove(&client.fd);
        let Role::Attached { target, stdin, .. } = &client.role else { return };
        if let Some(early) = self.early.get_mut(&key(target)) {
            early.retain(|other| *other != number);
            if early.is_empty() {
                self.early.remove(&key(target));
            }
        }
        let Some(slot) = self.find(target) else { return };
        if let Some(entry) = self.entry(slot) {
            entry.clients.retain(|other| *other != number);
        }
        if *stdin {
            self.end_input(slot);
        }
        self.note_watchers(slot);
        self.resume_entry(slot);
    }
}
