//! `search`.

use serde_json::Value;

use super::text;
use crate::account::{self, Accounts};
use crate::error::Result;
use crate::render::{Layout, List, Row, ellipsis};
use crate::stream::{self, remark};
use crate::tree::Call;
use crate::wire::Query;

const LAYOUT: Layout = Layout {
    headings: &[
        ("Name", "NAME"),
        ("Description", "DESCRIPTION"),
        ("StarCount", "STARS"),
        ("IsOfficial", "OFFICIAL"),
    ],
    table: "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
};

/// `berth search`.
pub(crate) async fn search(call: Call) -> Result<u8> {
    let flags = &call.flags;
    let (term, filters) = (call.args[0].as_str(), flags.list("filter"));
    if filters.iter().any(|filter| filter.split('=').next() == Some("is-automated")) {
        remark(
            "WARNING: the \"is-automated\" filter is deprecated, and searching for \"is-automated=true\" will not yield any results in future.",
        );
    }
    // Whoever has no account, or one that cannot be read, searches as anybody.
    let account = Accounts::open(&call.settings)?.get(&account::key(registry_of(term))).unwrap_or_default();
    let query = Query::from("/images/search")
        .with("term", term)
        .with_some("limit", Some(flags.text("limit")).filter(|limit| *limit != "0").unwrap_or_default())
        .with_filters(filters)
        .identified(account.to_header());
    let answer = call.client.get(query).await?;
    let (format, cut) = (flags.text("format"), !flags.is("no-trunc"));
    let rows: Vec<Row> =
        answer.as_array().into_iter().flatten().map(|found| row(found, cut, is_json(format))).collect();
    stream::print(&List { layout: &LAYOUT, format, quiet: None }.print(&rows)?)?;
    Ok(0)
}

/// The registry that a term is about: its first component, if that is a host.
fn registry_of(term: &str) -> &str {
    match term.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

fn is_json(format: &str) -> bool {
    format == "json" || format.contains("{{json .}}")
}

fn row(found: &Value, cut: bool, json: bool) -> Row {
    let description = text(found, "description").replace(['\n', '\r'], " ");
    let yes = |name: &str| {
        let words = if json { ["true", "false"] } else { ["[OK]", ""] };
        words[usize::from(found[name] != true)].to_owned()
    };
    Row::new([
        ("Name", text(found, "name").to_owned()),
        ("Description", if cut { ellipsis(&description, 45) } else { description }),
        ("StarCount", found["star_count"].as_i64().unwrap_or_default().to_string()),
        ("IsOfficial", yes("is_official")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_name_their_registry() {
        for (term, host) in [
            ("box", "docker.io"),
            ("kim/box", "docker.io"),
            ("r.test/box", "r.test"),
            ("localhost/x/y", "localhost"),
        ] {
            assert_eq!(registry_of(term), host, "{term}");
        }
    }
}
