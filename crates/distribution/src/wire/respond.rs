//! From a request to its answer: route, policy, call, and how a refusal looks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderName, HeaderValue,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Version};

use super::body::Body;
use super::incoming::drain;
use super::segments::Segments;
use crate::calls::{self, Asked};
use crate::code::{Code, Refusal};
use crate::query::Query;
use crate::route;
use crate::site::Site;

/// Whom we talk to.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// How long the head of a request may take.
    pub(super) head: Duration,
    /// There when the kernel can send files to it.
    pub(super) segments: Option<Arc<Segments>>,
}

/// Answers one request.
pub(super) async fn respond(site: Arc<Site>, request: Request<Incoming>, peer: Peer) -> Response<Body> {
    let began = Instant::now();
    let (head, mut body) = request.into_parts();
    let mut label = "none";
    let mut response = match handle(&site, &head, &mut body, &peer, &mut label).await {
        Ok(response) => response,
        Err(refusal) => {
            // A client that waits for leave to send its body does not get it.
            if !head.headers.contains_key(EXPECT) && !body.is_end_stream() {
                drain(body).await;
            }
            refused(&refusal)
        }
    };
    let headers = response.headers_mut();
    headers.insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if head.method == Method::HEAD {
        keep_head(&mut response);
    }
    let sent = response.body().size_hint().exact().unwrap_or_default();
    let status = response.status().as_u16();
    site.metrics.answered(label, head.method.as_str(), status, began.elapsed(), sent);
    if let Some(log) = &site.access_log {
        log.line(&peer.address, &head, status, sent, began.elapsed());
    }
    response
}

async fn handle(
    site: &Arc<Site>,
    head: &Parts,
    body: &mut Incoming,
    peer: &Peer,
    label: &mut &'static str,
) -> Result<Response<Body>, Refusal> {
    if head.version == Version::HTTP_11 && !head.headers.contains_key(HOST) {
        return Err(Refusal::new(Code::Unsupported, "the request names no host").bad_request());
    }
    let query = Query::parse(head.uri.query().unwrap_or_default())?;
    let call = route::find(&head.method, head.uri.path())?;
    *label = call.label();
    site.policy.admit(&call)?;
    let from = query.get("from").and_then(|name| name.parse().ok());
    let proof = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let caller = site.auth.admit(&call, from.as_ref(), proof).await?;
    let asked = Asked { head, query, caller, segments: peer.segments.as_ref() };
    calls::dispatch(site, call, &asked, body).await
}

/// Leaves out the body, but says how long it would have been.
fn keep_head(response: &mut Response<Body>) {
    if let Some(length) =
        response.body().size_hint().exact().filter(|_| !response.headers().contains_key(CONTENT_LENGTH))
    {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = Body::Empty;
}

/// The answer that says no.
fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = Response::new(Body::from(refusal.body()));
    *response.status_mut() = refusal.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    for (name, value) in &refusal.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    // What the policy refuses is a change.
    if refusal.status() == StatusCode::METHOD_NOT_ALLOWED && !headers.contains_key(ALLOW) {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
