//! One request, one answer: a pooled or a new connection, and a watch on silence.

use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_ENCODING, HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{Method, Request as HttpRequest, StatusCode};

use super::body::Body;
use super::connect::connect;
use super::failure::{Failure, Trouble};
use super::payload::{Outgoing, Payload};
use super::pool::{Key, Pool};
use super::proxy::{Proxies, Proxy};
use super::resolve::Names;
use super::tls::Tls;
use super::url::Url;
use super::watch::Watch;

/// How long what may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// A connection, and a TLS handshake.
    pub(crate) connect: Duration,
    /// Silence in the middle of a request or an answer.
    pub(crate) idle: Duration,
}

/// A request, ready to go.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    pub(crate) tls: &'a Tls,
    pub(crate) patience: Patience,
}

/// An answer whose body is still to be read.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl Response {
    /// A header that is plain text.
    pub(crate) fn header(&self, name: impl hyper::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Content is asked for as it is: one that comes packed is refused, with a sentence.
    pub(crate) fn refuse_encoding(&self) -> Result<(), String> {
        match self.header(CONTENT_ENCODING) {
            None | Some("" | "identity") => Ok(()),
            Some(encoding) => Err(format!("the answer is encoded ({encoding:?}), which was not asked for")),
        }
    }
}

/// Clones share connections.
#[derive(Clone)]
pub(crate) struct Transport {
    names: Names,
    pool: Pool,
    proxies: Proxies,
    user_agent: HeaderValue,
}

impl Transport {
    pub(crate) fn new(proxies: Proxies, user_agent: HeaderValue) -> Self {
        Self { names: Names::default(), pool: Pool::default(), proxies, user_agent }
    }

    /// Sends a request and waits for the headers of its answer.
    pub(crate) async fn send(&self, request: Request<'_>) -> Result<Response, Failure> {
        let origin = &request.url.origin;
        let proxy = self.proxies.for_origin(origin).map_err(|why| Failure::new(Trouble::Proxy, why))?;
        let key = Key { origin: origin.clone(), trust: if origin.is_tls { request.tls.id } else { 0 } };
        let mut payload = request.payload;
        if let Some(sender) = self.pool.take(&key) {
            let spare = payload.again();
            let message =
                self.message(&request.method, request.url, &request.headers, payload, proxy.as_ref())?;
            match (self.exchange(sender, message, &key, proxy.as_ref(), request.patience).await, spare) {
                // The server closed it while it lay idle: that says nothing of the request.
                (Err(failure), Some(spare)) if failure.trouble == Trouble::Broken => payload = spare,
                (result, _) => return result,
            }
        }
        let message =
            self.message(&request.method, request.url, &request.headers, payload, proxy.as_ref())?;
        let limit = request.patience.connect;
        let sender = connect(&self.names, origin, proxy.as_ref(), request.tls, limit).await?;
        self.exchange(sender, message, &key, proxy.as_ref(), request.patience).await
    }

    fn message(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        payload: Payload,
        proxy: Option<&Proxy>,
    ) -> Result<HttpRequest<Outgoing>, Failure> {
        let unfit =
            |e: &dyn std::fmt::Display| Failure::new(Trouble::Local, format!("cannot ask {url}: {e}"));
        let clear_proxy = proxy.filter(|_| !url.origin.is_tls);
        let target = if clear_proxy.is_some() { url.to_string() } else { url.path.clone() };
        let mut message = HttpRequest::new(Outgoing { payload, watch: Watch::new() });
        *message.method_mut() = method.clone();
        *message.uri_mut() = target.parse().map_err(|e| unfit(&e))?;
        let all = message.headers_mut();
        *all = headers.clone();
        let host = HeaderValue::try_from(url.origin.authority()).map_err(|e| unfit(&e))?;
        all.insert(HOST, host);
        all.entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        if let Some(authorization) = clear_proxy.and_then(|proxy| proxy.authorization.as_deref()) {
            let value = HeaderValue::try_from(authorization).map_err(|e| unfit(&e))?;
            all.insert(PROXY_AUTHORIZATION, value);
        }
        Ok(message)
    }

    async fn exchange(
        &self,
        mut sender: SendRequest<Outgoing>,
        message: HttpRequest<Outgoing>,
        key: &Key,
        proxy: Option<&Proxy>,
        patience: Patience,
    ) -> Result<Response, Failure> {
        let watch = message.body().watch.clone();
        let answer = tokio::select! {
            answer = sender.send_request(message) => answer.map_err(|e| Failure::http(&e))?,
            () = watch.silence(patience.idle) => {
                let sentence = format!("no answer came for {} seconds", patience.idle.as_secs());
                return Err(Failure::new(Trouble::Timeout, sentence));
            }
        };
        // Through a tunnel it would be the registry's, which cannot mean it.
        if let Some(proxy) = proxy
            && answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
        {
            return Err(proxy.refusal(answer.status().as_str(), &key.origin.with_port()));
        }
        let (head, incoming) = answer.into_parts();
        let body = Body::new(incoming, patience.idle, (self.pool.clone(), key.clone(), sender));
        Ok(Response { status: head.status, headers: head.headers, body })
    }
}
