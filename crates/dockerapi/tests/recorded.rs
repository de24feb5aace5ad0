//! Answers recorded from dockerd 20.10, read into our documents and printed again: no field and no `null` may get
//! lost, and none may be made up, but for those named here.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test reads its data")]

use std::collections::BTreeSet;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Fields that dockerd 20.10 has and API 1.51 has not, or that mean nothing outside it.
const GONE: &[&str] = &[
    "BridgeNfIp6tables",
    "BridgeNfIptables",
    "BuilderSize",
    "Container",
    "ContainerConfig",
    "KernelMemory",
    "KernelMemoryTCP",
];
/// Fields that came after dockerd 20.10.
const NEW: &[&str] = &["CDISpecDirs", "DNSNames", "EnableIPv4", "GwPriority"];

/// Fields that are `null` in dockerd 20.10 and empty in today's, or (labels) in containers.
const EMPTY: &[&str] = &["BuildCache", "Labels", "RepoDigests"];

fn check<T: Serialize + DeserializeOwned>(name: &str) {
    let path = format!("{}/tests/recorded/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let theirs: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let document: T = serde_json::from_value(theirs.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let ours = serde_json::to_value(&document).unwrap();
    let mut differences = Vec::new();
    compare(name, &theirs, &ours, &mut differences);
    assert!(differences.is_empty(), "{differences:#?}");
}

fn compare(path: &str, theirs: &Value, ours: &Value, differences: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            let keys: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
            for key in keys {
                let path = format!("{path}.{key}");
                match (theirs.get(key), ours.get(key)) {
                    (Some(Value::Null), Some(ours)) if EMPTY.contains(&key.as_str()) => {
                        assert!(ours.is_null() || *ours == json!([]) || *ours == json!({}), "{path}");
                    }
                    (Some(theirs), Some(ours)) => compare(&path, theirs, ours, differences),
                    (Some(_), None) if !GONE.contains(&key.as_str()) => {
                        differences.push(format!("{path} is lost"))
                    }
                    (None, Some(_)) if !NEW.contains(&key.as_str()) => {
                        differences.push(format!("{path} is made up"))
                    }
                    _ => {}
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            for (index, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
                compare(&format!("{path}[{index}]"), theirs, ours, differences);
            }
        }
        (theirs, ours) if theirs != ours => differences.push(format!("{path}: {theirs} became {ours}")),
        _ => {}
    }
}

#[test]
fn containers() {
    check::<dockerapi::ContainerInspect>("inspect");
    check::<Vec<dockerapi::ContainerSummary>>("containers");
    check::<dockerapi::Stats>("stats");
    check::<dockerapi::TopResult>("top");
    check::<dockerapi::ExecInspect>("exec");
}

#[test]
fn images() {
    check::<Vec<dockerapi::ImageSummary>>("images");
    check::<dockerapi::ImageInspect>("image");
    check::<Vec<dockerapi::HistoryItem>>("history");
}

#[test]
fn the_rest() {
    check::<dockerapi::VolumeList>("volumes");
    check::<Vec<dockerapi::Network>>("networks");
    check::<dockerapi::Info>("info");
    check::<dockerapi::Version>("version");
    check::<dockerapi::DiskUsage>("df");
    check::<dockerapi::Event>("event");
}
