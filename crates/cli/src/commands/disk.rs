//! `system df`: totals, or with `-v` everything by itself and where the data root's bytes are.

use std::fmt::Write as _;

use serde_json::Value;

use super::{image_list, ps, text};
use crate::error::{Error, Result};
use crate::render::{Layout, List, Row, Subject, Template, human_size};
use crate::stream;
use crate::tree::Call;
use crate::wire::Query;

const TOTALS: Layout = Layout {
    headings: &[
        ("Type", "TYPE"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ],
    table: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
};
const IMAGES: Layout = Layout {
    headings: image_list::IMAGE_HEADINGS,
    table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
};
const CONTAINERS: Layout = Layout {
    headings: ps::LAYOUT.headings,
    table: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}",
};
const VOLUMES: Layout = Layout {
    headings: &[("Name", "VOLUME NAME"), ("Links", "LINKS"), ("Size", "SIZE")],
    table: "{{.Name}}\t{{.Links}}\t{{.Size}}",
};
const CACHE: Layout = Layout {
    headings: &[
        ("ID", "CACHE ID"),
        ("Type", "CACHE TYPE"),
        ("Size", "SIZE"),
        ("Created", "CREATED"),
        ("Used", "LAST USED"),
        ("Usage", "USAGE"),
        ("Shared", "SHARED"),
    ],
    table: "{{.ID}}\t{{.Type}}\t{{.Size}}\t{{.Created}}\t{{.Used}}\t{{.Usage}}\t{{.Shared}}",
};
const AREAS: Layout = Layout {
    headings: &[("Name", "WHAT"), ("Files", "FILES"), ("Size", "SIZE"), ("OnDisk", "ON DISK")],
    table: "{{.Name}}\t{{.Files}}\t{{.Size}}\t{{.OnDisk}}",
};

/// `berth system df`.
pub(crate) async fn df(call: Call) -> Result<u8> {
    let (verbose, format) = (call.flags.is("verbose"), call.flags.text("format"));
    let mut query = Query::from("/system/df");
    if !verbose {
        // Without the walk through all of the data root.
        for kind in ["container", "image", "volume", "build-cache"] {
            query = query.with("type", kind);
        }
    }
    let answer = call.client.get(query).await?;
    if !verbose {
        stream::print(&List { layout: &TOTALS, format, quiet: None }.print(&totals(&answer))?)?;
        return Ok(0);
    }
    if !format.is_empty() {
        let source = if format == "json" { "{{json .}}" } else { format };
        let template =
            Template::read(source, Subject::Document).map_err(|e| Error::new(e.to_string()).code(64))?;
        stream::print_line(&template.fill(&answer)?)?;
        return Ok(0);
    }
    stream::print(&in_full(&answer)?)?;
    Ok(0)
}

fn items<'a>(answer: &'a Value, name: &str) -> Vec<&'a Value> {
    answer[name].as_array().into_iter().flatten().collect()
}

fn bytes(item: &Value, name: &str) -> u64 {
    item[name].as_u64().unwrap_or_default()
}

/// A line of the totals: how many there are, how many are in use, their bytes, and those that can be had back.
struct Total {
    kind: &'static str,
    count: usize,
    active: usize,
    size: u64,
    idle: u64,
}

fn totals(answer: &Value) -> Vec<Row> {
    let images = items(answer, "Images");
    let is_used = |image: &&&Value| image["Containers"].as_i64().unwrap_or_default() != 0;
    // What only images in use have; the rest would go with the others.
    let own = |image: &&Value| bytes(image, "Size").saturating_sub(bytes(image, "SharedSize"));
    let layers = bytes(answer, "LayersSize");
    let used: u64 = images.iter().filter(is_used).map(own).sum();
    let containers = items(answer, "Containers");
    let is_live =
        |container: &&&Value| ["running", "paused", "restarting"].contains(&text(container, "State"));
    let volumes = items(answer, "Volumes");
    let is_mounted = |volume: &&&Value| volume["UsageData"]["RefCount"].as_i64().unwrap_or_default() > 0;
    let held = |volume: &&Value| bytes(&volume["UsageData"], "Size");
    let cache = items(answer, "BuildCache");
    [
        Total {
            kind: "Images",
            count: images.len(),
            active: images.iter().filter(is_used).count(),
            size: layers,
            idle: layers.saturating_sub(used),
        },
        Total {
            kind: "Containers",
            count: containers.len(),
            active: containers.iter().filter(is_live).count(),
            size: containers.iter().map(|c| bytes(c, "SizeRw")).sum(),
            idle: containers.iter().filter(|c| !is_live(c)).map(|c| bytes(c, "SizeRw")).sum(),
        },
        Total {
            kind: "Local Volumes",
            count: volumes.len(),
            active: volumes.iter().filter(is_mounted).count(),
            size: volumes.iter().map(held).sum(),
            idle: volumes.iter().filter(|v| !is_mounted(v)).map(held).sum(),
        },
        Total {
            kind: "Build Cache",
            count: cache.len(),
            active: cache.iter().filter(|c| c["InUse"] == true).count(),
            size: cache.iter().map(|c| bytes(c, "Size")).sum(),
            idle: cache.iter().filter(|c| c["InUse"] != true).map(|c| bytes(c, "Size")).sum(),
        },
    ]
    .iter()
    .map(total_row)
    .collect()
}

