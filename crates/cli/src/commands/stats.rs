//! `stats`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::events::Documents;
use super::text;
use crate::error::Result;
use crate::render::{Layout, List, Row, short_id};
use crate::stream;
use crate::tree::Call;
use crate::wire::Query;

const LAYOUT: Layout = Layout {
    headings: &[
        ("Container", "CONTAINER"),
        ("ID", "CONTAINER ID"),
        ("Name", "NAME"),
        ("CPUPerc", "CPU %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("MemPerc", "MEM %"),
        ("NetIO", "NET I/O"),
        ("BlockIO", "BLOCK I/O"),
        ("PIDs", "PIDS"),
    ],
    table: "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
};

/// How often the table is drawn again.
const BEAT: Duration = Duration::from_millis(500);
/// How long to wait for the first numbers.
const FIRST: Duration = Duration::from_secs(3);

type Samples = Rc<RefCell<BTreeMap<usize, Option<Value>>>>;

/// `berth stats`.
pub(crate) async fn stats(call: Call) -> Result<u8> {
    tokio::task::LocalSet::new().run_until(watch(Rc::new(call))).await
}

async fn watch(call: Rc<Call>) -> Result<u8> {
    let streams = !call.flags.is("no-stream");
    let mut names: Vec<String> = call.args.clone();
    let shows_all = names.is_empty();
    if shows_all {
        names = listed(&call).await?;
    } else {
        for name in &names {
            call.client.get(Query::path("/containers/{}/json", &[name])).await?;
        }
    }
    let samples = Samples::default();
    let mut tasks = Vec::new();
    for (index, name) in names.iter().enumerate() {
        tasks.push(follow(&call, name, index, &samples, streams));
    }
    wait_for_first(&samples, names.len()).await;
    loop {
        let table = table(&call, &names, &samples)?;
        if !streams {
            stream::print(&table)?;
            return Ok(0);
        }
        stream::print(&screen(&table))?;
        tokio::time::sleep(BEAT).await;
        if shows_all {
            for name in listed(&call).await? {
                if !names.contains(&name) {
                    tasks.push(follow(&call, &name, names.len(), &samples, streams));
                    names.push(name);
                }
            }
        } else if tasks.iter().all(tokio::task::JoinHandle::is_finished) {
            return Ok(0);
        }
    }
}

async fn listed(call: &Call) -> Result<Vec<String>> {
    let list =
        call.client.get(Query::from("/containers/json").with_switch("all", call.flags.is("all"))).await?;
    Ok(list
        .as_array()
        .into_iter()
        .flatten()
        .map(|container| short_id(text(container, "Id")).to_owned())
        .collect())
}

/// Keeps the newest sample of a container. One whose stream has ended has none.
fn follow(
    call: &Rc<Call>,
    name: &str,
    index: usize,
    samples: &Samples,
    streams: bool,
) -> tokio::task::JoinHandle<()> {
    let (call, name, samples) = (Rc::clone(call), name.to_owned(), Rc::clone(samples));
    tokio::task::spawn_local(async move {
        let query =
            Query::path("/containers/{}/stats", &[&name]).with("stream", if streams { "1" } else { "0" });
        let Ok(mut answer) = call.client.get_stream(query).await else {
            samples.borrow_mut().insert(index, None);
            return;
        };
        let mut documents = Documents::default();
        while let Ok(Some(bytes)) = answer.next().await {
            let Ok(read) = documents.push(&bytes) else { break };
            if let Some(sample) = read.into_iter().last() {
                samples.borrow_mut().insert(index, Some(sample));
            }
        }
        if streams {
            samples.borrow_mut().insert(index, None);
        }
    })
}

async fn wait_for_first(samples: &Samples, count: usize) {
    let all_there = async {
        while samples.borrow().len() < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let _ = tokio::time::timeout(FIRST, all_there).await;
}

fn table(call: &Call, names: &[String], samples: &Samples) -> Result<String> {
    let samples = samples.borrow();
    let gone = |index: usize| {
        matches!(samples.get(&index), Some(None)) && call.args.is_empty() && !call.flags.is("all")
    };
    let cut = !call.flags.is("no-trunc");
    let rows: Vec<Row> = names
        .iter()
        .enumerate()
        .filter(|(index, _)| !gone(*index))
        .map(|(index, name)| row(name, samples.get(&index).and_then(Option::as_ref), cut))
        .collect();
    List { layout: &LAYOUT, format: call.flags.text("format"), quiet: None }.print(&rows)
}

/// A table drawn over the one before it.
fn screen(table: &str) -> String {
    let lines: String = table.lines().map(|line| format!("{line}\x1b[K\n")).collect();
    format!("\x1b[H{lines}\x1b[J")
}

fn row(name: &str, sample: Option<&Value>, cut: bool) -> Row {
    const NOTHING: &str = "--";
    let Some(sample) = sample else {
        let cells = ["Name", "ID", "CPUPerc", "MemPerc", "NetIO", "BlockIO", "PIDs"]
            .map(|cell| (cell, NOTHING.to_owned()));
        let mut row = Row::new(cells);
        row.set("Container", name);
        row.set("ID", name);
        row.set("MemUsage", "-- / --");
        return row;
    };
    let memory = memory(&sample["memory_stats"]);
    let limit = sample["memory_stats"]["limit"].as_f64().unwrap_or_default();
    let (received, sent) = network(&sample["networks"]);
    let (read, written) = disk(&sample["blkio_stats"]);
    let binary = |bytes: f64| types::print_bytes(bytes as u64);
    let pair = |a: f64, b: f64| {
        format!("{} / {}", types::print_bytes_decimal(a as u64), types::print_bytes_decimal(b as u64))
    };
    let id = text(sample, "id");
    Row::new([
        ("Container", name.to_owned()),
        ("ID", if cut { short_id(id).to_owned() } else { id.to_owned() }),
        ("Name", text(sample, "name").trim_start_matches('/').to_owned()),
        ("CPUPerc", format!("{:.2}%", processor(sample))),
        ("MemUsage", format!("{} / {}", binary(memory), binary(limit))),
        ("MemPerc", format!("{:.2}%", if limit > 0.0 { memory / limit * 100.0 } else { 0.0 })),
        ("NetIO", pair(received, sent)),
        ("BlockIO", pair(read, written)),
        ("PIDs", sample["pids_stats"]["current"].as_u64().unwrap_or_default().to_string()),
    ])
}

/// The share of one processor since the sample before.
fn processor(sample: &Value) -> f64 {
    let (now, before) = (&sample["cpu_stats"], &sample["precpu_stats"]);
    let used = |stats: &Value| stats["cpu_usage"]["total_usage"].as_f64().unwrap_or_default();
    let system = |stats: &Value| stats["system_cpu_usage"].as_f64().unwrap_or_default();
    let (used, system) = (used(now) - used(before), system(now) - system(before));
    let listed = now["cpu_usage"]["percpu_usage"].as_array().map_or(0, Vec::len);
    let online = now["online_cpus"].as_f64().filter(|n| *n > 0.0).unwrap_or(listed as f64);
    if used > 0.0 && system > 0.0 { used / system * online * 100.0 } else { 0.0 }
}

/// Memory that is not cache that could go at once.
fn memory(stats: &Value) -> f64 {
    let usage = stats["usage"].as_f64().unwrap_or_default();
    let detail = &stats["stats"];
    let cache = detail["total_inactive_file"].as_f64().filter(|cache| *cache < usage);
    let cache = cache.or_else(|| detail["inactive_file"].as_f64().filter(|cache| *cache < usage));
    usage - cache.unwrap_or_default()
}

fn network(networks: &Value) -> (f64, f64) {
    let sum = |field: &str| {
        networks
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, one)| one[field].as_f64().unwrap_or_default())
            .sum()
    };
    (sum("rx_bytes"), sum("tx_bytes"))
}

fn disk(stats: &Value) -> (f64, f64) {
    let sum = |letter: char| {
        let entries = stats["io_service_bytes_recursive"].as_array().into_iter().flatten();
        let fits =
            entries.filter(|e| text(e, "op").chars().next().is_some_and(|c| c.eq_ignore_ascii_case(&letter)));
        fits.map(|e| e["value"].as_f64().unwrap_or_default()).sum()
    };
    (sum('r'), sum('w'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn numbers_as_docker_counts_them() {
        let sample = json!({
            "cpu_stats": { "cpu_usage": { "total_usage": 300 }, "system_cpu_usage": 2000, "online_cpus": 2 },
            "precpu_stats": { "cpu_usage": { "total_usage": 100 }, "system_cpu_usage": 1000 },
            "memory_stats": { "usage": 100, "stats": { "total_inactive_file": 40 } },
        });
        assert!((super::processor(&sample) - 40.0).abs() < 1e-9);
        assert!((super::memory(&sample["memory_stats"]) - 60.0).abs() < 1e-9);
    }
}
