//! What only cgroup v2 has: files by their names, and cgroups that are handed over.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::{Bundle, wait_for};

fn place(document: &Value) -> PathBuf {
    let path = document["linux"]["cgroupsPath"].as_str().unwrap();
    Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| e.to_string()).trim().to_owned()
}

/// Block devices as the kernel names them: major and minor.
fn disks() -> Vec<String> {
    let all = fs::read_dir("/sys/block").unwrap().flatten();
    all.map(|e| read(&e.path().join("dev"))).filter(|dev| dev.contains(':')).take(2).collect()
}

pub(crate) fn files_by_their_names() {
    let b = Bundle::new();
    let mut document = b.document("sleep 1000");
    // The last word is theirs.
    document["linux"]["resources"]["memory"] = json!({"limit": 33_554_432});
    document["linux"]["resources"]["cpu"] = json!({"shares": 3333, "quota": 40_000, "period": 100_000});
    let ceilings: String = disks().iter().map(|disk| format!("{disk} riops=333 wiops=444\n")).collect();
    document["linux"]["resources"]["unified"] = json!({
        "memory.min": "131072", "memory.low": "524288", "memory.high": "20971520", "memory.max": "41943040", "pids.max": "99",
        "cpu.max": "10000 100000", "cpu.weight": "42", "io.max": ceilings, "cgroup.max.depth": "7",
    });
    b.write(&document);
    b.runtime(&["run", "-d", "c1"]).ok();
    let file = |name: &str| read(&place(&document).join(name));
    for (name, wanted) in [
        ("memory.min", "131072"),
        ("memory.low", "524288"),
        ("memory.high", "20971520"),
        ("memory.max", "41943040"),
        ("pids.max", "99"),
        ("cpu.max", "10000 100000"),
        ("cpu.weight", "42"),
        ("cgroup.max.depth", "7"),
    ] {
        assert_eq!(file(name), wanted, "{name}");
    }
    let limited = file("io.max");
    assert_eq!(
        limited.lines().filter(|l| l.ends_with("riops=333 wiops=444")).count(),
        disks().len(),
        "{limited}"
    );
    fs::write(
        b.directory().join("r"),
        json!({"unified": {"cpu.max": "max 50000", "pids.max": "10"}}).to_string(),
    )
    .unwrap();
    b.runtime(&["update", "-r", "r", "c1"]).ok();
    assert_eq!((file("cpu.max").as_str(), file("pids.max").as_str()), ("max 50000", "10"));
}

pub(crate) fn pages_and_weights() {
    let b = Bundle::new();
    let mut document = b.document("sleep 1000");
    document["linux"]["resources"]["blockIO"] = json!({"weight": 750});
    let sizes = fs::read_dir("/sys/kernel/mm/hugepages")
        .map_or(0, |sizes| sizes.flatten().filter(|s| s.file_name() == "hugepages-2048kB").count());
    if sizes == 1 {
        document["linux"]["resources"]["hugepageLimits"] = json!([{"pageSize": "2MB", "limit": 2_097_152}]);
    }
    b.write(&document);
    let said = b.runtime(&["run", "-d", "c1"]);
    let there = |name: &str| place(&document).join(name).exists();
    if said.code != 0 {
        // Neither BFQ nor a kernel with its own weights.
        assert!(said.err.contains("linux.resources.blockIO.weight: write default 7475"), "{}", said.err);
        assert!(!place(&document).exists());
        document["linux"]["resources"].as_object_mut().unwrap().remove("blockIO");
        b.write(&document);
        b.runtime(&["run", "-d", "c1"]).ok();
    } else {
        let (name, wanted) = if there("io.bfq.weight") {
            ("io.bfq.weight", "default 750")
        } else {
            ("io.weight", "default 7475")
        };
        assert_eq!(read(&place(&document).join(name)).lines().next(), Some(wanted));
    }
    if sizes == 1 {
        for name in ["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"] {
            assert_eq!(read(&place(&document).join(name)), "2097152", "{name}");
        }
        let line = b.runtime(&["events", "--stats", "c1"]).ok();
        let stats: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(stats["data"]["hugetlb"]["2MB"]["failcnt"], json!(0), "{line}");
    }
}

/// Who may make cgroups in the container's: its root, if it sees them as its own and may write.
pub(crate) fn handed_over() {
    let b = Bundle::new();
    let mut document = b.document(
        "mkdir /sys/fs/cgroup/inner && echo $$ > /sys/fs/cgroup/inner/cgroup.procs && echo made; sleep 1000",
    );
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    document["linux"]["uidMappings"] = map.clone();
    document["linux"]["gidMappings"] = map;
    let namespaces = document["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.extend([json!({"type": "user"}), json!({"type": "cgroup"})]);
    let mut owners = |option: &str, id: &str| {
        let options = json!(["nosuid", "noexec", "nodev", option]);
        let tree = json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options});
        document["mounts"].as_array_mut().unwrap().truncate(4);
        document["mounts"].as_array_mut().unwrap().push(tree);
        document["linux"]["cgroupsPath"] =
            json!(format!("{}x", document["linux"]["cgroupsPath"].as_str().unwrap()));
        b.write(&document);
        b.runtime(&["run", "-d", id]).ok();
        let place = place(&document);
        let owner = |name: &str| fs::metadata(place.join(name)).unwrap().uid();
        (owner(""), owner("cgroup.procs"), owner("memory.max"), place)
    };
    let (directory, procs, limit, place) = owners("rw", "c1");
    assert_eq!((directory, procs, limit), (100_000, 100_000, 0));
    wait_for("a cgroup of the container's own", || {
        fs::read_to_string(place.join("inner/cgroup.procs")).is_ok_and(|procs| !procs.is_empty())
    });
    let (directory, procs, ..) = owners("ro", "c2");
    assert_eq!((directory, procs), (0, 0), "it cannot write there anyway");
    b.runtime(&["delete", "--force", "c1"]).ok();
    assert!(!place.exists());
}
