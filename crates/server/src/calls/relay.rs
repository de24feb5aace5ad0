//! Answers of calls that tell how far they are. The head waits for the first message: what fails before it has its status, as Docker
//! has it; later a failure is one more message.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dockerapi::Progress;
use hyper::Response;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use types::Kind;

use super::Gone;
use crate::error::{Error, Result};
use crate::wire::answer::{Answer, Pieces, json_line, pieces};

/// So many messages may wait for a slow client. Steps in between are left out then: the next one says more.
const WAITING: usize = 256;

/// Takes messages from the work, wherever it runs, and never makes it wait.
pub(super) struct Teller {
    sender: mpsc::UnboundedSender<Progress>,
    waiting: Arc<AtomicUsize>,
}

impl Teller {
    /// Tells the client.
    pub(super) fn tell(&self, progress: Progress) {
        let is_step = progress.detail.as_ref().is_some_and(|detail| detail.current > 0);
        if is_step && self.waiting.load(Ordering::Relaxed) > WAITING {
            return;
        }
        if self.sender.send(progress).is_ok() {
            self.waiting.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Work that ends, wherever it is, when nobody waits for it any more.
struct Work(JoinHandle<std::result::Result<(), engine::Error>>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Does the work and tells its client how it goes. A client that goes away ends it, also before it was told anything.
pub(super) async fn relay<W>(gone: Gone, work: impl FnOnce(Teller) -> W) -> Result<Response<Answer>>
where
    W: Future<Output = std::result::Result<(), engine::Error>> + Send + 'static,
{
    let (sender, mut messages) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let mut work = Work(tokio::spawn(work(Teller { sender, waiting: Arc::clone(&waiting) })));
    let first = tokio::select! {
        first = messages.recv() => first,
        _ = gone => return Err(Error::new(Kind::Unavailable, "the client went away")),
    };
    if first.is_none() {
        return match (&mut work.0).await {
            Ok(Ok(())) => Ok(pieces("application/json").1),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Error::new(Kind::Internal, "the call ended in a fault of the daemon")),
        };
    }
    let (output, response) = pieces("application/json");
    tokio::spawn(async move {
        let mut next = first;
        while let Some(message) = next {
            waiting.fetch_sub(1, Ordering::Relaxed);
            if !hand_on(&output, &message).await {
                return;
            }
            next = tokio::select! {
                message = messages.recv() => message,
                () = output.closed() => return,
            };
        }
        let failure = match (&mut work.0).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the call ended in a fault of the daemon".to_owned(),
        };
        hand_on(&output, &Progress::failure(failure)).await;
    });
    Ok(response)
}

/// False when nobody takes it any more.
async fn hand_on(output: &Pieces, message: &Progress) -> bool {
    match json_line(message) {
        Ok(line) => output.send(line).await.is_ok(),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    /// A client that stays.
    fn stays() -> Gone {
        let (here, gone) = tokio::sync::oneshot::channel();
        std::mem::forget(here);
        gone
    }

    async fn said(response: Response<Answer>) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn failures_have_their_status_until_something_is_told() {
        let early =
            relay(stays(), |_| async { Err(engine::Error::new(Kind::NotFound, "no such thing")) }).await;
        assert_eq!(early.err().map(|e| e.kind()), Some(Kind::NotFound));
        let late = relay(stays(), |teller| async move {
            teller.tell(Progress::status("begun"));
            Err(engine::Error::new(Kind::NotFound, "no such thing"))
        });
        assert_eq!(
            said(late.await.unwrap()).await,
            "{\"status\":\"begun\"}\n{\"errorDetail\":{\"message\":\"no such thing\"},\"error\":\"no such thing\"}\n"
        );
        assert_eq!(said(relay(stays(), |_| async { Ok(()) }).await.unwrap()).await, "");
    }

    #[tokio::test]
    async fn a_client_that_goes_away_ends_the_work() {
        let (dropped, seen) = tokio::sync::oneshot::channel::<()>();
        let response = relay(stays(), |teller| async move {
            let _alive = dropped;
            teller.tell(Progress::status("begun"));
            std::future::pending().await
        });
        drop(response.await.unwrap());
        assert!(seen.await.is_err(), "the work was dropped");
    }

    #[tokio::test]
    async fn a_client_that_leaves_before_anything_is_told_ends_the_work() {
        let (dropped, seen) = tokio::sync::oneshot::channel::<()>();
        let (here, gone) = tokio::sync::oneshot::channel();
        let (begins, begun) = tokio::sync::oneshot::channel();
        let call = relay(gone, |teller| async move {
            let _alive = (dropped, teller);
            begins.send(()).unwrap();
            std::future::pending().await
        });
        let leave = async {
            begun.await.unwrap();
            drop(here);
        };
        assert!(tokio::join!(call, leave).0.is_err());
        assert!(seen.await.is_err(), "the work was dropped");
    }

    #[tokio::test]
    async fn slow_clients_miss_steps_only() {
        let detail = |current| Some(dockerapi::ProgressDetail { current, total: 0 });
        let response = relay(stays(), |teller| async move {
            for current in 1..10_000 {
                teller.tell(Progress { detail: detail(current), ..Progress::status("Downloading") });
            }
            teller.tell(Progress::status("Done"));
            Ok(())
        });
        let text = said(response.await.unwrap()).await;
        assert!(text.lines().count() < 300 && text.ends_with("{\"status\":\"Done\"}\n"), "{}", text.len());
    }
}
