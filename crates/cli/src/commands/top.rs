//! `top`.

use serde_json::Value;

use crate::error::Result;
use crate::render::columns;
use crate::stream;
use crate::tree::Call;
use crate::wire::Query;

/// `berth top`.
pub(crate) async fn top(call: Call) -> Result<u8> {
    let query =
        Query::path("/containers/{}/top", &[&call.args[0]]).with_some("ps_args", &call.args[1..].join(" "));
    let answer = call.client.get(query).await?;
    let line = |row: &Value| {
        let cells = row.as_array().into_iter().flatten().filter_map(Value::as_str);
        cells.collect::<Vec<_>>().join("\t") + "\n"
    };
    let mut table = line(&answer["Titles"]);
    table.extend(answer["Processes"].as_array().into_iter().flatten().map(line));
    stream::print(&columns(&table, 20))?;
    Ok(0)
}
