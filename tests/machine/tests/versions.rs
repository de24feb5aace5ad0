//! What documents look like in the versions of the API: each has what it came with, and not what it dropped.

use serde_json::{Value, json};
use testkit::Daemon;

use crate::door::ask;

fn get(d: &Daemon, minor: u32, path: &str) -> Value {
    let answer = ask(d, "GET", &format!("/v1.{minor}{path}"), None);
    assert_eq!(answer.status(), 200, "{path}");
    answer.json()
}

pub(crate) fn images() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["create", "--name", "user", "busybox"]).ok();
    d.berth(&["commit", "user", "child"]).ok();
    let listed = |minor: u32, query: &str, field: &str| {
        let list = get(&d, minor, &format!("/images/json{query}"));
        list.as_array().unwrap().iter().map(|image| image[field].clone()).collect::<Vec<Value>>()
    };
    // Newest first: the child, then busybox.
    assert_eq!(listed(50, "", "Containers"), [json!(-1), json!(-1)]);
    assert_eq!(listed(51, "", "Containers"), [json!(0), json!(1)]);
    assert_eq!(listed(51, "", "SharedSize"), [json!(-1), json!(-1)]);
    assert_eq!(listed(41, "?shared-size=1", "SharedSize"), [json!(-1), json!(-1)]);
    let sizes = listed(51, "", "Size");
    assert_eq!(listed(42, "?shared-size=1", "SharedSize"), [sizes[1].clone(), sizes[1].clone()]);
    assert!(listed(47, "", "Descriptor")[0].is_null() && listed(48, "", "Descriptor")[0].is_object());

    let config =
        |minor: u32, field: &str| get(&d, minor, "/images/busybox/json")["Config"].get(field).cloned();
    assert_eq!((config(49, "Hostname"), config(50, "Hostname")), (Some(json!("")), None));
    assert_eq!((config(49, "Tty"), config(50, "Tty")), (Some(json!(false)), None));
    assert_eq!(config(50, "Cmd"), config(49, "Cmd"));
}

pub(crate) fn containers() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["create", "--name", "one", "busybox"]).ok();
    let manifest = &get(&d, 48, "/images/busybox/json?manifests=1")["Manifests"][0];
    let field = "ImageManifestDescriptor";
    for (path, pick) in [("/containers/one/json", None), ("/containers/json?all=1", Some(0))] {
        let of = |minor: u32| {
            let answer = get(&d, minor, path);
            pick.map_or_else(|| answer.clone(), |first: usize| answer[first].clone()).get(field).cloned()
        };
        assert_eq!(of(47), None, "{path}");
        assert_eq!(of(48).map(|found| found["digest"].clone()), Some(manifest["ID"].clone()), "{path}");
    }
}

pub(crate) fn the_engine() {
    let d = Daemon::start();
    let of = |minor: u32| get(&d, minor, "/info");
    let (old, new) = (of(48), of(49));
    assert_eq!(old.get("FirewallBackend"), None);
    assert_eq!(new["FirewallBackend"], json!({"Driver": "nftables"}));
    for commit in ["ContainerdCommit", "RuncCommit", "InitCommit"] {
        assert_eq!((old[commit].get("Expected"), new[commit].get("Expected")), (Some(&json!("")), None));
    }
    let gone = "AllowNondistributableArtifactsCIDRs";
    assert_eq!((old["RegistryConfig"].get(gone), new["RegistryConfig"].get(gone)), (Some(&json!([])), None));
}
