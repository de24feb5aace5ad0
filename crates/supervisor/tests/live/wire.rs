//! A plain, blocking client.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use protocol::{Ask, FrameReader, Hello, Message, Request, Tell};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};

pub(crate) struct Wire {
    socket: UnixStream,
    frames: FrameReader,
    pub(crate) fds: VecDeque<OwnedFd>,
    seq: u64,
    /// Told between a request and its answer.
    pub(crate) aside: VecDeque<Tell>,
    pub(crate) instance: u64,
    /// Keep duplicates that come, as a daemon does.
    pub(crate) holds: bool,
}

impl Wire {
    /// Connects and says hello; waits until somebody answers.
    pub(crate) fn connect(root: &str) -> Self {
        for _ in 0..500 {
            if let Some(wire) = Self::try_connect(root) {
                return wire;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no supervisor answers in {root}");
    }

    /// As [`Wire::connect`], for one who may never answer.
    pub(crate) fn try_for(root: &str, tries: u32) -> Option<Self> {
        for _ in 0..tries {
            if let Some(wire) = Self::try_connect(root) {
                return Some(wire);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    pub(crate) fn try_connect(root: &str) -> Option<Self> {
        let socket = UnixStream::connect(format!("{root}/supervisor.sock")).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
        let mut wire = Self {
            socket,
            frames: FrameReader::default(),
            fds: VecDeque::new(),
            seq: 0,
            aside: VecDeque::new(),
            instance: 0,
            holds: false,
        };
        wire.send(Ask::Hello(Hello { version: protocol::VERSION, build: "test".into(), instance: 0 }), &[]);
        match wire.receive()?.tell? {
            Tell::Hello(hello) => wire.instance = hello.instance,
            other => panic!("{other:?}"),
        }
        Some(wire)
    }

    pub(crate) fn send(&mut self, ask: Ask, fds: &[BorrowedFd<'_>]) -> u64 {
        self.seq += 1;
        self.send_bytes(&protocol::encode(&Request { seq: self.seq, ask: Some(ask) }), fds);
        self.seq
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        }
        let iov = [IoSlice::new(bytes)];
        let sent = rustix::net::sendmsg(&self.socket, &iov, &mut control, SendFlags::NOSIGNAL)
            .unwrap_or(bytes.len());
        if sent < bytes.len() {
            self.send_bytes(&bytes[sent..], &[]);
        }
    }

    /// The next message; `None` when the supervisor has gone.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.frames.take::<Message>().expect("frames") {
                if let (Some(Tell::Held(held)), false) = (&message.tell, self.holds) {
                    self.fds.drain(..held.fds.len());
                }
                return Some(message);
            }
            let mut buffer = vec![0; 64 << 10];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let iov = &mut [IoSliceMut::new(&mut buffer)];
            let got =
                rustix::net::recvmsg(self.socket.as_fd(), iov, &mut control, RecvFlags::CMSG_CLOEXEC).ok()?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(fds) = message {
                    self.fds.extend(fds);
                }
            }
            if got.bytes == 0 {
                return None;
            }
            self.frames.push(&buffer[..got.bytes]);
        }
    }

    /// Asks, and waits for the answer; what else is told waits aside.
    pub(crate) fn ask(&mut self, ask: Ask) -> Tell {
        let seq = self.send(ask, &[]);
        self.answer(seq)
    }

    pub(crate) fn answer(&mut self, seq: u64) -> Tell {
        loop {
            let message = self.receive().expect("an answer");
            let tell = message.tell.expect("something is told");
            if message.seq == seq && !matches!(tell, Tell::Held(_)) {
                return tell;
            }
            self.aside.push_back(tell);
        }
    }

    /// As [`Wire::answer`]; `None` when the supervisor has gone.
    pub(crate) fn try_answer(&mut self, seq: u64) -> Option<Tell> {
        loop {
            let message = self.receive()?;
            let tell = message.tell?;
            if message.seq == seq && !matches!(tell, Tell::Held(_)) {
                return Some(tell);
            }
            self.aside.push_back(tell);
        }
    }

    pub(crate) fn done(&mut self, ask: Ask) {
        let tell = self.ask(ask);
        assert!(matches!(tell, Tell::Done(_)), "{tell:?}");
    }

    /// The next thing told, aside or new.
    pub(crate) fn next(&mut self) -> Tell {
        self.aside
            .pop_front()
            .unwrap_or_else(|| self.receive().expect("something is told").tell.expect("something is told"))
    }
}
