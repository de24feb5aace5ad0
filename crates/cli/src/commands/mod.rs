//! What each command does: requests, and what is printed of their answers.

pub(crate) mod archives;
pub(crate) mod attach;
pub(crate) mod change;
pub(crate) mod collect;
pub(crate) mod commit;
pub(crate) mod disk;
pub(crate) mod each;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod image_list;
pub(crate) mod image_names;
mod image_tree;
pub(crate) mod inspect;
pub(crate) mod login;
pub(crate) mod logs;
pub(crate) mod manifest;
pub(crate) mod networks;
mod proxy;
pub(crate) mod prune;
pub(crate) mod ps;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod store;
pub(crate) mod system;
pub(crate) mod top;
pub(crate) mod transfer;
pub(crate) mod volumes;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::stream::remark;

/// A text field of a document, or nothing.
fn text<'a>(document: &'a Value, name: &str) -> &'a str {
    document[name].as_str().unwrap_or_default()
}

/// Several failures as one: each on a line of its own.
fn joined(errors: &[Error]) -> Result<u8> {
    if errors.is_empty() {
        return Ok(0);
    }
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Err(Error::new(lines.join("\n")))
}

/// Prints the warnings of an answer.
fn warn(answer: &Value) {
    for warning in answer["Warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        remark(&format!("WARNING: {warning}"));
    }
}

/// An exit code of a container as the command's own.
fn exit_code(status: i64) -> u8 {
    u8::try_from(status.rem_euclid(256)).unwrap_or(u8::MAX)
}

/// The detach keys to use, and what to tell the daemon.
fn detach_keys(given: &str) -> Result<Vec<u8>> {
    if given.is_empty() {
        return Ok(crate::terminal::default_keys());
    }
    crate::terminal::keys(given).map_err(Error::new)
}
