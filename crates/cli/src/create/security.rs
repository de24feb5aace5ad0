//! `--security-opt` and the namespace modes.
#![allow(clippy::disallowed_methods, reason = "reads the seccomp profile that the user named")]

use super::environment::go_reason;
use crate::flags::Matches;

/// What the security options come to.
pub(super) struct Security {
    /// What is sent.
    pub(super) options: Vec<String>,
    /// `systempaths=unconfined`: no path masked or read-only.
    pub(super) paths_shown: bool,
}

/// Reads the options; a seccomp profile that is a file is sent as its content.
pub(super) fn options(list: &[String]) -> Result<Security, String> {
    let mut security = Security { options: Vec::new(), paths_shown: false };
    for text in list {
        let bare = text.starts_with("no-new-privileges");
        let (key, value) = match text.split_once('=') {
            Some(pair) => pair,
            None if bare => (text.as_str(), ""),
            None => text.split_once(':').unwrap_or((text, "")),
        };
        if value.is_empty() && !bare {
            return Err(format!("Invalid --security-opt: {text:?}"));
        }
        if text == "systempaths=unconfined" {
            security.paths_shown = true;
        } else if key == "seccomp" && !matches!(value, "builtin" | "unconfined") {
            security.options.push(format!("seccomp={}", profile(value)?));
        } else {
            security.options.push(text.clone());
        }
    }
    Ok(security)
}

fn profile(path: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| format!("opening seccomp profile ({path}) failed: open {path}: {}", go_reason(&e)))?;
    let bad = |e: serde_json::Error| format!("compacting json for seccomp profile ({path}) failed: {e}");
    let raw: &serde_json::value::RawValue = serde_json::from_str(&text).map_err(bad)?;
    Ok(compact(raw.get()))
}

/// JSON without the white space between its tokens.
fn compact(text: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    text.chars()
        .filter(|c| {
            let keep = quoted || !c.is_ascii_whitespace();
            match c {
                '"' if !escaped => quoted = !quoted,
                _ => {}
            }
            escaped = quoted && *c == '\\' && !escaped;
            keep
        })
        .collect()
}

/// Capability names as the API has them: upper case with their prefix, sorted, each once.
pub(super) fn capabilities(list: &[String]) -> Vec<String> {
    let full = |name: &String| {
        let name = name.trim().to_uppercase();
        if name == "ALL" || name.starts_with("CAP_") { name } else { format!("CAP_{name}") }
    };
    list.iter().map(full).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// The namespace modes that Docker's client looks at before it asks.
pub(super) fn mode<'a>(flags: &'a Matches, name: &str) -> Result<&'a str, String> {
    let text = flags.text(name);
    let (fits, kind) = match name {
        "pid" => (matches!(text, "" | "host") || has_target(text), "PID"),
        "uts" => (matches!(text, "" | "host"), "UTS"),
        "userns" => (matches!(text, "" | "host"), "USER"),
        _ => (matches!(text, "" | "host" | "private"), "CGROUP"),
    };
    if fits || name == "userns" { Ok(text) } else { Err(format!("--{name}: invalid {kind} mode")) }
}

fn has_target(text: &str) -> bool {
    text.strip_prefix("container:").is_some_and(|target| !target.is_empty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn drops_white_space_outside_of_texts_only() {
        assert_eq!(
            super::compact("{ \"a b\" : [ 1,\n 2 ], \"q\\\" x\": true }"),
            "{\"a b\":[1,2],\"q\\\" x\":true}"
        );
    }
}
