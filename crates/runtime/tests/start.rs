//! Starts on this kernel: overlay and mapped roots, joined networks, every step failed once. Needs root; one thread, so no test harness.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test of acts on the host")]

use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci::runtime::Spec;
use plan::container::{Options, plan};
use protocol::Plan;
use runtime::{Launch, Started, StdioFds};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use serde_json::{Value, json};
use types::Rootfs;

/// Everything made here carries this mark.
const MARK: &str = "/berth-test-runtime";

type Test = (&'static str, fn(&Bench));

fn main() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let tests: [Test; 8] = [
        ("overlay_is_mounted_in_the_container_only", overlay_root),
        ("mapped_root_belongs_to_the_inside", mapped_root),
        ("network_of_a_descriptor_is_joined", joined_network),
        ("exec_is_a_child_and_sees_the_container", exec_inside),
        ("output_comes_through_a_terminal", terminal),
        ("hostile_links_of_an_image_stay_inside", hostile_links),
        ("descriptors_of_the_caller_stay_outside", no_descriptors),
        ("every_step_fails_once_and_nothing_is_left", every_step),
    ];
    for (name, test) in tests {
        let bench = Bench::new(name);
        test(&bench);
        println!("test {name} ... ok");
    }
    println!("\ntest result: ok. {} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out", tests.len());
}

/// A scratch directory with an image of busybox.
struct Bench {
    directory: PathBuf,
    id: String,
}

impl Bench {
    fn new(name: &str) -> Self {
        let id = format!("{}-{}", &name[..8], std::process::id());
        let directory = std::env::temp_dir().join(format!("berth-test-{id}"));
        for part in ["lower/bin", "lower/etc", "upper", "work"] {
            fs::create_dir_all(directory.join(part)).unwrap();
        }
        fs::copy("/bin/busybox", directory.join("lower/bin/busybox")).expect("busybox-static is installed");
        for applet in ["sh", "cat", "id", "ls", "stat", "touch", "sleep", "echo"] {
            std::os::unix::fs::symlink("busybox", directory.join("lower/bin").join(applet)).unwrap();
        }
        Self { directory, id }
    }

    fn overlay(&self) -> Rootfs {
        Rootfs::Overlay {
            lower: vec![self.directory.join("lower")],
            upper: self.directory.join("upper"),
            work: self.directory.join("work"),
            volatile: false,
        }
    }

    fn plan(&self, document: &Value) -> Plan {
        let spec: Spec = serde_json::from_value(document.clone()).unwrap();
        let options = Options { cgroup_parent: MARK.into(), ..Options::default() };
        plan(&self.id, &spec, &self.overlay(), &runtime::facts::gather().unwrap(), &options)
            .expect("a plan")
            .plan
    }

    /// The error of a start that must fail.
    fn refusal(&self, plan: &Plan) -> String {
        let null = fs::File::open("/dev/null").unwrap();
        let stdio = StdioFds::Pipes([null.as_fd(), null.as_fd(), null.as_fd()]);
        let started =
            runtime::spawn(&Launch { plan, stdio, fds: &[], state: "" }).and_then(runtime::Starting::finish);
        started.expect_err("the start is refused").to_string()
    }

    /// Kernel and file system can map the owners of a layer.
    fn maps_owners(&self) -> bool {
        let mut plan = self.plan(&with_users(document("exit 0")));
        // The last step: the root has been mapped by then.
        plan.fault_step = Some((plan.prepare.len() + plan.setup.len() + 1) as u32);
        let error = self.refusal(&plan);
        assert!(error.contains("fault") || error.contains("id-mapped mounts"), "{error}");
        error.contains("fault")
    }

    /// Runs to the end: exit code and output.
    fn run(&self, plan: &Plan, fds: &[(String, BorrowedFd<'_>)]) -> (i32, String) {
        let null = fs::File::open("/dev/null").unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let stdio = StdioFds::Pipes([null.as_fd(), writer.as_fd(), writer.as_fd()]);
        let started =
            runtime::spawn(&Launch { plan, stdio, fds, state: "" }).and_then(runtime::Starting::finish);
        drop(writer);
        let mut output = String::new();
        reader.read_to_string(&mut output).unwrap();
        let code = reap(&started.expect("a start"));
        assert_eq!(runtime::clean(plan), []);
        (code, output)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
        let facts = runtime::facts::gather().unwrap();
        let mounts =
            facts.cgroups.v1.iter().map(|h| h.mount.clone()).chain(facts.cgroups.v2.map(|h| h.mount));
        mounts.for_each(|mount| drop(fs::remove_dir(format!("{mount}{MARK}"))));
    }
}

fn reap(started: &Started) -> i32 {
    let status = waitid(WaitId::PidFd(started.pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
    status.exit_status().unwrap_or(-1)
}

fn document(command: &str) -> Value {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    let sets = json!(["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_SETUID", "CAP_SETGID"]);
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": ["sh", "-c", command], "env": ["PATH=/bin"], "cwd": "/",
            "capabilities": {"bounding": sets, "effective": sets, "permitted": sets},
        },
        "root": {"path": "rootfs"},
        "hostname": "test",
        "mounts": [
            mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", &["nosuid", "mode=755"]),
            mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/sys/fs/cgroup", "cgroup", &["ro"]),
        ],
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}], "pids": {"limit": 64}},
            "namespaces": [
                {"type": "mount"}, {"type": "network"}, {"type": "uts"}, {"type": "pid"}, {"type": "ipc"}, {"type": "cgroup"},
            ],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/sys/firmware"],
            "readonlyPaths": ["/proc/sys"],
        },
    })
}

