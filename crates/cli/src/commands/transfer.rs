//! `pull` and `push`, and how every transfer is shown.

use std::time::Instant;

use serde_json::{Value, json};
use types::Reference;

use super::events::Documents;
use crate::account;
use crate::error::{Error, Result};
use crate::render::{Board, Screen};
use crate::stream;
use crate::terminal;
use crate::tree::Call;
use crate::wire::{Payload, Query, Stream};

/// `berth pull`.
pub(crate) async fn pull(call: Call) -> Result<u8> {
    let quiet = call.flags.is("quiet");
    let all = call.flags.is("all-tags");
    let image = named(&call.args[0], all, quiet)?;
    let platform = platform(&call.platform);
    let query =
        pull_query(&call, &image, all, &platform)?.with_switch("referrers", call.flags.is("referrers"));
    let answer = call.client.post_stream(query, Payload::Nothing).await?;
    show(answer, if quiet { Place::Nowhere } else { Place::Stdout }).await?;
    stream::print_line(&if all { image.repository() } else { image.to_string() })?;
    Ok(0)
}

/// `berth push`.
pub(crate) async fn push(call: Call) -> Result<u8> {
    let quiet = call.flags.is("quiet");
    let all = call.flags.is("all-tags");
    let platform = chosen_platform(&call, 46).await?;
    let image = named(&call.args[0], all, quiet)?;
    if image.digest().is_some() {
        return Err(Error::new("cannot push a digest reference"));
    }
    let tag = if all { "" } else { image.tag().unwrap_or_default() };
    let query = Query::path("/images/{}/push", &[&image.familiar_name()])
        .with_some("tag", tag)
        .with_some("platform", &platform)
        .with_switch("referrers", call.flags.is("referrers"))
        .identified(account::header(&call.settings, &image)?);
    let answer = call.client.post_stream(query, Payload::Nothing).await?;
    show(answer, if quiet { Place::Nowhere } else { Place::Stdout }).await?;
    if quiet {
        stream::print_line(&if all { image.repository() } else { image.to_string() })?;
    }
    Ok(0)
}

/// Pulls what `run` and `create` miss; progress goes to stderr, where it is not in the way of the container's id.
pub(super) async fn pull_for(call: &Call, image: &str) -> Result<()> {
    let reference: Reference = image.parse().map_err(|e: types::ReferenceError| Error::new(e.to_string()))?;
    let platform = platform(&call.platform);
    let query = pull_query(call, &reference, false, &platform)?;
    let answer = call.client.post_stream(query, Payload::Nothing).await?;
    show(answer, if call.flags.is("quiet") { Place::Nowhere } else { Place::Stderr }).await
}

fn pull_query(call: &Call, image: &Reference, all: bool, platform: &str) -> Result<Query> {
    let digest = image.digest().map(|digest| digest.to_string());
    let tag = digest.as_deref().or(image.tag()).filter(|_| !all).unwrap_or_default();
    Ok(Query::from("/images/create")
        .with("fromImage", &image.familiar_name())
        .with_some("tag", tag)
        .with_some("platform", platform)
        .identified(account::header(&call.settings, image)?))
}

/// The image of a command line. Says which tag is meant when none was written.
fn named(text: &str, all: bool, quiet: bool) -> Result<Reference> {
    let image: Reference = text.parse().map_err(|e: types::ReferenceError| Error::new(e.to_string()))?;
    let is_bare = image.digest().is_none() && !text.rsplit('/').next().is_some_and(|last| last.contains(':'));
    match (all, is_bare) {
        (true, false) => Err(Error::new("tag can't be used with --all-tags/-a")),
        (false, true) if !quiet => {
            stream::print_line(&format!("Using default tag: {}", image.tag().unwrap_or_default()))?;
            Ok(image)
        }
        _ => Ok(image),
    }
}

/// A platform in its canonical form; empty when none was asked for. What is none is the daemon's to refuse.
pub(super) fn platform(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    parsed(text).map_or_else(|_| text.to_owned(), |platform| platform.to_string())
}

