//! R06 (CVE-2024-21626): no descriptor of the runtime's or its caller's is found in a container, and no working directory leads out
//! through one. The list of what may be open is a list of what is allowed.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Bundle, wait_for};

use crate::bundle_rootless::{USER, document as ordinary};

/// A script that lists the shell's descriptors in a file. A redirection for good: for a while only, the shell would keep what was there.
/// The one that it lists them with is gone when it looks.
fn list(file: &str) -> String {
    format!(
        "exec > {file}.new; for f in /proc/self/fd/*; do [ -L $f ] && readlink -n $f; [ -L $f ] && echo \" ${{f##*/}}\"; done; mv {file}.new {file}"
    )
}

/// What the file says, once it is there: nothing but 0, 1 and 2, and `more`.
fn only_stdio(b: &Bundle, file: &str, more: &[&str]) {
    wait_for(file, || b.inside(file).exists());
    let text = fs::read_to_string(b.inside(file)).unwrap();
    let mut numbers: Vec<&str> = text.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [&["0", "1", "2"], more].concat(), "{file}: {text}");
    fs::remove_file(b.inside(file)).unwrap();
}

/// Runs the runtime with two descriptors that its caller left open: a directory and a file of the host's.
fn leaking(b: &Bundle, words: &[&str]) -> (i32, String) {
    let runtime = b.command(words);
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 7< / 9< /etc/passwd; exec \"$0\" \"$@\""]).arg(runtime.get_program());
    let file = fs::File::create(b.directory().join("said")).unwrap();
    shell.args(runtime.get_args()).current_dir(b.directory()).stdin(std::process::Stdio::null());
    let status = shell.stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
    (status.code().unwrap_or(-1), fs::read_to_string(b.directory().join("said")).unwrap())
}

#[track_caller]
fn fine(said: (i32, String)) {
    assert_eq!(said.0, 0, "{}", said.1);
}

pub(crate) fn r06_only_stdio_is_open() {
    let b = Bundle::new();
    let mut document = b.document(&list("/listed"));
    b.write(&document);
    fine(leaking(&b, &["run", "c1"]));
    only_stdio(&b, "listed", &[]);
    fine(leaking(&b, &["create", "c2"]));
    fine(leaking(&b, &["start", "c2"]));
    only_stdio(&b, "listed", &[]);
    document["process"]["args"] = json!(["sh", "-c", format!("{}; sleep 1000", list("/listed"))]);
    b.write(&document);
    fine(leaking(&b, &["run", "-d", "c3"]));
    only_stdio(&b, "listed", &[]);
    fine(leaking(&b, &["exec", "c3", "sh", "-c", &list("/listed")]));
    only_stdio(&b, "listed", &[]);
    fine(leaking(&b, &["exec", "-d", "c3", "sh", "-c", &list("/listed")]));
    only_stdio(&b, "listed", &[]);
    // Those that are wanted come, and no other.
    let shell = b.command(&["exec", "--preserve-fds", "2", "c3", "sh", "-c", &list("/listed")]);
    let mut preserving = Command::new("sh");
    preserving.args(["-c", "exec 3< / 4< / 5< / 9< /; exec \"$0\" \"$@\""]).arg(shell.get_program());
    assert!(preserving.args(shell.get_args()).status().unwrap().success());
    only_stdio(&b, "listed", &["3", "4"]);
}

pub(crate) fn r06_only_the_terminal_is_open() {
    let b = Bundle::new();
    let mut document = b.document(&format!("{}; sleep 1000", list("/listed")));
    document["process"]["terminal"] = json!(true);
    b.write(&document);
    let socket = b.directory().join("console");
    let listener = UnixListener::bind(&socket).unwrap();
    let socket = socket.display().to_string();
    // Somebody holds the masters, unread: a terminal that nobody holds is hung up.
    let holder = std::thread::spawn(move || [listener.accept().unwrap(), listener.accept().unwrap()]);
    fine(leaking(&b, &["create", "--console-socket", &socket, "c1"]));
    fine(leaking(&b, &["start", "c1"]));
    only_stdio(&b, "listed", &[]);
    fine(leaking(&b, &["exec", "-t", "-d", "--console-socket", &socket, "c1", "sh", "-c", &list("/listed")]));
    only_stdio(&b, "listed", &[]);
    let _held = holder.join().unwrap();
    fine(leaking(&b, &["exec", "-t", "c1", "sh", "-c", &list("/listed")]));
    only_stdio(&b, "listed", &[]);
}

