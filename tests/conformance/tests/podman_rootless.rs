//! podman as an ordinary user: it makes a user namespace of its own, and the runtime is root in there only.

use std::os::unix::fs::lchown;
use std::path::Path;

use testkit::{processes_naming, wait_for};

use super::caller::{self, Caller};

/// Nobody's, with 65,536 ids more.
const USER: u32 = 47_114;
const SUBIDS: u32 = 700_000;

/// A directory of a user's, who is known in a mount namespace of each command's own only; commands begin with `program`.
fn of_user(program: &str) -> Caller {
    let mut caller = Caller::new();
    let directory = caller.directory.clone();
    let place = |name: &str| directory.join(name).display().to_string();
    let append = |file: &str, line: String| {
        let text = std::fs::read_to_string(format!("/etc/{file}")).unwrap();
        std::fs::write(place(file), text + &line).unwrap();
    };
    append("passwd", format!("u{USER}:x:{USER}:{USER}::{}:/bin/sh\n", place("home")));
    append("group", format!("u{USER}:x:{USER}:\n"));
    for file in ["subuid", "subgid"] {
        std::fs::write(place(file), format!("u{USER}:{SUBIDS}:65536\n")).unwrap();
    }
    std::fs::copy(caller::runtime(), place("runtime")).unwrap();
    for name in ["home", "run", "graph"] {
        std::fs::create_dir(place(name)).unwrap();
        lchown(place(name), Some(USER), Some(USER)).unwrap();
    }
    let become_user = format!(
        "for f in passwd group subuid subgid; do mount --bind {}/$f /etc/$f || exit; done; cd {} && \
         exec setpriv --reuid {USER} --regid {USER} --clear-groups --inh-caps=-all \"$0\" \"$@\"",
        directory.display(),
        place("home"),
    );
    let words = ["unshare", "-m", "--propagation", "private", "sh", "-c", &become_user, program];
    caller.head = words.iter().map(|w| (*w).to_owned()).collect();
    caller.environment = vec![
        ("HOME".into(), place("home")),
        ("XDG_RUNTIME_DIR".into(), place("run")),
        ("CONTAINERS_CONF".into(), "/dev/null".into()),
    ];
    caller
}

fn podman(storage: &str) -> Caller {
    let mut caller = of_user("podman");
    let places = [
        ("--root", "graph"),
        ("--runroot", "run/containers"),
        ("--tmpdir", "run/tmp"),
        ("--runtime", "runtime"),
    ];
    let places: Vec<String> =
        places.iter().flat_map(|(word, name)| [(*word).to_owned(), caller.path(name)]).collect();
    let rest = ["--storage-driver", storage, "--cgroup-manager", "cgroupfs", "--events-backend", "file"];
    caller.head.extend(places.into_iter().chain(rest.iter().map(|w| (*w).to_owned())));
    caller.ok(&["import", "-q", &caller.path("busybox.tar"), "box"]);
    caller
}

/// Dropping it ends the process that keeps podman's user namespace.
struct User(Caller);

impl std::ops::Deref for User {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.0.run(&["rm", "-a", "-f", "-t", "0"]);
        if let Ok(pid) = std::fs::read_to_string(self.0.path("run/tmp/pause.pid")) {
            let _ = std::process::Command::new("kill").args(["-9", pid.trim()]).status();
        }
    }
}

fn user(storage: &str) -> User {
    User(podman(storage))
}

fn run(p: &Caller, options: &[&str], rest: &[&str]) -> testkit::Ran {
    p.run(&[&["run", "--network", "none"], options, &["box"], rest].concat())
}

/// What a container says, from its log: an attached podman can miss the words of one that ends at once.
fn said(p: &Caller, name: &str, options: &[&str], rest: &[&str]) -> String {
    run(p, &[&["--name", name], options].concat(), rest).ok();
    p.ok(&["logs", name])
}

