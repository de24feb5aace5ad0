//! Containers: the calls that answer with one document, or with none.

use dockerapi::{ContainerCreate, Filters, UpdateBody};
use engine::{ListOptions, RemoveOptions, WaitCondition};
use hyper::{Response, StatusCode};
use types::Kind;

use super::{Context, shape};
use crate::error::{Error, Result};
use crate::wire::answer::{Answer, empty, json, json_line, pieces};
use crate::wire::body;
use crate::wire::version::Version;

/// `GET /containers/json`.
pub(super) async fn list(context: Context) -> Result<Response<Answer>> {
    let query = &context.query;
    let options = ListOptions {
        all: query.flag("all"),
        limit: query
            .number("limit")?
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0),
        size: query.flag("size"),
        filters: Filters::parse(query.get("filters").unwrap_or_default())?,
    };
    let mut containers = context.engine.list(options).await?;
    if !context.version.has(48) {
        containers.iter_mut().for_each(|container| container.image_manifest_descriptor = None);
    }
    Ok(json(StatusCode::OK, &containers))
}

/// `POST /containers/create`.
pub(super) async fn create(context: Context) -> Result<Response<Answer>> {
    let Context { engine, version, query, request, .. } = context;
    let (head, input) = request.into_parts();
    let mut create: ContainerCreate = body::document(&head.headers, input).await?;
    shape_create(version, &mut create)?;
    let image = create.config.image.clone();
    let platform = query.text("platform");
    match engine.create_on(query.text("name"), platform, create).await {
        Ok(created) => Ok(json(StatusCode::CREATED, &created)),
        // To a client, 404 says that the image is missing: it would go and pull it.
        Err(error)
            if error.kind() == Kind::NotFound && engine.image_inspect_for(&image, platform).await.is_ok() =>
        {
            Err(Error::invalid(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// What older versions meant by the same document.
fn shape_create(version: Version, create: &mut ContainerCreate) -> Result<()> {
    let endpoints = create.networking_config.as_ref().map_or(0, |config| config.endpoints_config.len());
    if !version.has(44) && endpoints > 1 {
        return Err(Error::invalid("Container cannot be created with multiple network endpoints"));
    }
    if version.has(42) {
        create.host_config.resources.kernel_memory = 0;
    }
    if !version.has(40) && create.host_config.ipc_mode.is_empty() {
        "shareable".clone_into(&mut create.host_config.ipc_mode);
    }
    Ok(())
}

/// `GET /containers/{id}/json`.
pub(super) async fn inspect(context: Context) -> Result<Response<Answer>> {
    let mut inspect = context.engine.inspect(&context.name, context.query.flag("size")).await?;
    if !context.version.has(44) {
        inspect.config.mac_address.clone_from(&inspect.network_settings.mac_address);
    }
    Ok(json(StatusCode::OK, &shape::container(&inspect, context.version)?))
}

/// `POST /containers/{id}/start`. A body could once change the container; it is refused since API 1.24.
pub(super) async fn start(context: Context) -> Result<Response<Answer>> {
    let Context { engine, name, query, request, .. } = context;
    let refusal =
        "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24";
    body::forbid(request.into_body(), refusal).await?;
    if query.text("checkpoint").is_some() {
        return Err(super::absent::not_there("checkpoints"));
    }
    engine.start(&name).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/stop`.
pub(super) async fn stop(context: Context) -> Result<Response<Answer>> {
    let (timeout, signal) = grace(&context)?;
    context.engine.stop(&context.name, timeout, signal).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/restart`.
pub(super) async fn restart(context: Context) -> Result<Response<Answer>> {
    let (timeout, signal) = grace(&context)?;
    context.engine.restart(&context.name, timeout, signal).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Seconds until the kill, and the signal before it (since API 1.42).
fn grace(context: &Context) -> Result<(Option<i64>, Option<String>)> {
    let signal = context.query.text("signal").filter(|_| context.version.has(42));
    Ok((context.query.number("t")?, signal.map(str::to_owned)))
}

/// `POST /containers/{id}/kill`.
pub(super) async fn kill(context: Context) -> Result<Response<Answer>> {
    context.engine.kill(&context.name, context.query.text("signal").unwrap_or("SIGKILL")).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/pause`.
pub(super) async fn pause(context: Context) -> Result<Response<Answer>> {
    context.engine.pause(&context.name).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/unpause`.
pub(super) async fn unpause(context: Context) -> Result<Response<Answer>> {
    context.engine.unpause(&context.name).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/wait`: the head says that the wait has begun, the body comes with its end.
pub(super) async fn wait(context: Context) -> Result<Response<Answer>> {
    let condition = match context.query.text("condition").filter(|_| context.version.has(30)) {
        None | Some("not-running") => WaitCondition::NotRunning,
        Some("next-exit") => WaitCondition::NextExit,
        Some("removed") => WaitCondition::Removed,
        Some(other) => return Err(Error::invalid(format!("invalid condition: {other:?}"))),
    };
    let waiting = context.engine.wait(&context.name, condition).await?;
    let (output, response) = pieces("application/json");
    tokio::spawn(async move {
        let result = tokio::select! {
            result = waiting => result,
            () = output.closed() => return,
        };
        let line = match result {
            Ok(result) => json_line(&result),
            Err(error) => json_line(&dockerapi::WaitResult {
                status_code: 0,
                error: Some(dockerapi::WaitError { message: error.to_string() }),
            }),
        };
        if let Ok(line) = line {
            let _ = output.send(line).await;
        }
    });
    Ok(response)
}

/// `POST /containers/{id}/rename`.
pub(super) async fn rename(context: Context) -> Result<Response<Answer>> {
    context.engine.rename(&context.name, context.query.get("name").unwrap_or_default()).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/update`.
pub(super) async fn update(context: Context) -> Result<Response<Answer>> {
    let Context { engine, name, request, .. } = context;
    let (head, input) = request.into_parts();
    let update: UpdateBody = body::document(&head.headers, input).await?;
    Ok(json(StatusCode::OK, &engine.update(&name, update).await?))
}

/// `POST /containers/{id}/resize`.
pub(super) async fn resize(context: Context) -> Result<Response<Answer>> {
    let (height, width) = size(&context)?;
    context.engine.resize(&context.name, height, width).await?;
    Ok(empty(StatusCode::OK))
}

/// The parameters `h` and `w`.
pub(super) fn size(context: &Context) -> Result<(u16, u16)> {
    let cells = |key: &str| {
        let number = context.query.number(key)?.unwrap_or_default();
        u16::try_from(number)
            .map_err(|_| Error::invalid(format!("invalid value {number} for {key}: want 0 to 65535")))
    };
    Ok((cells("h")?, cells("w")?))
}

/// `GET /containers/{id}/top`.
pub(super) async fn top(context: Context) -> Result<Response<Answer>> {
    let arguments = context.query.text("ps_args").unwrap_or("-ef");
    Ok(json(StatusCode::OK, &context.engine.top(&context.name, arguments).await?))
}

/// `DELETE /containers/{id}`.
pub(super) async fn remove(context: Context) -> Result<Response<Answer>> {
    if context.query.flag("link") {
        return Err(super::absent::not_there("container links"));
    }
    let options = RemoveOptions { volumes: context.query.flag("v"), force: context.query.flag("force") };
    context.engine.remove(&context.name, options).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
