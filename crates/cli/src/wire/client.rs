//! Requests and their answers.
#![allow(clippy::disallowed_methods, reason = "the command's connection to its daemon")]

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};
use types::Kind;

use super::{Endpoint, Hijacked, Query, summon};
use crate::error::{Error, Result};

/// The newest version that this client speaks.
const NEWEST: &str = "1.51";

/// What is sent along with a request.
pub(crate) enum Payload {
    /// Nothing.
    Nothing,
    /// A document.
    Json(Value),
    /// A file's content, sent while it is being read.
    Archive(tokio::sync::mpsc::Receiver<std::io::Result<Bytes>>),
}

type Body = BoxBody<Bytes, std::io::Error>;

/// The daemon as seen from here.
pub(crate) struct Client {
    endpoint: Endpoint,
    version: Mutex<String>,
}

/// An answer that goes on.
pub(crate) struct Stream {
    body: Incoming,
}

impl Stream {
    /// The next bytes, or nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|e| broken(&e))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

impl Client {
    /// A client of the daemon at `endpoint`, with the version to speak when it is fixed from outside.
    pub(crate) fn new(endpoint: Endpoint, version: Option<String>) -> Self {
        Self { endpoint, version: Mutex::new(version.unwrap_or_else(|| NEWEST.to_owned())) }
    }

    /// The version spoken.
    pub(crate) fn version(&self) -> String {
        self.version.lock().map(|version| version.clone()).unwrap_or_default()
    }

    /// Refuses to go on with a daemon that would not heed the flag, which came with API 1.`minor`.
    pub(crate) async fn require(&self, flag: &str, minor: u32) -> Result<()> {
        self.get_bytes("/_ping").await?;
        let spoken = self.version();
        let served = spoken.split_once('.').and_then(|(_, minor)| minor.parse::<u32>().ok());
        if served.is_some_and(|served| served >= minor) {
            return Ok(());
        }
        let why = format!("{flag:?} requires API version 1.{minor}, but the daemon API version is {spoken}");
        Err(Error::new(why).of(Kind::InvalidInput))
    }

    /// POST of a file's content, the answer as it comes. What is sent can't be sent twice, so the version is settled
    /// by a small request first.
    pub(crate) async fn post_archive(&self, query: Query, payload: Payload) -> Result<Stream> {
        self.get_bytes("/_ping").await?;
        self.post_stream(query, payload).await
    }

    /// GET, the answer's document.
    pub(crate) async fn get(&self, query: impl Into<Query>) -> Result<Value> {
        document(&self.get_bytes(query).await?)
    }

    /// GET, the answer's bytes.
    pub(crate) async fn get_bytes(&self, query: impl Into<Query>) -> Result<Bytes> {
        collect(self.send(Method::GET, query.into(), Payload::Nothing).await?).await
    }

    /// GET, the answer as it comes.
    pub(crate) async fn get_stream(&self, query: Query) -> Result<Stream> {
        Ok(Stream { body: self.send(Method::GET, query, Payload::Nothing).await?.into_body() })
    }

    /// POST, the answer's document; nothing when it has none.
    pub(crate) async fn post(&self, query: impl Into<Query>, payload: Payload) -> Result<Value> {
        let bytes = collect(self.send(Method::POST, query.into(), payload).await?).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) { Ok(Value::Null) } else { document(&bytes) }
    }

    /// POST, the answer as it comes.
    pub(crate) async fn post_stream(&self, query: Query, payload: Payload) -> Result<Stream> {
        Ok(Stream { body: self.send(Method::POST, query, payload).await?.into_body() })
    }

