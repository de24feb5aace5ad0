//! `container prune`, `image prune`, `volume prune`, `network prune`, `system prune`.

use std::io::BufRead;

use serde_json::Value;

use super::text;
use crate::error::{Error, Result};
use crate::render::human_size;
use crate::stream;
use crate::tree::Call;
use crate::wire::{Payload, Query};

/// What one prune did: what to print of it, and bytes that are free now.
type Pruned = (String, u64);

/// `berth container prune`.
pub(crate) async fn containers(call: Call) -> Result<u8> {
    if !agreed(&call, "WARNING! This will remove all stopped containers.")? {
        return Ok(0);
    }
    let (told, bytes) = prune_containers(&call).await?;
    report(&told, Some(bytes))
}

/// `berth image prune`.
pub(crate) async fn images(call: Call) -> Result<u8> {
    let warning = match call.flags.is("all") {
        true => "WARNING! This will remove all images without at least one container associated to them.",
        false => "WARNING! This will remove all dangling images.",
    };
    if !agreed(&call, warning)? {
        return Ok(0);
    }
    let (told, bytes) = prune_images(&call).await?;
    report(&told, Some(bytes))
}

/// `berth volume prune`.
pub(crate) async fn volumes(call: Call) -> Result<u8> {
    let all = call.flags.is("all");
    if all && call.flags.list("filter").iter().any(|filter| filter.starts_with("all=")) {
        return Err(Error::new("conflicting options: cannot specify both --all and --filter all=1"));
    }
    let warning = match all {
        true => "WARNING! This will remove all local volumes not used by at least one container.",
        false => "WARNING! This will remove anonymous local volumes not used by at least one container.",
    };
    if !agreed(&call, warning)? {
        return Ok(0);
    }
    let (told, bytes) = prune_volumes(&call, all).await?;
    report(&told, Some(bytes))
}

/// `berth network prune`.
pub(crate) async fn networks(call: Call) -> Result<u8> {
    if !agreed(&call, "WARNING! This will remove all custom networks not used by at least one container.")? {
        return Ok(0);
    }
    let (told, _) = prune_networks(&call).await?;
    report(&told, None)
}

/// `berth system prune`.
pub(crate) async fn system(call: Call) -> Result<u8> {
    let (all, volumes) = (call.flags.is("all"), call.flags.is("volumes"));
    let filters = call.flags.list("filter");
    if volumes && filters.iter().any(|filter| filter.starts_with("until=")) {
        return Err(Error::new("The \"until\" filter is not supported with \"--volumes\""));
    }
    if !agreed(&call, &warning(all, volumes, filters))? {
        return Ok(0);
    }
    let mut total = 0;
    let mut told = vec![prune_containers(&call).await?, prune_networks(&call).await?];
    if volumes {
        told.push(prune_volumes(&call, false).await?);
    }
    told.push(prune_images(&call).await?);
    told.push(prune_build_cache(&call).await?);
    for (text, bytes) in &told {
        total += bytes;
        report(text, None)?;
    }
    report("", Some(total))
}

fn warning(all: bool, volumes: bool, filters: &[String]) -> String {
    let mut lines = vec!["WARNING! This will remove:", "  - all stopped containers"];
    lines.push("  - all networks not used by at least one container");
    if volumes {
        lines.push("  - all anonymous volumes not used by at least one container");
    }
    lines.extend(match all {
        true => ["  - all images without at least one container associated to them", "  - all build cache"],
        false => ["  - all dangling images", "  - unused build cache"],
    });
    let mut text = lines.join("\n") + "\n";
    if !filters.is_empty() {
        text += "\n  Items to be pruned will be filtered with:\n";
        for filter in filters {
            text += &format!("  - {filter}\n");
        }
    }
    text
}

/// Asks on the terminal, unless told not to. Anything but yes is no.
fn agreed(call: &Call, warning: &str) -> Result<bool> {
    if call.flags.is("force") {
        return Ok(true);
    }
    stream::print(&format!("{warning}\nAre you sure you want to continue? [y/N] "))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y"))
}

fn report(told: &str, bytes: Option<u64>) -> Result<u8> {
    if !told.is_empty() {
        stream::print_line(told)?;
    }
    if let Some(bytes) = bytes {
        stream::print_line(&format!("Total reclaimed space: {}", human_size(bytes)))?;
    }
    Ok(0)
}

async fn prune(call: &Call, path: &str, more: &[&str]) -> Result<Value> {
    let mut filters = call.flags.list("filter").to_vec();
    filters.extend(more.iter().map(|&filter| filter.to_owned()));
    call.client.post(Query::from(path).with_filters(&filters), Payload::Nothing).await
}

fn space(answer: &Value) -> u64 {
    answer["SpaceReclaimed"].as_u64().unwrap_or_default()
}

/// A heading and a name a line; nothing when there are none.
fn list(heading: &str, names: impl Iterator<Item = String>) -> String {
    let lines: String = names.map(|name| name + "\n").collect();
    if lines.is_empty() { lines } else { format!("{heading}\n{lines}") }
}

fn names(answer: &Value, key: &str) -> impl Iterator<Item = String> {
    let names = answer[key].as_array().cloned().unwrap_or_default();
    names.into_iter().filter_map(|name| name.as_str().map(str::to_owned))
}

async fn prune_containers(call: &Call) -> Result<Pruned> {
    let answer = prune(call, "/containers/prune", &[]).await?;
    Ok((list("Deleted Containers:", names(&answer, "ContainersDeleted")), space(&answer)))
}

async fn prune_networks(call: &Call) -> Result<Pruned> {
    let answer = prune(call, "/networks/prune", &[]).await?;
    Ok((list("Deleted Networks:", names(&answer, "NetworksDeleted")), 0))
}

async fn prune_volumes(call: &Call, all: bool) -> Result<Pruned> {
    let more: &[&str] = if all { &["all=1"] } else { &[] };
    let answer = prune(call, "/volumes/prune", more).await?;
    Ok((list("Deleted Volumes:", names(&answer, "VolumesDeleted")), space(&answer)))
}

async fn prune_images(call: &Call) -> Result<Pruned> {
    let dangling = format!("dangling={}", !call.flags.is("all"));
    let answer = prune(call, "/images/prune", &[&dangling]).await?;
    let deleted = answer["ImagesDeleted"].as_array().cloned().unwrap_or_default();
    let lines = deleted.iter().map(|one| match text(one, "Untagged") {
        "" => format!("deleted: {}", text(one, "Deleted")),
        name => format!("untagged: {name}"),
    });
    Ok((list("Deleted Images:", lines), space(&answer)))
}

async fn prune_build_cache(call: &Call) -> Result<Pruned> {
    let query = Query::from("/build/prune").with_filters(call.flags.list("filter"));
    let answer = call.client.post(query.with_switch("all", call.flags.is("all")), Payload::Nothing).await?;
    Ok((list("Deleted build cache objects:", names(&answer, "CachesDeleted")), space(&answer)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_warning_of_a_system_prune() {
        let filters = ["label=a".to_owned()];
        assert_eq!(
            super::warning(false, true, &filters),
            "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n  \
             - all anonymous volumes not used by at least one container\n  - all dangling images\n  - unused build cache\n\n  \
             Items to be pruned will be filtered with:\n  - label=a\n"
        );
    }
}
