//! The calls of the specification, one file per noun.

mod blobs;
mod lists;
mod manifests;
mod uploads;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use crate::auth::Caller;
use crate::code::Refusal;
use crate::query::Query;
use crate::route::Call;
use crate::site::Site;
use crate::wire::{Body, Segments};

/// A request, read.
pub(crate) struct Asked<'a> {
    pub(crate) head: &'a Parts,
    pub(crate) query: Query,
    pub(crate) caller: Caller,
    /// There when the kernel can send files to this client.
    pub(crate) segments: Option<&'a Arc<Segments>>,
}

type Answer = Result<Response<Body>, Refusal>;

impl Asked<'_> {
    /// A header's text.
    fn header(&self, name: impl hyper::header::AsHeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }
}

/// Does what was asked.
pub(crate) async fn dispatch(site: &Arc<Site>, call: Call, asked: &Asked<'_>, body: &mut Incoming) -> Answer {
    match call {
        Call::Base => Ok(json(StatusCode::OK, "{}")),
        Call::Catalog => lists::catalog(site, asked),
        Call::Tags(name) => lists::tags(site, asked, &name),
        Call::Referrers(name, subject) => lists::referrers(site, asked, &name, subject),
        Call::GetManifest(name, target) => manifests::get(site, asked, &name, &target).await,
        Call::PutManifest(name, target) => manifests::put(site, asked, body, name, target).await,
        Call::DeleteManifest(name, target) => manifests::delete(site, asked, name, target).await,
        Call::GetBlob(name, digest) => blobs::get(site, asked, &name, digest).await,
        Call::DeleteBlob(name, digest) => blobs::delete(site, name, digest).await,
        Call::StartUpload(name) => uploads::start(site, asked, body, name).await,
        Call::UploadStatus(name, id) => uploads::status(site, &name, id),
        Call::UploadChunk(name, id) => uploads::chunk(site, asked, body, &name, id).await,
        Call::UploadFinish(name, id) => uploads::finish(site, asked, body, name, id).await,
        Call::UploadCancel(name, id) => uploads::cancel(site, &name, id),
    }
}

fn json(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Body::from(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// An answer without a body.
fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}

/// Sets a header. Values are made of checked names, digests and numbers; one that is no header value cannot come up.
fn set(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
