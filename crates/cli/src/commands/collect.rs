//! `system gc`, `image pin`, `image unpin`: the policy that keeps images within a budget.

use serde_json::Value;

use super::{joined, text};
use crate::error::{Error, Result};
use crate::render::{ellipsis, human_size, short_id};
use crate::stream;
use crate::tree::Call;
use crate::wire::{Payload, Query};

/// `berth system gc`.
pub(crate) async fn gc(call: Call) -> Result<u8> {
    let mut query = Query::from("/system/gc").with_switch("dry-run", call.flags.is("dry-run"));
    if let Some(budget) = call.flags.given("budget") {
        let bytes = types::parse_bytes(budget).map_err(|e| Error::new(e.to_string()))?;
        query = query.with("budget", &bytes.to_string());
    }
    let answer = call.client.post(query, Payload::Nothing).await?;
    stream::print(&in_words(&answer))?;
    Ok(0)
}

fn in_words(answer: &Value) -> String {
    let bytes = |name: &str| human_size(answer[name].as_u64().unwrap_or_default());
    let verb = if answer["DryRun"] == true { "Would remove" } else { "Removed" };
    let mut out = String::new();
    for image in answer["Images"].as_array().into_iter().flatten() {
        out += &format!("{verb} {}\n", one(image));
    }
    for image in answer["Kept"].as_array().into_iter().flatten() {
        out += &format!("Keeps {}: {}\n", one(image), text(image, "Kept"));
    }
    out + &format!("Images take {} of {}, before {}\n", bytes("After"), bytes("Budget"), bytes("Before"))
}

fn one(image: &Value) -> String {
    let names: Vec<&str> =
        image["Names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let names = if names.is_empty() { "<none>".to_owned() } else { ellipsis(&names.join(", "), 60) };
    let used = text(image, "LastUsed");
    format!("{} {names} (last used {})", short_id(text(image, "Id")), used.get(..19).unwrap_or(used))
}

/// `berth image pin`.
pub(crate) async fn pin(call: Call) -> Result<u8> {
    each(call, "/images/{}/pin").await
}

/// `berth image unpin`.
pub(crate) async fn unpin(call: Call) -> Result<u8> {
    each(call, "/images/{}/unpin").await
}

async fn each(call: Call, pattern: &str) -> Result<u8> {
    let mut errors = Vec::new();
    for name in &call.args {
        match call.client.post(Query::path(pattern, &[name]), Payload::Nothing).await {
            Ok(_) => stream::print_line(name)?,
            Err(error) => errors.push(error),
        }
    }
    joined(&errors)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_dry_run_in_words() {
        let answer = json!({
            "Budget": 1000, "Before": 3000, "After": 2000, "DryRun": true,
            "Images": [{"Id": "sha256:0123456789abcdef", "Names": ["a:1", "b:2"], "LastUsed": "2026-01-02T03:04:05Z"}],
            "Kept": [{"Id": "sha256:ff", "Names": [], "LastUsed": "2026-01-02T03:04:05Z", "Kept": "pinned"}],
        });
        assert_eq!(
            super::in_words(&answer),
            "Would remove 0123456789ab a:1, b:2 (last used 2026-01-02T03:04:05)\nKeeps ff <none> (last used 2026-01-02T03:04:05): pinned\n\
             Images take 2kB of 1kB, before 3kB\n"
        );
    }
}
