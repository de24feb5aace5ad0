//! Images.

use dockerapi::{Filters, Progress};
use engine::ImageListOptions;
use hyper::{Response, StatusCode};

use super::relay::relay;
use super::{Context, shape};
use crate::error::{Error, Result};
use crate::wire::answer::{Answer, Pieces, empty, json, json_line, pieces};
use crate::wire::body;

/// `GET /images/json`.
pub(super) async fn list(context: Context) -> Result<Response<Answer>> {
    let query = &context.query;
    let mut filters = Filters::parse(query.get("filters").unwrap_or_default())?;
    if let Some(name) = query.text("filter").filter(|_| !context.version.has(41)) {
        filters.add("reference", name);
    }
    let shared_size = query.flag("shared-size") && context.version.has(42);
    let options = ImageListOptions { all: query.flag("all"), shared_size, filters };
    let mut images = context.engine.image_list(options).await?;
    if query.flag("manifests") || context.version.has(48) {
        context.engine.image_manifests(&mut images);
    }
    for image in &mut images {
        if !query.flag("manifests") {
            image.manifests = None;
            image.referrers.clear();
        }
        if !context.version.has(51) {
            image.containers = -1;
        }
        if !context.version.has(48) {
            image.descriptor = None;
        }
        if !context.version.has(44) {
            image.virtual_size = Some(image.size);
        }
        if !context.version.has(43) && image.repo_tags.is_empty() && image.repo_digests.is_empty() {
            image.repo_tags.push("<none>:<none>".to_owned());
            image.repo_digests.push("<none>@<none>".to_owned());
        }
    }
    Ok(json(StatusCode::OK, &images))
}

/// `GET /images/{name}/json`.
pub(super) async fn inspect(context: Context) -> Result<Response<Answer>> {
    let (query, version) = (&context.query, context.version);
    let (platform, manifests) = (query.text("platform"), query.flag("manifests"));
    if platform.is_some() && manifests {
        return Err(Error::invalid("conflicting options: manifests and platform options cannot both be set"));
    }
    let mut image = context.engine.image_inspect_for(&context.name, platform).await?;
    if !manifests {
        image.manifests = None;
    }
    if !version.has(48) {
        image.descriptor = None;
    }
    if !context.version.has(44) {
        image.virtual_size = Some(image.size);
    }
    Ok(json(StatusCode::OK, &shape::image(&image, version)?))
}

/// `GET /images/{name}/history`.
pub(super) async fn history(context: Context) -> Result<Response<Answer>> {
    let platform = context.query.text("platform");
    Ok(json(StatusCode::OK, &context.engine.image_history(&context.name, platform).await?))
}

/// `POST /images/{name}/tag`.
pub(super) async fn tag(context: Context) -> Result<Response<Answer>> {
    let repository = context.query.text("repo").ok_or_else(|| Error::invalid("invalid reference format"))?;
    let target = with_tag(repository, context.query.text("tag"));
    context.engine.image_tag(&context.name, &target).await?;
    Ok(empty(StatusCode::CREATED))
}

pub(super) fn with_tag(repository: &str, tag: Option<&str>) -> String {
    match tag {
        None => repository.to_owned(),
        Some(digest) if digest.contains(':') => format!("{repository}@{digest}"),
        Some(tag) => format!("{repository}:{tag}"),
    }
}

/// `DELETE /images/{name}`. There are no untagged parents that `noprune` could keep.
pub(super) async fn remove(context: Context) -> Result<Response<Answer>> {
    let query = &context.query;
    let platforms = query.all("platforms");
    let removed = context.engine.image_remove(&context.name, &platforms, query.flag("force")).await?;
    Ok(json(StatusCode::OK, &removed))
}

/// `POST /images/load`: an archive in, progress out while it is read.
pub(super) async fn load(context: Context) -> Result<Response<Answer>> {
    let Context { engine, query, request, .. } = context;
    let (quiet, platforms) = (query.flag("quiet"), query.all("platform"));
    let upload = body::upload(request.into_body());
    let (output, response) = pieces("application/json");
    tokio::spawn(async move {
        let teller = Teller { output, quiet };
        let result = engine.image_load(upload, platforms, teller.sender()).await;
        teller.end(result.map(|_| ())).await;
    });
    Ok(response)
}

/// `POST /images/create`: a pull with `fromImage`, an import with `fromSrc`.
pub(super) async fn create(context: Context) -> Result<Response<Answer>> {
    if context.query.text("fromImage").is_some() {
        return super::transfers::pull(context).await;
    }
    let Context { engine, query, request, gone, .. } = context;
    let source = query.text("fromSrc").ok_or_else(|| Error::invalid("want fromImage or fromSrc"))?.to_owned();
    let import = engine::Import {
        reference: query.text("repo").map(|repository| with_tag(repository, query.text("tag"))),
        changes: query.all("changes"),
        message: query.text("message").map_or_else(|| format!("Imported from {source}"), str::to_owned),
        platform: query.get("platform").unwrap_or_default().to_owned(),
    };
    if source != "-" {
        body::drain(request.into_body()).await;
        return relay(gone, |teller| async move {
            engine.image_import_from(&source, import, move |progress| teller.tell(progress)).await
        })
        .await;
    }
    // Nothing is told on the way, so a failure can still have its status.
    let id = engine.image_import(body::upload(request.into_body()), import).await?;
    Ok(json(StatusCode::OK, &Progress::status(id)))
}

/// Tells a client how its upload goes.
struct Teller {
    output: Pieces,
    quiet: bool,
}

impl Teller {
    /// For the engine's worker thread. Clients that read nothing before they have sent everything must not stop it: how
    /// far it is they are told only when they listen.
    fn sender(&self) -> impl FnMut(Progress) + Send + 'static {
        let (output, quiet) = (self.output.clone(), self.quiet);
        move |progress| {
            if quiet && progress.detail.is_some() {
                return;
            }
            match json_line(&progress) {
                Ok(line) if progress.detail.is_some() => drop(output.try_send(line)),
                Ok(line) => drop(output.blocking_send(line)),
                Err(_) => {}
            }
        }
    }

    async fn tell(&self, progress: &Progress) {
        if let Ok(line) = json_line(progress) {
            let _ = self.output.send(line).await;
        }
    }

    /// The head is out: a failure can only be one more message.
    async fn end(self, result: std::result::Result<(), engine::Error>) {
        if let Err(error) = result {
            self.tell(&Progress::failure(error.to_string())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::with_tag;

    #[test]
    fn joins_repository_and_tag() {
        assert_eq!(with_tag("a/b", None), "a/b");
        assert_eq!(with_tag("a/b", Some("1")), "a/b:1");
        assert_eq!(with_tag("a/b", Some("sha256:00")), "a/b@sha256:00");
    }
}
