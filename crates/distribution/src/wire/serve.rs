//! Connections: accept, serve, and let go.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::patient::Patient;
use super::respond::{Peer, respond};
use super::segments::Segments;
use super::socket::Socket;
use crate::site::Site;

/// How long a request's head may take, and a connection may lie idle before the next one.
pub(crate) const HEAD: Duration = Duration::from_secs(30);
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What hyper buffers of one connection, at most.
const BUFFER: usize = 128 << 10;

/// Where connections come from.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    /// Connections at the same time; more wait in the kernel's line.
    pub(crate) most: usize,
    /// How long a request's head may take.
    pub(crate) head: Duration,
}

/// Serves until `end` changes, then until the last connection is done. Dropping it cuts off those that are left.
pub(crate) async fn serve(site: Arc<Site>, listener: Listener, mut end: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(listener.most));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener.socket, &room) => accepted,
            _ = end.changed() => break,
        };
        connections.spawn(connection(site.clone(), accepted, listener.head, end.clone()));
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

type Accepted = (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>);

async fn accept(socket: &TcpListener, room: &Arc<Semaphore>) -> Accepted {
    let permit = room.clone().acquire_owned().await.ok();
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    site: Arc<Site>,
    (stream, address, _permit): Accepted,
    head: Duration,
    end: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    site.metrics.connected();
    if let Some(tls) = &site.tls {
        let handshake = TlsAcceptor::from(tls.config()).accept(stream);
        if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, handshake).await {
            let peer = Peer { address, head, segments: None };
            talk(&site, Patient::new(TokioIo::new(stream)), &peer, end).await;
        }
    } else {
        let segments = Arc::new(Segments::default());
        let socket = Socket::new(stream, segments.clone());
        let peer = Peer { address, head, segments: Some(segments) };
        talk(&site, socket, &peer, end).await;
    }
    site.metrics.disconnected();
}

async fn talk(
    site: &Arc<Site>,
    socket: impl Read + Write + Unpin + Send,
    peer: &Peer,
    mut end: watch::Receiver<bool>,
) {
    let service = service_fn(|request| {
        let answer = respond(site.clone(), request, peer.clone());
        async { Ok::<_, Infallible>(answer.await) }
    });
    let mut serving = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(peer.head)
            .max_buf_size(BUFFER)
            .serve_connection(socket, service)
    );
    let served = tokio::select! {
        served = serving.as_mut() => served,
        _ = end.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke off");
    }
}
