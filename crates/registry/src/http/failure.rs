//! Why a request got no answer, sorted by what can be done about it.

use std::io;

/// What sort of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The host has no address.
    Name,
    /// Nobody listens there, or the way there is closed.
    Connect,
    /// Nothing came for too long.
    Timeout,
    /// The connection broke after it was there.
    Broken,
    /// The other side is not who it should be.
    Certificate,
    /// The other side does not speak TLS.
    NotTls,
    /// The answer is not HTTP, or breaks its rules.
    Malformed,
    /// The proxy refuses.
    Proxy,
    /// What was to be sent could not be read here.
    Local,
}

/// A failed request: the sort, and a sentence.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) trouble: Trouble,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(trouble: Trouble, message: impl Into<String>) -> Self {
        Self { trouble, message: message.into() }
    }

    /// A connection's failure, by what the kernel said.
    pub(crate) fn io(tried: &str, error: &io::Error) -> Self {
        let trouble = match error.kind() {
            io::ErrorKind::TimedOut => Trouble::Timeout,
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::PermissionDenied => Trouble::Connect,
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Trouble::Malformed,
            _ => Trouble::Broken,
        };
        Self::new(trouble, format!("{tried}: {}", words(error)))
    }

    /// A failed TLS handshake.
    pub(crate) fn tls(error: &io::Error) -> Self {
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            let closed = error.kind() == io::ErrorKind::UnexpectedEof;
            let sentence = format!("the TLS handshake broke: {error}");
            return Self::new(if closed { Trouble::NotTls } else { Trouble::Broken }, sentence);
        };
        match tls {
            rustls::Error::InvalidMessage(_) => Self::new(Trouble::NotTls, "the server does not speak TLS"),
            rustls::Error::AlertReceived(alert) => {
                Self::new(Trouble::Certificate, format!("the server refuses the TLS handshake: {alert:?}"))
            }
            other => Self::new(Trouble::Certificate, format!("tls: failed to verify certificate: {other}")),
        }
    }

    /// One that befell the way to a proxy, in Go's words. The registry has nothing to do with it.
    pub(crate) fn at_proxy(self) -> Self {
        let trouble = match self.trouble {
            passing @ (Trouble::Timeout | Trouble::Broken) => passing,
            _ => Trouble::Proxy,
        };
        Self::new(trouble, format!("proxyconnect tcp: {}", self.message))
    }

    /// What hyper says of an exchange that was under way.
    pub(crate) fn http(error: &hyper::Error) -> Self {
        if error.is_parse() {
            let sentence = if error.is_parse_too_large() {
                "the headers of the answer are too long"
            } else {
                "the answer is not HTTP"
            };
            return Self::new(Trouble::Malformed, sentence);
        }
        if error.is_user() {
            let why = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
            return Self::new(Trouble::Local, format!("what is to be sent cannot be read: {why}"));
        }
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            return Self::new(Trouble::Broken, "the connection was closed before the answer was complete");
        }
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                return match io.kind() {
                    io::ErrorKind::UnexpectedEof => {
                        Self::new(Trouble::Broken, "the connection was closed before the answer was complete")
                    }
                    _ if io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => Self::tls(io),
                    _ => Self::io("the connection broke", io),
                };
            }
            source = cause.source();
        }
        Self::new(Trouble::Broken, format!("the exchange broke: {error}"))
    }
}

/// The kernel's refusals as Go's programs word them: scripts look for these.
fn words(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset by peer",
        io::ErrorKind::HostUnreachable => "no route to host",
        io::ErrorKind::NetworkUnreachable => "network is unreachable",
        io::ErrorKind::TimedOut => "i/o timeout",
        io::ErrorKind::BrokenPipe => "broken pipe",
        _ => return error.to_string(),
    };
    words.to_owned()
}
