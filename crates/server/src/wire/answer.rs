//! Answers: the headers every one of them has, and bodies that are whole or come in pieces.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SERVER};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc;

use super::version::Version;
use crate::error::{Error, status};

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// All of it, once.
    Whole(Option<Bytes>),
    /// Pieces as they come; ends when the sender is dropped.
    Pieces(mpsc::Receiver<Bytes>),
    /// The first piece, and those that follow. An error among them breaks the connection off: the client sees that there is no end.
    Breakable(Option<Bytes>, mpsc::Receiver<Result<Bytes, Error>>),
}

/// Where the pieces of an answer go. `closed()` tells that the client has gone.
pub(crate) type Pieces = mpsc::Sender<Bytes>;

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(receiver) => {
                receiver.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Breakable(first @ Some(_), _) => {
                Poll::Ready(first.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Breakable(None, rest) => {
                rest.poll_recv(context).map(|piece| piece.map(|bytes| bytes.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Pieces(_) | Self::Breakable(..) => SizeHint::default(),
        }
    }
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Answer> {
    respond(status, None, Answer::Whole(None))
}

/// An answer of plain text.
pub(crate) fn text(status: StatusCode, text: &'static str) -> Response<Answer> {
    respond(
        status,
        Some("text/plain; charset=utf-8"),
        Answer::Whole(Some(Bytes::from_static(text.as_bytes()))),
    )
}

/// A document.
pub(crate) fn json<T: Serialize>(status: StatusCode, document: &T) -> Response<Answer> {
    match json_line(document) {
        Ok(bytes) => respond(status, Some("application/json"), Answer::Whole(Some(bytes))),
        Err(error) => failure(&error),
    }
}

/// An answer in pieces: the head goes out at once, the body is whatever is sent.
pub(crate) fn pieces(content_type: &'static str) -> (Pieces, Response<Answer>) {
    let (sender, receiver) = mpsc::channel(16);
    (sender, respond(StatusCode::OK, Some(content_type), Answer::Pieces(receiver)))
}

/// An answer in pieces that may fail in its middle.
pub(crate) fn breakable(
    content_type: &'static str,
    first: Bytes,
    rest: mpsc::Receiver<Result<Bytes, Error>>,
) -> Response<Answer> {
    respond(StatusCode::OK, Some(content_type), Answer::Breakable(Some(first), rest))
}

/// The answer of a failed call. 304 has no body.
pub(crate) fn failure(error: &Error) -> Response<Answer> {
    let status = status(error.kind());
    if status == StatusCode::NOT_MODIFIED {
        return empty(status);
    }
    let body = dockerapi::ErrorBody { message: error.to_string() };
    let bytes = json_line(&body).unwrap_or_default();
    respond(status, Some("application/json"), Answer::Whole(Some(bytes)))
}

/// A document as one line of JSON.
pub(crate) fn json_line<T: Serialize>(document: &T) -> Result<Bytes, Error> {
    let mut bytes = serde_json::to_vec(document)
        .map_err(|error| Error::new(types::Kind::Internal, format!("cannot print the answer: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

fn respond(status: StatusCode, content_type: Option<&'static str>, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

/// The headers of every answer. Docker's clients take the platform and the newest version from them.
pub(crate) fn sign(headers: &mut HeaderMap) {
    let version = HeaderValue::from_str(&Version::MAX.to_string());
    headers
        .insert(HeaderName::from_static("api-version"), version.unwrap_or(HeaderValue::from_static("1.51")));
    headers.insert(HeaderName::from_static("ostype"), HeaderValue::from_static("linux"));
    headers.insert(HeaderName::from_static("docker-experimental"), HeaderValue::from_static("false"));
    const PRODUCT: &str = concat!("Docker/berth-", env!("CARGO_PKG_VERSION"), " (linux)");
    headers.insert(SERVER, HeaderValue::from_static(PRODUCT));
}
