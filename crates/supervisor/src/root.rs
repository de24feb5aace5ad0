//! The supervisor's directory: its lock, its socket, its ledger, and the plans of the containers it holds.

use std::os::fd::{AsFd, OwnedFd};

use prost::Message;
use protocol::Plan;
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use types::Kind;

use crate::error::Error;
use crate::ledger::Ledger;

/// Connections that wait while the supervisor is busy; many clients can attach at once.
const BACKLOG: i32 = 4096;

/// `<exec-root>`, and `supervisor/` below it.
#[derive(Debug)]
pub(crate) struct Root {
    path: String,
    run: OwnedFd,
}

impl Root {
    /// Opens the directory, making what is missing with mode 0700.
    pub(crate) fn open(path: &str) -> std::result::Result<Self, Error> {
        let context = |errno| Error::call(format!("open {path}/supervisor"), errno);
        make_directory(path).map_err(context)?;
        let run = format!("{path}/supervisor");
        make_directory(&run).map_err(context)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let run = rustix::fs::openat(CWD, &run, flags, Mode::empty()).map_err(context)?;
        Ok(Self { path: path.to_owned(), run })
    }

    /// `<exec-root>`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Takes the lock that only one living supervisor has. A record lock: children do not inherit it, an upgrade keeps it.
    pub(crate) fn lock(&self) -> std::result::Result<OwnedFd, Error> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let tried = || format!("lock {}/supervisor/lock", self.path);
        let fd = rustix::fs::openat(&self.run, "lock", flags, Mode::from_raw_mode(0o600))
            .map_err(|errno| Error::call(tried(), errno))?;
        match rustix::fs::fcntl_lock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(fd),
            Err(Errno::AGAIN | Errno::ACCESS) => {
                let message = format!("another supervisor already runs in {}", self.path);
                Err(Error::new(Kind::Conflict, message))
            }
            Err(errno) => Err(Error::call(tried(), errno)),
        }
    }

    /// Listens on `supervisor.sock`, in place of what a dead supervisor left. Call with the lock held.
    pub(crate) fn listen(&self) -> std::result::Result<OwnedFd, Error> {
        let path = format!("{}/supervisor.sock", self.path);
        listen(&path).map_err(|errno| Error::call(format!("listen on {path}"), errno))
    }

    /// The ledger.
    pub(crate) fn ledger(&self) -> std::result::Result<Ledger, Error> {
        Ledger::open(self.run.as_fd())
            .map_err(|errno| Error::call(format!("open the ledger in {}/supervisor", self.path), errno))
    }

    /// Keeps a container's plan.
    pub(crate) fn put_plan(&self, container: &str, plan: &Plan) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::openat(&self.run, plan_name(container), flags, Mode::from_raw_mode(0o600))?;
        let bytes = plan.encode_to_vec();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let written = rustix::io::write(&fd, rest)?;
            rest = &rest[written..];
        }
        Ok(())
    }

    /// The plan kept.
    pub(crate) fn plan(&self, container: &str) -> std::result::Result<Plan, Error> {
        let read = || -> Result<Vec<u8>> {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let fd = rustix::fs::openat(&self.run, plan_name(container), flags, Mode::empty())?;
            let mut bytes = vec![0; rustix::fs::fstat(&fd)?.st_size as usize];
            let mut done = 0;
            while done < bytes.len() {
                match rustix::io::read(&fd, &mut bytes[done..])? {
                    0 => break,
                    n => done += n,
                }
            }
            bytes.truncate(done);
            Ok(bytes)
        };
        let bytes = read().map_err(|errno| Error::call(format!("read the plan of {container}"), errno))?;
        Plan::decode(&bytes[..]).map_err(|error| {
            Error::new(Kind::Corrupt, format!("the plan of {container} is damaged: {error}"))
        })
    }

    /// Forgets a plan.
    pub(crate) fn drop_plan(&self, container: &str) {
        let _ = rustix::fs::unlinkat(&self.run, plan_name(container), AtFlags::empty());
    }

    /// Takes the socket's name away: the supervisor ends.
    pub(crate) fn close(&self) {
        let _ = rustix::fs::unlink(format!("{}/supervisor.sock", self.path));
    }
}

/// Ids become file names.
pub(crate) fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=128).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(plain)
}

fn plan_name(container: &str) -> String {
    format!("{container}.plan")
}

fn make_directory(path: &str) -> Result<()> {
    match rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(0o700)) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => {
            let stat = rustix::fs::stat(path)?;
            let ours = stat.st_uid == rustix::process::geteuid().as_raw();
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory || !ours {
                return Err(Errno::NOTDIR);
            }
            rustix::fs::chmod(path, Mode::from_raw_mode(0o700))
        }
        Err(error) => Err(error),
    }
}

/// The socket is bound under another name and gets its mode before anybody can find it.
fn listen(path: &str) -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let fresh = format!("{path}.new");
    let _ = rustix::fs::unlink(&fresh);
    rustix::net::bind(&socket, &SocketAddrUnix::new(&fresh)?)?;
    rustix::fs::chmod(&fresh, Mode::from_raw_mode(0o600))?;
    rustix::net::listen(&socket, BACKLOG)?;
    rustix::fs::rename(&fresh, path)?;
    Ok(socket)
}
