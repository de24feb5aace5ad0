//! Rows of the list of runtimes' historical weaknesses that are about cgroups.

use serde_json::{Value, json};
use testkit::Bundle;

use crate::bundle_rootless::{USER, document};

/// Tries to make a cgroup, and to write a file, in every hierarchy that the container sees.
const ATTEMPT: &str = "n=0; for d in /sys/fs/cgroup /sys/fs/cgroup/*/; do [ -d $d ] || continue; n=$((n+1)); \
    mkdir $d/MARK 2>/dev/null && rmdir $d/MARK && echo made $d; \
    for f in cgroup.procs tasks; do [ -e $d/$f ] && (echo 1 > $d/$f) 2>/dev/null && echo wrote $d/$f; done; done; echo seen $((n > 0))";

fn script(b: &Bundle) -> String {
    ATTEMPT.replace("MARK", b.mark())
}

fn with_cgroups(document: &mut Value) {
    let mount = json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"]});
    document["mounts"].as_array_mut().unwrap().push(mount);
}

/// The whole of `/sys`, as ordinary users' documents have it.
fn with_sys_bound(document: &mut Value) {
    let mount = json!({"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
    document["mounts"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .filter(|m| m["destination"] == "/sys")
        .for_each(|m| *m = mount.clone());
}

fn add_namespace(document: &mut Value, kind: &str) {
    document["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": kind}));
}

fn add_users(document: &mut Value) {
    add_namespace(document, "user");
    let map = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    document["linux"]["uidMappings"] = map.clone();
    document["linux"]["gidMappings"] = map;
}

/// Cgroups are read-only in every mode: with root and without, in a user namespace, with the host's cgroup namespace, and where `/sys` is
/// bound whole (CVE-2023-25809).
pub(crate) fn r05_cgroups_are_read_only() {
    type Change = fn(&mut Value);
    let modes: [(&str, Change); 3] = [
        ("plain", |_| ()),
        ("cgroup namespace", |d| add_namespace(d, "cgroup")),
        ("user namespace", add_users),
    ];
    let mounts: [(&str, Change); 3] = [
        ("cgroup", with_cgroups),
        ("sys", with_sys_bound),
        ("both", |d| {
            with_sys_bound(d);
            with_cgroups(d);
        }),
    ];
    let b = Bundle::new();
    for (mode, change) in modes {
        for (mount, mounted) in mounts {
            let mut document = b.document(&script(&b));
            change(&mut document);
            mounted(&mut document);
            assert_eq!(b.run(&document).ok(), "seen 1", "root, {mode}, {mount}");
        }
    }
    let b = Bundle::new().owned_by(USER);
    for (mode, change) in &modes[..2] {
        for (mount, mounted) in mounts {
            let mut document = document(&b, &script(&b));
            change(&mut document);
            mounted(&mut document);
            assert_eq!(b.run(&document).ok(), "seen 1", "an ordinary user, {mode}, {mount}");
        }
    }
}
