//! `--device`.

use serde_json::{Value, json};

/// Reads every `--device` as `PathOnHost`, `PathInContainer` and permissions.
pub(super) fn devices(list: &[String]) -> Result<Vec<Value>, String> {
    list.iter().map(|text| device(text)).collect()
}

fn device(text: &str) -> Result<Value, String> {
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 3 || parts[0].is_empty() {
        return Err(format!("bad format for path: {text}"));
    }
    let (inside, mode) = match parts[..] {
        [_, second] if is_mode(second) => (parts[0], second),
        [_, second] => (second, "rwm"),
        [_, second, third] if is_mode(third) => (second, third),
        [_, _, third] => return Err(format!("bad mode specified: {third}")),
        _ => (parts[0], "rwm"),
    };
    if !inside.starts_with('/') {
        return Err(format!("{inside} is not an absolute path"));
    }
    Ok(json!({ "PathOnHost": parts[0], "PathInContainer": inside, "CgroupPermissions": mode }))
}

/// Each of r, w and m at most once.
fn is_mode(text: &str) -> bool {
    let once = |c: char| text.matches(c).count() == 1;
    !text.is_empty() && text.chars().all(|c| "rwm".contains(c) && once(c))
}
