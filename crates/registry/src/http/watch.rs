//! Signs of life of an exchange: its end is not timed, its silence is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// When something last moved. Clones are the same watch.
#[derive(Clone)]
pub(crate) struct Watch {
    begun: Instant,
    moved_ms: Arc<AtomicU64>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), moved_ms: Arc::default() }
    }

    /// Something moved.
    pub(crate) fn touch(&self) {
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(ms, Ordering::Relaxed);
    }

    /// Answers when nothing has moved for so long.
    pub(crate) async fn silence(&self, most: Duration) {
        loop {
            let moved = self.begun + Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
            let until = moved + most;
            if Instant::now() >= until {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}
