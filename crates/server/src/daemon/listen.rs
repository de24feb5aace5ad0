//! The sockets of `-H`: Unix sockets, and TCP on loopback.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use types::Kind;

use super::group;
use crate::error::{Error, Result};
use crate::wire::Bound;

/// Where a daemon listens when it is not told.
pub(super) const DEFAULT_SOCKET: &str = "/run/berth.sock";
const DEFAULT_PORT: u16 = 2375;

/// An address of `-H`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// Reads an address.
pub(super) fn parse(host: &str) -> Result<Address> {
    let fail = |why: &str| Err(Error::invalid(format!("cannot listen on {host}: {why}")));
    match host.split_once("://") {
        Some(("unix", "")) => Ok(Address::Unix(DEFAULT_SOCKET.into())),
        Some(("unix", path)) if path.starts_with('/') => Ok(Address::Unix(path.into())),
        Some(("unix", _)) => fail("the path of a unix socket must be absolute"),
        Some(("tcp", rest)) => parse_tcp(host, rest),
        Some(("fd", _)) => fail("socket activation by systemd is not there yet: give a unix:// address"),
        Some((scheme, _)) => fail(&format!("{scheme} is not a kind of address; want unix:// or tcp://")),
        None if host.starts_with('/') => Ok(Address::Unix(host.into())),
        None => parse_tcp(host, host),
    }
}

/// Only loopback: whoever reaches the socket is root on this machine.
fn parse_tcp(host: &str, rest: &str) -> Result<Address> {
    let rest = rest.trim_end_matches('/');
    let with_port = match rest {
        "" => format!("127.0.0.1:{DEFAULT_PORT}"),
        rest if rest.starts_with(':') => format!("127.0.0.1{rest}"),
        rest if rest.ends_with(']') || !rest.contains(':') => format!("{rest}:{DEFAULT_PORT}"),
        rest => rest.to_owned(),
    };
    let name = with_port.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = name
        .as_ref()
        .unwrap_or(&with_port)
        .parse()
        .map_err(|_| Error::invalid(format!("cannot listen on {host}: want tcp://ADDRESS:PORT")))?;
    if !address.ip().is_loopback() {
        return Err(Error::invalid(format!(
            "refusing to listen on {host}: without TLS, which Berth does not have yet, everybody who reaches the port would be root here; use tcp://127.0.0.1:{} or ssh",
            address.port()
        )));
    }
    Ok(Address::Tcp(address))
}

impl Address {
    /// Binds it. A socket that nobody answers on is a dead daemon's and is replaced; one that somebody answers on is an
    /// error.
    pub(super) fn bind(&self, group: Option<&str>) -> Result<Bound> {
        match self {
            Self::Unix(path) => bind_unix(path, group).map(Bound::Unix),
            Self::Tcp(address) => TcpListener::bind(address)
                .map(Bound::Tcp)
                .map_err(|error| failed(&format!("tcp://{address}"), &error)),
        }
    }

    /// Takes the socket's file away.
    pub(super) fn forget(&self) {
        if let Self::Unix(path) = self {
            let _ = fs::remove_file(path);
        }
    }
}

fn failed(what: &str, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => Kind::Forbidden,
        io::ErrorKind::AddrInUse => Kind::Conflict,
        _ => Kind::Internal,
    };
    Error::new(kind, format!("cannot listen on {what}: {error}"))
}

fn bind_unix(path: &Path, group: Option<&str>) -> Result<UnixListener> {
    let name = format!("unix://{}", path.display());
    clear(path, &name)?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| failed(&name, &error))?;
    }
    // Made under another name and renamed: nobody connects before mode and group are right.
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let _ = fs::remove_file(&draft);
    let bound = UnixListener::bind(&draft).and_then(|listener| {
        own(&draft, group)?;
        fs::rename(&draft, path)?;
        Ok(listener)
    });
    bound.map_err(|error| {
        let _ = fs::remove_file(&draft);
        failed(&name, &error)
    })
}

/// Removes a socket that nobody answers on.
fn clear(path: &Path, name: &str) -> Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(Error::new(
            Kind::Conflict,
            format!("cannot listen on {name}: there is something that is no socket"),
        ));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(Error::new(
            Kind::Conflict,
            format!(
                "cannot listen on {name}: another daemon answers there; stop it, or give this one another --host"
            ),
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| failed(name, &error))
        }
        Err(error) => Err(failed(name, &error)),
    }
}

/// Mode 0660; owned by the named group, else by `docker` where there is one.
fn own(path: &Path, named: Option<&str>) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    match (group::find(&groups, named.unwrap_or("docker")), named) {
        (Some(gid), _) => std::os::unix::fs::chown(path, None, Some(gid)),
        (None, None) => Ok(()),
        (None, Some(name)) => Err(io::Error::other(format!("there is no group {name:?} in /etc/group"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses() {
        let tcp = |text: &str| Ok(Address::Tcp(text.parse().unwrap()));
        assert_eq!(parse("unix:///a/b"), Ok(Address::Unix("/a/b".into())));
        assert_eq!(parse("unix://"), Ok(Address::Unix(DEFAULT_SOCKET.into())));
        assert_eq!(parse("tcp://127.0.0.1:99"), tcp("127.0.0.1:99"));
        assert_eq!(parse("tcp://localhost:99"), tcp("127.0.0.1:99"));
        assert_eq!(parse("tcp://:99"), tcp("127.0.0.1:99"));
        assert_eq!(parse("tcp://[::1]:99/"), tcp("[::1]:99"));
        assert_eq!(parse("tcp://[::1]"), tcp("[::1]:2375"));
        for bad in [
            "unix://a",
            "tcp://0.0.0.0:99",
            "tcp://10.0.0.1",
            "fd://",
            "npipe://x",
            "tcp://x:y",
            "tcp://1:2:3",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("tcp://0.0.0.0:2375").unwrap_err().to_string().contains("would be root here"));
    }

    #[test]
    fn replaces_dead_sockets_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let address = Address::Unix(path.clone());
        let Bound::Unix(first) = address.bind(None).unwrap() else { panic!("a unix socket") };
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert_eq!(address.bind(None).unwrap_err().kind(), Kind::Conflict);
        drop(first);
        assert!(address.bind(None).is_ok());
        assert!(address.bind(Some("no-such-group")).is_err());
        address.forget();
        assert!(!path.exists());
        fs::write(&path, "x").unwrap();
        assert_eq!(address.bind(None).unwrap_err().kind(), Kind::Conflict);
        assert!(path.exists());
    }
}
