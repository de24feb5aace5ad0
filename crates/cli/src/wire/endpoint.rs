//! Where the daemon listens: `unix://` and `tcp://` addresses, from a flag or from the environment.

use types::Kind;

use crate::error::{Error, Result};

/// The socket of the system-wide daemon.
const DEFAULT_SOCKET: &str = "/run/berth.sock";
const DEFAULT_TCP_PORT: u16 = 2375;

/// A daemon's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A socket in the file system.
    Unix {
        /// Its path.
        path: String,
        /// Nobody chose it: a daemon may be started there.
        default: bool,
    },
    /// Host and port, unencrypted.
    Tcp(String),
}

impl Endpoint {
    /// The address that flags and environment come to; the flag wins.
    pub(crate) fn choose(flag: Option<&str>, variable: Option<&str>) -> Result<Self> {
        match flag.or(variable).filter(|text| !text.is_empty()) {
            Some(text) => Self::read(text),
            None => Ok(Self::Unix { path: DEFAULT_SOCKET.to_owned(), default: true }),
        }
    }

    fn read(text: &str) -> Result<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        match scheme {
            "unix" if rest.is_empty() => Self::choose(None, None),
            "unix" => Ok(Self::Unix { path: rest.to_owned(), default: false }),
            "tcp" | "http" => Self::tcp(text, rest),
            "ssh" => Err(refused(
                "ssh:// is not available yet; forward the socket instead: ssh -L /tmp/berth.sock:/run/berth.sock HOST, then -H unix:///tmp/berth.sock",
            )),
            "https" => {
                Err(refused("TLS is not available yet: use a unix socket, or tcp:// on a network you trust"))
            }
            _ => Err(Error::new(format!("invalid bind address ({text}): unsupported proto '{scheme}'"))),
        }
    }

    fn tcp(text: &str, rest: &str) -> Result<Self> {
        let authority = rest.trim_end_matches('/');
        if authority.contains('/') {
            return Err(Error::new(format!(
                "invalid bind address ({text}): should not contain a path element"
            )));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().unwrap_or(0)),
            _ => (authority, DEFAULT_TCP_PORT),
        };
        if port == 0 {
            return Err(Error::new(format!("invalid bind address ({text}): invalid port")));
        }
        let host = if host.is_empty() { "localhost" } else { host };
        Ok(Self::Tcp(format!("{host}:{port}")))
    }

    /// What stands in the Host header. Daemons look at none of it for unix sockets.
    pub(crate) fn authority(&self) -> &str {
        match self {
            Self::Unix { .. } => "api.moby.localhost",
            Self::Tcp(authority) => authority,
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix { path, .. } => write!(f, "unix://{path}"),
            Self::Tcp(authority) => write!(f, "tcp://{authority}"),
        }
    }
}

fn refused(text: &str) -> Error {
    Error::new(format!("berth: {text}")).of(Kind::Unimplemented).code(125)
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn reads_addresses() {
        for (flag, variable, address) in [
            (None, None, "unix:///run/berth.sock"),
            (None, Some(""), "unix:///run/berth.sock"),
            (Some("unix:///a/b"), Some("tcp://h"), "unix:///a/b"),
            (None, Some("tcp://h"), "tcp://h:2375"),
            (Some("tcp://:99"), None, "tcp://localhost:99"),
            (Some("127.0.0.1:1"), None, "tcp://127.0.0.1:1"),
            (Some("tcp://[::1]:5/"), None, "tcp://[::1]:5"),
        ] {
            let endpoint = Endpoint::choose(flag, variable).unwrap_or_else(|e| panic!("{flag:?}: {e}"));
            assert_eq!(endpoint.to_string(), address);
        }
        for bad in ["ssh://h", "https://h", "fd://", "tcp://h:x", "tcp://h:1/p"] {
            assert!(Endpoint::choose(Some(bad), None).is_err(), "{bad}");
        }
    }
}
