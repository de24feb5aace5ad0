//! `POST /containers/{id}/attach`.

use engine::AttachOptions;
use hyper::{Request, Response};

use super::Context;
use crate::error::Result;
use crate::wire::answer::Answer;
use crate::wire::hijack::{self, Stream};
use crate::wire::mux::Framing;

/// Errors before the stream are plain answers; after it there are none.
pub(super) async fn attach(context: Context) -> Result<Response<Answer>> {
    let Context { engine, version, name, query, request, .. } = context;
    let options = AttachOptions {
        stream: query.flag("stream"),
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        logs: query.flag("logs"),
        detach_keys: query.get("detachKeys").unwrap_or_default().to_owned(),
    };
    let wants_input = options.stdin && options.stream;
    let attached = engine.attach(&name, options).await?;
    let framing = Framing::of(attached.tty);
    let (head, input) = request.into_parts();
    let (promised, response) =
        hijack::take(&mut Request::from_parts(head, ()), Some(input), version, framing);
    let writer = if wants_input { attached.writer } else { None };
    let stream = Stream { reader: attached.reader, writer, framing };
    tokio::spawn(async move {
        if let Some(client) = promised.client().await {
            client.run(stream).await;
        }
    });
    Ok(response)
}
