//! Bad input to the runtime's command line: one sentence, runc's exit code, nothing left.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Bundle, Ran, wait_for};

/// It said what it should in one line, with this code, and nothing is there.
#[track_caller]
fn refused(b: &Bundle, what: &str, said: &Ran, code: i32, wanted: &str) {
    assert_eq!(said.code, code, "{what}: {} {}", said.out, said.err);
    assert!(said.err.contains(wanted), "{what}: {:?} does not say {wanted:?}", said.err);
    assert!(said.err.starts_with("berth-runtime: ") && said.err.lines().count() == 1, "{what}: {}", said.err);
    assert!(
        !said.err.trim_end().contains(char::is_control) && said.err.len() < 5000,
        "{what}: {:?}",
        said.err
    );
    assert_eq!(b.left(), [""; 0], "{what}");
}

/// The value at a JSON pointer, with what is missing above it made.
fn set(document: &mut Value, pointer: &str, value: Value) {
    let mut place = document;
    for key in pointer.split('/').skip(1) {
        place = match key.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[key],
        };
    }
    *place = value;
}

/// A sample, over all the ways on which a document can be wrong; every field's type is tried beside the documents themselves.
pub(crate) fn documents_that_are_wrong() {
    let b = Bundle::new();
    let cases: &[(&str, Value, &str)] = &[
        ("/ociVersion", json!("2.0.0"), "ociVersion \"2.0.0\" is not a version 1"),
        ("/ociVersion", json!("one"), "ociVersion \"one\""),
        ("/process", json!([]), "process: invalid type: sequence, expected an object"),
        ("/process/user/uid", json!("root"), "process.user.uid: invalid type: string \"root\", expected u32"),
        ("/process/user/uid", json!(-1), "process.user.uid: invalid value: integer `-1`"),
        ("/process/args", json!([]), "process.args"),
        ("/process/args", json!("sh"), "process.args: invalid type: string"),
        ("/process/args", json!(["sh", "a\0b"]), "process.args[1]: a NUL byte"),
        ("/process/cwd", json!("relative"), "process.cwd"),
        ("/process/cwd", json!(""), "process.cwd"),
        ("/process/env", json!(["A=1", 7]), "process.env[1]: invalid type: integer `7`"),
        ("/process/rlimits", json!([{"type": "RLIMIT_MOON", "hard": 1, "soft": 1}]), "RLIMIT_MOON"),
        ("/process/rlimits", json!([{"type": "RLIMIT_CORE", "hard": 1, "soft": 2}]), "process.rlimits"),
        ("/process/oomScoreAdj", json!(1001), "process.oomScoreAdj"),
        ("/root/path", json!("config.json"), "root.path config.json is not a directory"),
        ("/root/path", json!("absent"), "root.path absent: no such file or directory"),
        ("/root/path", json!(""), "root.path"),
        ("/mounts/0/destination", json!(""), "mounts"),
        ("/mounts/0/destination", json!(7), "mounts[0].destination: invalid type"),
        ("/mounts/0/options", json!(["size=moon"]), "size=moon"),
        ("/mounts/1/type", json!("moonfs"), "moonfs"),
        ("/hooks", json!({"prestart": [{"path": "relative"}]}), "prestart"),
        ("/hooks", json!({"prestart": [{"path": "/bin/true", "timeout": 0}]}), "timeout"),
        ("/hooks", json!({"prestart": {}}), "hooks.prestart: invalid type: map, expected a sequence"),
        ("/linux/cgroupsPath", json!("/../../etc"), "linux.cgroupsPath"),
        ("/linux/cgroupsPath", json!("a:b:c"), "linux.cgroupsPath"),
        ("/linux/cgroupsPath", json!(format!("/{}", "x".repeat(5000))), "file name too long"),
        ("/linux/namespaces/0/type", json!("moon"), "linux.namespaces[0].type: unknown variant `moon`"),
        ("/linux/namespaces/1/path", json!("/proc/self/ns/uts"), "namespace"),
        ("/linux/namespaces/1/path", json!("/absent"), "/absent"),
        ("/linux/resources/memory/limit", json!(1.5), "linux.resources.memory.limit: invalid type: floating"),
        ("/linux/resources/pids/limit", json!("many"), "linux.resources.pids.limit: invalid type: string"),
        ("/linux/resources/unified", json!({"memory.high": 1}), "linux.resources.unified.memory.high"),
        ("/linux/sysctl", json!({"kernel.panic": "1"}), "kernel.panic"),
        ("/linux/sysctl", json!({"net.../x": "1"}), "net.../x"),
        ("/linux/sysctl", json!({"net.ipv4.moon": "1"}), "net.ipv4.moon"),
        ("/linux/readonlyPaths", json!([[]]), "linux.readonlyPaths[0]: invalid type: sequence"),
        ("/linux/rootfsPropagation", json!("moon"), "linux.rootfsPropagation"),
        ("/linux/seccomp", json!({"defaultAction": "MOON"}), "linux.seccomp.defaultAction: unknown variant"),
        ("/linux/devices", json!([{"path": "/dev/x", "type": "q"}]), "linux.devices"),
    ];
    for (pointer, value, wanted) in cases {
        let mut document = b.document("true");
        set(&mut document, pointer, value.clone());
        refused(&b, &format!("{pointer} {value}"), &b.run(&document), 1, wanted);
    }
    let mut document = b.document("true");
    for (pointer, gone, wanted) in
        [("", "root", "root.path"), ("", "process", "process"), ("", "linux", "linux")]
    {
        let taken = document.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(gone).unwrap();
        refused(&b, gone, &b.run(&document), 1, wanted);
        document[gone] = taken;
    }
}

