//! `ps`.

use serde_json::Value;

use super::text;
use crate::error::Result;
use crate::render::{Layout, List, Row, ago, displayed_ports, ellipsis, local_time, quoted, short_id};
use crate::stream::{self, remark};
use crate::tree::Call;
use crate::wire::Query;

pub(super) const LAYOUT: Layout = Layout {
    headings: &[
        ("ID", "CONTAINER ID"),
        ("Names", "NAMES"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("RunningFor", "CREATED"),
        ("Ports", "PORTS"),
        ("State", "STATE"),
        ("Status", "STATUS"),
        ("Size", "SIZE"),
        ("Labels", "LABELS"),
        ("Mounts", "MOUNTS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Networks", "NETWORKS"),
        ("Platform", "PLATFORM"),
    ],
    table: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
};

const SIZED: Layout = Layout {
    headings: LAYOUT.headings,
    table: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}",
};

/// `berth ps`.
pub(crate) async fn ps(call: Call) -> Result<u8> {
    let flags = &call.flags;
    let (format, quiet) = (flags.text("format"), flags.is("quiet"));
    if quiet && !format.is_empty() {
        remark("WARNING: Ignoring custom format, because both --format and --quiet are set.");
    }
    let sized = flags.is("size") || (!quiet && format.contains(".Size"));
    let last = if flags.is("latest") { "1" } else { flags.given("last").unwrap_or("-1") };
    let query = Query::from("/containers/json")
        .with_switch("all", flags.is("all"))
        .with_some("limit", if last == "-1" || last == "0" { "" } else { last })
        .with_switch("size", sized)
        .with_filters(flags.list("filter"));
    let answer = call.client.get(query).await?;
    let cut = !flags.is("no-trunc");
    let rows: Vec<Row> =
        answer.as_array().into_iter().flatten().map(|container| row(container, cut)).collect();
    let layout = if sized { &SIZED } else { &LAYOUT };
    stream::print(&List { layout, format, quiet: quiet.then_some("ID") }.print(&rows)?)?;
    Ok(0)
}

/// One line for a container.
pub(super) fn row(container: &Value, cut: bool) -> Row {
    let created = container["Created"].as_i64().unwrap_or_default();
    let command = text(container, "Command");
    let id = text(container, "Id");
    Row::new([
        ("ID", if cut { short_id(id).to_owned() } else { id.to_owned() }),
        ("Names", names(container, cut)),
        ("Image", image(container, cut)),
        ("Command", quoted(&if cut { ellipsis(command, 20) } else { command.to_owned() })),
        ("CreatedAt", local_time(created)),
        ("RunningFor", ago(created)),
        ("Ports", displayed_ports(&container["Ports"])),
        ("State", text(container, "State").to_owned()),
        ("Status", text(container, "Status").to_owned()),
        ("Size", size(container)),
        ("Mounts", mounts(container, cut)),
        ("LocalVolumes", local_volumes(container)),
        ("Networks", networks(container)),
    ])
    .labels(&container["Labels"])
    .absent("Platform")
}

fn names(container: &Value, cut: bool) -> String {
    let list = container["Names"].as_array().into_iter().flatten();
    let names: Vec<&str> =
        list.filter_map(Value::as_str).map(|name| name.strip_prefix('/').unwrap_or(name)).collect();
    let own = names.iter().find(|name| !name.contains('/'));
    match own {
        Some(own) if cut => (*own).to_owned(),
        _ => names.join(","),
    }
}

fn image(container: &Value, cut: bool) -> String {
    let name = text(container, "Image");
    if name.is_empty() {
        return "<no image>".to_owned();
    }
    if !cut {
        return name.to_owned();
    }
    let short = short_id(text(container, "ImageID"));
    if short == short_id(name) {
        return short.to_owned();
    }
    match name.parse::<types::Reference>() {
        Ok(reference) => match (reference.tag(), name.contains('@') || name_has_tag(name)) {
            (Some(tag), true) => format!("{}:{tag}", reference.familiar_name()),
            _ => reference.familiar_name(),
        },
        Err(_) => name.to_owned(),
    }
}

fn name_has_tag(name: &str) -> bool {
    name.rsplit_once(':').is_some_and(|(_, tag)| !tag.contains('/'))
}

fn size(container: &Value) -> String {
    let bytes = |name: &str| container[name].as_u64().unwrap_or_default();
    let written = types::print_bytes_decimal(bytes("SizeRw"));
    match bytes("SizeRootFs") {
        0 => written,
        all => format!("{written} (virtual {})", types::print_bytes_decimal(all)),
    }
}

fn mounts(container: &Value, cut: bool) -> String {
    let names = container["Mounts"].as_array().into_iter().flatten().map(|mount| {
        let name = Some(text(mount, "Name"))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| text(mount, "Source"));
        if cut { ellipsis(name, 15) } else { name.to_owned() }
    });
    names.collect::<Vec<_>>().join(",")
}

fn local_volumes(container: &Value) -> String {
    container["Mounts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|m| m["Driver"] == "local")
        .count()
        .to_string()
}

fn networks(container: &Value) -> String {
    let map = container["NetworkSettings"]["Networks"].as_object();
    map.into_iter().flatten().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn image_names_are_cut() {
        let digest = "ab".repeat(32);
        for (image, id, shown) in [
            ("busybox".to_owned(), "sha256:00", "busybox".to_owned()),
            ("busybox:1.2".to_owned(), "sha256:00", "busybox:1.2".to_owned()),
            (format!("busybox@sha256:{digest}"), "sha256:00", "busybox".to_owned()),
            (format!("busybox:1@sha256:{digest}"), "sha256:00", "busybox:1".to_owned()),
            ("sha256:0123456789abcdef".to_owned(), "sha256:0123456789abcdef", "0123456789ab".to_owned()),
            (String::new(), "", "<no image>".to_owned()),
        ] {
            assert_eq!(super::image(&json!({ "Image": image, "ImageID": id }), true), shown);
        }
    }
}
