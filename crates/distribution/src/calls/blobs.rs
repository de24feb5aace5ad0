//! Reading and deleting blobs (end-2, end-10). Whether a repository has one is the records' say, every time (D03).

use std::sync::Arc;

use hyper::header::{IF_NONE_MATCH, RANGE};
use hyper::{Method, Response, StatusCode};
use serde_json::json;
use types::Digest;

use super::{Answer, Asked, bare, set};
use crate::code::{Code, Refusal};
use crate::depot::{self, now};
use crate::name::Name;
use crate::range::{self, Part};
use crate::site::Site;
use crate::wire::Body;

pub(super) async fn get(site: &Arc<Site>, asked: &Asked<'_>, name: &Name, digest: Digest) -> Answer {
    if let Some(cache) = &site.cache {
        cache.blob(site, name, digest).await?;
    }
    let (size, leased) =
        site.depot.read(|db| Ok((depot::blob(db, name, digest)?, depot::leased(db, name, digest)?)))?;
    let size = size.ok_or_else(|| unknown(digest))?;
    if asked.head.method == Method::HEAD {
        renew(site, name, digest, leased.unwrap_or_default()).await?;
    }
    let tag = digest.to_string();
    if range::matches(asked.header(IF_NONE_MATCH), &tag) {
        return Ok(signed(bare(StatusCode::NOT_MODIFIED), &tag));
    }
    let wanted = match asked.header("if-range") {
        Some(known) if !range::matches(Some(known), &tag) => None,
        _ => asked.header(RANGE),
    };
    let (offset, length, partial) = match range::part(wanted, size)? {
        Part::Whole => (0, size, false),
        Part::Bytes(first, last) => (first, last - first + 1, true),
    };
    let body = if asked.head.method == Method::HEAD {
        Body::Empty
    } else {
        // A file that went this moment was collected: the record that we saw is gone, too.
        let file = site.depot.files().content(&digest).map_err(|e| gone(e, digest))?;
        Body::file(file, offset, length, asked.segments)
    };
    let mut response = signed(Response::new(body), &tag);
    set(&mut response, "content-type", "application/octet-stream");
    set(&mut response, "content-length", &length.to_string());
    set(&mut response, "accept-ranges", "bytes");
    set(&mut response, "cache-control", "max-age=31536000");
    if partial {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        set(&mut response, "content-range", &format!("bytes {offset}-{}/{size}", offset + length - 1));
    }
    Ok(response)
}

/// A client that asks whether a blob is there means to leave out its upload: the blob stays for a while from now on.
async fn renew(site: &Site, name: &Name, digest: Digest, leased: i64) -> Result<(), Refusal> {
    if site.policy.read_only || now().saturating_sub(leased) <= site.grace / 2 {
        return Ok(());
    }
    let name = name.clone();
    let there = site.depot.change(move |batch| batch.renew(&name, digest)).await?;
    if there { Ok(()) } else { Err(unknown(digest)) }
}

fn signed(mut response: Response<Body>, digest: &str) -> Response<Body> {
    set(&mut response, "docker-content-digest", digest);
    set(&mut response, "etag", &format!("\"{digest}\""));
    response
}

pub(super) async fn delete(site: &Site, name: Name, digest: Digest) -> Answer {
    let found = site.depot.change(move |batch| batch.delete_blob(&name, digest)).await?;
    if found { Ok(bare(StatusCode::ACCEPTED)) } else { Err(unknown(digest)) }
}

fn gone(error: crate::error::Error, digest: Digest) -> Refusal {
    match error.kind() {
        types::Kind::NotFound => unknown(digest),
        _ => error.into(),
    }
}

fn unknown(digest: Digest) -> Refusal {
    Refusal::new(Code::BlobUnknown, "the repository does not have this blob")
        .detail(json!({ "digest": digest.to_string() }))
}
