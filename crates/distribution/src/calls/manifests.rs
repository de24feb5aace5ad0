//! Manifests: read, push, delete (end-3, end-7, end-9).

use crate::digest::{Algorithm, Digest};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::json;

use super::{Answer, Asked, bare, set};
use crate::code::{Code, Refusal};
use crate::condition::{Conditions, Verdict, failed};
use crate::depot::{self, Found, NewManifest, blocking};
use crate::manifest::{self, LONGEST};
use crate::name::{Name, Tag};
use crate::route::Target;
use crate::site::Site;
use crate::wire::{Body, whole};

pub(super) async fn get(site: &Site, asked: &Asked<'_>, name: &Name, target: &Target) -> Answer {
    if let Some(cache) = &site.cache {
        cache.manifest(site, name, target).await?;
    }
    let found = site.depot.read(|db| depot::manifest(db, name, target))?;
    let found = found.ok_or_else(|| unknown(target))?;
    match Conditions::of(&asked.head.headers).judge(&asked.head.method, Some(&found.digest)) {
        Verdict::Go => {}
        Verdict::NotModified => return Ok(signed(bare(StatusCode::NOT_MODIFIED), &found)),
        Verdict::Failed => return Err(failed()),
    }
    let body = if asked.head.method == Method::HEAD {
        Body::Empty
    } else {
        let bytes = site.depot.document(found.digest).await.map_err(|e| match e.kind() {
            types::Kind::NotFound => unknown(target),
            _ => e.into(),
        })?;
        Body::Bytes(bytes)
    };
    let mut response = signed(Response::new(body), &found);
    set(&mut response, "content-type", &found.media_type);
    set(&mut response, "content-length", &found.size.to_string());
    Ok(response)
}

fn signed(mut response: Response<Body>, found: &Found) -> Response<Body> {
    let digest = found.digest.to_string();
    set(&mut response, "docker-content-digest", &digest);
    set(&mut response, "etag", &format!("\"{digest}\""));
    response
}

pub(super) async fn put(
    site: &Site,
    asked: &Asked<'_>,
    body: &mut Incoming,
    name: Name,
    target: Target,
) -> Answer {
    let room = body.size_hint().upper().unwrap_or(LONGEST as u64).min(LONGEST as u64);
    let kilobytes = u32::try_from(room / 1024 + 1).unwrap_or(u32::MAX);
    let _room = site.manifest_room.acquire_many(kilobytes).await;
    let bytes = whole(body, LONGEST).await?;
    let checked = manifest::check(asked.header(CONTENT_TYPE), &bytes)?;
    let (algorithm, tags) = match &target {
        Target::Digest(wanted) => (wanted.algorithm(), tags(asked)?),
        Target::Tag(tag) => (Algorithm::default(), vec![tag.clone()]),
    };
    let digest = Digest::of(algorithm, &bytes);
    if let Target::Digest(wanted) = target
        && wanted != digest
    {
        return Err(other_digest(digest, wanted));
    }
    let files = site.depot.files().clone();
    let spooled = blocking(move || files.spool(digest, &bytes)).await?;
    let location = format!("/v2/{name}/manifests/{digest}");
    let subject = checked.subject;
    let mut response = bare(StatusCode::CREATED);
    if matches!(target, Target::Digest(_)) {
        for tag in tags.iter().filter_map(|tag| HeaderValue::from_str(tag.as_str()).ok()) {
            response.headers_mut().append("oci-tag", tag);
        }
    }
    let (conditions, method) = (Conditions::of(&asked.head.headers), asked.head.method.clone());
    let new = NewManifest { name, tags, spooled, checked };
    let change = site.depot.change(move |batch| {
        conditions.admit(&method, batch.current(&new.name, &target)?.as_ref())?;
        batch.add_manifest(&new)
    });
    change.await?;
    set(&mut response, "location", &location);
    set(&mut response, "docker-content-digest", &digest.to_string());
    if let Some(subject) = subject {
        set(&mut response, "oci-subject", &subject.to_string());
    }
    Ok(response)
}

/// `?tag=`, any number of times: tags that the manifest gets along with its digest.
fn tags(asked: &Asked<'_>) -> Result<Vec<Tag>, Refusal> {
    asked.query.all("tag").map(str::parse).collect()
}

pub(super) async fn delete(site: &Site, asked: &Asked<'_>, name: Name, target: Target) -> Answer {
    let (conditions, method) = (Conditions::of(&asked.head.headers), asked.head.method.clone());
    let wanted = target.clone();
    let change = site.depot.relieve(move |batch| {
        conditions.admit(&method, batch.current(&name, &wanted)?.as_ref())?;
        match &wanted {
            Target::Tag(tag) => batch.delete_tag(&name, tag),
            Target::Digest(digest) => batch.delete_manifest(&name, *digest),
        }
    });
    let found = change.await?;
    if found { Ok(bare(StatusCode::ACCEPTED)) } else { Err(unknown(&target)) }
}

fn other_digest(real: Digest, wanted: Digest) -> Refusal {
    Refusal::new(Code::DigestInvalid, format!("the manifest is {real}, not {wanted}"))
}

fn unknown(target: &Target) -> Refusal {
    let named = match target {
        Target::Tag(tag) => json!({ "tag": tag.as_str() }),
        Target::Digest(digest) => json!({ "digest": digest.to_string() }),
    };
    Refusal::new(Code::ManifestUnknown, "the repository does not have this manifest").detail(named)
}
