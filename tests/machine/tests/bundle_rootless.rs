//! The OCI runtime in the hands of an ordinary user, and of the root of a user namespace.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::{Bundle, Ran, wait_for};

/// Nobody's.
pub(crate) const USER: u32 = 47_113;
/// First of the ids that belong to the user besides.
const SUBIDS: u32 = 700_000;

/// A document of the bundle's for an ordinary user.
pub(crate) fn document(b: &Bundle, script: &str) -> Value {
    let mut document = b.document(script);
    let map = json!([{"containerID": 0, "hostID": USER, "size": 1}]);
    let linux = document["linux"].as_object_mut().unwrap();
    linux.remove("cgroupsPath");
    linux.remove("resources");
    linux.insert("uidMappings".into(), map.clone());
    linux.insert("gidMappings".into(), map);
    linux["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    document
}

fn run_in(b: &Bundle, mut command: Command) -> Ran {
    let make = |name: &str| fs::File::create(b.directory().join(name)).unwrap();
    let status = command.stdout(make("out")).stderr(make("err")).status().unwrap();
    let read = |name: &str| fs::read_to_string(b.directory().join(name)).unwrap();
    Ran { code: status.code().unwrap_or(-1), out: read("out"), err: read("err") }
}

pub(crate) fn own_document_and_place() {
    let b = Bundle::new().owned_by(USER);
    b.runtime(&["spec", "--rootless"]).ok();
    let path = b.directory().join("config.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let script = "id -u; cat /proc/self/uid_map /proc/self/setgroups; grep Groups /proc/self/status; echo x > /dev/null && echo wrote; \
        mkdir /sys/fs/cgroup/x 2>/dev/null || echo no; hostname; exit 7";
    document["process"]["terminal"] = json!(false);
    document["process"]["args"] = json!(["sh", "-c", script]);
    b.write(&document);
    // Without --root: below the user's own runtime directory, which is not to be cleared away.
    let words = ["run", "c1"];
    let with_root = b.command(&words);
    let mut command = Command::new(with_root.get_program());
    command.args(words).current_dir(b.directory()).stdin(Stdio::null()).uid(USER).gid(USER);
    command.env("XDG_RUNTIME_DIR", b.directory().join("run"));
    let said = run_in(&b, command);
    let words: Vec<&str> = said.out.split_whitespace().collect();
    let user = USER.to_string();
    assert_eq!(words, ["0", "0", &user, "1", "deny", "Groups:", "wrote", "no", "berth"], "{}", said.err);
    assert_eq!((said.code, said.err.as_str()), (7, ""));
    let place = b.directory().join("run/berth-runtime");
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o7777, 0o1700);
    assert_eq!(fs::read_dir(place).unwrap().count(), 0);
}

pub(crate) fn commands_of_an_ordinary_user() {
    let b = Bundle::new().owned_by(USER);
    let mut document = document(&b, "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done");
    document["process"]["oomScoreAdj"] = json!(500);
    b.write(&document);
    b.runtime(&["create", "c1"]).ok();
    assert_eq!(b.status("c1"), "created");
    b.runtime(&["start", "c1"]).ok();
    // The program has the file into which what every command says goes.
    wait_for("its word", || fs::read_to_string(b.directory().join("out")).is_ok_and(|said| said == "up\n"));
    assert_eq!(b.status("c1"), "running");
    assert_eq!(b.runtime(&["list", "-q"]).ok(), "c1");
    let script = "id -u; cat /proc/self/oom_score_adj; readlink /proc/self/ns/user; readlink /proc/1/ns/user; ls /proc/self/fd | wc -l; exit 5";
    let said = b.runtime(&["exec", "c1", "sh", "-c", script]);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!((said.code, said.err.as_str(), lines.len()), (5, "", 5), "{}", said.out);
    // 0 to 2, and the one with which ls reads.
    assert_eq!((lines[0], lines[1], lines[4]), ("0", "500", "4"));
    assert_eq!(lines[2], lines[3]);
    assert_eq!(b.runtime(&["exec", "c1", "absent"]).code, 255);
    let process =
        json!({"args": ["sh", "-c", "echo $A; pwd"], "cwd": "/bin", "env": ["PATH=/bin", "A=b"], "user": {}});
    fs::write(b.directory().join("process.json"), process.to_string()).unwrap();
    assert_eq!(b.runtime(&["exec", "-p", "process.json", "c1"]).ok(), "b\n/bin");
    let others = b.runtime(&["exec", "-g", "7", "c1", "id"]);
    assert!(
        others.out.contains("uid=0") && others.err.contains("process.user.additionalGids"),
        "{}",
        others.err
    );
    // Whoever is handed no cgroup cannot ask for what needs one, and is told so.
    for words in [&["ps", "c1"][..], &["pause", "c1"], &["update", "--memory", "64M", "c1"]] {
        let said = b.runtime(words);
        assert!(said.code == 1 && said.err.contains("cgroup"), "{words:?}: {} {}", said.out, said.err);
    }
    let running = b.runtime(&["delete", "c1"]);
    assert!(running.code == 1 && running.err.contains("running"), "{}", running.err);
    b.runtime(&["kill", "c1", "TERM"]).ok();
    wait_for("its end", || b.status("c1") == "stopped");
    b.runtime(&["delete", "c1"]).ok();
    let mut document = self::document(&b, "cat /proc/self/timens_offsets");
    document["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
    document["linux"]["timeOffsets"] = json!({"monotonic": {"secs": 86400}});
    assert!(b.run(&document).ok().starts_with("monotonic       86400"));
    b.write(&self::document(&b, "sleep 1000"));
    b.runtime(&["run", "-d", "c2"]).ok();
    b.runtime(&["kill", "--all", "c2", "KILL"]).ok();
    wait_for("its end", || b.status("c2") == "stopped");
    b.runtime(&["delete", "--force", "c2"]).ok();
    assert_eq!(b.runtime(&["list", "-q"]).ok(), "");
}

/// Root may do with an ordinary user's container what the user may.
pub(crate) fn root_is_let_in() {
    let b = Bundle::new().owned_by(USER);
    b.write(&document(&b, "sleep 1000"));
    b.runtime(&["run", "-d", "c1"]).ok();
    let root = |words: &[&str]| {
        let mut command = Command::new(b.directory().join("berth-runtime"));
        command.args(["--root", "state"]).args(words).current_dir(b.directory()).stdin(Stdio::null());
        run_in(&b, command)
    };
    let names = "id -u; for n in user pid mnt; do [ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] && echo 1; done; exit 4";
    let said = root(&["exec", "c1", "sh", "-c", names]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (4, "0\n1\n1\n1\n", ""));
    root(&["kill", "c1", "KILL"]).ok();
    wait_for("its end", || b.status("c1") == "stopped");
    root(&["delete", "c1"]).ok();
    assert_eq!(b.runtime(&["list", "-q"]).ok(), "");
}

pub(crate) fn what_an_ordinary_user_cannot_have() {
    let b = Bundle::new().owned_by(USER);
    type Change = fn(&mut Value);
    let table: [(Change, &str); 5] = [
        (
            |d| d["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "user"),
            "linux.uidMappings and gidMappings need a user namespace",
        ),
        (
            |d| d["linux"]["resources"] = json!({"memory": {"limit": 1 << 26}}),
            "linux.resources.memory.limit cannot be set",
        ),
        (|d| d["linux"]["cgroupsPath"] = json!("/nobodys/c"), "make cgroup"),
        (
            |d| d["process"]["user"] = json!({"uid": 0, "gid": 0, "additionalGids": [7]}),
            "process.user.additionalGids",
        ),
        (|d| d["process"]["user"] = json!({"uid": 1, "gid": 0}), "become user 1"),
    ];
    for (change, says) in table {
        let mut document = document(&b, "true");
        change(&mut document);
        b.write(&document);
        let said = b.runtime(&["run", "c1"]);
        assert!(said.code == 1 && said.err.contains(says), "{says}: {} {}", said.out, said.err);
        assert_eq!(said.err.trim_end().lines().count(), 1, "{}", said.err);
        assert_eq!(fs::read_dir(b.directory().join("state")).map_or(0, Iterator::count), 0);
    }
    let words = b.runtime(&["--rootless", "perhaps", "list"]);
    assert!(words.code == 1 && words.err.contains("--rootless \"perhaps\""), "{}", words.err);
}

/// A mount namespace in which the user has a name and ids besides its own; `script` runs there first.
fn with_subids(b: &Bundle, script: &str, words: &[&str]) -> Ran {
    let place = |name: &str| b.directory().join(name).display().to_string();
    let lines = format!("u{USER}:x:{USER}:{USER}::/:/bin/sh\n");
    fs::write(place("passwd"), fs::read_to_string("/etc/passwd").unwrap() + &lines).unwrap();
    fs::write(place("subids"), format!("u{USER}:{SUBIDS}:1000\n")).unwrap();
    let mounts = format!(
        "mount --bind {} /etc/passwd && mount --bind {subids} /etc/subuid && mount --bind {subids} /etc/subgid && {script} \
         exec setpriv --reuid {USER} --regid {USER} --clear-groups \"$0\" \"$@\"",
        place("passwd"),
        subids = place("subids"),
    );
    let runtime = b.command(words);
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-c", &mounts]).arg(runtime.get_program());
    command.args(runtime.get_args()).current_dir(b.directory()).stdin(Stdio::null());
    run_in(b, command)
}

pub(crate) fn larger_maps_are_written_by_helpers() {
    let b = Bundle::new().owned_by(USER);
    let script = "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -u; id -G; touch /x; stat -c %u:%g /x";
    let mut document = document(&b, script);
    let map = |first: u32, count: u32| json!([{"containerID": 0, "hostID": USER, "size": 1}, {"containerID": 1, "hostID": first, "size": count}]);
    document["linux"]["uidMappings"] = map(SUBIDS, 1000);
    document["linux"]["gidMappings"] = map(SUBIDS, 1000);
    document["process"]["user"] = json!({"uid": 0, "gid": 6, "additionalGids": [7, 8]});
    b.write(&document);
    let said = with_subids(&b, "", &["run", "c1"]).ok();
    let (user, first) = (USER.to_string(), SUBIDS.to_string());
    let maps = ["0", &user, "1", "1", &first, "1000"];
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words, [&maps[..], &maps, &["allow", "0", "6", "7", "8", "0:6"]].concat());
    // More than was given, and no helper.
    document["linux"]["gidMappings"] = map(SUBIDS, 1001);
    b.write(&document);
    let refused = with_subids(&b, "", &["run", "c1"]);
    assert!(refused.code == 1 && refused.err.contains("linux.gidMappings: newgidmap:"), "{}", refused.err);
    let without = "mount --bind /dev/null /usr/bin/newuidmap &&";
    let refused = with_subids(&b, without, &["run", "c1"]);
    let says = "linux.uidMappings: an unprivileged user can map more than itself only by newuidmap, which is not installed";
    assert!(refused.code == 1 && refused.err.contains(says), "{}", refused.err);
    assert_eq!(fs::read_dir(b.directory().join("state")).unwrap().count(), 0);
}

/// Root may map what it likes, and the maps' errors name their field.
pub(crate) fn maps_of_root_are_written_directly() {
    let b = Bundle::new();
    let mut document = document(&b, "cat /proc/self/gid_map; cat /proc/self/setgroups");
    document["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 100_000, "size": 10}, {"containerID": 10, "hostID": 200_000, "size": 5}]);
    document["linux"]["gidMappings"] = document["linux"]["uidMappings"].clone();
    let said = b.run(&document).ok();
    assert_eq!(
        said.split_whitespace().collect::<Vec<_>>(),
        ["0", "100000", "10", "10", "200000", "5", "allow"]
    );
    document["linux"]["gidMappings"] =
        json!([{"containerID": 0, "hostID": 1, "size": 10}, {"containerID": 5, "hostID": 100, "size": 10}]);
    let said = b.run(&document);
    assert!(said.code == 1 && said.err.contains("linux.gidMappings: write"), "{}", said.err);
}

/// Where a cgroup was handed down, it is used for limits, for pausing and for finding processes.
pub(crate) fn cgroups_where_they_are_handed_down() {
    let b = Bundle::new().owned_by(USER);
    let handed = Handed::down(b.mark());
    let mut document = document(&b, "sleep 1000");
    document["linux"]["resources"] = json!({"memory": {"limit": 1 << 26}, "pids": {"limit": 50}});
    b.write(&document);
    let run = |words: &[&str]| handed.run(&b, words);
    run(&["run", "-d", "c1"]).ok();
    let limits: Vec<String> = ["memory.limit_in_bytes", "memory.max", "pids.max"]
        .iter()
        .filter_map(|f| handed.read("c1", f))
        .collect();
    assert_eq!(limits, ["67108864", "50"]);
    let pids = run(&["ps", "--format", "json", "c1"]).ok();
    assert_eq!(serde_json::from_str::<Vec<i32>>(&pids).unwrap().len(), 1, "{pids}");
    run(&["exec", "-d", "c1", "sleep", "1000"]).ok();
    let pids = run(&["ps", "--format", "json", "c1"]).ok();
    assert_eq!(serde_json::from_str::<Vec<i32>>(&pids).unwrap().len(), 2, "{pids}");
    run(&["pause", "c1"]).ok();
    assert_eq!(b.status("c1"), "paused");
    run(&["resume", "c1"]).ok();
    assert_eq!(b.status("c1"), "running");
    run(&["update", "--pids-limit", "60", "c1"]).ok();
    assert_eq!(handed.read("c1", "pids.max").as_deref(), Some("60"));
    run(&["kill", "--all", "c1", "KILL"]).ok();
    wait_for("its end", || b.status("c1") == "stopped");
    run(&["delete", "c1"]).ok();
    assert_eq!(handed.read("c1", "pids.max"), None);
}

/// Cgroups of a user's own, in every hierarchy. Dropping it removes them.
struct Handed(Vec<PathBuf>);

impl Handed {
    fn down(mark: &str) -> Self {
        let all = Path::new("/sys/fs/cgroup");
        let mut hierarchies = vec![all.to_owned()];
        if !all.join("cgroup.controllers").exists() {
            hierarchies = fs::read_dir(all)
                .unwrap()
                .flatten()
                // podman leaves plain directories beside them.
                .filter(|e| !e.path().is_symlink() && e.path().join("cgroup.procs").exists())
                .map(|e| e.path())
                .collect();
        }
        let mut made = Vec::new();
        for hierarchy in hierarchies {
            let place = hierarchy.join(mark);
            let _ = fs::write(hierarchy.join("cgroup.subtree_control"), "+memory +pids");
            fs::create_dir_all(&place).unwrap();
            for file in ["cpuset.cpus", "cpuset.mems"]
                .iter()
                .filter(|f| place.join("cgroup.clone_children").exists() && hierarchy.join(f).exists())
            {
                fs::write(place.join(file), fs::read(hierarchy.join(file)).unwrap()).unwrap();
            }
            // On v2 the user sits in a cgroup below the one that is the user's: what has processes hands no controllers down.
            let seat = if place.join("cgroup.type").exists() { place.join("seat") } else { place.clone() };
            fs::create_dir_all(&seat).unwrap();
            for place in [&place, &seat] {
                for name in ["", "cgroup.procs", "tasks", "cgroup.subtree_control"] {
                    let path = place.join(name);
                    if path.exists() {
                        std::os::unix::fs::chown(path, Some(USER), Some(USER)).unwrap();
                    }
                }
            }
            made.push(seat);
        }
        Self(made)
    }

    /// Runs a command line of the user's from there.
    fn run(&self, b: &Bundle, words: &[&str]) -> Ran {
        let runtime = b.command(words);
        let make = |name: &str| fs::File::create(b.directory().join(name)).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "read go; exec \"$0\" \"$@\" < /dev/null"]).arg(runtime.get_program());
        command.args(runtime.get_args()).current_dir(b.directory()).uid(USER).gid(USER);
        let mut child =
            command.stdin(Stdio::piped()).stdout(make("out")).stderr(make("err")).spawn().unwrap();
        for seat in &self.0 {
            fs::write(seat.join("cgroup.procs"), child.id().to_string()).unwrap();
        }
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let code = child.wait().unwrap().code().unwrap_or(-1);
        let read = |name: &str| fs::read_to_string(b.directory().join(name)).unwrap();
        Ran { code, out: read("out"), err: read("err") }
    }

    fn read(&self, container: &str, file: &str) -> Option<String> {
        let places = self
            .0
            .iter()
            .map(|seat| if seat.ends_with("seat") { seat.parent().unwrap() } else { seat.as_path() });
        let text = { places }.find_map(|place| fs::read_to_string(place.join(container).join(file)).ok())?;
        Some(text.trim().to_owned())
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        for seat in &self.0 {
            let _ = fs::remove_dir(seat);
            if seat.ends_with("seat") {
                let _ = fs::remove_dir(seat.parent().unwrap());
            }
        }
    }
}

/// As podman's rootless mode has it: the runtime is root, but only of a user namespace.
pub(crate) fn root_of_a_user_namespace() {
    let b = Bundle::new().owned_by(USER);
    let mut document = b.document("id -u; echo x > /dev/null && echo wrote; echo x > /sys/kernel/uevent_helper; ls /dev/given; sleep 1000");
    document["linux"]["devices"] = json!([{"path": "/dev/given", "type": "p"}, {"path": "/dev/null", "type": "c", "major": 1, "minor": 3}]);
    document["linux"]["cgroupsPath"] = json!("");
    document["linux"]["resources"]["devices"] = json!([{"allow": false, "access": "rwm"}]);
    document["process"]["oomScoreAdj"] = json!(-900);
    document["process"]["user"] = json!({"uid": 0, "gid": 0, "additionalGids": [3]});
    b.write(&document);
    // One user namespace for all of it: outside of it nobody has rights over the container.
    let script = "b=\"$0 --root state\"; $b create c1 > said 2>&1 < /dev/null && $b start c1 && $b exec c1 sh -c 'ls -l /proc/self/ns/pid /proc/1/ns/pid | wc -l'; \
        $b exec c1 sh -c 'exit 9'; echo $?; $b ps c1; echo $?; sleep 0.3; $b delete --force c1; $b list -q";
    let mut command = Command::new("unshare");
    command.args(["-r", "-m", "sh", "-c", script]).arg(b.directory().join("berth-runtime"));
    command.current_dir(b.directory()).stdin(Stdio::null()).uid(USER).gid(USER);
    let said = run_in(&b, command);
    assert_eq!(said.out, "2\n9\n1\n", "{}", said.err);
    let container = fs::read_to_string(b.directory().join("said")).unwrap();
    for line in ["0", "wrote", "/dev/given"] {
        assert!(container.lines().any(|l| l == line), "{line}: {container}");
    }
    assert!(
        container.contains("warning: process.oomScoreAdj") && container.contains("uevent_helper: Read-only"),
        "{container}"
    );
    assert!(container.contains("warning: process.user.additionalGids"), "{container}");
    assert!(said.err.contains("no cgroup"), "{}", said.err);
}
