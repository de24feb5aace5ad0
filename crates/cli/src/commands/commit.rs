//! `diff` and `commit`: what a container changed.

use super::text;
use crate::error::{Error, Result};
use crate::stream;
use crate::tree::Call;
use crate::wire::{Payload, Query};

/// `berth diff`.
pub(crate) async fn diff(call: Call) -> Result<u8> {
    let name = call.args[0].as_str();
    if name.is_empty() {
        return Err(Error::new("Container name cannot be empty"));
    }
    let answer = call.client.get(Query::path("/containers/{}/changes", &[name])).await?;
    let mut lines = String::new();
    for change in answer.as_array().into_iter().flatten() {
        let letter = match change["Kind"].as_u64() {
            Some(0) => 'C',
            Some(1) => 'A',
            Some(2) => 'D',
            _ => continue,
        };
        lines += &format!("{letter} {}\n", text(change, "Path"));
    }
    stream::print(&lines)?;
    Ok(0)
}

/// `berth commit`.
pub(crate) async fn commit(call: Call) -> Result<u8> {
    let flags = &call.flags;
    let mut query = Query::from("/commit")
        .with("container", &call.args[0])
        .with_some("author", flags.text("author"))
        .with_some("comment", flags.text("message"));
    if !flags.is_or("pause", true) {
        query = query.with("pause", "0");
    }
    if let Some(name) = call.args.get(1).filter(|name| !name.is_empty()) {
        let reference: types::Reference = name.parse().map_err(|e| Error::new(format!("{e}")))?;
        if reference.digest().is_some() {
            return Err(Error::new("refusing to create a tag with a digest reference"));
        }
        query = query.with("repo", name);
    }
    for change in flags.list("change") {
        query = query.with("changes", change);
    }
    let answer = call.client.post(query, Payload::Nothing).await?;
    stream::print_line(text(&answer, "Id"))?;
    Ok(0)
}
