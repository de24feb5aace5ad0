//! `images --tree`: under each name, the platforms that are here or not, what was stated of them, and what refers to them.

use serde_json::Value;

use super::text;
use crate::error::{Error, Result};
use crate::render::{columns, human_size, short_id};
use crate::stream;
use crate::tree::Call;
use crate::wire::Query;

const HEADINGS: &str = "IMAGE\tID\tDISK USAGE\tCONTENT SIZE\tEXTRA\n";

/// Prints the tree.
pub(super) async fn show(call: &Call) -> Result<u8> {
    let flags = &call.flags;
    let own = ["quiet", "no-trunc", "digests"].into_iter().find(|name| flags.is(name));
    if let Some(name) = own.or((!flags.text("format").is_empty()).then_some("format")) {
        return Err(Error::new(format!("--{name} is not supported together with --tree")));
    }
    let mut filters = flags.list("filter").to_vec();
    filters.extend(call.args.first().map(|name| format!("reference={name}")));
    let query = Query::from("/images/json")
        .with("manifests", "1")
        .with_switch("all", flags.is("all"))
        .with_filters(&filters);
    let answer = call.client.get(query).await?;
    let rows: String = answer.as_array().into_iter().flatten().map(tree).collect();
    stream::print(&columns(&format!("{HEADINGS}{rows}"), 10))?;
    Ok(0)
}

/// An image's lines.
fn tree(image: &Value) -> String {
    let names: Vec<&str> = list(&image["RepoTags"]).filter_map(Value::as_str).collect();
    let shown = if names.is_empty() { "<none>".to_owned() } else { names.join(", ") };
    let manifests: Vec<&Value> = list(&image["Manifests"]).collect();
    let sum = |key: &str| manifests.iter().filter_map(|m| m["Size"][key].as_u64()).sum::<u64>();
    let total = if manifests.is_empty() { image["Size"].as_u64().unwrap_or_default() } else { sum("Total") };
    let used = manifests.iter().any(|manifest| is_used(manifest));
    let mut extra = vec![text(image, "ArtifactType").to_owned()];
    extra.extend(used.then(|| "in use".to_owned()));
    let mut lines = line(&shown, text(image, "Id"), Some((total, sum("Content"))), &extra);
    // An artifact that no index leads to is told already.
    let members = manifests.into_iter().filter(|manifest| manifest["ID"] != image["Id"]).map(member);
    let referrers = list(&image["Referrers"]).map(referrer);
    let children: Vec<_> = members.chain(referrers).collect();
    let last = children.len().saturating_sub(1);
    for (place, (name, id, sizes, extra)) in children.into_iter().enumerate() {
        let branch = if place == last { "└─" } else { "├─" };
        lines += &line(&format!("{branch} {name}"), &id, sizes, &[extra]);
    }
    lines
}

type Child = (String, String, Option<(u64, u64)>, String);

fn member(manifest: &Value) -> Child {
    let descriptor = &manifest["Descriptor"];
    let (name, extra) = match text(manifest, "Kind") {
        "image" => {
            (platform(&manifest["ImageData"]["Platform"]), if is_used(manifest) { "in use" } else { "" })
        }
        "attestation" => ("attestation".to_owned(), short_id(text(&manifest["AttestationData"], "For"))),
        _ => ("artifact".to_owned(), text(descriptor, "artifactType")),
    };
    let here = manifest["Available"] == true;
    let size = |key: &str| manifest["Size"][key].as_u64().unwrap_or_default();
    let sizes = here.then(|| (size("Total"), size("Content")));
    let extra = if here { extra } else { "not here" };
    (name, text(manifest, "ID").to_owned(), sizes, extra.to_owned())
}

fn referrer(descriptor: &Value) -> Child {
    (
        "referrer".to_owned(),
        text(descriptor, "digest").to_owned(),
        None,
        text(descriptor, "artifactType").to_owned(),
    )
}

fn is_used(manifest: &Value) -> bool {
    list(&manifest["ImageData"]["Containers"]).next().is_some()
}

fn platform(platform: &Value) -> String {
    let parts = ["os", "architecture", "variant"].map(|key| text(platform, key));
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// `sizes`: unpacked and all, and as registries have it.
fn line(name: &str, id: &str, sizes: Option<(u64, u64)>, extra: &[String]) -> String {
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), human_size);
    let extra: Vec<&str> = extra.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    format!(
        "{name}\t{}\t{}\t{}\t{}\n",
        short_id(id),
        size(sizes.map(|(total, _)| total)),
        size(sizes.map(|(_, content)| content)),
        extra.join(", ")
    )
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::tree;

    #[test]
    fn a_tree_shows_what_is_here_and_what_is_not() {
        let id = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let platform = |architecture: &str| json!({"os": "linux", "architecture": architecture});
        let image = json!({
            "Id": id("a"), "RepoTags": ["multi:1"], "Referrers": [{"digest": id("e"), "artifactType": "x/signature"}],
            "Manifests": [
                {"ID": id("b"), "Kind": "image", "Available": true, "Size": {"Content": 1000, "Total": 3000},
                 "ImageData": {"Platform": platform("amd64"), "Containers": ["c"]}},
                {"ID": id("c"), "Kind": "image", "Available": false, "Size": {"Content": 0, "Total": 0},
                 "ImageData": {"Platform": platform("arm64"), "Containers": []}},
                {"ID": id("d"), "Kind": "attestation", "Available": true, "Size": {"Content": 10, "Total": 10},
                 "AttestationData": {"For": id("b")}}]
        });
        assert_eq!(
            tree(&image),
            "multi:1\taaaaaaaaaaaa\t3.01kB\t1.01kB\tin use\n\
             ├─ linux/amd64\tbbbbbbbbbbbb\t3kB\t1kB\tin use\n\
             ├─ linux/arm64\tcccccccccccc\t-\t-\tnot here\n\
             ├─ attestation\tdddddddddddd\t10B\t10B\tbbbbbbbbbbbb\n\
             └─ referrer\teeeeeeeeeeee\t-\t-\tx/signature\n"
        );
        let chart = json!({"Id": id("a"), "RepoTags": [], "ArtifactType": "x/chart", "Size": 5,
            "Manifests": [{"ID": id("a"), "Kind": "unknown", "Available": true,
            "Size": {"Content": 5, "Total": 5}, "Descriptor": {"artifactType": "x/chart"}}]});
        assert_eq!(tree(&chart), "<none>\taaaaaaaaaaaa\t5B\t5B\tx/chart\n");
    }
}
