//! Execs: further processes in running containers.

use dockerapi::{ExecCreate, ExecStart};
use engine::Engine;
use hyper::{Request, Response, StatusCode};
use types::Kind;

use super::Context;
use crate::error::{Error, Result};
use crate::wire::answer::{Answer, empty, json};
use crate::wire::body;
use crate::wire::hijack::{self, Stream};
use crate::wire::mux::Framing;

/// `POST /containers/{id}/exec`.
pub(super) async fn create(context: Context) -> Result<Response<Answer>> {
    let Context { engine, name, request, .. } = context;
    let (head, input) = request.into_parts();
    let create: ExecCreate = body::document(&head.headers, input).await?;
    Ok(json(StatusCode::CREATED, &engine.exec_create(&name, create).await?))
}

/// `POST /exec/{id}/start`. Once the stream is promised, an error can only be written into it.
pub(super) async fn start(context: Context) -> Result<Response<Answer>> {
    let Context { engine, version, name, request, .. } = context;
    let (head, input) = request.into_parts();
    let start: ExecStart = body::document_or_default(&head.headers, input).await?;
    let known = engine.exec_inspect(&name).await?;
    check_alive(&engine, &known.container_id).await?;
    let framing = Framing::of(known.process_config.tty);
    if start.detach {
        engine.exec_start(&name, start).await?;
        return Ok(empty(StatusCode::OK));
    }
    let (promised, response) = hijack::take(&mut Request::from_parts(head, ()), None, version, framing);
    tokio::spawn(async move {
        let Some(client) = promised.client().await else { return };
        match engine.exec_start(&name, start).await {
            Ok(Some(attached)) => {
                client.run(Stream { reader: attached.reader, writer: attached.writer, framing }).await;
            }
            Ok(None) => {}
            Err(error) => client.fail(framing, &error.to_string()).await,
        }
    });
    Ok(response)
}

/// The last moment for a status: a container that does not run, or is frozen, cannot run an exec.
async fn check_alive(engine: &Engine, container: &str) -> Result<()> {
    let state = engine.inspect(container, false).await?.state;
    let why = match (state.running, state.paused) {
        (true, false) => return Ok(()),
        (true, true) => "is paused, unpause the container before exec",
        (false, _) => "is not running",
    };
    Err(Error::new(Kind::Conflict, format!("container {container} {why}")))
}

/// `POST /exec/{id}/resize`.
pub(super) async fn resize(context: Context) -> Result<Response<Answer>> {
    let (height, width) = super::containers::size(&context)?;
    context.engine.exec_resize(&context.name, height, width).await?;
    Ok(empty(StatusCode::OK))
}

/// `GET /exec/{id}/json`.
pub(super) async fn inspect(context: Context) -> Result<Response<Answer>> {
    Ok(json(StatusCode::OK, &context.engine.exec_inspect(&context.name).await?))
}
