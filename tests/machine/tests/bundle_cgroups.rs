//! Limits, places and the commands on cgroups of the standalone runtime, by the kernel's own files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use testkit::{Bundle, Ran, wait_for};

/// The hierarchy's root in which a controller is, of v1 or v2.
fn hierarchy(controller: &str) -> PathBuf {
    let old = Path::new("/sys/fs/cgroup").join(controller);
    if old.is_dir() { old } else { "/sys/fs/cgroup".into() }
}

pub(crate) fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// Where the container of a document is.
fn place(document: &Value, controller: &str) -> PathBuf {
    let path = document["linux"]["cgroupsPath"].as_str().unwrap();
    hierarchy(controller).join(path.trim_start_matches('/'))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| e.to_string()).trim().to_owned()
}

/// A file of the container's, named for both versions.
fn file(document: &Value, controller: &str, old: &str, new: &str) -> String {
    let name = if is_v2() { new } else { old };
    read(&place(document, controller).join(name))
}

fn limited(b: &Bundle, resources: &Value) -> Value {
    let mut document = b.document("trap 'exit 0' TERM; : > /ready; while :; do sleep 0.1; done");
    for (name, value) in resources.as_object().unwrap() {
        document["linux"]["resources"][name] = value.clone();
    }
    b.write(&document);
    document
}

fn refused(said: &Ran, wanted: &str) {
    assert_eq!(said.code, 1, "{wanted}: {} {}", said.out, said.err);
    assert!(said.err.contains(wanted), "{:?} does not say {wanted:?}", said.err);
}

