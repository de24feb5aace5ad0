//! What people see of a push: Docker's lines, not more often than eyes can follow.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dockerapi::{Progress, ProgressDetail};
use serde_json::{Value, json};
use types::Digest;

/// A layer's position is told at most so often.
const BEAT: Duration = Duration::from_millis(100);

type Tell = dyn FnMut(Progress) + Send;

/// Where all that is going on at once is told.
pub(super) struct Board {
    tell: Mutex<Box<Tell>>,
    told: Mutex<HashMap<Digest, Instant>>,
}

impl Board {
    pub(super) fn new(tell: impl FnMut(Progress) + Send + 'static) -> Self {
        Self { tell: Mutex::new(Box::new(tell)), told: Mutex::default() }
    }

    /// A line of its own.
    pub(super) fn say(&self, text: impl Into<String>) {
        self.put(Progress::status(text));
    }

    /// What a layer is at.
    pub(super) fn layer(&self, layer: &Digest, status: &str) {
        let detail = Some(ProgressDetail::default());
        self.put(Progress { id: layer.short(), detail, ..Progress::status(status) });
    }

    /// How much of a layer has gone.
    pub(super) fn position(&self, layer: &Digest, at: u64, size: u64) {
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_early = told.get(layer).is_some_and(|last| now.duration_since(*last) < BEAT);
        if is_early && at < size {
            return;
        }
        told.insert(*layer, now);
        drop(told);
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let detail = Some(ProgressDetail { current: number(at), total: number(size) });
        self.put(Progress { id: layer.short(), detail, ..Progress::status("Pushing") });
    }

    /// What programs want to know in the end.
    pub(super) fn result(&self, tag: &str, digest: &Digest, size: usize) {
        self.say(format!("{tag}: digest: {digest} size: {size}"));
        self.aux(json!({ "Tag": tag, "Digest": digest.to_string(), "Size": size }));
    }

    /// The one manifest went instead of its index.
    pub(super) fn instead(&self, index: &Digest, manifest: &Digest) {
        self.aux(json!({
            "manifestPushedInsteadOfIndex": true,
            "originalIndex": { "digest": index.to_string() },
            "selectedManifest": { "digest": manifest.to_string() },
        }));
    }

    fn aux(&self, aux: Value) {
        self.put(Progress { aux: Some(aux), detail: Some(ProgressDetail::default()), ..Progress::default() });
    }

    fn put(&self, progress: Progress) {
        let mut tell = self.tell.lock().unwrap_or_else(PoisonError::into_inner);
        tell(progress);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn positions_are_told_now_and_then_and_at_the_end() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&lines);
        let board = Board::new(move |progress| log.lock().unwrap().push(progress));
        let layer = Digest::from_hash([1; 32]);
        for at in 0..=1000 {
            board.position(&layer, at, 1000);
        }
        let lines = lines.lock().unwrap();
        let ends: Vec<i64> =
            lines.iter().filter_map(|line| line.detail.as_ref()).map(|d| d.current).collect();
        assert_eq!((ends.first(), ends.last()), (Some(&0), Some(&1000)));
        assert!(ends.len() < 50, "{}", ends.len());
    }
}