    /// DELETE, the answer's document.
    pub(crate) async fn delete(&self, query: Query) -> Result<Value> {
        let bytes = collect(self.send(Method::DELETE, query, Payload::Nothing).await?).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) { Ok(Value::Null) } else { document(&bytes) }
    }

    /// POST that turns the connection into a stream of the container's.
    pub(crate) async fn hijack(&self, query: Query, document: Option<Value>) -> Result<Hijacked> {
        let mut retried = false;
        loop {
            let mut connection = self.connect().await?;
            let payload = document.clone().map_or(Payload::Nothing, Payload::Json);
            let request = self.request(Method::POST, &query, payload, true)?;
            let response = connection.send_request(request).await.map_err(|e| self.unanswered(&e))?;
            if matches!(response.status(), StatusCode::SWITCHING_PROTOCOLS) {
                return Hijacked::take(response).await;
            }
            match self.refusal(response).await {
                Some(error) if retried => return Err(error),
                Some(error) if !self.step_down(&error) => return Err(error),
                Some(_) => retried = true,
                None => return Err(Error::new("unable to upgrade to tcp, received 200").of(Kind::Internal)),
            }
        }
    }

    async fn send(&self, method: Method, query: Query, mut payload: Payload) -> Result<Response<Incoming>> {
        let mut retried = false;
        loop {
            let mut connection = self.connect().await?;
            let again = match &payload {
                Payload::Nothing => Some(Payload::Nothing),
                Payload::Json(value) => Some(Payload::Json(value.clone())),
                Payload::Archive(_) => None,
            };
            let request = self.request(method.clone(), &query, payload, false)?;
            let response = connection.send_request(request).await.map_err(|e| self.unanswered(&e))?;
            if response.status().as_u16() < 400 {
                return Ok(response);
            }
            let Some(error) = self.refusal(response).await else { return Err(self.empty_refusal(&query)) };
            match again {
                Some(same) if !retried && self.step_down(&error) => payload = same,
                _ => return Err(error),
            }
            retried = true;
        }
    }

    fn request(
        &self,
        method: Method,
        query: &Query,
        payload: Payload,
        upgrade: bool,
    ) -> Result<Request<Body>> {
        let uri = format!("/v{}{}", self.version(), query.as_str());
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header("Host", self.endpoint.authority())
            .header("User-Agent", concat!("Berth-Client/", env!("CARGO_PKG_VERSION"), " (linux)"));
        if !query.identity().is_empty() {
            request = request.header("X-Registry-Auth", query.identity());
        }
        if upgrade {
            request = request.header("Connection", "Upgrade").header("Upgrade", "tcp");
        }
        let body = match payload {
            Payload::Nothing => Full::default().map_err(|never| match never {}).boxed(),
            Payload::Json(value) => {
                request = request.header("Content-Type", "application/json");
                Full::new(Bytes::from(value.to_string())).map_err(|never| match never {}).boxed()
            }
            Payload::Archive(chunks) => {
                request = request.header("Content-Type", "application/x-tar");
                Chunks(chunks).boxed()
            }
        };
        request.body(body).map_err(|e| Error::new(format!("the request can't be made: {e}")).because(e))
    }

    /// Whether a daemon listens. None is started for this question.
    pub(crate) async fn is_there(&self) -> bool {
        match &self.endpoint {
            Endpoint::Tcp(authority) => TcpStream::connect(authority).await.is_ok(),
            Endpoint::Unix { path, .. } => UnixStream::connect(path).await.is_ok(),
        }
    }

    async fn connect(&self) -> Result<SendRequest<Body>> {
        match &self.endpoint {
            Endpoint::Tcp(authority) => {
                let stream = TcpStream::connect(authority).await.map_err(|e| self.unreachable(&e))?;
                let _ = stream.set_nodelay(true);
                shake(TokioIo::new(stream)).await
            }
            Endpoint::Unix { path, default } => {
                let stream = match UnixStream::connect(path).await {
                    Ok(stream) => stream,
                    Err(error) if *default && summon::could_help(&error) => summon::daemon(path).await?,
                    Err(error) => return Err(self.unreachable(&error)),
                };
                shake(TokioIo::new(stream)).await
            }
        }
    }

    fn unreachable(&self, error: &std::io::Error) -> Error {
        let endpoint = &self.endpoint;
        if error.kind() == std::io::ErrorKind::PermissionDenied {
            return Error::new(format!(
                "permission denied while trying to connect to the Berth daemon socket at {endpoint}: use sudo, or join the group that owns the socket"
            ))
            .of(Kind::Forbidden);
        }
        Error::new(format!("Cannot connect to the Berth daemon at {endpoint}. Is the berth daemon running?"))
            .of(Kind::Unavailable)
    }

    fn unanswered(&self, error: &hyper::Error) -> Error {
        if error.is_parse() {
            return Error::new(format!("what answers at {} is no Docker API: {error}", self.endpoint))
                .of(Kind::Internal);
        }
        broken(error)
    }

    async fn refusal(&self, response: Response<Incoming>) -> Option<Error> {
        let status = response.status();
        let bytes = collect(response).await.ok()?;
        let text = match serde_json::from_slice::<Value>(&bytes) {
            Ok(body) => body["message"].as_str()?.trim().to_owned(),
            Err(_) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        };
        if text.is_empty() {
            return None;
        }
        Some(Error::new(format!("Error response from daemon: {text}")).of(kind(status)))
    }

    fn empty_refusal(&self, query: &Query) -> Error {
        Error::new(format!(
            "the daemon refused {} without a reason: check if it serves API version {}",
            query.as_str(),
            self.version()
        ))
    }

    /// Takes the daemon's own newest version, when the refusal was about ours being newer.
    fn step_down(&self, error: &Error) -> bool {
        let text = error.to_string();
        let Some((_, rest)) = text.split_once("is too new. Maximum supported API version is ") else {
            return false;
        };
        let newest: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let Ok(mut version) = self.version.lock() else { return false };
        let changed = *version != newest && !newest.is_empty();
        *version = newest;
        changed
    }
}

async fn shake<T>(io: TokioIo<T>) -> Result<SendRequest<Body>>
where
    TokioIo<T>: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(io).await.map_err(|e| broken(&e))?;
    tokio::spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

/// Chunks from a channel as the frames of a body.
struct Chunks(tokio::sync::mpsc::Receiver<std::io::Result<Bytes>>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

async fn collect(response: Response<Incoming>) -> Result<Bytes> {
    Ok(response.into_body().collect().await.map_err(|e| broken(&e))?.to_bytes())
}

fn document(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::new(format!("the daemon's answer is no JSON: {e}")).of(Kind::Corrupt).because(e))
}

fn broken(error: &hyper::Error) -> Error {
    Error::new(format!("the connection to the daemon broke: {error}")).of(Kind::Unavailable)
}

fn kind(status: StatusCode) -> Kind {
    match status.as_u16() {
        404 => Kind::NotFound,
        400 => Kind::InvalidInput,
        409 => Kind::Conflict,
        401 => Kind::Unauthorized,
        403 => Kind::Forbidden,
        501 => Kind::Unimplemented,
        503 => Kind::Unavailable,
        _ => Kind::Internal,
    }
}
