//! Reading and deleting blobs (end-2, end-10). Whether a repository has one is the records' say, every time (D03).

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::Error;
use hyper::header::RANGE;
use hyper::{Method, Response, StatusCode};
use serde_json::json;

use super::{Answer, Asked, bare, set};
use crate::code::{Code, Refusal};
use crate::condition::{Conditions, Verdict, failed, range_holds};
use crate::depot::{self, now, random};
use crate::name::Name;
use crate::range::{self, Part};
use crate::site::Site;
use crate::upload::UploadId;
use crate::wire::Body;

pub(super) async fn get(site: &Arc<Site>, asked: &Asked<'_>, name: &Name, digest: Digest) -> Answer {
    let only_asks = asked.head.method == Method::HEAD;
    match &site.cache {
        Some(cache) if only_asks => {
            if let Some(size) = cache.blob_size(site, name, digest).await? {
                return answer(asked, digest, size, |_, _| Body::Empty);
            }
        }
        Some(cache) => {
            if let Some(arrival) = cache.blob(site, name, digest).await? {
                let size = arrival.size;
                let stretch = |first, last| Body::arriving(arrival.clone(), first, last - first + 1);
                return answer(asked, digest, size, stretch);
            }
        }
        None => {}
    }
    let (size, leased) =
        site.depot.read(|db| Ok((depot::blob(db, name, digest)?, depot::leased(db, name, digest)?)))?;
    let size = size.ok_or_else(|| unknown(digest))?;
    if only_asks {
        renew(site, name, digest, leased.unwrap_or_default()).await?;
    }
    let file = Arc::new(whole(site, digest, size)?);
    let stretch = |first, last| Body::file(file.clone(), first, last - first + 1, asked.segments);
    answer(asked, digest, size, stretch)
}

/// The file of a blob. One that has gone this moment was collected, and its record, too. One that the disk lost, or part of it, is
/// not here either: the client that hears so pushes it again, and that mends it.
fn whole(site: &Site, digest: Digest, size: u64) -> Result<File, Refusal> {
    let file = site.depot.files().content(&digest).map_err(|e| gone(e, digest))?;
    let real = file.metadata().map_err(|e| Error::call(format!("cannot look at {digest}"), e))?.len();
    if real == size {
        return Ok(file);
    }
    tracing::error!(%digest, size, real, "a content is damaged: berth registry check tells what else is");
    Err(unknown(digest))
}

/// The answer that has what the request's conditions and ranges leave of a blob.
fn answer(asked: &Asked<'_>, digest: Digest, size: u64, stretch: impl Fn(u64, u64) -> Body) -> Answer {
    let method = &asked.head.method;
    match Conditions::of(&asked.head.headers).judge(method, Some(&digest)) {
        Verdict::Go => {}
        Verdict::NotModified => return Ok(signed(bare(StatusCode::NOT_MODIFIED), digest)),
        Verdict::Failed => return Err(failed()),
    }
    let empty = || signed(Response::new(Body::Empty), digest);
    if method == Method::HEAD {
        return Ok(described(empty(), size));
    }
    let wanted = asked.header(RANGE).filter(|_| range_holds(&asked.head.headers, &digest));
    Ok(match range::part(wanted, size)? {
        Part::Whole if size == 0 => described(empty(), 0),
        Part::Whole => described(signed(Response::new(stretch(0, size - 1)), digest), size),
        Part::Bytes(first, last) => {
            let mut response =
                described(signed(Response::new(stretch(first, last)), digest), last - first + 1);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(&mut response, "content-range", &format!("bytes {first}-{last}/{size}"));
            response
        }
        Part::Several(parts) => several(&parts, size, digest, stretch)?,
    })
}

/// Several parts in one body (RFC 9110 §14.6).
fn several(
    parts: &[(u64, u64)],
    size: u64,
    digest: Digest,
    stretch: impl Fn(u64, u64) -> Body,
) -> Result<Response<Body>, Refusal> {
    let mark = UploadId::from_bytes(random()?);
    let mut pieces = VecDeque::new();
    for (first, last) in parts {
        let head = format!(
            "\r\n--{mark}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {first}-{last}/{size}\r\n\r\n"
        );
        pieces.extend([Body::from(head), stretch(*first, *last)]);
    }
    pieces.push_back(Body::from(format!("\r\n--{mark}--\r\n")));
    let mut response = signed(Response::new(Body::Several(pieces)), digest);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    set(&mut response, "content-type", &format!("multipart/byteranges; boundary={mark}"));
    Ok(response)
}

/// What every answer about content says.
fn described(mut response: Response<Body>, length: u64) -> Response<Body> {
    set(&mut response, "content-type", "application/octet-stream");
    set(&mut response, "content-length", &length.to_string());
    set(&mut response, "accept-ranges", "bytes");
    set(&mut response, "cache-control", "max-age=31536000");
    response
}

/// A client that asks whether a blob is there means to leave out its upload: the blob stays for a while from now on.
async fn renew(site: &Site, name: &Name, digest: Digest, leased: i64) -> Result<(), Refusal> {
    if site.policy.read_only || now().saturating_sub(leased) <= site.grace / 2 {
        return Ok(());
    }
    let name = name.clone();
    let there = site.depot.relieve(move |batch| batch.renew(&name, digest)).await?;
    if there { Ok(()) } else { Err(unknown(digest)) }
}

fn signed(mut response: Response<Body>, digest: Digest) -> Response<Body> {
    set(&mut response, "docker-content-digest", &digest.to_string());
    set(&mut response, "etag", &format!("\"{digest}\""));
    response
}

pub(super) async fn delete(site: &Site, name: Name, digest: Digest) -> Answer {
    let found = site.depot.relieve(move |batch| batch.delete_blob(&name, digest)).await?;
    if found { Ok(bare(StatusCode::ACCEPTED)) } else { Err(unknown(digest)) }
}

fn gone(error: Error, digest: Digest) -> Refusal {
    match error.kind() {
        types::Kind::NotFound => unknown(digest),
        _ => error.into(),
    }
}

fn unknown(digest: Digest) -> Refusal {
    Refusal::new(Code::BlobUnknown, "the repository does not have this blob")
        .detail(json!({ "digest": digest.to_string() }))
}
