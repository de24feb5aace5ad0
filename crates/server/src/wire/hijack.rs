//! Connections that become the streams of a container. A client that asks for an upgrade gets `101 UPGRADED` and the
//! bare connection; one that does not gets `200` and the same bytes as the body of the answer, its own body being the
//! input.
//!
//! The end of the client's input closes the container's input only: output goes on until it ends, or the client is
//! gone.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use bytes::Bytes;
use engine::{AttachReader, AttachWriter};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::answer::{Answer, Pieces, empty, pieces};
use super::mux::{Framing, MULTIPLEXED, RAW};
use super::version::Version;

/// After the end of its input, a silent client is looked for this often.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

/// A client has so long to close its side after the output's end.
const LINGER: Duration = Duration::from_secs(2);

/// So many milliseconds does a client get to read the head of its answer before the stream begins.
const HEAD_WAITS: u32 = 200;

/// A client that has been promised a stream, and not yet been told so.
pub(crate) enum Promised {
    Connection(OnUpgrade),
    Bodies(Option<Incoming>, Pieces),
}

/// A client's side of a stream.
pub(crate) enum Client {
    /// The bare connection.
    Connection(Upgraded),
    /// The bodies of request and answer. The request's may already have been read.
    Bodies(Option<Incoming>, Pieces),
}

/// A container's side of a stream.
pub(crate) struct Stream {
    pub(crate) reader: AttachReader,
    /// `None` when no input is wanted.
    pub(crate) writer: Option<AttachWriter>,
    pub(crate) framing: Framing,
}

/// Splits a request whose body has been read or is input into the client's side and the answer to send.
pub(crate) fn take(
    request: &mut Request<()>,
    input: Option<Incoming>,
    version: Version,
    framing: Framing,
) -> (Promised, Response<Answer>) {
    if !request.headers().contains_key(UPGRADE) {
        let (sender, response) = pieces(RAW);
        return (Promised::Bodies(input, sender), response);
    }
    let content_type = if version.has(42) && framing == Framing::Mux { MULTIPLEXED } else { RAW };
    let mut response = empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.extensions_mut().insert(ReasonPhrase::from_static(b"UPGRADED"));
    (Promised::Connection(hyper::upgrade::on(request)), response)
}

impl Promised {
    /// The client, once the answer's head is out; `None` when it has left.
    pub(crate) async fn client(self) -> Option<Client> {
        match self {
            Self::Bodies(input, output) => Some(Client::Bodies(input, output)),
            Self::Connection(upgrade) => match upgrade.await {
                Ok(connection) => Some(Client::Connection(connection)),
                Err(error) => {
                    tracing::debug!(%error, "the client left before its stream began");
                    None
                }
            },
        }
    }
}

impl Client {
    /// Copies both ways until the container's output ends or the client is gone.
    pub(crate) async fn run(self, stream: Stream) {
        match self {
            Self::Connection(connection) => over_connection(connection, stream).await,
            Self::Bodies(input, output) => over_bodies(input, output, stream).await,
        }
    }

    /// Ends the stream with an error: statuses are out of reach by now.
    pub(crate) async fn fail(self, framing: Framing, message: &str) {
        let text = framing.wrap(1, Bytes::from(format!("{message}\r\n")));
        match self {
            Self::Connection(connection) => match connection.downcast::<TokioIo<UnixStream>>() {
                Ok(parts) => {
                    let socket = parts.io.into_inner();
                    let watch = socket.as_fd().try_clone_to_owned().ok();
                    head_is_read(watch.as_ref()).await;
                    say(socket, &text).await;
                }
                Err(connection) => say(TokioIo::new(connection), &text).await,
            },
            Self::Bodies(_, output) => {
                let _ = output.send(text).await;
            }
        }
    }
}

/// Writes a last text, and lets the client close first.
async fn say<S: AsyncRead + AsyncWrite + Unpin>(mut connection: S, text: &[u8]) {
    let _ = connection.write_all(text).await;
    let _ = connection.shutdown().await;
    let mut unread = tokio::io::sink();
    let _ = tokio::time::timeout(LINGER, tokio::io::copy(&mut connection, &mut unread)).await;
}

