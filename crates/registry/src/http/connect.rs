//! Connections: to the host or to its proxy, in clear or under TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failure::{Failure, Trouble};
use super::payload::Outgoing;
use super::proxy::Proxy;
use super::resolve::Names;
use super::tls::{Tls, Trust};
use super::url::Origin;

/// The next address is tried beside a slow one after this time (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// Headers of an answer may take so many bytes.
const HEADER_BYTES: usize = 64 << 10;
/// So much is read from a socket at once: pieces of a blob are no larger.
const READ_BYTES: usize = 512 << 10;

/// Opens a connection that speaks HTTP/1.1.
pub(crate) async fn connect(
    names: &Names,
    origin: &Origin,
    proxy: Option<&Proxy>,
    tls: &Tls,
    limit: Duration,
) -> Result<SendRequest<Outgoing>, Failure> {
    let Some(proxy) = proxy else {
        let stream = within(limit, "connecting", dial(names, origin)).await?;
        return if origin.is_tls {
            speak(secure(stream, origin, tls, limit).await?).await
        } else {
            speak(stream).await
        };
    };
    let mut stream = reach(names, proxy, limit).await.map_err(Failure::at_proxy)?;
    if !origin.is_tls {
        return speak(stream).await;
    }
    within(limit, "the proxy", tunnel(&mut stream, origin, proxy)).await?;
    speak(secure(stream, origin, tls, limit).await?).await
}

/// A way to the proxy. Its certificate must be one that the system trusts, whatever is said of the registry: it sees passwords.
async fn reach(names: &Names, proxy: &Proxy, limit: Duration) -> Result<Box<dyn Wire>, Failure> {
    let stream = within(limit, "connecting", dial(names, &proxy.origin)).await?;
    if !proxy.origin.is_tls {
        return Ok(Box::new(stream));
    }
    let tls = Tls::load(&Trust::default()).map_err(|why| Failure::new(Trouble::Proxy, why))?;
    Ok(Box::new(secure(stream, &proxy.origin, &tls, limit).await?))
}

/// Where bytes go, whatever lies between.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

async fn secure<S: Wire>(
    stream: S,
    to: &Origin,
    tls: &Tls,
    limit: Duration,
) -> Result<TlsStream<S>, Failure> {
    let name = ServerName::try_from(to.host.clone())
        .map_err(|_| Failure::new(Trouble::Name, format!("{:?} is not a host name", to.host)))?;
    let handshake = TlsConnector::from(Arc::clone(&tls.config)).connect(name, stream);
    within(limit, "the TLS handshake", async { handshake.await.map_err(|e| Failure::tls(&e)) }).await
}

async fn within<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        let sentence = format!("{what} took more than {} seconds", limit.as_secs());
        Err(Failure::new(Trouble::Timeout, sentence))
    })
}

async fn speak(stream: impl Wire + 'static) -> Result<SendRequest<Outgoing>, Failure> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(READ_BYTES).max_header_size(HEADER_BYTES);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|e| Failure::http(&e))?;
    // Its errors reach whoever waits for an answer; nobody waits for an idle connection.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// Tries the host's addresses, each a little later than the one before it; the first connection wins.
async fn dial(names: &Names, to: &Origin) -> Result<TcpStream, Failure> {
    let addresses = names.addresses(&to.host).await?;
    let mut waiting = addresses.into_iter().map(|ip| SocketAddr::new(ip, to.port));
    let mut tries: JoinSet<(SocketAddr, io::Result<TcpStream>)> = JoinSet::new();
    let mut failed = None;
    loop {
        match waiting.next() {
            Some(address) => {
                tries.spawn(async move { (address, TcpStream::connect(address).await) });
            }
            None if tries.is_empty() => break,
            None => {}
        }
        let pause = if waiting.len() > 0 { STAGGER } else { Duration::MAX };
        let Ok(Some(Ok((address, result)))) = timeout(pause, tries.join_next()).await else { continue };
        match result {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => failed = Some(Failure::io(&format!("dial tcp {address}: connect"), &error)),
        }
    }
    Err(failed.unwrap_or_else(|| Failure::new(Trouble::Connect, format!("dial tcp {}: no address", to.host))))
}

/// Has the proxy open a way to the host (RFC 9110, section 9.3.6).
async fn tunnel(stream: &mut dyn Wire, origin: &Origin, proxy: &Proxy) -> Result<(), Failure> {
    let host = origin.with_port();
    let authorization =
        proxy.authorization.as_ref().map_or(String::new(), |a| format!("Proxy-Authorization: {a}\r\n"));
    let ask = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\n");
    let broken = |e: io::Error| Failure::io(&format!("the proxy {}", proxy.origin.with_port()), &e);
    stream.write_all(ask.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut answer = Vec::new();
    // Byte by byte: what follows the empty line belongs to the host.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > 16 << 10 {
            return Err(Failure::new(Trouble::Proxy, "the proxy's answer is too long"));
        }
        answer.push(stream.read_u8().await.map_err(broken)?);
    }
    let line = String::from_utf8_lossy(&answer);
    let line = line.lines().next().unwrap_or_default();
    match line.split(' ').nth(1) {
        Some(status) if line.starts_with("HTTP/1.") && status.starts_with('2') => Ok(()),
        Some(_) if line.starts_with("HTTP/1.") => {
            Err(proxy.refusal(line.split_once(' ').map_or("", |(_, s)| s), &host))
        }
        _ => Err(Failure::new(
            Trouble::Proxy,
            format!("the proxy {} is none: it answers {line:?}", proxy.origin.with_port()),
        )),
    }
}
