//! Which events a listener's filters let through.

use dockerapi::Filters;

use super::Event;
use crate::Result;

const KNOWN: [&str; 14] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

pub(super) fn check(filters: &Filters) -> Result<()> {
    Ok(filters.only(&KNOWN)?)
}

pub(super) fn wants(filters: &Filters, event: &Event) -> bool {
    let action = event.action.split(':').next().unwrap_or("");
    filters.exact("type", event.kind)
        && any(filters, "event", |wanted| wanted == action || wanted == event.action)
        && filters.exact("scope", "local")
        && filters.labels(&event.attributes)
        && ["container", "volume", "network"].iter().all(|kind| names(filters, kind, event))
        && image(filters, event)
        && ["config", "daemon", "node", "plugin", "secret", "service"].iter().all(|kind| !filters.has(kind))
}

/// A filter by object: the event must be of that kind and the value its id, the start of it, or its name.
fn names(filters: &Filters, kind: &str, event: &Event) -> bool {
    let name = event.attributes.get("name");
    any(filters, kind, |wanted| {
        let by_id =
            event.kind == kind && (event.id == wanted || kind != "volume" && event.id.starts_with(wanted));
        let by_name = event.kind == kind && name.is_some_and(|n| n == wanted.trim_start_matches('/'));
        by_id || by_name || event.attributes.get(kind).is_some_and(|id| id == wanted)
    })
}

/// Whether the key is absent, or one of its values is accepted.
fn any(filters: &Filters, key: &str, accepts: impl Fn(&str) -> bool) -> bool {
    !filters.has(key) || filters.get(key).iter().any(|value| accepts(value))
}

/// Images are meant with and without their tag, in their own events and in those of their containers.
fn image(filters: &Filters, event: &Event) -> bool {
    let key = if event.kind == "image" { "name" } else { "image" };
    let image = event.attributes.get(key).map_or("", String::as_str);
    let bare = |name: &str| match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository.to_owned(),
        _ => name.to_owned(),
    };
    any(filters, "image", |wanted| {
        wanted == image || wanted == bare(image) || event.kind == "image" && event.id == wanted
    })
}