/// Runs the runtime with something on its stdin.
fn fed(b: &Bundle, words: &[&str], input: &Value) -> Ran {
    let mut command = b.command(words);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

pub(crate) fn every_limit_is_in_its_file() {
    let b = Bundle::new();
    let mut document = json!({
        "memory": {"limit": 67_108_864, "swap": 134_217_728, "reservation": 33_554_432},
        "cpu": {"shares": 2048, "quota": 50_000, "period": 200_000, "burst": 10_000, "cpus": "0", "mems": "0"},
        "pids": {"limit": 0},
    });
    let device = fs::read_dir("/sys/block").unwrap().flatten().map(|e| read(&e.path().join("dev"))).next();
    if let Some((major, minor)) = device.as_ref().and_then(|d| d.split_once(':')) {
        let (major, minor): (u32, u32) = (major.parse().unwrap(), minor.parse().unwrap());
        let row = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
        document["blockIO"] =
            json!({"throttleReadBpsDevice": row(1_048_576), "throttleWriteIOPSDevice": row(77)});
    }
    let mut document = limited(&b, &document);
    // Nothing else fits in.
    document["process"]["args"] = json!(["sleep", "1000"]);
    b.write(&document);
    b.runtime(&["run", "-d", "c1"]).ok();
    let of = |controller: &str, old: &str, new: &str| file(&document, controller, old, new);
    assert_eq!(of("memory", "memory.limit_in_bytes", "memory.max"), "67108864");
    let swap = if is_v2() { "67108864" } else { "134217728" };
    assert_eq!(of("memory", "memory.memsw.limit_in_bytes", "memory.swap.max"), swap);
    assert_eq!(of("memory", "memory.soft_limit_in_bytes", "memory.low"), "33554432");
    let weight = if is_v2() { "174" } else { "2048" };
    assert_eq!(of("cpu", "cpu.shares", "cpu.weight"), weight);
    let quota = if is_v2() { "50000 200000" } else { "50000" };
    assert_eq!(of("cpu", "cpu.cfs_quota_us", "cpu.max"), quota);
    assert_eq!(of("cpu", "cpu.cfs_burst_us", "cpu.max.burst"), "10000");
    assert_eq!(of("cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    assert_eq!(of("cpuset", "cpuset.mems", "cpuset.mems"), "0");
    assert_eq!(of("pids", "pids.max", "pids.max"), "1", "no task means one, the first");
    if let Some(device) = device {
        let ceilings = of("blkio", "blkio.throttle.read_bps_device", "io.max");
        let wanted = if is_v2() { "rbps=1048576 wbps=max riops=max wiops=77" } else { "1048576" };
        assert_eq!(ceilings, format!("{device} {wanted}"));
    }
    b.runtime(&["update", "--pids-limit", "-1", "c1"]).ok();
    assert_eq!(of("pids", "pids.max", "pids.max"), "max");
}

pub(crate) fn limits_that_cannot_be() {
    let b = Bundle::new();
    for (resources, wanted) in [
        (json!({"blockIO": {"leafWeight": 100}}), "blockIO.leafWeight cannot be set"),
        (json!({"blockIO": {"weight": 5}}), "weight 5 is not within 10 and 1000"),
        (json!({"hugepageLimits": [{"pageSize": "../../../x2MB", "limit": 1}]}), "no page size like 2MB"),
        (json!({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}), "linux.resources.hugepageLimits"),
        (json!({"rdma": {"no such": {"hcaHandles": 1}}}), "linux.resources.rdma"),
        (json!({"cpu": {"cpus": "4096"}}), "linux.resources.cpu.cpus: write 4096"),
        (json!({"cpu": {"period": 100}}), "linux.resources.cpu.period: write"),
        (json!({"pids": {"limit": i64::MAX}}), "linux.resources.pids.limit: write 9223372036854775807"),
        (json!({"unified": {"nonsense.max": "1"}}), "linux.resources.unified.nonsense.max"),
        (
            json!({"devices": [{"allow": false}, {"allow": true, "type": "c", "major": 10}, {"allow": false, "type": "c", "major": 10, "minor": 1}]}),
            "cannot take back a part",
        ),
    ] {
        let document = limited(&b, &resources);
        refused(&b.runtime(&["run", "c1"]), wanted);
        assert_eq!(b.runtime(&["list", "-q"]).out, "", "{wanted}: nothing is left");
        assert!(!place(&document, "memory").exists(), "{wanted}: no cgroup is left");
    }
    let v1_only = json!({"unified": {"memory.max": "33554432"}});
    limited(&b, &v1_only);
    if is_v2() {
        b.runtime(&["run", "-d", "c1"]).ok();
    } else {
        refused(
            &b.runtime(&["run", "c1"]),
            "linux.resources.unified.memory.max cannot be set: invalid configuration",
        );
    }
}

/// A cgroup that is there is used as it is, if nobody is in it and it lets run.
pub(crate) fn a_cgroup_that_is_there() {
    let b = Bundle::new();
    let document = limited(&b, &json!({"memory": {"reservation": 8_388_608}}));
    let (memory, freezer) = (place(&document, "memory"), place(&document, "freezer"));
    fs::create_dir_all(&memory).unwrap();
    // Its parent hands nothing down, yet.
    let limit = memory.join(if is_v2() { "memory.max" } else { "memory.limit_in_bytes" });
    if !is_v2() {
        fs::write(&limit, "50331648").unwrap();
    }
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&memory).unwrap());
    b.runtime(&["run", "-d", "c1"]).ok();
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&fs::metadata(&memory).unwrap()),
        inode,
        "the same directory"
    );
    assert_eq!(file(&document, "memory", "memory.soft_limit_in_bytes", "memory.low"), "8388608");
    if !is_v2() {
        assert_eq!(read(&limit), "50331648", "what is not named stays");
    }
    for command in ["run", "create"] {
        refused(&b.runtime(&[command, "c2"]), "container's cgroup is not empty: ");
    }
    assert_eq!(b.status("c1"), "running", "the other's refusal is no concern of the first's");
    b.runtime(&["delete", "--force", "c1"]).ok();
    assert!(!memory.exists() && !freezer.exists(), "it goes with the container");

    fs::create_dir_all(&freezer).unwrap();
    let (state, frozen) = if is_v2() { ("cgroup.freeze", "1") } else { ("freezer.state", "FROZEN") };
    fs::write(freezer.join(state), frozen).unwrap();
    for command in ["run", "create"] {
        refused(&b.runtime(&[command, "c3"]), "container's cgroup unexpectedly frozen");
    }
    assert!(freezer.exists(), "what was there is still there");
    fs::remove_dir(&freezer).unwrap();
}

