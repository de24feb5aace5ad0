//! A connection that became a container's stream: a plain blocking descriptor for two copying threads.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use hyper::Response;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use types::Kind;

use crate::error::{Error, Result};

/// The stream after an upgrade. Clones share the descriptor.
#[derive(Clone)]
pub(crate) struct Hijacked {
    fd: Arc<OwnedFd>,
    /// What came in the same packet as the answer's head.
    leading: Bytes,
}

impl Hijacked {
    /// Takes the connection of an answered upgrade.
    pub(super) async fn take(response: Response<Incoming>) -> Result<Self> {
        let failed = |what: &dyn std::fmt::Display| {
            Error::new(format!("unable to take over the connection: {what}")).of(Kind::Internal)
        };
        let upgraded = hyper::upgrade::on(response).await.map_err(|e| failed(&e))?;
        let (std_fd, leading): (std::io::Result<OwnedFd>, Bytes) =
            match upgraded.downcast::<TokioIo<UnixStream>>() {
                Ok(parts) => (parts.io.into_inner().into_std().and_then(blocking_unix), parts.read_buf),
                Err(upgraded) => match upgraded.downcast::<TokioIo<TcpStream>>() {
                    Ok(parts) => (parts.io.into_inner().into_std().and_then(blocking_tcp), parts.read_buf),
                    Err(_) => return Err(failed(&"it is neither unix nor tcp")),
                },
            };
        Ok(Self { fd: Arc::new(std_fd.map_err(|e| failed(&e))?), leading })
    }

    /// The bytes that were read too far, once.
    pub(crate) fn leading(&mut self) -> Bytes {
        std::mem::take(&mut self.leading)
    }

    /// Reads; 0 is the end.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
        retry(|| rustix::io::read(&*self.fd, &mut *buffer))
    }

    /// Writes everything.
    pub(crate) fn write_all(&self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            let written = retry(|| rustix::net::send(&*self.fd, bytes, rustix::net::SendFlags::NOSIGNAL))?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Tells the other side that nothing more will be sent.
    pub(crate) fn close_write(&self) {
        let _ = rustix::net::shutdown(&*self.fd, rustix::net::Shutdown::Write);
    }
}

impl AsFd for Hijacked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn blocking_unix(stream: std::os::unix::net::UnixStream) -> std::io::Result<OwnedFd> {
    stream.set_nonblocking(false)?;
    Ok(stream.into())
}

fn blocking_tcp(stream: std::net::TcpStream) -> std::io::Result<OwnedFd> {
    stream.set_nonblocking(false)?;
    Ok(stream.into())
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> std::io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.map_err(Into::into),
        }
    }
}