fn with_users(mut document: Value) -> Value {
    let map = json!([{"containerID": 0, "hostID": 231_072, "size": 65_536}]);
    document["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    document["linux"]["uidMappings"] = map.clone();
    document["linux"]["gidMappings"] = map;
    document
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

fn overlay_root(bench: &Bench) {
    let before = mounts();
    let plan = bench.plan(&document("echo new > /file; cat /proc/self/mountinfo; exit 3"));
    let (code, output) = bench.run(&plan, &[]);
    assert_eq!(code, 3);
    assert!(output.lines().any(|l| l.contains(" / / ") && l.contains(" - overlay ")), "{output}");
    assert_eq!(fs::read_to_string(bench.directory.join("upper/file")).unwrap(), "new\n");
    assert!(!bench.directory.join("lower/file").exists());
    assert_eq!(mounts(), before);
}

fn mapped_root(bench: &Bench) {
    use std::os::unix::fs::MetadataExt;
    // Nobody but root may walk to the layers: the mapped container still can use them.
    fs::set_permissions(&bench.directory, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let document =
        with_users(document("touch /mine; stat -c %u:%g /mine /bin/busybox; cat /proc/self/uid_map"));
    if !bench.maps_owners() {
        return println!("skipped: the scratch directory's file system has no id-mapped mounts");
    }
    let (code, output) = bench.run(&bench.plan(&document), &[]);
    assert_eq!((code, output.lines().take(2).collect::<Vec<_>>()), (0, vec!["0:0", "0:0"]), "{output}");
    assert!(output.contains("231072"), "{output}");
    assert_eq!(fs::metadata(bench.directory.join("upper/mine")).unwrap().uid(), 231_072);
}

/// A network namespace that only a descriptor keeps.
fn network() -> (OwnedFd, String) {
    let own = fs::File::open("/proc/self/ns/net").unwrap();
    sys::process::unshare(0x4000_0000).unwrap();
    let made = fs::File::open("/proc/self/ns/net").unwrap();
    let name = fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
    sys::process::join(own.as_fd(), 0x4000_0000).unwrap();
    (made.into(), name)
}

fn joined_network(bench: &Bench) {
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let (net, name) = network();
    for users in [false, bench.maps_owners()] {
        let mut document =
            document("cat /proc/sys/net/ipv4/ip_forward; stat -c %N /proc/self/ns/net; ls /sys/class/net");
        document["linux"]["namespaces"][1]["path"] = json!("fd:net");
        document["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
        let document = if users { with_users(document) } else { document };
        let (code, output) = bench.run(&bench.plan(&document), &[("net".into(), net.as_fd())]);
        assert_eq!(code, 0, "{output}");
        assert!(output.starts_with("1\n") && output.contains(&name), "{output} is not {name}");
        assert!(output.ends_with("\nlo\n"), "the network's own /sys: {output}");
    }
    assert_eq!(fs::read_link("/proc/self/ns/net").unwrap(), own, "the caller is back");
}

fn exec_inside(bench: &Bench) {
    let plan = bench.plan(&document("sleep 100"));
    let null = fs::File::open("/dev/null").unwrap();
    let stdio = StdioFds::Pipes([null.as_fd(), null.as_fd(), null.as_fd()]);
    let first = runtime::spawn(&Launch { plan: &plan, stdio, fds: &[], state: "" })
        .and_then(runtime::Starting::finish)
        .unwrap();
    let process = json!({"args": ["sh", "-c", "echo $$; id -u; cat /proc/sys/kernel/hostname; exit 9"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 7, "gid": 7}});
    let options =
        plan::container::ExecOptions { facts: runtime::facts::gather().unwrap(), ..Default::default() };
    let exec =
        plan::container::plan_exec(&plan, &serde_json::from_value(process).unwrap(), &options).unwrap().plan;
    let (mut reader, writer) = std::io::pipe().unwrap();
    let stdio = StdioFds::Pipes([null.as_fd(), writer.as_fd(), writer.as_fd()]);
    let started = runtime::spawn_exec(&runtime::Entrance {
        plan: &exec,
        init: first.pidfd.as_fd(),
        init_pid: first.pid,
        stdio,
        state: "",
    })
    .unwrap()
    .finish()
    .unwrap();
    drop(writer);
    let mut output = String::new();
    reader.read_to_string(&mut output).unwrap();
    assert_eq!(output, "2\n7\ntest\n");
    assert_eq!(reap(&started), 9);
    runtime::freeze(&plan, true).unwrap();
    runtime::freeze(&plan, false).unwrap();
    assert_eq!(runtime::pids(&plan).unwrap(), [first.pid]);
    runtime::kill_all(&plan, 9).unwrap();
    assert_eq!(reap(&first), -1);
    assert_eq!(runtime::clean(&plan), []);
}

fn terminal(bench: &Bench) {
    let mut document = document("stat -c %F /dev/console; echo over");
    document["process"]["terminal"] = json!(true);
    let plan = bench.plan(&document);
    let stdio = StdioFds::Terminal { width: 80, height: 25, plain: false };
    let started = runtime::spawn(&Launch { plan: &plan, stdio, fds: &[], state: "" })
        .and_then(runtime::Starting::finish)
        .unwrap();
    let mut output = Vec::new();
    // A terminal ends with EIO.
    let _ = fs::File::from(started.terminal.as_ref().unwrap().try_clone().unwrap()).read_to_end(&mut output);
    assert_eq!(String::from_utf8_lossy(&output), "character special file\r\nover\r\n");
    assert_eq!(reap(&started), 0);
    assert_eq!(runtime::clean(&plan), []);
}

/// Links of the image at every place the start makes or mounts something; each would lead out if followed by name.
fn hostile_links(bench: &Bench) {
    let canary = bench.directory.join("canary");
    fs::create_dir_all(canary.join("sub")).unwrap();
    let lower = bench.directory.join("lower");
    let outside = format!("../../../../../../../..{}", canary.display());
    let link = |name: &str, to: &str| std::os::unix::fs::symlink(to, lower.join(name)).unwrap();
    link("dev", &outside);
    link("work", &canary.display().to_string());
    link("data", &outside);
    let mut document = document("exit 0");
    document["process"]["cwd"] = json!("/work/made");
    document["mounts"].as_array_mut().unwrap().push(
        json!({"destination": "/data/file", "type": "bind", "source": "/etc/hostname", "options": ["bind"]}),
    );
    for name in ["proc", "sys"] {
        link(name, "/etc");
        let error = bench.refusal(&bench.plan(&document));
        assert!(error.contains(&format!("/{name} in the image must be an ordinary directory")), "{error}");
        fs::remove_file(lower.join(name)).unwrap();
    }
    assert_eq!(bench.run(&bench.plan(&document), &[]).0, 0);
    let left: Vec<_> = fs::read_dir(&canary).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["sub"], "nothing was made outside");
}

/// Open, without close-on-exec, and a working directory outside: none of it reaches the program (CVE-2024-21626).
fn no_descriptors(bench: &Bench) {
    let leak = rustix::fs::open("/", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    let plan = bench.plan(&document("ls /proc/self/fd; cat /proc/self/status"));
    let (code, output) = bench.run(&plan, &[]);
    assert_eq!(code, 0);
    // 3 is the directory that `ls` reads.
    assert!(output.starts_with("0\n1\n2\n3\n"), "{output}");
    assert!(output.contains("CapInh:\t0000000000000000"), "{output}");
    // Whatever number: one of them is a handle of the start itself.
    for number in 0..16 {
        let mut document = document("pwd");
        document["process"]["cwd"] = json!(format!("/proc/self/fd/{number}"));
        let error = bench.refusal(&bench.plan(&document));
        assert!(error.contains("working directory"), "{error}");
    }
    drop(leak);
}

fn cgroups_left(bench: &Bench) -> Vec<PathBuf> {
    let facts = runtime::facts::gather().unwrap();
    let mounts = facts.cgroups.v1.iter().map(|h| h.mount.clone()).chain(facts.cgroups.v2.map(|h| h.mount));
    mounts.map(|m| Path::new(&format!("{m}{MARK}")).join(&bench.id)).filter(|p| p.exists()).collect()
}

fn every_step(bench: &Bench) {
    let before = mounts();
    for users in [false, bench.maps_owners()] {
        let mut document = document("exit 0");
        document["process"]["terminal"] = json!(true);
        let document = if users { with_users(document) } else { document };
        let mut plan = bench.plan(&document);
        let steps = plan.prepare.len() + plan.setup.len() + 2;
        for step in 0..steps as u32 {
            plan.fault_step = Some(step);
            let stdio = StdioFds::Terminal { width: 0, height: 0, plain: false };
            let error = runtime::spawn(&Launch { plan: &plan, stdio, fds: &[], state: "" })
                .and_then(runtime::Starting::finish)
                .expect_err("the step fails");
            assert_eq!(error.step(), Some(step), "{error}");
            assert_eq!(error.exit_code(), 125);
            assert_eq!(cgroups_left(bench), Vec::<PathBuf>::new(), "step {step}");
            let children = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
            assert_eq!(children, "", "step {step}");
        }
    }
    assert_eq!(mounts(), before);
}
