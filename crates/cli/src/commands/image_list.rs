//! `images` and `history`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{image_tree, text, transfer};
use crate::error::Result;
use crate::render::{Layout, List, Row, ago, ellipsis, human_size, local_time, rfc3339, short_id};
use crate::stream;
use crate::tree::Call;
use crate::wire::Query;

pub(super) const IMAGE_HEADINGS: &[(&str, &str)] = &[
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("VirtualSize", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
];

const IMAGES: Layout = Layout {
    headings: IMAGE_HEADINGS,
    table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
};
const IMAGES_WITH_DIGESTS: Layout = Layout {
    headings: IMAGE_HEADINGS,
    table: "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
};

const HISTORY_HEADINGS: &[(&str, &str)] = &[
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];
const HISTORY: Layout = Layout {
    headings: HISTORY_HEADINGS,
    table: "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
};
const HISTORY_IN_NUMBERS: Layout = Layout {
    headings: HISTORY_HEADINGS,
    table: "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
};

const NONE: &str = "<none>";

/// `berth images`.
pub(crate) async fn images(call: Call) -> Result<u8> {
    let flags = &call.flags;
    if flags.is("tree") {
        return image_tree::show(&call).await;
    }
    let mut filters = flags.list("filter").to_vec();
    filters.extend(call.args.first().map(|name| format!("reference={name}")));
    let query = Query::from("/images/json").with_switch("all", flags.is("all")).with_filters(&filters);
    let answer = call.client.get(query).await?;
    let format = flags.text("format");
    let digests = flags.is("digests") || format.contains("{{.Digest}}");
    let cut = !flags.is("no-trunc");
    let mut rows = Vec::new();
    for image in answer.as_array().into_iter().flatten() {
        rows.extend(names(image, digests).iter().map(|name| image_row(image, name, cut)));
    }
    let layout = if flags.is("digests") { &IMAGES_WITH_DIGESTS } else { &IMAGES };
    stream::print(&List { layout, format, quiet: flags.is("quiet").then_some("ID") }.print(&rows)?)?;
    Ok(0)
}

/// One line's repository, tag and digest.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    repository: String,
    tag: String,
    digest: String,
}

/// The lines that an image has in the list: one per tag, and one per repository that knows it by digest only.
fn names(image: &Value, digests: bool) -> Vec<Name> {
    let references = |field: &str| {
        let list = image[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        list.filter(|name| !name.starts_with(NONE))
            .filter_map(|name| name.parse::<types::Reference>().ok())
            .collect()
    };
    let (tags, by_digest): (Vec<types::Reference>, Vec<types::Reference>) =
        (references("RepoTags"), references("RepoDigests"));
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for reference in by_digest {
        let digest = reference.digest().map(|d| d.to_string()).unwrap_or_default();
        known.entry(reference.familiar_name()).or_default().push(digest);
    }
    let line = |repository: &str, tag: &str, digest: &str| Name {
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        digest: digest.to_owned(),
    };
    let mut lines = Vec::new();
    for reference in &tags {
        let (repository, tag) = (reference.familiar_name(), reference.tag().unwrap_or(NONE));
        match known.get(&repository).filter(|_| digests) {
            Some(list) => lines.extend(list.iter().map(|digest| line(&repository, tag, digest))),
            None => lines.push(line(&repository, tag, NONE)),
        }
    }
    let tagged: Vec<String> = tags.iter().map(types::Reference::familiar_name).collect();
    for (repository, list) in known.iter().filter(|(repository, _)| !tagged.contains(repository)) {
        if digests {
            lines.extend(list.iter().map(|digest| line(repository, NONE, digest)));
        } else {
            lines.push(line(repository, NONE, ""));
        }
    }
    if lines.is_empty() {
        lines.push(line(NONE, NONE, NONE));
    }
    lines
}

/// One line for an image with all its names.
pub(super) fn first_row(image: &Value) -> Row {
    let mut names = names(image, false);
    image_row(image, &names.swap_remove(0), true)
}

fn image_row(image: &Value, name: &Name, cut: bool) -> Row {
    let id = text(image, "Id");
    let created = image["Created"].as_i64().unwrap_or_default();
    let size = image["Size"].as_u64().unwrap_or_default();
    let shared = image["SharedSize"].as_i64().and_then(|bytes| u64::try_from(bytes).ok());
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "N/A".to_owned());
    let containers = image["Containers"].as_i64().filter(|n| *n >= 0);
    Row::new([
        ("ID", if cut { short_id(id).to_owned() } else { id.to_owned() }),
        ("Repository", name.repository.clone()),
        ("Tag", name.tag.clone()),
        ("Digest", name.digest.clone()),
        ("CreatedSince", ago(created)),
        ("CreatedAt", local_time(created)),
        ("Size", types::print_bytes_decimal(size)),
        ("VirtualSize", human_size(size)),
        ("Containers", or_none(containers.map(|n| n.to_string()))),
        ("SharedSize", or_none(shared.map(human_size))),
        ("UniqueSize", or_none(shared.map(|shared| human_size(size.saturating_sub(shared))))),
    ])
}