pub(crate) fn places_of_cgroups() {
    let b = Bundle::new();
    let mark = b.directory().file_name().unwrap().to_str().unwrap().to_owned();
    let mut document = b.document("cat /proc/self/cgroup");
    let mut at = |path: &str| {
        document["linux"]["cgroupsPath"] = json!(path);
        b.run(&document)
    };
    for (path, wanted) in [
        (format!("/{mark}/x/y"), format!("/{mark}/x/y")),
        (format!("//{mark}/./x//z/"), format!("/{mark}/x/z")),
        (format!("{mark}/x"), format!("/berth-runtime/{mark}/x")),
        (String::new(), format!("/berth-runtime/{mark}")),
    ] {
        let said = at(&path).ok();
        // What somebody has mounted elsewhere is not for us.
        let ours = |line: &&str| [":memory:", ":pids:", "0::"].iter().any(|part| line.contains(part));
        for line in said.lines().filter(ours) {
            assert_eq!(line.splitn(3, ':').nth(2), Some(wanted.as_str()), "{path}: {said}");
        }
        assert!(!hierarchy("memory").join(&wanted[1..]).exists(), "{path}: it is removed");
    }
    refused(&at("system.slice:berth:c1"), "is for the systemd cgroup driver, which is not supported");
    refused(&at(&format!("/{mark}/../../x")), "is not a plain absolute path");
    refused(&b.runtime(&["--systemd-cgroup", "run", "c1"]), "the systemd cgroup driver is not supported");
    for parent in [format!("{mark}/x"), format!("berth-runtime/{mark}"), "berth-runtime".into()] {
        for root in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _ = fs::remove_dir(root.path().join(&parent));
        }
        let _ = fs::remove_dir(Path::new("/sys/fs/cgroup").join(&parent));
    }
}

/// A container with limits of many kinds, and its updates.
struct Limited {
    b: Bundle,
    document: Value,
    first: Value,
}

impl Limited {
    fn new() -> Self {
        let b = Bundle::new();
        let first = json!({
            "memory": {"limit": 33_554_432, "swap": 67_108_864, "reservation": 25_165_824},
            "cpu": {"shares": 100, "quota": 500_000, "period": 1_000_000},
            "pids": {"limit": 20},
        });
        let document = limited(&b, &first);
        b.runtime(&["run", "-d", "c1"]).ok();
        Self { b, document, first }
    }

    fn update(&self, words: &[&str]) -> Ran {
        self.b.runtime(&[&["update"], words, &["c1"]].concat())
    }

    fn of(&self, controller: &str, old: &str, new: &str) -> String {
        file(&self.document, controller, old, new)
    }

    fn tasks(&self) -> String {
        self.of("pids", "pids.max", "pids.max")
    }

    /// Limits of memory, of swap (with memory on v1), and the soft one, in MiB.
    fn memory(&self) -> [u64; 3] {
        let files = [
            ("memory.limit_in_bytes", "memory.max"),
            ("memory.memsw.limit_in_bytes", "memory.swap.max"),
            ("memory.soft_limit_in_bytes", "memory.low"),
        ];
        files.map(|(old, new)| self.of("memory", old, new).parse::<u64>().map_or(0, |n| n >> 20))
    }

    /// Quota and period.
    fn processors(&self) -> String {
        let both = |old: &str| self.of("cpu", old, "cpu.max");
        let text =
            if is_v2() { both("") } else { [both("cpu.cfs_quota_us"), both("cpu.cfs_period_us")].join(" ") };
        text.replace("max", "-1")
    }
}

