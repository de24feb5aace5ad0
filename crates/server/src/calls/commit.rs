//! What a container wrote: its changes, and images made of them.

use dockerapi::Committed;
use hyper::{Response, StatusCode};

use super::Context;
use super::images::with_tag;
use crate::error::Result;
use crate::wire::answer::{Answer, json};
use crate::wire::body;

/// `GET /containers/{id}/changes`: `null` when there are none.
pub(super) async fn changes(context: Context) -> Result<Response<Answer>> {
    let changes = context.engine.changes(&context.name).await?;
    Ok(json(StatusCode::OK, &(!changes.is_empty()).then_some(changes)))
}

/// `POST /commit`. The body is a configuration, or nothing.
pub(super) async fn commit(context: Context) -> Result<Response<Answer>> {
    let Context { engine, query, request, .. } = context;
    let (head, input) = request.into_parts();
    let commit = engine::Commit {
        container: query.get("container").unwrap_or_default().to_owned(),
        reference: query.text("repo").map(|repository| with_tag(repository, query.text("tag"))),
        pause: query.text("pause").is_none() || query.flag("pause"),
        author: query.get("author").unwrap_or_default().to_owned(),
        message: query.get("comment").unwrap_or_default().to_owned(),
        changes: query.all("changes").into_iter().flat_map(lines).collect(),
        config: body::document_or_default(&head.headers, input).await?,
    };
    let id = engine.commit(commit).await?;
    Ok(json(StatusCode::CREATED, &Committed { id }))
}

/// One parameter may hold several instructions, a line each.
fn lines(changes: String) -> Vec<String> {
    changes.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