/// A Unix socket tells whether its client only closed its input or is gone; of other connections that shows when they
/// are written to.
async fn over_connection(connection: Upgraded, stream: Stream) {
    match connection.downcast::<TokioIo<UnixStream>>() {
        Ok(parts) => {
            let socket = parts.io.into_inner();
            let watch = socket.as_fd().try_clone_to_owned();
            let (input, output) = socket.into_split();
            copy(Input { leading: parts.read_buf, rest: input }, output, stream, watch.ok()).await;
        }
        Err(connection) => {
            let (input, output) = tokio::io::split(TokioIo::new(connection));
            copy(Input { leading: Bytes::new(), rest: input }, output, stream, None).await;
        }
    }
}

/// What a client sends: bytes that came with the head of its request, and all that follow.
struct Input<R> {
    leading: Bytes,
    rest: R,
}

async fn copy<R, W>(input: Input<R>, output: W, stream: Stream, watch: Option<OwnedFd>)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin,
{
    let Stream { reader, writer, framing } = stream;
    let mut feeding = tokio::spawn(feed(input, writer));
    let draining = drain(output, reader, framing, watch.as_ref());
    tokio::pin!(draining);
    tokio::select! {
        () = &mut draining => {
            // A socket closed over unread input is reset, which looks like an error to the client: let it close first.
            let _ = tokio::time::timeout(LINGER, &mut feeding).await;
            feeding.abort();
        }
        _ = &mut feeding => tokio::select! {
            () = &mut draining => {}
            () = gone(watch.as_ref()) => {}
        },
    }
}

/// Copies the client's bytes to the container. The end of them closes its input, nothing more.
async fn feed<R: AsyncRead + Unpin>(mut input: Input<R>, mut writer: Option<AttachWriter>) {
    let mut buffer = vec![0; 16 << 10];
    let mut bytes = input.leading;
    loop {
        if let Some(open) = &mut writer
            && !bytes.is_empty()
            && open.write(&bytes).await.is_err()
        {
            writer = None;
        }
        bytes = match input.rest.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => Bytes::copy_from_slice(&buffer[..count]),
        };
    }
    if let Some(writer) = writer {
        writer.close().await;
    }
}

async fn drain<W: AsyncWrite + Unpin>(
    mut output: W,
    mut reader: AttachReader,
    framing: Framing,
    watch: Option<&OwnedFd>,
) {
    let first = reader.next().await;
    head_is_read(watch).await;
    if let Some((stream, chunk)) = first
        && output.write_all(&framing.wrap(stream, chunk)).await.is_err()
    {
        return;
    }
    while let Some((stream, chunk)) = reader.next().await {
        if output.write_all(&framing.wrap(stream, chunk)).await.is_err() {
            return;
        }
    }
    let _ = output.shutdown().await;
}

/// Returns when the client has read the answer's head. Some clients (docker-py) drop what arrives together with it.
async fn head_is_read(socket: Option<&OwnedFd>) {
    let Some(socket) = socket else { return };
    for _ in 0..HEAD_WAITS {
        if sys::socket::unread(socket) == Ok(0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Returns when the other side has closed both directions.
async fn gone(socket: Option<&OwnedFd>) {
    let Some(socket) = socket else { return std::future::pending().await };
    loop {
        tokio::time::sleep(WATCH_PERIOD).await;
        let mut events = [PollFd::new(socket, PollFlags::empty())];
        let polled = poll(&mut events, Some(&Timespec::default()));
        if polled.is_ok() && events[0].revents().intersects(PollFlags::HUP | PollFlags::ERR) {
            return;
        }
    }
}

async fn over_bodies(input: Option<Incoming>, output: Pieces, stream: Stream) {
    let Stream { mut reader, writer, framing } = stream;
    let copying_in = tokio::spawn(feed_body(input, writer));
    loop {
        let next = tokio::select! {
            next = reader.next() => next,
            () = output.closed() => None,
        };
        let Some((stream, chunk)) = next else { break };
        if output.send(framing.wrap(stream, chunk)).await.is_err() {
            break;
        }
    }
    copying_in.abort();
}

async fn feed_body(input: Option<Incoming>, writer: Option<AttachWriter>) {
    let Some(mut writer) = writer else { return };
    if let Some(mut input) = input {
        while let Some(Ok(frame)) = input.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            if writer.write(&data).await.is_err() {
                return;
            }
        }
    }
    writer.close().await;
}
