//! A registry that does what a test says, byte for byte: slow, cut, lying, hostile.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test's server")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Method and path.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What goes back.
#[derive(Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The length that is announced, when it is not the true one.
    pub(crate) length: Option<usize>,
    /// Nothing follows after so many bytes of the body: the connection is cut.
    pub(crate) cut: Option<usize>,
    /// Wait before each part.
    pub(crate) pause: Duration,
    /// Send this instead of all that.
    pub(crate) raw: Option<Vec<u8>>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { raw: Some(bytes.into()), ..Self::default() }
    }

    /// The parts in which it is written, and whether the connection stays.
    fn parts(&self, method: &str) -> (Vec<Vec<u8>>, bool) {
        if let Some(raw) = &self.raw {
            return (vec![raw.clone()], false);
        }
        let mut head = format!("HTTP/1.1 {} Something\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = self.length.unwrap_or(self.body.len());
        let has_length = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if !has_length && self.status != 204 {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        head.push_str("\r\n");
        let body = if method == "HEAD" { &[][..] } else { &self.body };
        let end = self.cut.unwrap_or(body.len()).min(body.len());
        (vec![head.into_bytes(), body[..end].to_vec()], self.cut.is_none() && length == self.body.len())
    }
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

/// The running server; it ends with the value.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// Serves on a free port of 127.0.0.1.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1", None, answer).await
    }

    /// Serves on a free port of this address; in TLS when there is a configuration.
    pub(crate) async fn start_on(
        ip: &str,
        tls: Option<rustls::ServerConfig>,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let connections: Arc<Mutex<usize>> = Arc::default();
        let tls = tls.map(|config| tokio_rustls::TlsAcceptor::from(Arc::new(config)));
        let answer: Arc<Answer> = Arc::new(answer);
        let (log, count) = (Arc::clone(&seen), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *count.lock().unwrap() += 1;
                let (answer, log, tls) = (Arc::clone(&answer), Arc::clone(&log), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, answer, log).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, answer, log).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, connections, task }
    }

    /// A name in this registry.
    pub(crate) fn name(&self, rest: &str) -> types::Reference {
        format!("{}/{rest}", self.address).parse().unwrap()
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Their methods and paths.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }

    /// How often somebody connected.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: Arc<Answer>,
    log: Arc<Mutex<Vec<Seen>>>,
) {
    while let Some(seen) = read(&mut stream).await {
        log.lock().unwrap().push(seen.clone());
        let reply = answer(&seen);
        let (parts, stays) = reply.parts(&seen.method);
        for part in parts {
            if !reply.pause.is_zero() {
                tokio::time::sleep(reply.pause).await;
            }
            if stream.write_all(&part).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
        if !stays {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// One request; `None` when no whole one comes.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.ok()?;
        head.push(byte);
        // A TLS handshake, for example.
        if head.len() == 1 && !byte.is_ascii_uppercase() || head.len() > 1 << 16 {
            return None;
        }
    }
    let text = String::from_utf8(head).ok()?;
    let mut lines = text.lines();
    let mut words = lines.next()?.split(' ');
    let mut seen = Seen { method: words.next()?.into(), path: words.next()?.into(), ..Seen::default() };
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        seen.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = seen.header("content-length").parse().unwrap_or(0);
    seen.body = vec![0; length];
    stream.read_exact(&mut seen.body).await.ok()?;
    Some(seen)
}

/// A client that loses no time.
pub(crate) fn client() -> registry::Client {
    registry::Client::new(options()).unwrap()
}

pub(crate) fn options() -> registry::Options {
    registry::Options {
        certs_dirs: Vec::new(),
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(5),
        ..registry::Options::default()
    }
}

/// A manifest of an image without layers, and its digest.
pub(crate) fn manifest() -> (Vec<u8>, types::Digest) {
    let text = br#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json"},"layers":[]}"#;
    (text.to_vec(), digest(text))
}

pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) fn digest(bytes: &[u8]) -> types::Digest {
    let mut hash = [0; 32];
    hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    types::Digest::from_hash(hash)
}

/// Bytes without a pattern that repeats soon.
pub(crate) fn content(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| step()).collect()
}

/// All bytes of a blob.
pub(crate) async fn drain(mut blob: registry::Blob) -> registry::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(bytes) = blob.chunk().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}
