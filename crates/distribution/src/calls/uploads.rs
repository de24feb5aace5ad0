//! Pushing blobs: whole, in chunks, or mounted from another repository (end-4a to end-6, end-11, end-13).

use crate::digest::Digest;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE};
use hyper::{Response, StatusCode};
use types::weak;

use super::{Answer, Asked, bare, set};
use crate::auth::Access;
use crate::code::{Code, Refusal};
use crate::depot::{self, Held};
use crate::name::Name;
use crate::range;
use crate::site::Site;
use crate::upload::{self, Chunk, UploadId};
use crate::wire::{Body, next};

pub(super) async fn start(site: &Site, asked: &Asked<'_>, body: &mut Incoming, name: Name) -> Answer {
    if let Some(wanted) = asked.query.get("mount") {
        let digest = wanted.parse()?;
        if mount(site, asked, &name, digest).await? {
            return Ok(created(&name, digest));
        }
    } else if let Some(wanted) = asked.query.get("digest") {
        let digest: Digest = wanted.parse()?;
        let held = site.uploads.unnamed(digest.algorithm()).await?;
        let held = fill(site, asked, body, held).await?;
        return commit(site, held, name, digest).await;
    }
    let algorithm = asked.query.get("digest-algorithm").map(str::parse).transpose()?;
    let id = site.uploads.start(&name, algorithm.unwrap_or_default())?;
    Ok(under_way(StatusCode::ACCEPTED, &name, id, 0))
}

/// Takes a blob from another repository; from any, when the client names none. Not being able to is no error: the client uploads.
async fn mount(site: &Site, asked: &Asked<'_>, name: &Name, digest: Digest) -> Result<bool, Refusal> {
    let from = match asked.query.get("from").filter(|from| !from.is_empty()) {
        Some(from) => Some(from.parse::<Name>()?),
        None => site.depot.read(|db| depot::holder(db, digest))?.and_then(|name| name.parse().ok()),
    };
    // Whoever may not read there gets nothing from there, by digest neither (D06).
    let may = |from: &Name| asked.caller.may(&Access::pull(from)) || weak::is_off("D06");
    let Some(from) = from.filter(may) else { return Ok(false) };
    let name = name.clone();
    site.depot.change(move |batch| batch.mount(&name, &from, digest)).await
}

pub(super) fn status(site: &Site, name: &Name, id: UploadId) -> Answer {
    let held = site.uploads.hold(name, id)?;
    Ok(under_way(StatusCode::NO_CONTENT, name, id, held.offset()))
}

pub(super) async fn chunk(
    site: &Site,
    asked: &Asked<'_>,
    body: &mut Incoming,
    name: &Name,
    id: UploadId,
) -> Answer {
    let held = site.uploads.hold(name, id)?;
    let held = fill(site, asked, body, held).await.map_err(|refusal| placed(refusal, site, name, id))?;
    Ok(under_way(StatusCode::ACCEPTED, name, id, held.offset()))
}

pub(super) async fn finish(
    site: &Site,
    asked: &Asked<'_>,
    body: &mut Incoming,
    name: Name,
    id: UploadId,
) -> Answer {
    let mut held = site.uploads.hold(&name, id)?;
    let wanted = asked.query.get("digest").ok_or_else(|| {
        Refusal::new(Code::DigestInvalid, "the last request of an upload says ?digest=sha256:…")
    })?;
    let digest: Digest = wanted.parse()?;
    held.expect(digest.algorithm());
    let held = fill(site, asked, body, held).await.map_err(|refusal| placed(refusal, site, &name, id))?;
    commit(site, held, name, digest).await
}

pub(super) fn cancel(site: &Site, name: &Name, id: UploadId) -> Answer {
    let held = site.uploads.hold(name, id)?;
    site.uploads.cancel(&held);
    Ok(bare(StatusCode::NO_CONTENT))
}

/// Appends the request's body.
async fn fill(site: &Site, asked: &Asked<'_>, body: &mut Incoming, mut held: Held) -> Result<Held, Refusal> {
    let said = Chunk {
        range: asked.header(CONTENT_RANGE).map(range::chunk).transpose()?,
        length: asked.header(CONTENT_LENGTH).and_then(|text| text.parse().ok()),
    };
    let begin = held.offset();
    let wanted = said.check(begin)?;
    while let Some(bytes) = next(body).await? {
        let room = wanted.map_or(u64::MAX, |wanted| wanted - (held.offset() - begin));
        if bytes.len() as u64 > room {
            return Err(Refusal::new(Code::SizeInvalid, "the chunk is longer than its Content-Range says"));
        }
        site.metrics.received(bytes.len() as u64);
        held = site.uploads.append(held, bytes).await?;
    }
    match wanted {
        Some(wanted) if held.offset() - begin != wanted => {
            Err(Refusal::new(Code::SizeInvalid, "the chunk is shorter than it was said to be"))
        }
        _ => Ok(held),
    }
}

async fn commit(site: &Site, held: Held, name: Name, digest: Digest) -> Answer {
    let spooled = site.uploads.finish(held, digest).await?;
    let response = created(&name, digest);
    site.depot.change(move |batch| batch.add_blob(&name, &spooled)).await?;
    Ok(response)
}

/// A refused chunk is answered with where the upload stands, so that the client can go on from there.
fn placed(refusal: Refusal, site: &Site, name: &Name, id: UploadId) -> Refusal {
    match site.uploads.hold(name, id) {
        Ok(held) => refusal
            .header("Location", address(name, id))
            .header("Range", upload::range(held.offset()))
            .header("Docker-Upload-UUID", id.to_string()),
        Err(_) => refusal,
    }
}

fn address(name: &Name, id: UploadId) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

fn under_way(status: StatusCode, name: &Name, id: UploadId, offset: u64) -> Response<Body> {
    let mut response = bare(status);
    set(&mut response, "location", &address(name, id));
    set(&mut response, "range", &upload::range(offset));
    set(&mut response, "docker-upload-uuid", &id.to_string());
    if status == StatusCode::ACCEPTED {
        set(&mut response, "content-length", "0");
    }
    response
}

fn created(name: &Name, digest: Digest) -> Response<Body> {
    let mut response = bare(StatusCode::CREATED);
    set(&mut response, "location", &format!("/v2/{name}/blobs/{digest}"));
    set(&mut response, "docker-content-digest", &digest.to_string());
    response
}