/// What lies there, how it comes there, and what is said of it.
type Lie<'a> = (&'a str, &'a dyn Fn(&Path), &'a str);

/// What can lie in the place of a document.
pub(crate) fn files_that_are_no_documents() {
    let b = Bundle::new();
    let config = b.directory().join("config.json");
    let huge = |path: &Path| fs::File::create(path).unwrap().set_len(17 << 20).unwrap();
    let fifo = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let cases: &[Lie<'_>] = &[
        ("nothing", &|_| {}, "no such file or directory"),
        ("empty", &|path| fs::write(path, "").unwrap(), "it is empty"),
        ("text", &|path| fs::write(path, "hello").unwrap(), "expected value at line 1 column 1"),
        ("zeros", &huge, "is longer than 16 MiB"),
        ("latin", &|path| fs::write(path, b"{\"hostname\": \"\xe9\"}").unwrap(), "hostname: invalid unicode"),
        ("mark", &|path| fs::write(path, "\u{feff}{}").unwrap(), "byte order mark"),
        ("cut", &|path| fs::write(path, "{\"linux\": {\"namesp").unwrap(), "EOF while parsing"),
        ("deep", &|path| fs::write(path, "[".repeat(1 << 20)).unwrap(), "expected an object"),
        ("steering", &|path| fs::write(path, "{\"process\": \"\\u001b[2J\\n\"}").unwrap(), "\\u{1b}[2J"),
        ("a directory", &|path| fs::create_dir(path).unwrap(), "not a regular file"),
        ("a FIFO", &fifo, "not a regular file"),
        ("a device", &|path| symlink("/dev/zero", path).unwrap(), "not a regular file"),
        ("a loop", &|path| symlink("config.json", path).unwrap(), "too many levels of symbolic links"),
    ];
    for (what, make, wanted) in cases {
        make(&config);
        refused(&b, what, &b.runtime(&["create", "c1"]), 1, wanted);
        let _ = fs::remove_file(&config);
        let _ = fs::remove_dir(&config);
    }
    refused(&b, "no bundle", &b.runtime(&["run", "--bundle", "/absent", "c1"]), 1, "open bundle /absent");
    // The same for the documents of `exec` and `update`, whose codes differ.
    b.write(&b.document("sleep 1000"));
    b.runtime(&["run", "-d", "c1"]).ok();
    for (what, make, wanted) in &cases[..11] {
        let path = b.directory().join("other.json");
        make(&path);
        // A FIFO may be somebody's pipe: its writer is waited for.
        for (words, code) in [
            (["exec", "--process", "other.json", "c1"], 255),
            (["update", "--resources", "other.json", "c1"], 1),
        ] {
            if *what != "a FIFO" && *what != "latin" && *what != "cut" && *what != "steering" {
                let said = b.runtime(&words);
                assert_eq!(
                    (said.code, said.err.lines().count()),
                    (code, 1),
                    "{what} {words:?}: {}",
                    said.err
                );
                assert!(said.err.contains(wanted), "{what} {words:?}: {}", said.err);
            }
        }
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir(&path);
    }
    let piped = "printf '{\"args\": [\"/bin/true\"], \"cwd\": \"/\"}' | \"$0\" --root state exec --process /dev/stdin c1";
    let mut shell = Command::new("sh");
    shell.current_dir(b.directory()).args(["-c", piped]).arg(b.command(&[]).get_program());
    assert!(shell.status().unwrap().success(), "a document from a pipe");
}

