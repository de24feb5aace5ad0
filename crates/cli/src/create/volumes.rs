//! `-v` and `--tmpfs`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Splits `-v` values into binds (with a source) and anonymous volumes.
pub(super) fn split(list: &[String]) -> Result<(Vec<String>, Map<String, Value>), String> {
    let mut binds: Vec<String> = Vec::new();
    let mut anonymous = Map::new();
    for text in list {
        if text.is_empty() {
            return Err("invalid empty volume spec".to_owned());
        }
        let parts: Vec<&str> = text.split(':').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(format!("invalid spec: {text}: empty section between colons"));
        }
        if parts.len() > 3 {
            return Err(format!("invalid spec: {text}: too many colons"));
        }
        let Some((source, rest)) = text.split_once(':') else {
            anonymous.insert(text.clone(), json!({}));
            continue;
        };
        let bind = format!("{}:{rest}", super::absolute(source));
        if !binds.contains(&bind) {
            binds.push(bind);
        }
    }
    Ok((binds, anonymous))
}

/// `--tmpfs /run:size=1m` as path and options.
pub(super) fn tmpfs(list: &[String]) -> BTreeMap<&str, &str> {
    list.iter().map(|text| text.split_once(':').unwrap_or((text, ""))).collect()
}