pub(crate) fn update_of_memory() {
    let c = Limited::new();
    // Swap alone on v2, and both together on v1.
    let swap = |limit: u64, both: u64| if is_v2() { both - limit } else { both };
    for (words, [limit, both, soft], why) in [
        (&["--memory", "48M"][..], [48, 64, 24], "the sum stays"),
        (&["--memory", "96M", "--memory-swap", "128M"], [96, 128, 24], "raised together"),
        (
            &["--memory", "30M", "--memory-swap", "50M", "--memory-reservation", "16M"],
            [30, 50, 16],
            "lowered together",
        ),
        (&["--memory-swap", "60M"], [30, 60, 16], "the sum alone"),
    ] {
        c.update(words).ok();
        assert_eq!(c.memory(), [limit, swap(limit, both), soft], "{why}");
    }
    refused(&c.update(&["--memory", "70M", "--pids-limit", "5"]), "linux.resources.memory");
    assert_eq!((c.memory(), c.tasks().as_str()), ([30, swap(30, 60), 16], "20"), "all or nothing");
    let said = fed(&c.b, &["update", "-r", "-", "c1"], &c.first);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_eq!(c.memory(), [32, swap(32, 64), 24]);
    c.update(&["--memory", "-1"]).ok();
    let none = c.of("memory", "memory.limit_in_bytes", "memory.max");
    assert!(none == "max" || none.parse::<u64>().is_ok_and(|n| n > 1 << 60), "{none}");
    assert_eq!(c.of("memory", "memory.memsw.limit_in_bytes", "memory.swap.max"), none, "of both together");
    let said = c.update(&["--kernel-memory", "50M", "--kernel-memory-tcp", "-1"]);
    assert!(said.code == 0 && said.err.contains("memory.kernel has no effect"), "{}", said.err);
    if is_v2() {
        let check = |limits: Value| fed(&c.b, &["update", "-r", "-", "c1"], &json!({"memory": limits}));
        refused(&check(json!({"limit": 1024, "checkBeforeUpdate": true})), "rejecting memory limit 1024");
        refused(
            &check(json!({"limit": 1024, "swap": 2048, "checkBeforeUpdate": true})),
            "rejecting memory+swap limit 2048",
        );
    } else {
        refused(&c.update(&["--memory", "4096"]), "bytes are in use");
    }
    assert_eq!(c.b.status("c1"), "running");
}

pub(crate) fn update_of_processors() {
    let c = Limited::new();
    for (words, wanted) in [
        (&["--cpu-period", "900000"][..], "500000 900000"),
        (&["--cpu-quota", "600000"], "600000 900000"),
        (&["--cpu-quota", "-1"], "-1 900000"),
        (&["--cpu-quota", "3000", "--cpu-period=10000"], "3000 10000"),
        (&["--cpu-share", "200"], "3000 10000"),
    ] {
        c.update(words).ok();
        assert_eq!(c.processors(), wanted, "{words:?}");
    }
    assert_eq!(c.of("cpu", "cpu.shares", "cpu.weight"), if is_v2() { "29" } else { "200" });
    c.update(&["--cpu-burst", "1000"]).ok();
    c.update(&["--memory", "31M"]).ok();
    assert_eq!(c.of("cpu", "cpu.cfs_burst_us", "cpu.max.burst"), "1000", "what is not named stays");
    c.update(&["--cpuset-cpus", "0", "--cpuset-mems", "0", "--pids-limit", "30"]).ok();
    assert_eq!(c.of("cpuset", "cpuset.cpus", "cpuset.cpus") + &c.tasks(), "030");
    for idle in ["1", "0", "1"] {
        c.update(&["--cpu-idle", idle]).ok();
        assert_eq!(c.of("cpu", "cpu.idle", "cpu.idle"), idle);
    }
    refused(&c.update(&["--cpu-idle", "3"]), "linux.resources.cpu.idle: write 3");
    c.update(&["--cpu-idle", "0", "--cpu-share", "300"]).ok();
    assert_eq!(c.of("cpu", "cpu.idle", "cpu.idle"), "0");
    assert_eq!(fed(&c.b, &["update", "-r", "-", "c1"], &c.first).code, 0);
    assert_eq!(c.processors(), "500000 1000000");
}

pub(crate) fn update_refuses_and_keeps() {
    let c = Limited::new();
    fs::write(c.b.directory().join("resources"), json!({"pids": {"limit": 25}}).to_string()).unwrap();
    c.update(&["--resources", "resources"]).ok();
    assert_eq!(c.tasks(), "25");
    for (words, wanted) in [
        (&["--memory", "x"][..], "invalid value for --memory"),
        (&["--cpu-share", "-1"], "invalid value for --cpu-share"),
        (&["--l3-cache-schema", "L3:0=f"], "Intel RDT/CAT"),
        (&["--mem-bw-schema", "MB:0=20"], "Intel RDT/MBA"),
        (&["--bogus", "1"], "option --bogus is not supported here"),
        (&["--blkio-weight", "5"], "weight 5 is not within 10 and 1000"),
        (&["-r", "absent"], "read absent"),
    ] {
        refused(&c.update(words), wanted);
    }
    // A frozen container is changed and stays frozen; a stopped one has nothing to change.
    c.b.runtime(&["pause", "c1"]).ok();
    c.update(&["--pids-limit", "40"]).ok();
    assert_eq!((c.b.status("c1").as_str(), c.tasks().as_str()), ("paused", "40"));
    c.b.runtime(&["kill", "c1", "KILL"]).ok();
    wait_for("the end", || c.b.status("c1") == "stopped");
    refused(&c.update(&["--pids-limit", "40"]), "is not running");
}

