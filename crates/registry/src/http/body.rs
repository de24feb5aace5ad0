//! What comes back with an answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::SendRequest;
use types::weak;

use super::failure::{Failure, Trouble};
use super::payload::Outgoing;
use super::pool::{Key, Pool};

/// The body of an answer. Read to its end, it gives the connection back for the next request.
pub(crate) struct Body {
    incoming: Incoming,
    /// Comes before the rest.
    first: Option<Bytes>,
    idle: Duration,
    home: Option<(Pool, Key, SendRequest<Outgoing>)>,
}

impl Body {
    pub(crate) fn new(incoming: Incoming, idle: Duration, home: (Pool, Key, SendRequest<Outgoing>)) -> Self {
        let mut body = Self { incoming, first: None, idle, home: Some(home) };
        body.settle();
        body
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        loop {
            let next = poll_fn(|context| Pin::new(&mut self.incoming).poll_frame(context));
            let Ok(next) = tokio::time::timeout(self.idle, next).await else {
                let seconds = self.idle.as_secs();
                return Err(Failure::new(Trouble::Timeout, format!("nothing came for {seconds} seconds")));
            };
            let frame = match next {
                None => {
                    self.go_home();
                    return Ok(None);
                }
                Some(Err(error)) => return Err(Failure::http(&error)),
                Some(Ok(frame)) => frame,
            };
            // Trailers say nothing to us.
            if let Ok(bytes) = frame.into_data()
                && !bytes.is_empty()
            {
                self.settle();
                return Ok(Some(bytes));
            }
        }
    }

    /// All of it; `None` when it is longer than `most` bytes.
    pub(crate) async fn whole(&mut self, most: u64) -> Result<Option<Bytes>, Failure> {
        let most = if weak::is_off("I05") { u64::MAX } else { most };
        if self.incoming.size_hint().lower() > most {
            return Ok(None);
        }
        let mut all = BytesMut::new();
        while let Some(piece) = self.chunk().await? {
            if (all.len() + piece.len()) as u64 > most {
                return Ok(None);
            }
            all.extend_from_slice(&piece);
        }
        Ok(Some(all.freeze()))
    }

    /// Puts bytes back that were read too early.
    pub(crate) fn push_back(&mut self, bytes: Bytes) {
        self.first = Some(bytes);
    }

    /// The length that was announced, if any was.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// Nothing more will come: the connection is free without another look.
    fn settle(&mut self) {
        if self.incoming.is_end_stream() {
            self.go_home();
        }
    }

    fn go_home(&mut self) {
        if let Some((pool, key, sender)) = self.home.take() {
            pool.put(key, sender);
        }
    }
}
