//! Volumes.

use dockerapi::{Filters, VolumeCreate};
use hyper::{Response, StatusCode};

use super::Context;
use crate::error::Result;
use crate::wire::answer::{Answer, empty, json};
use crate::wire::body;

/// `GET /volumes`.
pub(super) async fn list(context: Context) -> Result<Response<Answer>> {
    let filters = Filters::parse(context.query.get("filters").unwrap_or_default())?;
    Ok(json(StatusCode::OK, &context.engine.volume_list(filters).await?))
}

/// `GET /volumes/{name}`.
pub(super) async fn inspect(context: Context) -> Result<Response<Answer>> {
    Ok(json(StatusCode::OK, &context.engine.volume_inspect(&context.name).await?))
}

/// `POST /volumes/create`.
pub(super) async fn create(context: Context) -> Result<Response<Answer>> {
    let Context { engine, request, .. } = context;
    let (head, input) = request.into_parts();
    let create: VolumeCreate = body::document_or_default(&head.headers, input).await?;
    Ok(json(StatusCode::CREATED, &engine.volume_create(create).await?))
}

/// `DELETE /volumes/{name}`.
pub(super) async fn remove(context: Context) -> Result<Response<Answer>> {
    context.engine.volume_remove(&context.name, context.query.flag("force")).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