pub(crate) fn real_time_limits() {
    let b = Bundle::new();
    let probe = limited(&b, &json!({}));
    let at = place(&probe, "cpu");
    fs::create_dir_all(&at).unwrap();
    let offered =
        ["cpu.rt_period_us", "cpu.rt_runtime_us"].map(|f| fs::read_to_string(hierarchy("cpu").join(f)));
    let [Ok(period), Ok(runtime)] = offered else {
        let _ = fs::remove_dir(&at);
        limited(&b, &json!({"cpu": {"realtimeRuntime": 1000, "realtimePeriod": 100_000}}));
        let said = b.runtime(&["run", "-d", "c1"]);
        // Without such files: told on v2, refused by name on v1.
        assert!(said.err.contains("linux.resources.cpu.realtime"), "{}", said.err);
        return;
    };
    for place in [at.parent().unwrap(), &at] {
        fs::write(place.join("cpu.rt_period_us"), &period).unwrap();
        fs::write(place.join("cpu.rt_runtime_us"), &runtime).unwrap();
    }
    b.runtime(&["run", "-d", "c1"]).ok();
    for (period, runtime) in [("900001", "600001"), ("10000", "3000"), ("100000", "20000")] {
        b.runtime(&["update", "--cpu-rt-period", period, "--cpu-rt-runtime", runtime, "c1"]).ok();
        assert_eq!(read(&at.join("cpu.rt_period_us")), period);
        assert_eq!(read(&at.join("cpu.rt_runtime_us")), runtime);
    }
}

pub(crate) fn paused_containers() {
    let b = Bundle::new();
    limited(&b, &json!({}));
    b.runtime(&["create", "c1"]).ok();
    b.runtime(&["pause", "c1"]).ok();
    assert_eq!(b.status("c1"), "paused");
    assert_eq!(b.runtime(&["start", "c1"]).code, 1);
    b.runtime(&["resume", "c1"]).ok();
    assert_eq!(b.status("c1"), "created");
    b.runtime(&["start", "c1"]).ok();
    wait_for("the handler's beginning", || b.inside("ready").exists());
    b.runtime(&["pause", "c1"]).ok();
    refused(&b.runtime(&["pause", "c1"]), "container not running");
    assert_eq!(b.runtime(&["exec", "c1", "true"]).code, 255);
    // Nothing of a signal happens before it goes on.
    b.runtime(&["kill", "c1", "TERM"]).ok();
    assert_eq!(b.status("c1"), "paused");
    b.runtime(&["resume", "c1"]).ok();
    wait_for("the handler", || b.status("c1") == "stopped");
    refused(&b.runtime(&["resume", "c1"]), "container not paused");
    refused(&b.runtime(&["pause", "c1"]), "container not running");
    b.runtime(&["delete", "c1"]).ok();

    b.runtime(&["run", "-d", "c2"]).ok();
    b.runtime(&["pause", "c2"]).ok();
    assert_eq!(b.runtime(&["delete", "c2"]).code, 1);
    b.runtime(&["kill", "c2", "SIGKILL"]).ok();
    wait_for("the end of a paused container", || b.status("c2") == "stopped");
    b.runtime(&["delete", "c2"]).ok();
    b.runtime(&["run", "-d", "c3"]).ok();
    b.runtime(&["pause", "c3"]).ok();
    b.runtime(&["delete", "--force", "c3"]).ok();
    assert_eq!(b.runtime(&["list", "-q"]).out, "");
}

/// What a start charges to the container's own limit is little.
pub(crate) fn starts_with_little_memory() {
    let b = Bundle::new();
    let mut document = b.document("");
    document["process"]["args"] = json!(["true"]);
    document["linux"]["resources"]["memory"] = json!({"limit": 524_288, "swap": 524_288});
    for _ in 0..5 {
        b.run(&document).ok();
    }
    document["linux"]["resources"]["memory"] = json!({"limit": 4096, "swap": 4096});
    refused(&b.run(&document), "the memory limit is too small for it");
}

