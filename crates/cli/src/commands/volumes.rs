//! `volume create`, `volume ls`, `volume rm`.

use serde_json::{Map, Value, json};

use super::{joined, text, warn};
use crate::error::{Error, Result};
use crate::render::{Layout, List, Row, human_size};
use crate::stream;
use crate::tree::Call;
use crate::wire::{Payload, Query};

const LAYOUT: Layout = Layout {
    headings: &[
        ("Name", "VOLUME NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Labels", "LABELS"),
        ("Links", "LINKS"),
        ("Size", "SIZE"),
        ("Group", "GROUP"),
        ("Availability", "AVAILABILITY"),
        ("Status", "STATUS"),
    ],
    table: "{{.Driver}}\t{{.Name}}",
};

/// `berth volume create`.
pub(crate) async fn create(call: Call) -> Result<u8> {
    let flags = &call.flags;
    if flags.given("name").is_some() && !call.args.is_empty() {
        let text =
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg";
        return Err(Error::new(text));
    }
    let name = call.args.first().map_or(flags.text("name"), String::as_str);
    let driver = flags.given("driver").unwrap_or("local");
    let body = json!({
        "Name": name, "Driver": driver, "DriverOpts": pairs(flags.list("opt")), "Labels": pairs(flags.list("label")),
    });
    let answer = call.client.post("/volumes/create", Payload::Json(body)).await?;
    stream::print_line(text(&answer, "Name"))?;
    Ok(0)
}

fn pairs(list: &[String]) -> Map<String, Value> {
    list.iter()
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect()
}

/// `berth volume ls`.
pub(crate) async fn list(call: Call) -> Result<u8> {
    let flags = &call.flags;
    let answer = call.client.get(Query::from("/volumes").with_filters(flags.list("filter"))).await?;
    warn(&answer);
    let mut volumes: Vec<&Value> = answer["Volumes"].as_array().into_iter().flatten().collect();
    volumes.sort_by_key(|volume| text(volume, "Name"));
    let rows: Vec<Row> = volumes.into_iter().map(row).collect();
    let list =
        List { layout: &LAYOUT, format: flags.text("format"), quiet: flags.is("quiet").then_some("Name") };
    stream::print(&list.print(&rows)?)?;
    Ok(0)
}

fn row(volume: &Value) -> Row {
    let none = || "N/A".to_owned();
    let usage = &volume["UsageData"];
    Row::new([
        ("Name", text(volume, "Name").to_owned()),
        ("Driver", text(volume, "Driver").to_owned()),
        ("Scope", text(volume, "Scope").to_owned()),
        ("Mountpoint", text(volume, "Mountpoint").to_owned()),
        ("Links", usage["RefCount"].as_i64().map_or_else(none, |n| n.to_string())),
        ("Size", usage["Size"].as_u64().map_or_else(none, human_size)),
        ("Group", none()),
        ("Availability", none()),
        ("Status", none()),
    ])
    .labels(&volume["Labels"])
}

/// `berth volume rm`.
pub(crate) async fn remove(call: Call) -> Result<u8> {
    let mut errors = Vec::new();
    for name in &call.args {
        let query = Query::path("/volumes/{}", &[name]).with_switch("force", call.flags.is("force"));
        match call.client.delete(query).await {
            Ok(_) => stream::print_line(name)?,
            Err(error) => errors.push(error),
        }
    }
    joined(&errors)
}
