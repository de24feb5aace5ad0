//! A copy of each container's record beside its log: the database can be lost or damaged, and a container must not be lost with it.
//! The database is always right where it has a record; what was never in it has no copy.

use std::fs;
use std::path::Path;

use super::Record;

const NAME: &str = "record.json";

/// Keeps a copy. Its loss is no failure: it is only that.
pub(crate) fn keep(directory: &Path, json: &str) {
    let new = directory.join("record.json.new");
    let _ = fs::write(&new, json).and_then(|()| fs::rename(&new, directory.join(NAME)));
}

/// The record of the container that has this directory. `None` without a copy.
pub(crate) fn find(directory: &Path) -> Option<Result<Record, serde_json::Error>> {
    let json = fs::read(directory.join(NAME)).ok()?;
    Some(serde_json::from_slice(&json))
}
