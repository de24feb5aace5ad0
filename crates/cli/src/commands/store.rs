//! `store check`: asks the daemon that has the data root open, or leaves it to the program when there is none.

use std::path::Path;

use serde_json::Value;

use super::text;
use crate::error::Result;
use crate::stream;
use crate::tree::Call;
use crate::wire::{Payload, Query};

/// Nothing was wrong; it was and is repaired; it is wrong still.
const CODES: [u8; 3] = [0, 1, 2];

/// Asks the daemon; about whatever it has open when no data root is named. Nothing: no daemon has this data root open.
pub(crate) async fn ask(call: Call, data_root: Option<&str>) -> Result<Option<u8>> {
    if !call.client.is_there().await {
        return Ok(None);
    }
    if let Some(data_root) = data_root {
        let info = call.client.get("/info").await?;
        let same = |path: &str| std::path::absolute(Path::new(path)).ok();
        if same(text(&info, "DockerRootDir")) != same(data_root) {
            return Ok(None);
        }
    }
    let repair = if call.flags.is("repair") { "1" } else { "0" };
    let query = Query::from("/berth/store/check").with("repair", repair);
    show(&call.client.post(query, Payload::Nothing).await?).map(Some)
}

/// Prints what a check found; answers the exit code.
pub(crate) fn show(found: &Value) -> Result<u8> {
    for line in ["Opened", "Findings"].iter().flat_map(|list| found[list].as_array()).flatten() {
        stream::print_line(line.as_str().unwrap_or_default())?;
    }
    stream::print_line(text(found, "Summary"))?;
    let damaged = found["Damaged"].as_bool().unwrap_or(true);
    let repaired = found["Repaired"].as_u64().unwrap_or(0) > 0;
    Ok(CODES[if damaged { 2 } else { usize::from(repaired) }])
}
