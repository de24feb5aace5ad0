//! Commands that do the same to each container named: stop, restart, kill, pause, unpause, wait, rm.

use types::Kind;

use super::{joined, run};
use crate::error::{Error, Result};
use crate::stream::{self, remark};
use crate::tree::Call;
use crate::wire::{Payload, Query};

/// `berth stop`.
pub(crate) async fn stop(call: Call) -> Result<u8> {
    post(&call, "/containers/{}/stop", true).await
}

/// `berth restart`.
pub(crate) async fn restart(call: Call) -> Result<u8> {
    post(&call, "/containers/{}/restart", true).await
}

/// `berth kill`.
pub(crate) async fn kill(call: Call) -> Result<u8> {
    post(&call, "/containers/{}/kill", true).await
}

/// `berth pause`.
pub(crate) async fn pause(call: Call) -> Result<u8> {
    post(&call, "/containers/{}/pause", false).await
}

/// `berth unpause`.
pub(crate) async fn unpause(call: Call) -> Result<u8> {
    post(&call, "/containers/{}/unpause", false).await
}

/// `berth wait`.
pub(crate) async fn wait(call: Call) -> Result<u8> {
    let mut errors = Vec::new();
    for name in &call.args {
        let asked =
            call.client.post_stream(Query::path("/containers/{}/wait", &[name]), Payload::Nothing).await;
        match asked {
            Ok(answer) => match run::told(&call, name, answer).await {
                Some(told) => {
                    stream::print_line(&told["StatusCode"].as_i64().unwrap_or_default().to_string())?
                }
                None => {
                    errors.push(Error::new(format!("no daemon came back to tell the exit code of {name}")))
                }
            },
            Err(error) => errors.push(error),
        }
    }
    joined(&errors)
}

/// `berth rm`.
pub(crate) async fn rm(call: Call) -> Result<u8> {
    let force = call.flags.is("force");
    let one = |name: &str| {
        let query = Query::path("/containers/{}", &[name]);
        call.client.delete(query.with_switch("v", call.flags.is("volumes")).with_switch("force", force))
    };
    let mut errors = Vec::new();
    let asked = call.args.iter().map(|name| {
        let bare = name.trim_matches('/');
        async move { (name, if bare.is_empty() { None } else { Some(one(bare).await) }) }
    });
    for (name, outcome) in together(asked).await {
        match outcome {
            None => errors.push(Error::new("container name cannot be empty")),
            Some(Ok(_)) => stream::print_line(name)?,
            Some(Err(error)) if force && error.kind() == Kind::NotFound => remark(&error.to_string()),
            Some(Err(error)) => errors.push(error),
        }
    }
    joined(&errors)
}

async fn post(call: &Call, pattern: &str, parameters: bool) -> Result<u8> {
    let asked = call.args.iter().map(|name| async move {
        let mut query = Query::path(pattern, &[name]);
        if parameters {
            query = query
                .with_some("signal", call.flags.text("signal"))
                .with_some("t", call.flags.text("timeout"));
        }
        (name, call.client.post(query, Payload::Nothing).await)
    });
    let mut errors = Vec::new();
    for (name, outcome) in together(asked).await {
        match outcome {
            Ok(_) => stream::print_line(name)?,
            Err(error) => errors.push(error),
        }
    }
    joined(&errors)
}

/// Waits for many requests at once; the answers in the order of the questions.
async fn together<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.map(|future| Slot { future: Box::pin(future), value: None }).collect();
    std::future::poll_fn(|context| {
        let mut ready = true;
        for slot in &mut waiting {
            if slot.value.is_none() {
                match slot.future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => slot.value = Some(value),
                    std::task::Poll::Pending => ready = false,
                }
            }
        }
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|slot| slot.value).collect()
}

struct Slot<F: Future> {
    future: std::pin::Pin<Box<F>>,
    value: Option<F::Output>,
}
