//! `berth store check` without a daemon.

use std::path::Path;

use types::Kind;

use crate::error::{Error, Result};

/// Checks a data root that no daemon has open; answers the document that `POST /berth/store/check` would.
///
/// # Errors
/// When there is none, a daemon has it open, or the check cannot be done.
pub fn check_store(data_root: &str, repair: bool) -> Result<serde_json::Value> {
    let found = engine::check_store(Path::new(data_root), repair)?;
    serde_json::to_value(&found)
        .map_err(|e| Error::new(Kind::Internal, format!("cannot print the answer: {e}")))
}
