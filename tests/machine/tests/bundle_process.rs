//! What the document says of the process and its surroundings: memory policy, network devices, clocks, labels.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Bundle, mark};

pub(crate) fn memory_policies() {
    let b = Bundle::new();
    let first_line = "head -n 1 /proc/self/numa_maps | cut -d' ' -f2";
    if !fs::exists("/proc/self/numa_maps").unwrap() {
        println!("skipped: this kernel has no NUMA");
        return;
    }
    let ran = |policy: Value, script: &str| {
        let mut document = b.document(script);
        document["linux"]["memoryPolicy"] = policy;
        b.run(&document)
    };
    assert_eq!(ran(json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"}), first_line).ok(), "interleave:0");
    let bind = json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]});
    assert_eq!(ran(bind, first_line).ok(), "bind=static:0");
    assert_eq!(ran(json!({"mode": "MPOL_DEFAULT"}), first_line).ok(), "default");
    let refused = ran(json!({"mode": "MPOL_BIND", "nodes": "63"}), first_line);
    assert!(refused.code == 1 && refused.err.contains("linux.memoryPolicy"), "{}", refused.err);
    let mut document = b.document("sleep 1000");
    document["linux"]["memoryPolicy"] =
        json!({"mode": "MPOL_PREFERRED", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]});
    b.write(&document);
    b.runtime(&["run", "-d", "c1"]).ok();
    assert_eq!(b.runtime(&["exec", "c1", "sh", "-c", first_line]).ok(), "prefer=relative:0");
}

/// Runs `ip`, busybox's where there is no other.
fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split(' ')).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "ip {words}: {text}");
    text
}

/// In this network namespace: `/sys` may be another's.
fn exists(device: &str) -> bool {
    fs::exists(format!("/proc/sys/net/ipv4/conf/{device}")).unwrap()
}

/// A pair of devices in this run's own network namespace, gone at the end.
struct Pair {
    one: String,
    other: String,
}

impl Pair {
    fn new(letter: char) -> Self {
        let mark: String = mark().chars().rev().take(6).collect();
        let pair = Self { one: format!("n{letter}{mark}"), other: format!("m{letter}{mark}") };
        ip(&format!("link add {} type veth peer name {}", pair.one, pair.other));
        pair
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // busybox does not name the other end; one that has moved is gone with its namespace.
        for end in [&self.other, &self.one] {
            let _ = Command::new("ip").args(["link", "del", end]).output();
        }
    }
}

fn with_devices(b: &Bundle, script: &str, devices: Value) -> Value {
    let mut document = b.document(script);
    document["linux"]["netDevices"] = devices;
    document
}

pub(crate) fn network_devices_move_in() {
    let b = Bundle::new();
    let (first, second) = (Pair::new('a'), Pair::new('b'));
    ip(&format!("addr add 192.0.2.7/24 dev {}", first.one));
    ip(&format!("addr add 127.0.0.33/8 dev {} scope host", first.one));
    ip(&format!("link set {} mtu 1400 up", first.one));
    let link = ip(&format!("-o link show {}", first.one));
    let mac = link.split_whitespace().skip_while(|word| *word != "link/ether").nth(1).unwrap();
    let script = "cat /proc/sys/net/ipv4/conf/inner/forwarding; ip -o addr; cat /sys/class/net/inner/address /sys/class/net/inner/mtu; ls /sys/class/net; ip -o link show inner";
    let devices = json!({&*first.one: {"name": "inner"}, &*second.one: {"name": "eth%d"}});
    let mut document = with_devices(&b, script, devices);
    document["linux"]["sysctl"] = json!({"net.ipv4.conf.inner.forwarding": "1"});
    let said = b.run(&document).ok();
    assert!(said.starts_with("1\n"), "{said}");
    for wanted in ["192.0.2.7/24", mac, "\n1400\n", "\neth0\n", "UP"] {
        assert!(said.contains(wanted), "{wanted} is not in {said}");
    }
    assert!(!said.contains("127.0.0.33"), "{said}: addresses of this host alone stay behind");
    // They went with the namespace.
    assert!(!exists(&first.one));
}

