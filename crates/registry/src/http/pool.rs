//! Connections that are open and not in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::payload::Outgoing;
use super::url::Origin;

/// Servers close idle connections after some time; well before the shortest of these in use.
const IDLE: Duration = Duration::from_secs(20);
/// So many per destination.
const MOST: usize = 16;

/// What a connection is good for: where it leads and whom we took that for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) origin: Origin,
    /// `Tls::id`; connections under different trust are not shared.
    pub(crate) trust: u64,
}

struct Idle {
    sender: SendRequest<Outgoing>,
    since: Instant,
}

/// Clones are the same pool.
#[derive(Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<HashMap<Key, Vec<Idle>>>>);

impl Pool {
    /// The connection used last, for it is the least likely to have been closed.
    pub(crate) fn take(&self, key: &Key) -> Option<SendRequest<Outgoing>> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let list = idle.get_mut(key)?;
        while let Some(one) = list.pop() {
            if one.since.elapsed() < IDLE && one.sender.is_ready() {
                return Some(one.sender);
            }
        }
        idle.remove(key);
        None
    }

    /// Takes back a connection whose answer was read to its end.
    pub(crate) fn put(&self, key: Key, sender: SendRequest<Outgoing>) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, list| {
            list.retain(|one| one.since.elapsed() < IDLE && !one.sender.is_closed());
            !list.is_empty()
        });
        let list = idle.entry(key).or_default();
        if list.len() < MOST {
            list.push(Idle { sender, since: Instant::now() });
        }
    }
}
