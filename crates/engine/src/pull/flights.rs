//! Layers on their way, each once however many pulls want it. One that nobody waits for any more is broken off, and what came of it
//! waits for the next who asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use registry::Repository;
use store::{Arrived, Layer, Receiving, Step, Store};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;
use types::Kind;

use super::follow::{Progressed, Told};
use super::say::Say;
use crate::engine::{apart, blocking};
use crate::{Error, Result};

/// Between two looks at a layer's progress.
const GLANCE: Duration = Duration::from_millis(100);
/// Pieces of a blob between the connection and the disk, each at most half a MiB.
const PIECES: usize = 4;
/// How long a layer that was broken off may take to let go of its file.
const LET_GO: Duration = Duration::from_secs(30);

/// All layers on their way.
pub(crate) struct Flights {
    flying: Mutex<HashMap<Layer, Weak<Flight>>>,
    downloads: Arc<Semaphore>,
}

/// One layer on its way. Broken off when the last who holds it lets go.
struct Flight {
    state: watch::Receiver<State>,
    task: AbortHandle,
}

#[derive(Clone, Default)]
struct State {
    progress: Progressed,
    end: Option<std::result::Result<Arc<Arrived>, Failure>>,
}

/// Why it did not arrive, for everybody who waited.
#[derive(Clone)]
struct Failure {
    kind: Kind,
    message: String,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Flights {
    /// So many blobs come at the same time.
    pub(crate) fn new(downloads: u32) -> Self {
        let downloads = usize::try_from(downloads.max(1)).unwrap_or(1);
        Self { flying: Mutex::default(), downloads: Arc::new(Semaphore::new(downloads)) }
    }

    /// Gets a layer, or waits with others for it, and says how it goes.
    pub(super) async fn receive(
        &self,
        store: &Store,
        repository: &Repository,
        layer: &Layer,
        say: &Say,
    ) -> Result<Arc<Arrived>> {
        loop {
            let (flight, is_own) = self.join(store, repository, layer);
            match flight.follow(layer, say).await {
                Ok(arrived) => return Ok(arrived),
                // Others may not be allowed what we are, or ask somebody who does not answer.
                Err(_) if !is_own => {}
                Err(failure) => return Err(Error::new(failure.kind, failure.message)),
            }
        }
    }

    /// The layer's flight, and whether it was begun for this.
    fn join(&self, store: &Store, repository: &Repository, layer: &Layer) -> (Arc<Flight>, bool) {
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        flying.retain(|_, flight| flight.strong_count() > 0);
        let known = flying.get(layer).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|flight| !matches!(flight.state.borrow().end, Some(Err(_)))) {
            return (known, false);
        }
        let (teller, state) = watch::channel(State::default());
        let work = Work {
            store: store.clone(),
            repository: repository.clone(),
            layer: *layer,
            downloads: Arc::clone(&self.downloads),
            teller: Arc::new(teller),
        };
        let task = tokio::spawn(work.fly()).abort_handle();
        let flight = Arc::new(Flight { state, task });
        flying.insert(*layer, Arc::downgrade(&flight));
        (flight, true)
    }
}

impl Flight {
    async fn follow(&self, layer: &Layer, say: &Say) -> std::result::Result<Arc<Arrived>, Failure> {
        let (mut state, mut told) = (self.state.clone(), Told::default());
        loop {
            let State { progress, end } = state.borrow_and_update().clone();
            for news in told.catch_up(layer, progress) {
                say.send(news).await;
            }
            if let Some(end) = end {
                return end;
            }
            let ended = state.wait_for(|state| state.end.is_some());
            if let Ok(Err(_)) = tokio::time::timeout(GLANCE, ended).await {
                return Err(Failure { kind: Kind::Internal, message: "the layer's task failed".to_owned() });
            }
        }
    }
}

/// What a flight does.
struct Work {
    store: Store,
    repository: Repository,
    layer: Layer,
    downloads: Arc<Semaphore>,
    teller: Arc<watch::Sender<State>>,
}

impl Work {
    async fn fly(self) {
        let mut result = self.attempt().await;
        // What an earlier try left had rotted, perhaps: it is gone now.
        if let Err((error, true)) = &result
            && error.kind() == Kind::Corrupt
        {
            result = self.attempt().await;
        }
        let end = result
            .map(Arc::new)
            .map_err(|(error, _)| Failure { kind: error.kind(), message: error.to_string() });
        self.teller.send_modify(|state| {
            state.progress.done = end.is_ok();
            state.end = Some(end);
        });
    }

    /// A failure comes with whether something of an earlier try was used.
    async fn attempt(&self) -> std::result::Result<Arrived, (Error, bool)> {
        let fresh = |error: Error| (error, false);
        let permit = Arc::clone(&self.downloads).acquire_owned().await;
        self.teller
            .send_modify(|state| state.progress = Progressed { started: true, ..Progressed::default() });
        let receiving = self.claim().await.map_err(fresh)?;
        let have = receiving.have();
        let blob = self.repository.blob(&self.layer.blob, self.layer.size, have).await;
        let mut blob = blob.map_err(|error| fresh(error.into()))?;
        let (pieces, taken) = mpsc::channel(PIECES);
        let pump = async {
            loop {
                let piece = blob.chunk().await.map_err(Error::from).transpose();
                let is_last = !matches!(piece, Some(Ok(_)));
                if pieces.send(piece).await.is_err() || is_last {
                    break;
                }
            }
            drop(pieces);
            // Unpacking may take longer; the connection is free for the next.
            drop((permit, blob));
        };
        let teller = Arc::clone(&self.teller);
        let work = apart(move || take(receiving, taken, &teller));
        let (arrived, ()) = tokio::join!(work, pump);
        arrived.flatten().map_err(|error| (error, have > 0))
    }

    /// The right to receive it. A flight that was broken off just now may hold it for a moment more.
    async fn claim(&self) -> Result<Receiving> {
        let until = tokio::time::Instant::now() + LET_GO;
        loop {
            let (store, layer) = (self.store.clone(), self.layer);
            match blocking(move || store.receive(&layer)).await? {
                Err(error) if error.kind() == Kind::Conflict && tokio::time::Instant::now() < until => {
                    tokio::time::sleep(GLANCE).await;
                }
                other => return Ok(other?),
            }
        }
    }
}

/// Takes what comes until its end. Runs on a thread of its own.
fn take(
    receiving: Receiving,
    mut pieces: mpsc::Receiver<Option<Result<Bytes>>>,
    teller: &watch::Sender<State>,
) -> Result<Arrived> {
    let next = &mut || match pieces.blocking_recv() {
        Some(piece) => piece.transpose(),
        None => Err(Error::new(Kind::Unavailable, "the pull was broken off")),
    };
    // Whoever follows looks now and then; only the end wakes them.
    let tell = |step| {
        teller.send_if_modified(|state| {
            match step {
                Step::Received(bytes) => state.progress.received = bytes,
                Step::Verified => state.progress.verified = true,
                Step::Unpacked(bytes) => state.progress.unpacked = bytes,
                Step::Failed => {}
            }
            false
        });
        !teller.is_closed()
    };
    receiving.run(next, &tell)
}