pub(crate) fn runs_stops_and_executes() {
    let p = user("vfs");
    assert_eq!(run(&p, &["--rm"], &["echo", "hello"]).ok(), "hello");
    assert_eq!(run(&p, &["--rm", "-u", "1000"], &["sh", "-c", "id -u; exit 7"]).code, 7);
    assert_eq!(run(&p, &["--rm", "-t"], &["tty"]).ok(), "/dev/pts/0");
    for (program, code) in [("absent", 127), ("/etc/passwd", 126)] {
        let said = run(&p, &["--rm"], &[program]);
        assert_eq!(said.code, code, "{}", said.err);
    }
    let script = "echo out; echo err >&2; trap 'exit 3' TERM; while :; do sleep 0.05; done";
    run(&p, &["-d", "--name", "c1"], &["sh", "-c", script]).ok();
    wait_for("both streams", || {
        let said = p.run(&["logs", "c1"]);
        said.out == "out\n" && said.err == "err\n"
    });
    assert_eq!(p.ok(&["exec", "-e", "A=b", "-w", "/tmp", "c1", "sh", "-c", "echo $A; pwd"]), "b\n/tmp");
    assert_eq!(p.run(&["exec", "c1", "sh", "-c", "exit 5"]).code, 5);
    assert_eq!(p.run(&["exec", "c1", "absent"]).code, 127);
    assert_eq!(p.ok(&["exec", "-t", "c1", "tty"]), "/dev/pts/0");
    assert_eq!(p.ok(&["exec", "-u", "7:8", "c1", "sh", "-c", "id -u; id -g"]), "7\n8");
    assert!(p.ok(&["top", "c1", "pid", "args"]).contains("1           sh -c"));
    // Pausing is refused by podman itself: on cgroup v1 it gives an ordinary user's container no cgroup.
    assert_eq!(
        p.ok(&["inspect", "c1", "--format", "{{.State.Status}} {{.OCIRuntime}}"]),
        format!("running {}", p.path("runtime"))
    );
    p.ok(&["stop", "c1"]);
    assert_eq!(p.ok(&["inspect", "c1", "--format", "{{.State.Status}} {{.State.ExitCode}}"]), "exited 3");
    p.ok(&["start", "c1"]);
    p.ok(&["kill", "c1"]);
    assert_eq!(p.ok(&["wait", "c1"]), "137");
    wait_for("conmon and its podman to be gone", || {
        processes_naming(&p.path("graph/vfs-containers")).is_empty()
    });
    p.ok(&["rm", "c1"]);
    assert_eq!(p.ok(&["ps", "-aq"]), "");
}

pub(crate) fn users_volumes_and_devices() {
    let p = user("vfs");
    let map = |words: String| words.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    let script = "cat /proc/self/uid_map; touch /x && stat -c %u /x";
    assert_eq!(map(said(&p, "plain", &[], &["sh", "-c", script])), format!("0 {USER} 1 1 {SUBIDS} 65536 0"));
    assert_eq!(said(&p, "keep", &["--userns", "keep-id"], &["id", "-u"]), USER.to_string());
    let options = ["--uidmap", "0:1:1000", "--gidmap", "0:1:1000"];
    assert_eq!(map(said(&p, "own", &options, &["sh", "-c", script])), "0 1 1000 0");
    std::fs::write(p.path("home/file"), "seen\n").unwrap();
    let volume = format!("{}:/h:rw", p.path("home"));
    let script = "cat /h/file; echo more > /h/new; mkdir /sys/fs/cgroup/*/x 2>/dev/null || echo read-only";
    let words = said(&p, "volume", &["-v", &volume], &["sh", "-c", script]);
    assert_eq!(words, "seen\nread-only");
    let made = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(p.path("home/new")).unwrap());
    assert_eq!(made, USER);
    // Without a cgroup namespace, too: what is bound from the host is nobody's to change (R05).
    let script = "for d in /sys/fs/cgroup/*/; do mkdir $d/x 2>/dev/null && echo made; done; echo done";
    assert_eq!(said(&p, "hostcg", &["--cgroupns", "host"], &["sh", "-c", script]), "done");
    let words = said(
        &p,
        "privileged",
        &["--privileged"],
        &["sh", "-c", "test -c /dev/zero && head -c 4 /dev/zero | wc -c; grep CapEff /proc/self/status"],
    );
    assert!(words.starts_with("4\nCapEff:\t000001ff"), "{words}");
}