/// The codes are runc's: 1, and 255 of an exec; it has neither 126 nor 127.
pub(crate) fn programs_that_cannot_run() {
    let b = Bundle::new();
    fs::write(b.inside("bin/plain"), "#!/bin/sh\n").unwrap();
    fs::write(b.inside("bin/orphan"), "#!/absent\n").unwrap();
    fs::write(b.inside("bin/garbage"), "\x7fELF garbage").unwrap();
    for name in ["orphan", "garbage"] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(b.inside(&format!("bin/{name}")), fs::Permissions::from_mode(0o755)).unwrap();
    }
    symlink("loop", b.inside("bin/loop")).unwrap();
    let programs = [
        ("absent", "executable file not found in $PATH"),
        ("/bin/absent", "no such file or directory"),
        ("/bin/plain", "permission denied"),
        ("plain", "not found in $PATH"),
        ("/etc", ""),
        ("/bin/loop", ""),
        ("/bin/orphan", "no such file or directory"),
        ("/bin/garbage", "exec format error"),
        ("", ""),
    ];
    for (program, wanted) in programs {
        let mut document = b.document("");
        document["process"]["args"] = json!([program]);
        refused(&b, program, &b.run(&document), 1, wanted);
    }
    b.write(&b.document("sleep 1000"));
    b.runtime(&["run", "-d", "c1"]).ok();
    for (program, wanted) in programs {
        let said = b.runtime(&["exec", "c1", program]);
        assert_eq!((said.code, said.err.lines().count()), (255, 1), "{program}: {}", said.err);
        assert!(said.err.contains(wanted), "{program}: {}", said.err);
    }
}

pub(crate) fn ids_that_are_none() {
    let b = Bundle::new();
    b.write(&b.document("sleep 1000"));
    let long = "x".repeat(256);
    for id in ["", ".", "..", "/", "a/b", "../x", "a b", "a\nb", "é", "a:b", "a\u{1b}[2J", long.as_str()] {
        for words in [
            ["create"].as_slice(),
            &["run"],
            &["state"],
            &["start"],
            &["delete", "--force"],
            &["kill"],
            &["ps"],
            &["pause"],
        ] {
            let words = [words, &["--", id]].concat();
            let said = b.runtime(&words);
            refused(&b, &format!("{words:?}"), &said, 1, "invalid container id");
        }
    }
    let bytes = b.command(&["state"]).arg(std::ffi::OsStr::from_bytes(b"\xff\xfe")).output().unwrap();
    assert_eq!(bytes.status.code(), Some(1));
    for words in [
        &["state"][..],
        &["create"],
        &["state", "a", "b"],
        &["create", "a", "b"],
        &["moon"],
        &["--moon", "list"],
        &["create", "--moon", "a"],
        &["--root"],
        &["--log-format", "xml", "list"],
    ] {
        refused(&b, &format!("{words:?}"), &b.runtime(words), 1, "");
    }
    b.runtime(&["create", &long[..255]]).ok();
    let said = b.runtime(&["create", &long[..255]]);
    assert!(said.code == 1 && said.err.contains("already exists"), "{}", said.err);
    b.runtime(&["delete", "--force", &long[..255]]).ok();
    assert_eq!(b.left(), [""; 0]);
}

