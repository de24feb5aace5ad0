//! A netlink socket: batches with their acknowledgements, and dumps.
//!
//! The kernel handles a batch inside `sendmsg`: when it returns, every answer that is not a dump is already queued. So
//! answers are read without waiting, and an answer that is missing is an error instead of a hang.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::decode::{Message, attributes, messages, text};
use super::encode::Batch;
use super::error::{Error, Failure};
use super::uapi::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSGERR_ATTR_MSG,
};

/// Bytes read at once. The kernel sizes dump buffers by it, up to 32 KiB.
const RECEIVE_BYTES: usize = 32 << 10;
/// Bytes a socket may hold in each direction: room for the elements of some 100,000 published ports in one batch.
const SOCKET_BYTES: libc::c_int = 16 << 20;
/// How often a dump that was disturbed by changes is repeated.
const DUMP_ATTEMPTS: usize = 16;

/// Which part of the kernel a socket talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Links, addresses, routes (rtnetlink(7)).
    Route,
    /// nf_tables and connection tracking.
    Netfilter,
}

/// A netlink socket of the network namespace its maker was in.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// When the family is missing in this kernel, or descriptors are used up.
    pub fn open(family: Family) -> Result<Self, Error> {
        Self::bound(family, 0)
    }

    /// Opens a netfilter socket that hears of these groups, given as bits.
    pub(crate) fn subscribe(groups: u32) -> Result<Self, Error> {
        Self::bound(Family::Netfilter, groups)
    }

    fn bound(family: Family, groups: u32) -> Result<Self, Error> {
        let protocol = match family {
            // NETLINK_ROUTE is number 0.
            Family::Route => None,
            Family::Netfilter => Some(NETFILTER),
        };
        let flags = SocketFlags::CLOEXEC;
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)
            .map_err(|e| Error::Call("open netlink socket", e))?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, groups))
            .map_err(|e| Error::Call("bind netlink socket", e))?;
        // Older kernels lack these; everything works without them, with shorter error texts.
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK, libc::NETLINK_GET_STRICT_CHK] {
            let _ = set_option(fd.as_fd(), libc::SOL_NETLINK, option, 1);
        }
        Ok(Self { fd, sequence: 0, buffer: vec![0; RECEIVE_BYTES] })
    }

    /// Makes room for large batches (needs `CAP_NET_ADMIN`; without it the system's usual sizes stay).
    pub fn enlarge(&self) {
        for option in [libc::SO_SNDBUFFORCE, libc::SO_RCVBUFFORCE] {
            let _ = set_option(self.fd.as_fd(), libc::SOL_SOCKET, option, SOCKET_BYTES);
        }
    }

    /// The socket's number, which the kernel puts into messages about what it caused.
    ///
    /// # Errors
    /// Never on a netlink socket.
    pub fn number(&self) -> Result<u32, Error> {
        let fail = |e| Error::Call("read netlink address", e);
        let address = rustix::net::getsockname(&self.fd).map_err(fail)?;
        SocketAddrNetlink::try_from(address).map(|a| a.pid()).map_err(fail)
    }

    /// Hands over what was heard, without waiting. Whether something was lost.
    pub(crate) fn listen(&mut self, mut each: impl FnMut(&Message<'_>)) -> Result<bool, Error> {
        let mut lost = false;
        loop {
            match self.read(RecvFlags::DONTWAIT) {
                Ok(Some(read)) => messages(&self.buffer[..read]).map_while(Result::ok).for_each(|m| each(&m)),
                Ok(None) => return Ok(lost),
                Err(error) if error.is(Errno::NOBUFS) || error.is(Errno::MSGSIZE) => lost = true,
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a batch and returns what the kernel refused. Messages after a refused one are carried out all the same in
    /// rtnetlink; in nf_tables nothing is.
    ///
    /// # Errors
    /// When the batch cannot be encoded or sent, or no answer came.
    pub fn send(&mut self, batch: Batch) -> Result<Vec<Failure>, Error> {
        let last = batch.len().saturating_sub(1);
        self.send_acknowledged(batch, |index| index == last, last)
    }

    /// Sends a batch; the answer to message `last` ends it, `flagged` messages are asked to be acknowledged.
    pub(crate) fn send_acknowledged(
        &mut self,
        mut batch: Batch,
        flagged: impl Fn(usize) -> bool,
        last: usize,
    ) -> Result<Vec<Failure>, Error> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.advance(batch.len());
        self.write(batch.encode(first, NLM_F_ACK, flagged)?)?;
        let (mut failures, mut complete) = (Vec::new(), false);
        while let Some(read) = self.read(RecvFlags::DONTWAIT)? {
            for message in messages(&self.buffer[..read]) {
                let message = message?;
                let index = message.sequence.wrapping_sub(first) as usize;
                if message.kind != NLMSG_ERROR || index >= batch.len() {
                    continue;
                }
                complete |= index == last;
                failures.extend(refusal(&message, index, &batch));
            }
        }
        if failures.is_empty() && !complete {
            return Err(Error::Silence(batch.label(0).to_owned()));
        }
        Ok(failures)
    }

    /// Sends a batch; the first refusal is the error.
    ///
    /// # Errors
    /// As [`Socket::send`], and when the kernel refused a message.
    pub fn apply(&mut self, batch: Batch) -> Result<(), Error> {
        match self.send(batch)?.into_iter().next() {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }

    /// Sends one request without `NLM_F_DUMP` and hands over the messages that answer it.
    ///
    /// # Errors
    /// When the exchange fails or the kernel refuses.
    pub fn ask(&mut self, mut batch: Batch, mut each: impl FnMut(&Message<'_>)) -> Result<(), Error> {
        let first = self.advance(batch.len());
        self.write(batch.encode(first, 0, |_| false)?)?;
        let mut answered = false;
        while let Some(read) = self.read(RecvFlags::DONTWAIT)? {
            for message in messages(&self.buffer[..read]) {
                let message = message?;
                if message.sequence != first {
                    continue;
                }
                answered = true;
                match message.kind {
                    NLMSG_ERROR => refusal(&message, 0, &batch).map_or(Ok(()), Err)?,
                    _ => each(&message),
                }
            }
        }
        if answered { Ok(()) } else { Err(Error::Silence(batch.label(0).to_owned())) }
    }

    /// Runs a dump: `request` makes the one message, flagged `NLM_F_DUMP`; `collect` makes something of each answer.
    /// A dump that the kernel marks as disturbed is repeated from the start.
    ///
    /// # Errors
    /// When the exchange fails, the kernel refuses, or the dump is disturbed again and again.
    pub fn dump<T>(
        &mut self,
        request: impl Fn() -> Batch,
        collect: impl Fn(&Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut found = Vec::new();
            if self.dump_once(request(), &collect, &mut found)? {
                return Ok(found);
            }
        }
        Err(Error::Call("dump netlink objects", Errno::INTR))
    }

    /// Whether the dump was consistent.
    fn dump_once<T>(
        &mut self,
        mut batch: Batch,
        collect: &impl Fn(&Message<'_>) -> Option<T>,
        found: &mut Vec<T>,
    ) -> Result<bool, Error> {
        let first = self.advance(1);
        self.write(batch.encode(first, 0, |_| false)?)?;
        let mut consistent = true;
        loop {
            let read = self.read(RecvFlags::empty())?.unwrap_or(0);
            for message in messages(&self.buffer[..read]) {
                let message = message?;
                if message.sequence != first {
                    continue;
                }
                consistent &= message.flags & NLM_F_DUMP_INTR == 0;
                match message.kind {
                    NLMSG_DONE => {
                        return refusal(&message, 0, &batch).map_or(Ok(consistent), |f| Err(f.into()));
                    }
                    NLMSG_ERROR => refusal(&message, 0, &batch).map_or(Ok(()), Err)?,
                    _ => found.extend(collect(&message)),
                }
            }
        }
    }

    /// Reserves `count` sequence numbers and returns the first.
    fn advance(&mut self, count: usize) -> u32 {
        let first = self.sequence.wrapping_add(1);
        self.sequence = self.sequence.wrapping_add(count as u32);
        first
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        rustix::io::retry_on_intr(|| rustix::net::send(&self.fd, bytes, SendFlags::empty()))
            .map(drop)
            .map_err(|e| Error::Call("send netlink batch", e))
    }

    /// One datagram into the buffer: how many bytes, or nothing when none is queued.
    fn read(&mut self, flags: RecvFlags) -> Result<Option<usize>, Error> {
        let receive = || rustix::net::recv(&self.fd, self.buffer.as_mut_slice(), flags | RecvFlags::TRUNC);
        match rustix::io::retry_on_intr(receive) {
            Ok((_, real)) if real > self.buffer.len() => {
                Err(Error::Call("receive netlink answer", Errno::MSGSIZE))
            }
            Ok((_, real)) => Ok(Some(real)),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(Error::Call("receive netlink answer", errno)),
        }
    }
}

/// What an `NLMSG_ERROR` or `NLMSG_DONE` says: nothing when it is an acknowledgement.
fn refusal(message: &Message<'_>, index: usize, batch: &Batch) -> Option<Failure> {
    let code = message.payload.get(..4)?.try_into().map(i32::from_ne_bytes).ok()?;
    if code == 0 {
        return None;
    }
    let errno = Errno::from_raw_os_error(code.checked_neg().unwrap_or(libc::EPROTO));
    Some(Failure { index, label: batch.label(index).to_owned(), text: reason(message), errno })
}

/// The kernel's own sentence (`NLMSGERR_ATTR_MSG`), which follows the repeated request.
fn reason(message: &Message<'_>) -> String {
    if message.flags & NLM_F_ACK_TLVS == 0 || message.kind != NLMSG_ERROR {
        return String::new();
    }
    let repeated = match message.flags & NLM_F_CAPPED {
        0 => {
            message.payload.get(4..8).and_then(|l| l.try_into().ok()).map_or(16, u32::from_ne_bytes) as usize
        }
        _ => 16,
    };
    let tail = message.payload.get(4 + repeated.next_multiple_of(4)..).unwrap_or(&[]);
    let found = attributes(tail).map_while(Result::ok).find(|a| a.kind == NLMSGERR_ATTR_MSG);
    found.map_or_else(String::new, |a| text(a.payload))
}

fn set_option(fd: BorrowedFd<'_>, level: i32, option: i32, value: libc::c_int) -> Result<(), Errno> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value lives for the call and the size is its own; the descriptor is borrowed.
    let code = unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), size) };
    if code == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
    }
}
