//! Prunes, and the policy for images.

use dockerapi::Filters;
use hyper::{Response, StatusCode};

use super::Context;
use crate::error::{Error, Result};
use crate::wire::answer::{Answer, empty, json};

fn filters(context: &Context) -> Result<Filters> {
    Ok(Filters::parse(context.query.get("filters").unwrap_or_default())?)
}

/// `POST /containers/prune`.
pub(super) async fn containers(context: Context) -> Result<Response<Answer>> {
    let filters = filters(&context)?;
    Ok(json(StatusCode::OK, &context.engine.container_prune(filters).await?))
}

/// `POST /images/prune`.
pub(super) async fn images(context: Context) -> Result<Response<Answer>> {
    let filters = filters(&context)?;
    Ok(json(StatusCode::OK, &context.engine.image_prune(filters).await?))
}

/// `POST /volumes/prune`: before API 1.42, all of them.
pub(super) async fn volumes(context: Context) -> Result<Response<Answer>> {
    let mut filters = filters(&context)?;
    if !context.version.has(42) {
        filters.add("all", "true");
    }
    Ok(json(StatusCode::OK, &context.engine.volume_prune(filters).await?))
}

/// `POST /networks/prune`.
pub(super) async fn networks(context: Context) -> Result<Response<Answer>> {
    let filters = filters(&context)?;
    Ok(json(StatusCode::OK, &context.engine.network_prune(filters).await?))
}

/// `POST /build/prune`.
pub(super) async fn build_cache(context: Context) -> Result<Response<Answer>> {
    Ok(json(StatusCode::OK, &context.engine.build_cache_prune().await?))
}

/// `POST /images/{name}/pin` and `/unpin`.
pub(super) async fn pin(context: Context, pinned: bool) -> Result<Response<Answer>> {
    context.engine.image_pin(&context.name, pinned).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `POST /system/gc`: `budget` in bytes, `dry-run`.
pub(super) async fn collect(context: Context) -> Result<Response<Answer>> {
    let budget = match context.query.number("budget")? {
        None => None,
        Some(bytes) => Some(u64::try_from(bytes).map_err(|_| Error::invalid("a budget cannot be negative"))?),
    };
    let collected = context.engine.collect(budget, context.query.flag("dry-run")).await?;
    Ok(json(StatusCode::OK, &collected))
}
