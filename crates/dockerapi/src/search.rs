//! Results of a search in a registry.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use serde::{Deserialize, Serialize};

use crate::nil;

/// One item of `GET /images/search`, in the form in which registries give it, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    pub star_count: i64,
    pub is_official: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub name: String,
    pub is_automated: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub description: String,
}
