//! `network ls`.

use serde_json::Value;

use super::text;
use crate::error::Result;
use crate::render::{Layout, List, Row, go_time, short_id};
use crate::stream;
use crate::tree::Call;
use crate::wire::Query;

const LAYOUT: Layout = Layout {
    headings: &[
        ("ID", "NETWORK ID"),
        ("Name", "NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("CreatedAt", "CREATED AT"),
    ],
    table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
};

/// `berth network ls`.
pub(crate) async fn list(call: Call) -> Result<u8> {
    let flags = &call.flags;
    let answer = call.client.get(Query::from("/networks").with_filters(flags.list("filter"))).await?;
    let cut = !flags.is("no-trunc");
    let mut networks: Vec<&Value> = answer.as_array().into_iter().flatten().collect();
    networks.sort_by_key(|network| text(network, "Name"));
    let rows: Vec<Row> = networks.into_iter().map(|network| row(network, cut)).collect();
    let list =
        List { layout: &LAYOUT, format: flags.text("format"), quiet: flags.is("quiet").then_some("ID") };
    stream::print(&list.print(&rows)?)?;
    Ok(0)
}

fn row(network: &Value, cut: bool) -> Row {
    let id = text(network, "Id");
    let truth = |name: &str| (network[name] == true).to_string();
    Row::new([
        ("ID", if cut { short_id(id).to_owned() } else { id.to_owned() }),
        ("Name", text(network, "Name").to_owned()),
        ("Driver", text(network, "Driver").to_owned()),
        ("Scope", text(network, "Scope").to_owned()),
        ("IPv4", truth("EnableIPv4")),
        ("IPv6", truth("EnableIPv6")),
        ("Internal", truth("Internal")),
        ("CreatedAt", go_time(text(network, "Created"))),
    ])
    .labels(&network["Labels"])
}
