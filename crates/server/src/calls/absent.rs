//! Calls that Docker has and Berth has not: each is refused by name, never accepted and ignored.

use hyper::{Response, StatusCode};
use types::Kind;

use super::Context;
use crate::error::Error;
use crate::wire::answer::{Answer, json};
use crate::wire::body;

/// The refusal of a call.
pub(super) fn not_there(what: &str) -> Error {
    Error::new(Kind::Unimplemented, format!("Berth does not have {what} yet"))
}

/// What a node outside a swarm says; tools search for the sentence's beginning.
pub(super) fn swarm() -> Error {
    Error::new(
        Kind::Unavailable,
        "This node is not a swarm manager. Berth has no swarm mode; a Berth node joins Kubernetes instead",
    )
}

/// Any one plugin: `docker inspect NAME` asks for it last, and wants to hear that it is not there.
pub(super) fn no_plugin() -> Error {
    Error::new(Kind::NotFound, "plugin not found")
}

/// Refuses a call after its body has come.
pub(super) async fn refuse(context: Context, error: Error) -> Error {
    body::drain(context.request.into_body()).await;
    error
}

/// The list of plugins: there are none.
pub(super) fn no_plugins() -> Response<Answer> {
    json(StatusCode::OK, &[(); 0])
}
