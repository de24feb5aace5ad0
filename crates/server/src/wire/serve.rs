//! Connections: accept, read requests, answer, and let go.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use super::answer::{Answer, failure, sign};
use super::query::Query;
use super::version::{self, Version};
use super::{body, router};
use crate::calls::{self, Call, Context, Gone};
use crate::error::{Error, Result};
use types::Kind;

/// A socket that is bound and waits for connections.
#[derive(Debug)]
pub enum Bound {
    /// A Unix socket.
    Unix(UnixListener),
    /// A TCP socket.
    Tcp(TcpListener),
}

/// Serves the engine on these sockets until the future is dropped.
///
/// # Errors
/// When a socket cannot be waited on.
pub async fn serve(sockets: Vec<Bound>, engine: Engine) -> std::result::Result<(), Error> {
    let failed =
        |error: std::io::Error| Error::new(Kind::Internal, format!("cannot wait on a socket: {error}"));
    let mut tasks = tokio::task::JoinSet::new();
    for socket in sockets {
        match socket {
            Bound::Unix(listener) => {
                listener.set_nonblocking(true).map_err(failed)?;
                let listener = tokio::net::UnixListener::from_std(listener).map_err(failed)?;
                tasks.spawn(accept_unix(listener, engine.clone()));
            }
            Bound::Tcp(listener) => {
                listener.set_nonblocking(true).map_err(failed)?;
                let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
                tasks.spawn(accept_tcp(listener, engine.clone()));
            }
        }
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

async fn accept_unix(listener: tokio::net::UnixListener, engine: Engine) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if is_crowded(&stream) => drop(stream.try_write(&refusal())),
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, engine.clone()));
            }
            Err(error) => pause(&error).await,
        }
    }
}

async fn accept_tcp(listener: tokio::net::TcpListener, engine: Engine) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if is_crowded(&stream) => drop(stream.try_write(&refusal())),
            Ok((stream, peer)) => {
                let _: (SocketAddr, _) = (peer, stream.set_nodelay(true));
                tokio::spawn(connection(stream, engine.clone()));
            }
            Err(error) => pause(&error).await,
        }
    }
}

/// Whether connections have so many descriptors that the containers' own needs are next: the streams of those that start, the files
/// of those that end, the supervisor's answers. The kernel gives out the lowest number that is free, so a high one tells.
fn is_crowded(connection: &impl AsRawFd) -> bool {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    u64::try_from(connection.as_raw_fd()).is_ok_and(|number| number > most / 4 * 3)
}

/// What a client is told that comes when it is crowded.
fn refusal() -> Vec<u8> {
    let body = dockerapi::ErrorBody {
        message: "too many connections are open; close some and try again".to_owned(),
    };
    let body = serde_json::to_string(&body).unwrap_or_default();
    let head = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: application/json\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Descriptors ran out, most likely: wait for some to be closed.
async fn pause(error: &std::io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn connection<S>(stream: S, engine: Engine)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let engine = Arc::new(engine);
    let service = service_fn(move |request| {
        let engine = engine.clone();
        async move { Ok::<_, Infallible>(respond(engine, request).await) }
    });
    // No timer: clients keep connections for as long as they like, and Unix sockets and loopback lose none.
    let serving = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(64 << 10)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = serving.await {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Answers one request. The call runs as a task of its own: a client that goes away in its middle does not leave it
/// half done. It is told, if it wants to know.
async fn respond(engine: Arc<Engine>, request: Request<Incoming>) -> Response<Answer> {
    let line = format!("{} {}", request.method(), request.uri().path());
    let (here, gone) = oneshot::channel();
    let result = match tokio::spawn(handle(engine, request, gone)).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(Kind::Internal, format!("{line} ended in a fault of the daemon"))),
    };
    drop(here);
    let mut response = result.unwrap_or_else(|error| {
        if error.kind() == Kind::Internal {
            tracing::error!(%error, "{line}");
        } else {
            tracing::debug!(%error, "{line}");
        }
        failure(&error)
    });
    sign(response.headers_mut());
    response
}

async fn handle(engine: Arc<Engine>, request: Request<Incoming>, gone: Gone) -> Result<Response<Answer>> {
    match read_head(&request) {
        Ok((version, call, name, query)) => {
            calls::dispatch(call, Context { engine, version, name, query, request, gone }).await
        }
        Err(error) => {
            body::drain(request.into_body()).await;
            Err(error)
        }
    }
}

fn read_head(request: &Request<Incoming>) -> Result<(Version, Call, String, Query)> {
    let (version, path) = version::split(request.uri().path())?;
    let (call, name) = router::route(request.method(), path)?;
    let query = Query::parse(request.uri().query().unwrap_or_default())?;
    Ok((version, call, name, query))
}
