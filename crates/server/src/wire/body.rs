//! Request bodies: documents read whole with a cap, uploads handed on piece by piece to a blocking reader.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::error::{Error, Result};

/// A document may be so many bytes long.
const DOCUMENT_MAX: usize = 4 << 20;
/// An unwanted body may take so long to arrive.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Reads the whole body.
pub(crate) async fn whole(mut body: Incoming) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Error::invalid(format!("the request's body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > DOCUMENT_MAX {
            drain(body).await;
            return Err(Error::invalid(format!("the request's body is longer than {DOCUMENT_MAX} bytes")));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Reads a document; the call cannot do without.
pub(crate) async fn document<T: DeserializeOwned>(headers: &HeaderMap, body: Incoming) -> Result<T> {
    let bytes = whole(body).await?;
    if bytes.is_empty() {
        return Err(Error::invalid("invalid JSON: got EOF while reading request body"));
    }
    check_type(headers)?;
    parse(&bytes)
}

/// Reads a document; an empty body means its default.
pub(crate) async fn document_or_default<T: DeserializeOwned + Default>(
    headers: &HeaderMap,
    body: Incoming,
) -> Result<T> {
    let bytes = whole(body).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    check_type(headers)?;
    parse(&bytes)
}

/// Reads a body away. A client that is still sending when its connection closes sees a broken pipe, not the answer.
pub(crate) async fn drain(mut body: Incoming) {
    let draining = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(DRAIN_MAX, draining).await;
}

/// Refuses any body but an empty document: `sentence` says why.
pub(crate) async fn forbid(body: Incoming, sentence: &str) -> Result<()> {
    let bytes = whole(body).await?;
    match bytes.trim_ascii() {
        b"" | b"{}" | b"null" => Ok(()),
        _ => Err(Error::invalid(sentence)),
    }
}

fn check_type(headers: &HeaderMap) -> Result<()> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Error::invalid(format!("unsupported Content-Type header ({given}): must be 'application/json'")))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::invalid(format!("invalid JSON: {error}")))
}

/// An upload as a blocking reader. It is fed no faster than it is read.
pub(crate) struct Upload {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

/// Starts to hand the body on. The reader belongs on a thread that may block.
pub(crate) fn upload(mut body: Incoming) -> Upload {
    let (sender, pieces) = mpsc::channel(4);
    tokio::spawn(async move {
        while let Some(frame) = body.frame().await {
            let piece = match frame {
                Ok(frame) => frame.into_data().map_err(|_| None),
                Err(error) => Err(Some(io::Error::new(io::ErrorKind::UnexpectedEof, error))),
            };
            let piece = match piece {
                Ok(data) => Ok(data),
                Err(None) => continue,
                Err(Some(error)) => Err(error),
            };
            let broken = piece.is_err();
            if sender.send(piece).await.is_err() {
                return drain(body).await;
            }
            if broken {
                return;
            }
        }
    });
    Upload { pieces, current: Bytes::new() }
}

impl io::Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.current = piece?,
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
