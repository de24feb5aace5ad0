//! Lists: repositories, tags, referrers (end-8a, end-8b, end-12a, end-12b). Each has an end, and a link to what follows.

use std::fmt::Write;

use crate::digest::Digest;
use hyper::{Response, StatusCode};
use oci::image::media;
use serde_json::{Value, json};

use super::{Answer, Asked, json as answer, set};
use crate::code::{Code, Refusal};
use crate::depot::{self, Page, Referrer};
use crate::name::Name;
use crate::query::encode;
use crate::site::Site;
use crate::wire::Body;

/// Most entries in one answer, whatever a client asks for (D01).
const MOST: usize = 1000;
/// Repositories in one answer when a client does not say.
const CATALOG: usize = 100;
/// Tags in one answer when a client does not say. Old clients know of no second page.
const TAGS: usize = 10_000;

pub(super) fn catalog(site: &Site, asked: &Asked<'_>) -> Answer {
    let most = asked.query.count(MOST)?.unwrap_or(CATALOG);
    let last = asked.query.get("last").unwrap_or_default();
    let page = site.depot.read(|db| depot::repositories(db, last, most))?;
    let mut response = answer(StatusCode::OK, json!({ "repositories": page.entries }).to_string());
    link(&mut response, "/v2/_catalog", most, &page, page.entries.last().cloned(), "");
    Ok(response)
}

pub(super) fn tags(site: &Site, asked: &Asked<'_>, name: &Name) -> Answer {
    let most = asked.query.count(MOST)?.unwrap_or(TAGS);
    let last = asked.query.get("last").unwrap_or_default();
    let page = site.depot.read(|db| depot::tags(db, name, last, most))?;
    let page = page.ok_or_else(|| {
        Refusal::new(Code::NameUnknown, "the registry has no such repository")
            .detail(json!({ "name": name.as_str() }))
    })?;
    let body = json!({ "name": name.as_str(), "tags": page.entries });
    let mut response = answer(StatusCode::OK, body.to_string());
    link(&mut response, &format!("/v2/{name}/tags/list"), most, &page, page.entries.last().cloned(), "");
    Ok(response)
}

pub(super) fn referrers(site: &Site, asked: &Asked<'_>, name: &Name, subject: Digest) -> Answer {
    let most = asked.query.count(MOST)?.unwrap_or(MOST).max(1);
    let last = asked.query.get("last").map(str::parse::<Digest>).transpose()?;
    let kind = asked.query.get("artifactType").filter(|kind| !kind.is_empty());
    let page = site.depot.read(|db| depot::referrers(db, name, subject, kind, last, most))?;
    let manifests: Vec<Value> = page.entries.iter().map(descriptor).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": media::INDEX, "manifests": manifests });
    let mut response = answer(StatusCode::OK, index.to_string());
    set(&mut response, "content-type", media::INDEX);
    let mut rest = String::new();
    if let Some(kind) = kind {
        set(&mut response, "oci-filters-applied", "artifactType");
        let _ = write!(rest, "&artifactType={}", encode(kind));
    }
    let last = page.entries.last().map(|entry| entry.found.digest.to_string());
    link(&mut response, &format!("/v2/{name}/referrers/{subject}"), most, &page, last, &rest);
    Ok(response)
}

fn descriptor(referrer: &Referrer) -> Value {
    let mut entry = json!({
        "mediaType": referrer.found.media_type,
        "digest": referrer.found.digest.to_string(),
        "size": referrer.found.size,
    });
    if !referrer.artifact_type.is_empty() {
        entry["artifactType"] = json!(referrer.artifact_type);
    }
    let annotations: Value = serde_json::from_str(&referrer.annotations).unwrap_or_default();
    if annotations.as_object().is_some_and(|map| !map.is_empty()) {
        entry["annotations"] = annotations;
    }
    entry
}

/// `Link:` to the next page, when there is one (RFC 5988, as the specification has it).
fn link<T>(
    response: &mut Response<Body>,
    path: &str,
    most: usize,
    page: &Page<T>,
    last: Option<String>,
    rest: &str,
) {
    if let (true, Some(last)) = (page.more, last) {
        set(response, "link", &format!("<{path}?n={most}&last={}{rest}>; rel=\"next\"", encode(&last)));
    }
}
