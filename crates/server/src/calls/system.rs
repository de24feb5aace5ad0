//! The engine about itself.

use engine::DiskOptions;
use hyper::header::{CACHE_CONTROL, HeaderName, HeaderValue, PRAGMA};
use hyper::{Method, Response, StatusCode};

use super::{Context, shape};
use crate::error::{Error, Result};
use crate::wire::answer::{Answer, json, text};
use crate::wire::version::Version;

/// `GET` and `HEAD /_ping`: what clients negotiate by. `Builder-Version: 1` says that there is no BuildKit.
pub(super) fn ping(context: &Context) -> Response<Answer> {
    let mut response = text(StatusCode::OK, "OK");
    if context.request.method() == Method::HEAD {
        *response.body_mut() = Answer::Whole(None);
        response.headers_mut().insert(hyper::header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("builder-version"), HeaderValue::from_static("1"));
    headers.insert(HeaderName::from_static("swarm"), HeaderValue::from_static("inactive"));
    response
}

/// `GET /version`.
pub(super) async fn version(context: Context) -> Result<Response<Answer>> {
    let mut version = context.engine.version().await?;
    version.api_version = Version::MAX.to_string();
    version.min_api_version = Version::MIN.to_string();
    for component in &mut version.components {
        if component.name == "Engine" {
            component.details.insert("ApiVersion".to_owned(), Version::MAX.to_string());
            component.details.insert("MinAPIVersion".to_owned(), Version::MIN.to_string());
        }
    }
    Ok(json(StatusCode::OK, &version))
}

/// `GET /info`.
pub(super) async fn info(context: Context) -> Result<Response<Answer>> {
    Ok(json(StatusCode::OK, &shape::info(&context.engine.info().await?, context.version)?))
}

/// `GET /system/df`: everything, or the types that are named (since API 1.42).
pub(super) async fn disk_usage(context: Context) -> Result<Response<Answer>> {
    let types = if context.version.has(42) { context.query.all("type") } else { Vec::new() };
    let known = ["container", "image", "volume", "build-cache"];
    if let Some(odd) = types.iter().find(|named| !known.contains(&named.as_str())) {
        return Err(Error::invalid(format!("unknown object type: {odd}")));
    }
    let wants = |name: &str| types.is_empty() || types.iter().any(|named| named == name);
    let options = DiskOptions {
        images: wants("image"),
        containers: wants("container"),
        volumes: wants("volume"),
        areas: types.is_empty(),
    };
    Ok(json(StatusCode::OK, &context.engine.disk_usage(options).await?))
}

/// `POST /berth/store/check`, Berth's own.
pub(super) async fn store_check(context: Context) -> Result<Response<Answer>> {
    Ok(json(StatusCode::OK, &context.engine.store_check(context.query.flag("repair")).await?))
}
