//! The other end of the socket, for a person at a shell: one question to the supervisor that runs.

use std::os::fd::OwnedFd;

use protocol::{Ask, FrameReader, Hello, Message, Request, Tell};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use types::Kind;

use crate::error::Error;

/// Has the supervisor of this root become another program; waits until it has.
pub(crate) fn upgrade(root: &str, program: &str) -> Result<(), Error> {
    let path = format!("{root}/supervisor.sock");
    let context = |errno| Error::call(format!("talk to the supervisor at {path}"), errno);
    let socket = connect(&path).map_err(context)?;
    let mut frames = FrameReader::default();
    let build = env!("CARGO_PKG_VERSION").to_owned();
    let hello = Hello { version: protocol::VERSION, build, instance: 0 };
    for (seq, ask) in [(1, Ask::Hello(hello)), (2, Ask::Upgrade(program.to_owned()))] {
        send(&socket, &protocol::encode(&Request { seq, ask: Some(ask) })).map_err(context)?;
        if let Tell::Failed(failure) = answer(&socket, &mut frames, seq).map_err(context)? {
            return Err(Error::new(Kind::Conflict, failure.message));
        }
    }
    Ok(())
}

fn connect(path: &str) -> Result<OwnedFd, Errno> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

fn send(socket: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let sent = rustix::io::write(socket, bytes)?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

fn answer(socket: &OwnedFd, frames: &mut FrameReader, seq: u64) -> Result<Tell, Errno> {
    let mut buffer = [0; 4096];
    loop {
        while let Some(message) = frames.take::<Message>().map_err(|_| Errno::PROTO)? {
            if let Some(tell) = message.tell.filter(|_| message.seq == seq) {
                return Ok(tell);
            }
        }
        match rustix::io::read(socket, &mut buffer)? {
            0 => return Err(Errno::CONNRESET),
            taken => frames.push(&buffer[..taken]),
        }
    }
}