pub(crate) fn network_devices_come_back() {
    let b = Bundle::new();
    let (first, second) = (Pair::new('c'), Pair::new('d'));
    ip(&format!("addr add 192.0.2.8/24 dev {}", first.one));
    ip(&format!("link set {} up", first.one));
    let refused = |document: &Value, wanted: &str| {
        let said = b.run(document);
        assert!(said.code == 1 && said.err.contains(wanted), "{wanted}: {} {}", said.code, said.err);
        let state = ip(&format!("-o addr show dev {}", first.one));
        assert!(state.contains("192.0.2.8/24"), "{wanted}: {state}");
        let link = ip(&format!("-o link show {}", first.one));
        assert!(link.contains(",UP"), "{wanted}: {link}");
    };
    refused(
        &with_devices(&b, "true", json!({&*first.one: {"name": "x0"}, "zz-absent": {}})),
        "find zz-absent in the runtime's namespace: look up link zz-absent: no such device",
    );
    refused(
        &with_devices(&b, "true", json!({&*first.one: {"name": "lo"}})),
        "a device of that name is there already",
    );
    // The last step of all fails.
    let mut late = with_devices(&b, "true", json!({&*first.one: {}, &*second.one: {"name": "x1"}}));
    late["process"]["args"] = json!(["/absent"]);
    refused(&late, "/absent");
    assert!(exists(&second.one));
    let mut shared = with_devices(&b, "true", json!({&*first.one: {}}));
    shared["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "network");
    refused(&shared, "linux.netDevices need a network namespace");
}

pub(crate) fn clocks() {
    if !fs::exists("/proc/self/timens_offsets").unwrap() {
        println!("skipped: this kernel has no time namespaces");
        return;
    }
    let b = Bundle::new();
    let script = "cat /proc/self/timens_offsets; sleep 1000";
    let mut document = b.document(script);
    document["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
    document["linux"]["timeOffsets"] =
        json!({"monotonic": {"secs": 7881, "nanosecs": 2_718_281}, "boottime": {"secs": -1, "nanosecs": 3}});
    let check = |document: &Value, id: &str| {
        b.write(document);
        b.runtime(&["run", "-d", id]).ok();
        let said = b.runtime(&["exec", id, "cat", "/proc/self/timens_offsets"]).ok();
        let words: Vec<&str> = said.split_whitespace().collect();
        assert_eq!(words, ["monotonic", "7881", "2718281", "boottime", "-1", "3"], "{id}");
    };
    check(&document, "c1");
    // Inside a user namespace nobody may set them; outside somebody may.
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    let mut mapped = document.clone();
    mapped["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    mapped["linux"]["uidMappings"] = map.clone();
    mapped["linux"]["gidMappings"] = map;
    mapped["linux"]["cgroupsPath"] =
        json!(format!("{}2", document["linux"]["cgroupsPath"].as_str().unwrap()));
    check(&mapped, "c2");
    // A third one joins the first one's.
    let state: Value = serde_json::from_str(&b.runtime(&["state", "c1"]).ok()).unwrap();
    let mut joined = b.document("cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime");
    let path = format!("/proc/{}/ns/time", state["pid"]);
    joined["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time", "path": path}));
    joined["linux"]["cgroupsPath"] =
        json!(format!("{}3", document["linux"]["cgroupsPath"].as_str().unwrap()));
    let said = b.run(&joined).ok();
    assert!(said.split_whitespace().take(3).eq(["monotonic", "7881", "2718281"]), "{said}");
    joined["linux"]["timeOffsets"] = json!({"monotonic": {"secs": 1}});
    let said = b.run(&joined);
    assert!(
        said.code == 1 && said.err.contains("linux.timeOffsets need a new time namespace"),
        "{}",
        said.err
    );
}

/// Applied where the kernel has the module; where not, refused by name.
pub(crate) fn labels() {
    let b = Bundle::new();
    let apparmor =
        fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|on| on.starts_with('Y'));
    let mut document = b.document("cat /proc/self/attr/apparmor/current 2>/dev/null; echo ran");
    document["process"]["apparmorProfile"] = json!("unconfined");
    let said = b.run(&document).ok();
    assert_eq!(said, if apparmor { "unconfined\nran" } else { "ran" });
    document["process"]["apparmorProfile"] = json!(format!("{}-absent", mark()));
    let said = b.run(&document);
    assert!(said.code == 1 && said.err.contains("process.apparmorProfile"), "{}", said.err);
    let wanted = if apparmor { "no such file or directory" } else { "apparmor not supported" };
    assert!(said.err.contains(wanted), "{}", said.err);
    if !fs::exists("/sys/fs/selinux/enforce").unwrap() {
        document["process"]["apparmorProfile"] = json!("");
        document["process"]["selinuxLabel"] = json!("system_u:system_r:container_t:s0");
        let said = b.run(&document);
        assert!(said.code == 1 && said.err.contains("process.selinuxLabel"), "{}", said.err);
    }
    if !fs::exists("/sys/fs/resctrl/schemata").unwrap() {
        let mut document = b.document("true");
        document["linux"]["intelRdt"] = json!({"closID": "x"});
        let said = b.run(&document);
        assert!(said.code == 1 && said.err.contains("linux.intelRdt: no resctrl"), "{}", said.err);
    }
}