/// `berth history`.
pub(crate) async fn history(call: Call) -> Result<u8> {
    let flags = &call.flags;
    let query = Query::path("/images/{}/history", &[&call.args[0]])
        .with_some("platform", &transfer::chosen_platform(&call, 48).await?);
    let answer = call.client.get(query).await?;
    let (cut, human) = (!flags.is("no-trunc"), flags.is_or("human", true));
    let rows: Vec<Row> =
        answer.as_array().into_iter().flatten().map(|entry| history_row(entry, cut, human)).collect();
    let layout = if human { &HISTORY } else { &HISTORY_IN_NUMBERS };
    let list = List { layout, format: flags.text("format"), quiet: flags.is("quiet").then_some("ID") };
    stream::print(&list.print(&rows)?)?;
    Ok(0)
}

fn history_row(entry: &Value, cut: bool, human: bool) -> Row {
    /// Builds that hide when they were made say a moment before this.
    const YEAR_2000: i64 = 946_684_800;
    let id = text(entry, "Id");
    let created = entry["Created"].as_i64().unwrap_or_default();
    let size = entry["Size"].as_u64().unwrap_or_default();
    let by = text(entry, "CreatedBy").replace('\t', " ");
    let since = match () {
        () if !human => rfc3339(created),
        () if created <= YEAR_2000 => "N/A".to_owned(),
        () => ago(created),
    };
    Row::new([
        ("ID", if cut { short_id(id).to_owned() } else { id.to_owned() }),
        ("CreatedSince", since),
        ("CreatedAt", rfc3339(created)),
        ("CreatedBy", if cut { ellipsis(&by, 45) } else { by }),
        ("Size", if human { types::print_bytes_decimal(size) } else { size.to_string() }),
        ("Comment", text(entry, "Comment").to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::names;

    #[test]
    fn lines_of_an_image() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let lines = |tags: &[&str], digests: &[&str], shown: bool| {
            let image = json!({ "RepoTags": tags, "RepoDigests": digests });
            let lines: Vec<String> = names(&image, shown)
                .iter()
                .map(|n| format!("{} {} {}", n.repository, n.tag, n.digest))
                .collect();
            lines.join("|")
        };
        let by = format!("a@{digest}");
        assert_eq!(lines(&["a:1", "a:2"], &[], false), "a 1 <none>|a 2 <none>");
        assert_eq!(lines(&["a:1"], &[&by], true), format!("a 1 {digest}"));
        assert_eq!(lines(&["b:1"], &[&by], false), "b 1 <none>|a <none> ");
        assert_eq!(lines(&[], &[], false), "<none> <none> <none>");
        assert_eq!(lines(&["<none>:<none>"], &["<none>@<none>"], true), "<none> <none> <none>");
    }
}
