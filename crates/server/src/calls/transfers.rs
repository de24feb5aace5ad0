//! Images on their way from and to registries.

use dockerapi::AuthConfig;
use engine::{Pull, Push};
use hyper::Response;

use super::Context;
use super::registries::{IDENTITY, identity, without_question};
use super::relay::relay;
use crate::error::{Error, Result};
use crate::wire::answer::Answer;
use crate::wire::body;

/// `POST /images/create` with `fromImage`. A client that goes away ends its pull; what came of it waits for the next.
pub(super) async fn pull(context: Context) -> Result<Response<Answer>> {
    let Context { engine, query, request, version, gone, .. } = context;
    let image = query.text("fromImage").unwrap_or_default();
    let tag = query.text("tag");
    let pull = Pull {
        reference: super::images::with_tag(image, tag),
        all_tags: tag.is_none() && is_bare(image),
        platform: platform(query.text("platform").filter(|_| version.has(32)))?,
        referrers: query.flag("referrers"),
        credentials: identity(request.headers()),
    };
    body::drain(request.into_body()).await;
    relay(gone, |teller| async move { engine.image_pull(pull, move |progress| teller.tell(progress)).await })
        .await
        .map_err(without_question)
}

/// `POST /images/{name}/push`. Who the client is comes in the header, of old clients in the body; a header that cannot be read is nobody.
pub(super) async fn push(context: Context) -> Result<Response<Answer>> {
    let Context { engine, name, query, request, gone, .. } = context;
    let (head, rest) = request.into_parts();
    let bytes = body::whole(rest).await?;
    let credentials = if head.headers.contains_key(IDENTITY) {
        identity(&head.headers)
    } else {
        let auth: AuthConfig = serde_json::from_slice(&bytes).map_err(|error| {
            // The parser's own words would quote what may be a password.
            let reason = if bytes.is_empty() {
                "EOF".to_owned()
            } else {
                format!("no JSON of an account (column {})", error.column())
            };
            Error::invalid(format!("bad parameters and missing X-Registry-Auth: {reason}"))
        })?;
        engine::credentials(&auth)
    };
    let tag = query.text("tag").map(str::to_owned);
    let push = Push {
        all_tags: tag.is_none() && is_bare(&name),
        name,
        tag,
        platform: platform_document(query.text("platform"))?,
        referrers: query.flag("referrers"),
        credentials,
    };
    relay(gone, |teller| async move { engine.image_push(push, move |progress| teller.tell(progress)).await })
        .await
        .map_err(without_question)
}

/// Whether a name has neither tag nor digest.
fn is_bare(name: &str) -> bool {
    !name.contains('@') && !name.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

fn invalid(error: impl std::fmt::Display) -> Error {
    Error::invalid(error.to_string())
}

/// A platform as `os/architecture/variant`.
pub(super) fn platform(text: Option<&str>) -> Result<Option<oci::image::Platform>> {
    text.map(|text| text.parse().map_err(|e: oci::image::platform::PlatformError| invalid(e))).transpose()
}

/// A platform as a JSON document, as the newer calls have it.
pub(super) fn platform_document(text: Option<&str>) -> Result<Option<oci::image::Platform>> {
    let Some(text) = text else { return Ok(None) };
    if !text.starts_with('{') {
        return platform(Some(text));
    }
    serde_json::from_str::<oci::image::Platform>(text)
        .map(|platform| Some(platform.normalized()))
        .map_err(|error| Error::invalid(format!("invalid platform: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_names_mean_all_tags() {
        assert!(is_bare("r.test:5000/box") && is_bare("box"));
        assert!(!is_bare("box:1") && !is_bare("box@sha256:00") && !is_bare("r.test:5000/box:1"));
    }

    #[test]
    fn platforms_in_both_forms() {
        let printed = |text| platform_document(Some(text)).unwrap().unwrap().to_string();
        assert_eq!(printed("linux/x86_64"), "linux/amd64");
        assert_eq!(printed(r#"{"os":"linux","architecture":"arm","variant":"v6"}"#), "linux/arm/v6");
        assert!(platform_document(Some("{")).is_err() && platform(Some("a/b/c/d")).is_err());
    }
}