/// What is said to be there is.
pub(crate) fn features_are_true() {
    let b = Bundle::new();
    let features: Value = serde_json::from_str(&b.runtime(&["features"]).ok()).unwrap();
    let linux = &features["linux"];
    for part in ["seccomp", "apparmor", "selinux", "intelRdt", "netDevices"] {
        assert_eq!(linux[part]["enabled"], json!(true), "{part}");
    }
    for mode in linux["memoryPolicy"]["modes"].as_array().unwrap() {
        let mut document = b.document("true");
        let nodes = if matches!(mode.as_str().unwrap(), "MPOL_DEFAULT" | "MPOL_LOCAL") { "" } else { "0" };
        document["linux"]["memoryPolicy"] = json!({"mode": mode, "nodes": nodes});
        let said = b.run(&document);
        // Known, which is not to say that every kernel has it.
        assert!(said.code == 0 || said.err.contains("set the memory policy"), "{mode}: {}", said.err);
    }
    let listener = std::os::unix::net::UnixListener::bind(b.directory().join("agent")).unwrap();
    for flag in linux["seccomp"]["supportedFlags"].as_array().unwrap() {
        let mut document = b.document("true");
        document["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": [flag],
            "listenerPath": b.directory().join("agent"), "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]});
        b.run(&document).ok();
    }
    drop(listener);
}

/// A terminal has the document's size from the beginning, whoever gets it.
pub(crate) fn terminals_have_their_size() {
    let b = Bundle::new();
    let listener = std::os::unix::net::UnixListener::bind(b.directory().join("s")).unwrap();
    // Kept: the end of a terminal is the end of its session.
    let mut terminals = Vec::new();
    let mut size = || {
        let (what, fds) = crate::bundle_seccomp::receive(&listener);
        let size = rustix::termios::tcgetwinsize(&fds[0]).unwrap();
        terminals.extend(fds);
        (what, size.ws_row, size.ws_col)
    };
    let mut document = b.document("sleep 1000");
    document["process"]["terminal"] = json!(true);
    document["process"]["consoleSize"] = json!({"height": 33, "width": 77});
    b.write(&document);
    b.runtime(&["create", "--console-socket", "s", "c1"]).ok();
    assert_eq!(size(), ("terminal".into(), 33, 77));
    b.runtime(&["start", "c1"]).ok();
    let process = json!({"args": ["sleep", "1000"], "cwd": "/", "env": ["PATH=/bin"], "terminal": true, "consoleSize": {"height": 12, "width": 34}});
    fs::write(b.directory().join("process.json"), process.to_string()).unwrap();
    b.runtime(&["exec", "-d", "--process", "process.json", "--console-socket", "s", "c1"]).ok();
    assert_eq!(size(), ("terminal".into(), 12, 34));
}

/// Without one of its own a process has 022; an exec has the container's.
pub(crate) fn umasks() {
    let b = Bundle::new();
    let script = "umask";
    assert_eq!(b.run(&b.document(script)).ok(), "0022");
    let mut document = b.document("umask; sleep 1000");
    document["process"]["user"]["umask"] = json!(0o77);
    b.write(&document);
    b.runtime(&["run", "-d", "c1"]).ok();
    assert_eq!(b.runtime(&["exec", "c1", "sh", "-c", script]).ok(), "0077");
    let process =
        json!({"args": ["sh", "-c", script], "cwd": "/", "env": ["PATH=/bin"], "user": {"umask": 0}});
    fs::write(b.directory().join("process.json"), process.to_string()).unwrap();
    assert_eq!(b.runtime(&["exec", "-p", "process.json", "c1"]).ok(), "0000");
}

/// Five sets, each where it belongs; ambient ones outlive a change of user.
pub(crate) fn capability_sets() {
    let b = Bundle::new();
    let mut document = b.document("grep ^Cap /proc/self/status");
    let sets = |words: &[&str]| json!(words);
    let (kill, bind) = ("CAP_KILL", "CAP_NET_BIND_SERVICE");
    document["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    document["process"]["capabilities"] = json!({"bounding": sets(&[kill, bind, "CAP_CHOWN"]), "permitted": sets(&[kill, bind]),
        "effective": sets(&[kill, bind]), "inheritable": sets(&[kill, bind]), "ambient": sets(&[bind])});
    let read = |said: String| -> Vec<u64> {
        said.lines().map(|l| u64::from_str_radix(l.split_whitespace().last().unwrap(), 16).unwrap()).collect()
    };
    let (chown, kill_bit, bind_bit) = (1, 1 << 5, 1 << 10);
    // Inheritable, permitted, effective, bounding, ambient: what is not ambient goes at the exec of another user's program.
    assert_eq!(
        read(b.run(&document).ok()),
        [bind_bit, bind_bit, bind_bit, chown | kill_bit | bind_bit, bind_bit]
    );
    document["process"]["capabilities"]["inheritable"] = json!([]);
    b.write(&document);
    let said = b.runtime(&["run", "c2"]);
    assert_eq!(read(said.out), [0, 0, 0, chown | kill_bit | bind_bit, 0]);
    assert!(said.err.contains("can't raise ambient capability CAP_NET_BIND_SERVICE"), "{}", said.err);
}
