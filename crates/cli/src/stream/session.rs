//! An attached stream: one thread copies stdin out, one copies output in, the command waits for what ends first.
#![allow(clippy::disallowed_methods, reason = "two copying threads; nothing here forks")]

use std::io;
use std::thread;

use tokio::sync::mpsc;

use super::{Demux, Source, deliver};
use crate::terminal::{Escape, Raw};
use crate::wire::Hijacked;

/// What a session is connected to.
pub(crate) struct Wiring {
    /// The container has a terminal: bytes come raw.
    pub(crate) tty: bool,
    /// Pass stdin on.
    pub(crate) stdin: bool,
    /// Show its stdout.
    pub(crate) stdout: bool,
    /// Show its stderr.
    pub(crate) stderr: bool,
    /// Keys that detach, where there is a terminal.
    pub(crate) keys: Vec<u8>,
}

/// How a session ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The container's side closed.
    Output,
    /// The user typed the detach keys.
    Detached,
    /// Output could not be read or written any more.
    Failed(io::Error),
}

/// A running session. Dropping it puts the terminal back.
pub(crate) struct Session {
    ends: mpsc::UnboundedReceiver<Ended>,
    raw: Option<Raw>,
}

impl Session {
    /// Starts copying.
    pub(crate) fn start(mut stream: Hijacked, wiring: Wiring) -> Self {
        let (sender, ends) = mpsc::unbounded_channel();
        let raw = (wiring.tty && wiring.stdin).then(Raw::on);
        let leading = stream.leading();
        if wiring.stdin {
            let (stream, sender) = (stream.clone(), sender.clone());
            let escape = Escape::new(if wiring.tty { wiring.keys } else { Vec::new() });
            thread::spawn(move || {
                if copy_in(&stream, escape) {
                    let _ = sender.send(Ended::Detached);
                }
            });
        } else {
            stream.close_write();
        }
        let shows = [wiring.stdout, wiring.stderr];
        thread::spawn(move || {
            let copied =
                if wiring.tty { copy_raw(&stream, &leading) } else { copy_framed(&stream, &leading, shows) };
            let _ = sender.send(copied.map_or_else(Ended::Failed, |()| Ended::Output));
        });
        Self { ends, raw }
    }

    /// Waits for the end.
    pub(crate) async fn ended(&mut self) -> Ended {
        let ended = self.ends.recv().await.unwrap_or(Ended::Output);
        self.restore();
        ended
    }

    /// Puts the terminal back.
    pub(crate) fn restore(&mut self) {
        if let Some(raw) = &mut self.raw {
            raw.off();
        }
    }
}

/// Copies stdin until its end or the detach keys; true means detached.
fn copy_in(stream: &Hijacked, mut escape: Escape) -> bool {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let length = match rustix::io::read(rustix::stdio::stdin(), &mut *buffer) {
            Ok(length) => length,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => 0,
        };
        if length == 0 {
            stream.close_write();
            return false;
        }
        let passed = escape.pass(&buffer[..length]);
        if stream.write_all(&passed.bytes).is_err() || passed.detach {
            return passed.detach;
        }
    }
}

fn copy_raw(stream: &Hijacked, leading: &[u8]) -> io::Result<()> {
    deliver(Source::Stdout, leading)?;
    each_piece(stream, |bytes| deliver(Source::Stdout, bytes))
}

fn copy_framed(stream: &Hijacked, leading: &[u8], shows: [bool; 2]) -> io::Result<()> {
    let mut demux = Demux::default();
    let mut sink = |source: Source, bytes: &[u8]| {
        if shows[usize::from(source == Source::Stderr)] { deliver(source, bytes) } else { Ok(()) }
    };
    demux.push(leading, &mut sink)?;
    each_piece(stream, |bytes| demux.push(bytes, &mut sink))
}

fn each_piece(stream: &Hijacked, mut act: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => act(&buffer[..length])?,
            // A daemon that closes with bytes of ours unread resets the connection: that is an end, too.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
