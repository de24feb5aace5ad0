//! Docker's messages of a pull, on their way to whoever listens.

use dockerapi::{Progress, ProgressDetail};
use store::Layer;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::Result;
use crate::engine::apart;

/// Messages that may wait for a slow listener. Those of a bar's growth are left out when so many do.
const WAITING: usize = 64;

/// Says things, in order.
#[derive(Clone)]
pub(super) struct Say(mpsc::Sender<Progress>);

impl Say {
    /// Gives everything to `tell`, which may block, on a thread of its own. The task ends when all has been said.
    pub(super) fn start(mut tell: impl FnMut(Progress) + Send + 'static) -> (Self, JoinHandle<Result<()>>) {
        let (say, mut said) = mpsc::channel(WAITING);
        let telling = tokio::spawn(apart(move || {
            while let Some(progress) = said.blocking_recv() {
                tell(progress);
            }
        }));
        (Self(say), telling)
    }

    /// Of the whole.
    pub(super) async fn status(&self, text: impl Into<String>) {
        self.send(Progress::status(text)).await;
    }

    /// Of the tag, digest or layer with that id.
    pub(super) async fn message(&self, id: &str, text: impl Into<String>) {
        self.send(Progress { id: id.to_owned(), ..Progress::status(text) }).await;
    }

    /// Of a layer. The empty detail ends its bar.
    pub(super) async fn layer(&self, layer: &Layer, text: &str) {
        self.send(of_layer(layer, text, ProgressDetail::default())).await;
    }

    pub(super) async fn send(&self, progress: Progress) {
        let is_bar = progress.detail.as_ref().is_some_and(|detail| detail.total > 0);
        // Nobody listens any more: the pull ends in its own way.
        if is_bar {
            let _ = self.0.try_send(progress);
        } else {
            let _ = self.0.send(progress).await;
        }
    }
}

pub(super) fn of_layer(layer: &Layer, text: &str, detail: ProgressDetail) -> Progress {
    Progress { id: layer.blob.short(), detail: Some(detail), ..Progress::status(text) }
}