/// A record can be anything after somebody else had his hands in it.
pub(crate) fn records_that_are_damaged() {
    let b = Bundle::new();
    b.write(&b.document("sleep 1000"));
    let place = b.directory().join("state/c1");
    type Damage<'a> = (&'a str, &'a dyn Fn(), bool);
    let write = |name: &str, text: &str| fs::write(place.join(name), text).unwrap();
    let cut = |name: &str| {
        let whole = fs::read(place.join(name)).unwrap();
        fs::write(place.join(name), &whole[..whole.len() / 2]).unwrap();
    };
    let damages: &[Damage<'_>] = &[
        ("an empty state", &|| write("state.json", ""), true),
        ("half a state", &|| cut("state.json"), true),
        ("another's state", &|| write("state.json", "{\"id\": \"c2\", \"pid\": 1}"), true),
        ("a list", &|| write("state.json", "[1]"), true),
        ("a pid out of range", &|| write("state.json", "{\"id\": \"c1\", \"pid\": 4294967297}"), true),
        ("a pid below", &|| write("state.json", "{\"id\": \"c1\", \"pid\": -1}"), true),
        ("no state", &|| fs::remove_file(place.join("state.json")).unwrap(), true),
        ("an empty plan", &|| write("plan", ""), false),
        ("half a plan", &|| cut("plan"), false),
        ("no plan", &|| fs::remove_file(place.join("plan")).unwrap(), false),
    ];
    for (what, damage, whole) in damages {
        b.runtime(&["create", "c1"]).ok();
        damage();
        let state = b.runtime(&["state", "c1"]);
        assert_eq!((state.code, state.err.lines().count()), (1, 1), "{what}: {}", state.err);
        for words in [&["start", "c1"][..], &["kill", "c1", "KILL"], &["delete", "c1"], &["create", "c1"]] {
            let said = b.runtime(words);
            assert_eq!((said.code, said.err.lines().count()), (1, 1), "{what} {words:?}: {}", said.err);
        }
        let list = b.runtime(&["list"]);
        assert!(list.code == 0 && !list.out.contains("c1"), "{what}: {}", list.out);
        let said = b.runtime(&["delete", "--force", "c1"]);
        assert_eq!(said.code, 0, "{what}: {}", said.err);
        if *whole {
            assert_eq!(said.err, "", "{what}");
        } else {
            // Nobody knows the cgroups any more; the process is found by its pid.
            assert!(
                said.err.contains("warning") && said.err.contains("cgroups may remain"),
                "{what}: {}",
                said.err
            );
            forget_cgroups(&b);
        }
        assert_eq!(b.left(), [""; 0], "{what}");
    }
    // Nothing but a directory, a FIFO that was left, or a file in its place.
    let state = b.directory().join("state");
    fs::create_dir(&place).unwrap();
    assert!(Command::new("mkfifo").arg(place.join("exec.fifo")).status().unwrap().success());
    fs::write(state.join("file"), "").unwrap();
    symlink("/", state.join("link")).unwrap();
    assert_eq!(b.runtime(&["list", "-q"]).ok(), "");
    assert!(b.runtime(&["state", "c1"]).err.contains("does not exist"));
    assert!(b.runtime(&["create", "c1"]).err.contains("already exists"));
    b.runtime(&["delete", "--force", "c1"]).ok();
    for id in ["file", "link"] {
        let said = b.runtime(&["delete", "--force", id]);
        assert_eq!((said.code, said.err.lines().count()), (1, 1), "{id}: {}", said.err);
    }
    assert!(Path::new("/etc").exists());
}

