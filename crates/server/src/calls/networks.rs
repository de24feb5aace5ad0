//! Networks.

use dockerapi::Filters;
use hyper::{Response, StatusCode};

use super::Context;
use crate::error::Result;
use crate::wire::answer::{Answer, json};

/// `GET /networks`.
pub(super) async fn list(context: Context) -> Result<Response<Answer>> {
    let filters = Filters::parse(context.query.get("filters").unwrap_or_default())?;
    Ok(json(StatusCode::OK, &context.engine.network_list(filters).await?))
}

/// `GET /networks/{id}`.
pub(super) async fn inspect(context: Context) -> Result<Response<Answer>> {
    Ok(json(StatusCode::OK, &context.engine.network_inspect(&context.name).await?))
}
