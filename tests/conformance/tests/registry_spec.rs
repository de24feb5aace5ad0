//! The conformance suite of the distribution specification, all of its workflows, against Berth's registry. It comes as a Go module;
//! the program lies where the next run finds it.

use std::path::Path;
use std::process::{Command, Stdio};

use super::caller::Caller;
use super::registry_clients::Registry;

const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/distribution");
/// Where the built program lies.
const PLACE: &str = "/var/tmp/berth-test-distribution";

/// The modules are fetched in the machine's first network namespace.
const BUILD: &str = r#"
set -e
mkdir -p "$PLACE"
export CGO_ENABLED=0 GOFLAGS=-mod=readonly
outside() { nsenter --net="$BERTH_TEST_OUTSIDE" "$@"; }
outside go build -o "$PLACE/suite.new" github.com/opencontainers/distribution-spec/conformance
mv "$PLACE/suite.new" "$PLACE/suite"
"#;

pub(crate) fn every_workflow() {
    if !Path::new(PLACE).join("suite").exists() {
        let mut build = Command::new("sh");
        build.args(["-c", BUILD]).current_dir(MODULE).env("PLACE", PLACE).stdin(Stdio::null());
        assert!(build.status().unwrap().success(), "the conformance suite");
    }
    let caller = Caller::new();
    let registry = Registry::start(&caller, &[]);
    let mut suite = Command::new(Path::new(PLACE).join("suite"));
    suite.current_dir(&caller.directory).env("OCI_REGISTRY", &registry.address).env("OCI_TLS", "disabled");
    for on in ["BLOBS_DIGEST_HEADER", "BLOBS_UPLOAD_CANCEL", "MANIFESTS_DIGEST_HEADER"] {
        suite.env(format!("OCI_API_{on}"), "true");
    }
    // Debian's registry knows neither.
    for on in ["OCI_DATA_SHA512", "OCI_API_MANIFESTS_TAG_PARAM"] {
        suite.env(on, (!testkit::is_reference()).to_string());
    }
    let said = suite.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{text}");
    if testkit::is_reference() {
        return;
    }
    // Nothing counts as passed because it was left out, but a backward range, which RFC 9110 has a server ignore.
    let left_out: Vec<&str> = text
        .lines()
        .filter(|line| {
            ["Skip", "FAIL", "Unsupported", "Error"].iter().any(|word| line.trim_end().ends_with(word))
        })
        .filter(|line| !line.contains("range 500-0"))
        .collect();
    assert!(left_out.is_empty(), "{left_out:?}\n{text}");
    for part in ["Manifest put by tag", "Blob chunked", "Referrers", "Blob mount", "Tag list", "sha512"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