pub(crate) fn networks_and_pods() {
    let p = user("vfs");
    assert_eq!(said(&p, "none", &[], &["ls", "/sys/class/net"]), "lo");
    p.ok(&["run", "--name", "host", "--network", "host", "box", "readlink", "/proc/self/ns/net"]);
    assert_eq!(
        p.ok(&["logs", "host"]),
        std::fs::read_link("/proc/self/ns/net").unwrap().display().to_string()
    );
    let names = "for n in user net ipc uts; do readlink /proc/self/ns/$n; done; hostname";
    p.ok(&[
        "pod",
        "create",
        "--name",
        "pod1",
        "--network",
        "none",
        "--infra-image",
        "box",
        "--infra-command",
        "sleep 1000",
    ]);
    p.ok(&["run", "-d", "--pod", "pod1", "--name", "in1", "box", "sleep", "1000"]);
    let first = p.ok(&["exec", "in1", "sh", "-c", names]);
    assert!(first.ends_with("\npod1"), "{first}");
    assert_eq!(p.ok(&["run", "--rm", "--pod", "pod1", "box", "sh", "-c", names]), first);
    p.ok(&["pod", "stop", "-t", "0", "pod1"]);
    p.run(&["pod", "rm", "-f", "-t", "0", "pod1"]);
}

/// A network of user space, and a port that is published by it.
pub(crate) fn slirp() {
    let p = user("vfs");
    let words = p.ok(&["run", "--rm", "box", "ip", "-4", "-o", "addr", "show", "tap0"]);
    assert!(words.contains("10.0.2.100/24"), "{words}");
    let script = "while :; do echo answer | nc -l -p 80; done";
    p.ok(&["run", "-d", "--name", "web", "-p", "127.0.0.1:47114:80", "box", "sh", "-c", script]);
    wait_for("an answer", || {
        let Ok(mut stream) = std::net::TcpStream::connect("127.0.0.1:47114") else { return false };
        let mut said = String::new();
        std::io::Read::read_to_string(&mut stream, &mut said).is_ok() && said == "answer\n"
    });
    assert!(p.ok(&["exec", "web", "ip", "addr"]).contains("tap0"));
    p.ok(&["stop", "-t", "0", "web"]);
}

/// An overlay that the kernel mounts in the user namespace, and one of user space.
pub(crate) fn overlays() {
    let p = user("overlay");
    assert_eq!(said(&p, "native", &[], &["sh", "-c", "touch /x && grep -c ' / overlay ' /proc/mounts"]), "1");
    if !Path::new("/dev/fuse").exists() {
        return;
    }
    let mut q = podman("overlay");
    let at = q.head.iter().position(|w| w == "--cgroup-manager").unwrap();
    q.head.splice(
        at..at,
        ["--storage-opt".to_owned(), "overlay.mount_program=/usr/bin/fuse-overlayfs".to_owned()],
    );
    let q = User(q);
    let script = "touch /x && grep -c ' / fuse.fuse-overlayfs ' /proc/mounts";
    assert_eq!(said(&q, "fuse", &[], &["sh", "-c", script]), "1");
}

/// buildah has the runtime run the steps of a build, and commands beside them.
pub(crate) fn builds() {
    let mut caller = of_user("buildah");
    let (graph, run) = (caller.path("graph"), caller.path("run/containers"));
    let words = ["--root", &graph, "--runroot", &run, "--storage-driver", "vfs"];
    caller.head.extend(words.iter().map(|w| (*w).to_owned()));
    let p = User(caller);
    let context = p.path("home");
    std::fs::copy(p.path("busybox.tar"), p.path("home/box.tar")).unwrap();
    let file =
        "FROM scratch\nADD box.tar /\nRUN id -u && cat /proc/self/uid_map && echo built > /made\nUSER 7\n";
    std::fs::write(p.path("home/Dockerfile"), file).unwrap();
    let runtime = p.path("runtime");
    let said = p.ok(&["bud", "--isolation", "rootless", "--runtime", &runtime, "-t", "made", &context]);
    assert!(said.contains(&format!("\n0\n         0      {USER}          1\n")), "{said}");
    let container = p.ok(&["from", "localhost/made"]);
    let script = "id -u; cat /made; exit 5";
    let said =
        p.run(&["run", "--isolation", "rootless", "--runtime", &runtime, &container, "sh", "-c", script]);
    assert_eq!((said.code, said.out.as_str()), (5, "7\nbuilt\n"), "{}", said.err);
    p.ok(&["rm", &container]);
}