fn total_row(total: &Total) -> Row {
    let share = if total.size > 0 && total.kind != "Build Cache" {
        format!(" ({}%)", total.idle * 100 / total.size)
    } else {
        String::new()
    };
    Row::new([
        ("Type", total.kind.to_owned()),
        ("TotalCount", total.count.to_string()),
        ("Active", total.active.to_string()),
        ("Size", human_size(total.size)),
        ("Reclaimable", format!("{}{share}", human_size(total.idle))),
    ])
}

fn in_full(answer: &Value) -> Result<String> {
    let table = |layout: &'static Layout, rows: &[Row]| List { layout, format: "", quiet: None }.print(rows);
    let images: Vec<Row> = items(answer, "Images").iter().map(|image| image_list::first_row(image)).collect();
    let containers: Vec<Row> = items(answer, "Containers").iter().map(|c| container_row(c)).collect();
    let volumes: Vec<Row> = items(answer, "Volumes").iter().map(|volume| volume_row(volume)).collect();
    let mut out = format!("Images space usage:\n\n{}", table(&IMAGES, &images)?);
    let _ = write!(out, "\nContainers space usage:\n\n{}", table(&CONTAINERS, &containers)?);
    let _ = write!(out, "\nLocal Volumes space usage:\n\n{}", table(&VOLUMES, &volumes)?);
    let cache: u64 = items(answer, "BuildCache").iter().map(|c| bytes(c, "Size")).sum();
    let _ = write!(out, "\nBuild cache usage: {}\n\n{}", human_size(cache), table(&CACHE, &[])?);
    let areas = items(answer, "DataRoot");
    if !areas.is_empty() {
        let total: u64 = areas.iter().map(|area| bytes(area, "OnDisk")).sum();
        let rows: Vec<Row> = areas.iter().map(|area| area_row(area)).collect();
        let _ = write!(out, "\nData root: {} on disk\n\n{}", human_size(total), table(&AREAS, &rows)?);
    }
    Ok(out)
}

fn container_row(container: &Value) -> Row {
    let mut row = ps::row(container, true);
    row.set("Size", &human_size(bytes(container, "SizeRw")));
    row
}

fn volume_row(volume: &Value) -> Row {
    let usage = &volume["UsageData"];
    Row::new([
        ("Name", text(volume, "Name").to_owned()),
        ("Links", usage["RefCount"].as_i64().unwrap_or_default().to_string()),
        ("Size", human_size(bytes(usage, "Size"))),
    ])
}

fn area_row(area: &Value) -> Row {
    Row::new([
        ("Name", text(area, "Name").to_owned()),
        ("Files", bytes(area, "Files").to_string()),
        ("Size", human_size(bytes(area, "Size"))),
        ("OnDisk", human_size(bytes(area, "OnDisk"))),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn accounts_in_full() {
        let answer = json!({
            "LayersSize": 30, "Images": [{"Id": "sha256:0123456789abcdef", "RepoTags": ["a:1"], "Size": 30, "SharedSize": 10, "Containers": 1}],
            "Containers": [{"Id": "ab", "Image": "a:1", "Command": "sh", "State": "running", "SizeRw": 5, "Names": ["/c"]}],
            "Volumes": [{"Name": "v", "UsageData": {"RefCount": 0, "Size": 7}}],
            "DataRoot": [{"Name": "layers", "Files": 3, "Size": 30, "OnDisk": 12288}],
        });
        let text = super::in_full(&answer).unwrap();
        for line in [
            "Images space usage:\n\nREPOSITORY   TAG",
            "a            1         0123456789ab",
            "30B       10B           20B           1\n",
            "VOLUME NAME   LINKS     SIZE\nv             0         7B\n",
            "Build cache usage: 0B\n\nCACHE ID",
            "Data root: 12.29kB on disk\n\nWHAT      FILES     SIZE      ON DISK\nlayers    3         30B       12.29kB\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in {text}");
        }
        let totals = super::List { layout: &super::TOTALS, format: "", quiet: None }
            .print(&super::totals(&answer))
            .unwrap();
        let squeezed: Vec<String> =
            totals.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            squeezed[1..],
            [
                "Images 1 1 30B 10B (33%)",
                "Containers 1 1 5B 0B (0%)",
                "Local Volumes 1 0 7B 7B (100%)",
                "Build Cache 0 0 0B 0B"
            ]
        );
    }
}
