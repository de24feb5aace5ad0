//! Bodies of requests: read with patience, but not for ever, and never more than was agreed on.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};

use crate::code::{Code, Refusal};

/// How long a client may send nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is read of a body that nobody wants, so that the client reads the answer.
const DRAIN: u64 = 1 << 20;

/// The next bytes; nothing at the end.
pub(crate) async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Refusal> {
    loop {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await.map_err(|_| {
            let mut refusal = Refusal::new(Code::SizeInvalid, "the client sent nothing for a minute");
            refusal.status = Some(StatusCode::REQUEST_TIMEOUT);
            refusal
        })?;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(_) => {}
            },
            Some(Err(_)) => {
                return Err(Refusal::new(Code::SizeInvalid, "the request's body broke off"));
            }
        }
    }
}

/// A whole body of at most `most` bytes.
pub(crate) async fn whole(body: &mut Incoming, most: usize) -> Result<Bytes, Refusal> {
    let too_long = || {
        let mut refusal = Refusal::new(Code::SizeInvalid, format!("the body may have {most} bytes"));
        refusal.status = Some(StatusCode::PAYLOAD_TOO_LARGE);
        refusal
    };
    if body.size_hint().lower() > most as u64 {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    while let Some(part) = next(body).await? {
        if bytes.len() + part.len() > most {
            return Err(too_long());
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.into())
}

/// Reads the rest of a body away. A long one is left: the connection ends then.
pub(crate) async fn drain(mut body: Incoming) {
    let mut left = DRAIN;
    while let Ok(Some(part)) = next(&mut body).await {
        left = left.saturating_sub(part.len() as u64);
        if left == 0 {
            return;
        }
    }
}