/// Hooks get what they are promised: the state, and nothing to reach the host or the program's descriptors by.
pub(crate) fn r06_hooks_have_only_stdio() {
    let b = Bundle::new();
    let hook = |file: &str| json!([{"path": "/bin/sh", "args": ["sh", "-c", list(file)], "env": ["PATH=/bin:/usr/bin"]}]);
    let outside = |name: &str| hook(&b.inside(name).display().to_string());
    let mut document = b.document("sleep 1000");
    document["hooks"] = json!({
        "prestart": outside("prestart"), "createRuntime": outside("createRuntime"), "createContainer": outside("createContainer"),
        "startContainer": hook("/startContainer"), "poststart": outside("poststart"), "poststop": outside("poststop"),
    });
    b.write(&document);
    fs::write(b.directory().join("three"), "").unwrap();
    let runtime = b.command(&["run", "-d", "--preserve-fds", "1", "c1"]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec 3< three 7< /; exec \"$0\" \"$@\""])
        .arg(runtime.get_program())
        .args(runtime.get_args());
    assert!(shell.current_dir(b.directory()).status().unwrap().success());
    // On the host's side a hook is the caller's own program, with the caller's own descriptors (as with runc).
    for name in ["createContainer", "startContainer"] {
        only_stdio(&b, name, &[]);
    }
    b.runtime(&["delete", "--force", "c1"]).ok();
}

/// While it waits for its start, the first process is still the runtime: nothing that it holds opens the host.
pub(crate) fn r06_waiting_it_holds_nothing_of_the_host() {
    let b = Bundle::new();
    let mut document = b.document("sleep 1000");
    // For these it looks into the host's /proc.
    document["process"]["oomScoreAdj"] = json!(100);
    document["linux"]["sysctl"] = json!({"net.ipv4.ip_unprivileged_port_start": "0"});
    b.write(&document);
    fine(leaking(&b, &["create", "c1"]));
    holds_nothing_of_the_host(&b);
    let b = Bundle::new().owned_by(USER);
    let mut document = ordinary(&b, "sleep 1000");
    document["process"]["oomScoreAdj"] = json!(100);
    b.write(&document);
    b.runtime(&["create", "c1"]).ok();
    holds_nothing_of_the_host(&b);
}

fn holds_nothing_of_the_host(b: &Bundle) {
    let state: Value = serde_json::from_str(&b.runtime(&["state", "c1"]).ok()).unwrap();
    let process = format!("/proc/{}", state["pid"]);
    let mounts = fs::read_to_string(format!("{process}/mountinfo")).unwrap();
    for entry in fs::read_dir(format!("{process}/fd")).unwrap() {
        let entry = entry.unwrap();
        let number: u32 = entry.file_name().to_str().unwrap().parse().unwrap();
        let target = fs::read_link(entry.path()).unwrap().display().to_string();
        let info = fs::read_to_string(format!("{process}/fdinfo/{number}")).unwrap();
        let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:")).unwrap().trim();
        let is_the_containers = mounts.lines().any(|line| line.split(' ').next() == Some(mount));
        let allowed = number < 3
            || is_the_containers
            || target.ends_with("/exec.fifo")
            || target == "anon_inode:[signalfd]"
            || target.starts_with("socket:[");
        assert!(allowed, "descriptor {number} is {target}");
    }
}

pub(crate) fn r06_no_working_directory_leads_out() {
    let b = Bundle::new();
    let mut document = b.document("ls");
    symlink("/proc/self/fd/7", b.inside("link")).unwrap();
    symlink("/proc/self/fd/7/../../..", b.inside("up")).unwrap();
    let places: Vec<String> = (3..24).map(|number| format!("/proc/self/fd/{number}")).collect();
    let others =
        ["/proc/self/fd/7/etc", "/proc/thread-self/fd/7", "/proc/1/cwd", "/proc/self/root", "/link", "/up"];
    for cwd in places.iter().map(String::as_str).chain(others) {
        document["process"]["cwd"] = json!(cwd);
        b.write(&document);
        let (code, said) = leaking(&b, &["run", "c1"]);
        assert!(code != 0 && said.contains("working directory"), "{cwd}: {code} {said}");
    }
    b.write(&b.document("sleep 1000"));
    b.runtime(&["run", "-d", "c2"]).ok();
    for cwd in places.iter().map(String::as_str).chain(others) {
        let (code, said) = leaking(&b, &["exec", "--cwd", cwd, "c2", "ls"]);
        assert!(code != 0 && said.contains("working directory"), "exec, {cwd}: {code} {said}");
    }
}