/// A platform as the newer calls take it.
pub(super) fn platform_document(text: &str) -> Result<String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let platform = parsed(text)?;
    let mut document = json!({ "architecture": platform.architecture, "os": platform.os });
    if !platform.variant.is_empty() {
        document["variant"] = platform.variant.into();
    }
    Ok(document.to_string())
}

/// Those of a flag that may name several at once, for a call that takes them since API 1.`minor`.
pub(super) async fn platforms(call: &Call, minor: u32) -> Result<Vec<String>> {
    let named = call.flags.list("platform").iter().flat_map(|text| text.split(','));
    let platforms = named
        .filter(|text| !text.is_empty())
        .map(|text| platform_document(text).map_err(|e| Error::new(format!("invalid platform: {e}"))))
        .collect::<Result<Vec<_>>>()?;
    if !platforms.is_empty() {
        call.client.require("--platform", minor).await?;
    }
    Ok(platforms)
}

/// The one of a flag that names one, likewise; empty when it was not given.
pub(super) async fn chosen_platform(call: &Call, minor: u32) -> Result<String> {
    let platform = platform_document(call.flags.text("platform"))?;
    if !platform.is_empty() {
        call.client.require("--platform", minor).await?;
    }
    Ok(platform)
}

fn parsed(text: &str) -> Result<oci::image::Platform> {
    let platform: oci::image::Platform =
        text.parse().map_err(|e: oci::image::platform::PlatformError| Error::new(e.to_string()))?;
    Ok(platform)
}

/// Where progress is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Stdout,
    Stderr,
    Nowhere,
}

/// Shows the progress of a transfer to its end; its error is the command's.
pub(super) async fn show(mut answer: Stream, place: Place) -> Result<()> {
    let screen = match place {
        Place::Stdout if terminal::is_terminal(rustix::stdio::stdout()) => Some(screen()),
        Place::Stderr if terminal::is_terminal(rustix::stdio::stderr()) => Some(screen()),
        _ => None,
    };
    let began = now();
    let mut board = Board::new(screen);
    let mut documents = Documents::default();
    while let Some(bytes) = answer.next().await? {
        for message in documents.push(&bytes)? {
            if let Some(failure) = failure(&message) {
                put(place, &board.end())?;
                return Err(Error::new(failure));
            }
            let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            put(place, &board.take(&message, elapsed_ms))?;
        }
    }
    put(place, &board.end())?;
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "rates need a clock")]
fn now() -> Instant {
    Instant::now()
}

fn screen() -> Screen {
    match terminal::size() {
        (0, _) | (_, 0) => Screen { rows: 24, columns: 80 },
        (rows, columns) => Screen { rows: rows.into(), columns: columns.into() },
    }
}

fn put(place: Place, text: &str) -> Result<()> {
    match place {
        _ if text.is_empty() => Ok(()),
        Place::Nowhere => Ok(()),
        Place::Stdout => Ok(stream::print(text)?),
        Place::Stderr => Ok(stream::write_all(rustix::stdio::stderr(), text.as_bytes())?),
    }
}

fn failure(message: &Value) -> Option<String> {
    let detail = message["errorDetail"]["message"].as_str().or_else(|| message["error"].as_str())?;
    Some(detail.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_have_their_form() {
        assert_eq!((platform("").as_str(), platform("linux/x86_64").as_str()), ("", "linux/amd64"));
        assert_eq!(
            platform_document("linux/arm/v6").unwrap(),
            r#"{"architecture":"arm","os":"linux","variant":"v6"}"#
        );
        assert_eq!(platform("a/b/c/d"), "a/b/c/d");
        assert!(platform_document("a/b/c/d").is_err());
    }

    #[test]
    fn failures_are_found_in_either_form() {
        assert_eq!(failure(&json!({ "errorDetail": { "message": "no" } })).as_deref(), Some("no"));
        assert_eq!(failure(&json!({ "error": "no" })).as_deref(), Some("no"));
        assert_eq!(failure(&json!({ "status": "x" })), None);
    }

    #[test]
    fn tags_and_all_of_them() {
        assert!(named("r.test:5000/x", true, true).is_ok());
        assert!(named("x:1", true, true).is_err() && named("x:1", false, true).is_ok());
    }
}