/// Reads what `events` says, until the container has ended.
pub(crate) fn events_in_runcs_form() {
    let b = Bundle::new();
    let mut document = b.document("while ! [ -e /go ]; do sleep 0.1; done; x=$(dd if=/dev/zero bs=1M count=100 | tr '\\0' x); sleep 1000");
    document["linux"]["resources"]["memory"] = json!({"limit": 16_777_216, "swap": 16_777_216});
    document["linux"]["resources"]["pids"] = json!({"limit": 50});
    b.write(&document);
    b.runtime(&["run", "-d", "c1"]).ok();
    let line = b.runtime(&["events", "--stats", "c1"]).ok();
    assert!(line.starts_with("{\"type\":\"stats\",\"id\":\"c1\",\"data\":{"), "{line}");
    let stats: Value = serde_json::from_str(&line).unwrap();
    let data = &stats["data"];
    assert!(data["cpu"]["usage"]["total"].as_u64().unwrap() > 0, "{line}");
    assert!(data["cpu"]["usage"]["kernel"].is_u64() && data["cpu"]["usage"]["user"].is_u64(), "{line}");
    assert_eq!(data["memory"]["usage"]["limit"], json!(16_777_216));
    assert_eq!(data["memory"]["swap"]["limit"], json!(16_777_216));
    assert!(
        data["memory"]["usage"]["usage"].as_u64().unwrap() > 0 && data["memory"]["raw"].is_object(),
        "{line}"
    );
    assert_eq!(data["pids"]["limit"], json!(50));
    assert!(data["pids"]["current"].as_u64().unwrap() >= 1, "{line}");
    for key in ["blkio", "hugetlb", "intel_rdt", "network_interfaces", "cpuset"] {
        assert!(data.get(key).is_some(), "no {key} in {line}");
    }
    let out = fs::File::create(b.directory().join("events")).unwrap();
    let mut stream = b.command(&["events", "--interval", "50ms", "c1"]).stdout(out).spawn().unwrap();
    let said = || fs::read_to_string(b.directory().join("events")).unwrap();
    wait_for("two events", || said().lines().count() >= 2);
    fs::write(b.inside("go"), "").unwrap();
    wait_for("lack of memory", || said().lines().any(|line| line == "{\"type\":\"oom\",\"id\":\"c1\"}"));
    b.runtime(&["delete", "--force", "c1"]).ok();
    assert!(stream.wait().unwrap().success(), "it ends with the container");
    assert!(said().lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{}", said());
    b.runtime(&["create", "c2"]).ok();
    refused(&b.runtime(&["events", "--interval", "0s", "c2"]), "must be greater than 0");
    refused(&b.runtime(&["events", "--interval", "x", "c2"]), "is not a duration");
    b.runtime(&["delete", "c2"]).ok();
    refused(&b.runtime(&["events", "c2"]), "does not exist");
}

pub(crate) fn lists_of_containers_and_processes() {
    let b = Bundle::new();
    limited(&b, &json!({}));
    b.runtime(&["run", "-d", "c1"]).ok();
    let state: Value = serde_json::from_str(&b.runtime(&["state", "c1"]).out).unwrap();
    let pid = state["pid"].to_string();
    let listed = b.runtime(&["list"]).ok();
    let mut lines = listed.lines();
    let words = |line: Option<&str>| {
        line.unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words(lines.next()), ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    let row = words(lines.next());
    assert_eq!(
        (&row[..3], row.last()),
        (&["c1".to_owned(), pid.clone(), "running".to_owned()][..], Some(&"root".to_owned()))
    );
    let all: Value = serde_json::from_str(&b.runtime(&["list", "--format", "json"]).ok()).unwrap();
    assert_eq!(
        (&all[0]["id"], &all[0]["status"], &all[0]["owner"]),
        (&json!("c1"), &json!("running"), &json!("root"))
    );
    refused(&b.runtime(&["list", "-f", "xml"]), "invalid format option");
    refused(&b.runtime(&["ps", "-f", "xml", "c1"]), "invalid format option");

    let table = b.runtime(&["ps", "c1"]).ok();
    let head = table.lines().next().unwrap_or_default().to_owned();
    assert!(head.contains("PID"), "{table}");
    assert!(table.lines().skip(1).all(|line| !line.contains("machine")), "only the container's: {table}");
    assert!(table.split_whitespace().any(|word| word == pid), "{table}");
    let pids: Vec<u32> = serde_json::from_str(&b.runtime(&["ps", "--format", "json", "c1"]).ok()).unwrap();
    assert!(pids.contains(&pid.parse().unwrap()));
    let options = b.runtime(&["ps", "c1", "-o", "pid,comm"]).ok();
    assert!(options.split_whitespace().take(2).eq(["PID", "COMMAND"]), "{options}");
    refused(&b.runtime(&["ps", "c1", "-o", "comm"]), "couldn't find PID field");
    b.runtime(&["kill", "c1", "KILL"]).ok();
    wait_for("the end", || b.status("c1") == "stopped");
    assert_eq!(b.runtime(&["ps", "c1"]).ok().lines().count(), 1, "the head alone");
}

const BOMB: &str = "f() { while :; do (sleep 0.3 &) ; done; }; f & f & f & f";

fn bomb(b: &Bundle) -> Value {
    let mut document = b.document(BOMB);
    document["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "network"}]);
    document.as_object_mut().unwrap().remove("hostname");
    document["linux"]["resources"]["pids"] = json!({"limit": 200});
    b.write(&document);
    document
}

/// Whoever is born while the container is killed is killed, too.
pub(crate) fn a_forking_container_is_killed() {
    let b = Bundle::new();
    let document = bomb(&b);
    let procs = place(&document, "pids").join("cgroup.procs");
    for round in 0..5 {
        let id = format!("c{round}");
        b.runtime(&["run", "-d", &id]).ok();
        wait_for("a crowd", || read(&procs).lines().count() > 20);
        b.runtime(&["kill", &id, "KILL"]).ok();
        wait_for("nobody", || read(&procs).is_empty());
        b.runtime(&["delete", &id]).ok();
    }
    b.runtime(&["run", "-d", "last"]).ok();
    wait_for("a crowd", || read(&procs).lines().count() > 20);
    b.runtime(&["delete", "--force", "last"]).ok();
    assert!(!procs.exists());
}

/// The same where the kernel has no `cgroup.kill`: with hierarchies of v1 alone.
pub(crate) fn a_forking_container_is_killed_on_v1() {
    let b = Bundle::new();
    let document = bomb(&b);
    let procs = place(&document, "pids").join("cgroup.procs");
    let runtime = |words: &[&str]| {
        let command = b.command(words);
        let mut shell = std::process::Command::new("unshare");
        let script = "mount --make-rprivate /; umount /sys/fs/cgroup/unified; exec \"$0\" \"$@\"";
        shell.args(["-m", "sh", "-c", script]).arg(command.get_program()).args(command.get_args());
        shell.current_dir(b.directory()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        shell.status().unwrap().code()
    };
    for id in ["c1", "c2", "c3"] {
        assert_eq!(runtime(&["run", "-d", id]), Some(0));
        wait_for("a crowd", || read(&procs).lines().count() > 20);
        assert_eq!(runtime(&["kill", id, "KILL"]), Some(0));
        wait_for("nobody", || read(&procs).is_empty());
        assert_eq!(runtime(&["delete", id]), Some(0));
    }
}

/// Cgroups that a container makes for itself go with it, and what runs in them.
pub(crate) fn cgroups_of_the_container() {
    let b = Bundle::new();
    let mut document = b.document(
        "cd /sys/fs/cgroup; [ -d memory ] && cd memory; mkdir -p a/b && sleep 1001 & sleep 1; \
         cd /sys/fs/cgroup; [ -d memory ] && cd memory; echo $! > a/b/cgroup.procs && echo moved > /moved; sleep 1000",
    );
    let options = json!(["nosuid", "noexec", "nodev", "rw"]);
    let tree =
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options});
    document["mounts"].as_array_mut().unwrap().push(tree);
    document["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "cgroup"}));
    b.write(&document);
    b.runtime(&["run", "-d", "c1"]).ok();
    wait_for("a process in the inner cgroup", || b.inside("moved").exists());
    let inner = place(&document, "memory").join("a/b");
    assert_eq!(read(&inner.join("cgroup.procs")).lines().count(), 1);
    let pids: Vec<u32> = serde_json::from_str(&b.runtime(&["ps", "-f", "json", "c1"]).ok()).unwrap();
    assert!(pids.len() >= 2, "those in inner cgroups are the container's: {pids:?}");
    b.runtime(&["delete", "--force", "c1"]).ok();
    assert!(!place(&document, "memory").exists());
}

/// What a container may do with devices, also in a cgroup that had other rules before.
pub(crate) fn device_rules() {
    let b = Bundle::new();
    let mut document = b.document("sleep 1000");
    let all = json!(["CAP_MKNOD", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"]);
    document["process"]["capabilities"] = json!({"bounding": all, "effective": all, "permitted": all});
    let mut rules = |rules: Value, id: &str| {
        document["linux"]["resources"]["devices"] = rules;
        b.write(&document);
        b.runtime(&["run", "-d", id]).ok();
        let script = "rm -f /tmp/m; mknod /tmp/m c 1 11 || echo no node; (: < /tmp/m) 2> /dev/null && echo read; \
                      (: > /tmp/m) 2> /dev/null && echo written; (: < /dev/null) && echo null";
        let said = b.runtime(&["exec", id, "sh", "-c", script]).ok();
        // The cgroup stays until the container is deleted.
        b.runtime(&["kill", id, "KILL"]).ok();
        wait_for("the end", || b.status(id) == "stopped");
        said.replace('\n', " ")
    };
    let deny = json!({"allow": false, "access": "rwm"});
    let kmsg = |access: &str| json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": access});
    assert_eq!(rules(json!([deny]), "c1"), "null");
    assert_eq!(rules(json!([deny, kmsg("r")]), "c2"), "read null", "the earlier rules are gone");
    assert_eq!(rules(json!([deny, kmsg("wrr")]), "c3"), "read written null");
    assert_eq!(
        rules(
            json!([deny, kmsg("rwm"), {"allow": false, "type": "c", "major": 1, "minor": 11, "access": "rwa"}]),
            "c4"
        ),
        "null"
    );
    assert_eq!(rules(json!([{"allow": true, "type": "a", "access": "rwm"}]), "c5"), "read written null");
    assert_eq!(
        rules(json!([deny, {"allow": true, "type": "c", "major": 1, "access": "r"}]), "c6"),
        "read null"
    );
    for id in ["c1", "c2", "c3", "c4", "c5", "c6"] {
        b.runtime(&["delete", id]).ok();
    }
}

/// Traffic classes: of v1, where somebody has mounted them.
pub(crate) fn traffic_classes() {
    let b = Bundle::new();
    let document = limited(
        &b,
        &json!({"network": {"classID": 1_048_577, "priorities": [{"name": "lo", "priority": 5}]}}),
    );
    if is_v2() {
        let said = b.runtime(&["run", "-d", "c1"]);
        assert!(said.code == 0 && said.err.contains("linux.resources.network has no effect"), "{}", said.err);
        return;
    }
    refused(
        &b.runtime(&["run", "c1"]),
        "linux.resources.network.classID cannot be set: this host has no usable cgroup controller",
    );
    let root = b.directory().join("net");
    fs::create_dir(&root).unwrap();
    // A hierarchy goes with its last mount, unless cgroups in it are still on their way out: then with one mount more.
    let script = format!(
        "mount -t cgroup -o net_cls,net_prio none {root} || exit 0; \"$0\" \"$@\"; cat {root}{path}/net_cls.classid {root}{path}/net_prio.ifpriomap; \
         $0 --root $2 delete --force c1; rmdir {root}{parent}; umount {root}; \
         while sleep 0.2; grep -q net_cls /proc/self/cgroup; do mount -t cgroup -o net_cls,net_prio none {root}; umount {root}; done",
        root = root.display(),
        path = document["linux"]["cgroupsPath"].as_str().unwrap(),
        parent = document["linux"]["cgroupsPath"].as_str().unwrap().trim_end_matches("/c"),
    );
    let command = b.command(&["run", "-d", "c1"]);
    let mut shell = std::process::Command::new("unshare");
    shell.args(["-m", "--propagation", "private", "sh", "-c", &script]);
    shell.arg(command.get_program()).args(command.get_args());
    let out = fs::File::create(b.directory().join("classes")).unwrap();
    shell.current_dir(b.directory()).stdin(Stdio::null()).stdout(out).status().unwrap();
    let said = fs::read_to_string(b.directory().join("classes")).unwrap();
    // A kernel that cannot mount them any more says nothing.
    assert!(said.is_empty() || said.contains("1048577") && said.lines().any(|line| line == "lo 5"), "{said}");
}
