//! Events as they go over the wire.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::nil;

/// One event. `status`, `id` and `from` repeat, for API versions below 1.52, what `action` and `actor` say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// `container`, `image`, `volume`, `network`, `daemon`.
    #[serde(rename = "Type")]
    pub kind: String,
    #[serde(rename = "Action")]
    pub action: String,
    #[serde(rename = "Actor")]
    pub actor: Actor,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// Unix seconds.
    pub time: i64,
    /// Unix nanoseconds.
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Actor {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(rename = "Attributes", deserialize_with = "nil::or_default")]
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    /// An event at `time_nano` (unix nanoseconds), with the legacy fields filled in as dockerd does: `status` for
    /// containers and images, `from` for containers.
    #[must_use]
    pub fn new(
        kind: &str,
        action: &str,
        id: &str,
        attributes: BTreeMap<String, String>,
        time_nano: i64,
    ) -> Self {
        let legacy = matches!(kind, "container" | "image");
        let from = if kind == "container" { attributes.get("image").cloned() } else { None };
        let or_empty = |text: &str| if legacy { text.to_owned() } else { String::new() };
        Self {
            status: or_empty(action),
            id: or_empty(id),
            from: from.unwrap_or_default(),
            kind: kind.to_owned(),
            action: action.to_owned(),
            actor: Actor { id: id.to_owned(), attributes },
            scope: "local".to_owned(),
            time: time_nano.div_euclid(1_000_000_000),
            time_nano,
        }
    }
}