/// Removes the empty cgroups that a container without a plan left.
fn forget_cgroups(b: &Bundle) {
    wait_for("nothing but cgroups", || b.cgroups().iter().all(|place| fs::remove_dir(place).is_ok()));
}

/// Callers read the log: it must be whole whatever is in the message.
pub(crate) fn the_log_is_well_formed() {
    let b = Bundle::new();
    b.write(&b.document("true"));
    let log = b.directory().join("log");
    let mut document = b.document("true");
    document["process"]["args"] = json!(["/quote\"back\\slash\u{7}bell\ttab\u{2028}\u{fffd}"]);
    fs::create_dir(b.directory().join("odd")).unwrap();
    fs::write(b.directory().join("odd/config.json"), document.to_string()).unwrap();
    symlink(b.inside(""), b.directory().join("odd/rootfs")).unwrap();
    fs::write(b.directory().join("broken.json"), "{\"args\": \"\\u0007\\\"\n\"}").unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["state", "a\"b\\c\nd\u{7}"], "invalid container id"),
        (&["state", "absent"], "does not exist"),
        (&["run", "--bundle", "odd", "c1"], "slash"),
        (&["run", "--bundle", "a\"\n\t", "c1"], "open bundle"),
        (&["run", "--moon\"", "c1"], "moon"),
        (&["moon\"\\"], "is not a command"),
        (&["exec", "absent", "true"], "does not exist"),
        (&["update", "absent"], "does not exist"),
        (&["kill", "absent"], "does not exist"),
    ];
    for format in ["json", "text"] {
        for (words, wanted) in cases {
            let _ = fs::remove_file(&log);
            let said = b.runtime(&[&["--log", "log", "--log-format", format], *words].concat());
            assert!(said.code != 0 && said.err.contains(wanted), "{words:?}: {}", said.err);
            let text = fs::read_to_string(&log).unwrap();
            assert!(text.ends_with('\n') && text.lines().count() == 1, "{words:?}: {text:?}");
            if format == "json" {
                let entry: Value = serde_json::from_str(&text).unwrap();
                assert!(entry["msg"].as_str().unwrap().contains(wanted), "{words:?}: {text}");
                assert_eq!(entry["level"], "error");
                assert!(entry["time"].as_str().unwrap().ends_with('Z'));
            } else {
                assert!(text.starts_with("time=\"") && text.contains(" level=error msg=\""), "{text}");
            }
        }
    }
    let mut bytes = b.command(&["--log", "log2", "--log-format", "json", "state"]);
    bytes.arg(std::ffi::OsStr::from_bytes(b"\xff\"\xfe")).output().unwrap();
    let entry = fs::read_to_string(b.directory().join("log2")).unwrap();
    serde_json::from_str::<Value>(&entry).unwrap();
    // Where it cannot be written, stderr has the error all the same.
    assert!(Command::new("mkfifo").arg(b.directory().join("fifo")).status().unwrap().success());
    for place in ["/absent/log", "rootfs", "fifo", "/dev/full"] {
        let said = b.runtime(&["--log", place, "--log-format", "json", "state", "absent"]);
        assert!(said.code == 1 && said.err.contains("does not exist"), "{place}: {}", said.err);
        assert!(said.err.contains("write to the log"), "{place}: {}", said.err);
    }
    assert_eq!(b.left(), [""; 0]);
}

/// Nobody reads, or the disk is full: no crash.
pub(crate) fn answers_nobody_takes() {
    let b = Bundle::new();
    b.write(&b.document("sleep 1000"));
    b.runtime(&["run", "-d", "c1"]).ok();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for words in [
        &["state", "c1"][..],
        &["list"],
        &["list", "-q"],
        &["ps", "c1"],
        &["features"],
        &["--version"],
        &["help"],
    ] {
        let mut command = b.command(words);
        let said = command.stdout(full()).output().unwrap();
        let err = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.code() == Some(1) && err.contains("write the answer"), "{words:?}: {err}");
        let mut command = b.command(words);
        let status = command.stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(1), "{words:?}");
    }
}
