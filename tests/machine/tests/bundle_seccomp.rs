//! System call filters below the runtime's command line.

use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};
use testkit::{Bundle, wait_for};

fn rule(names: &[&str], action: &str) -> Value {
    json!({"names": names, "action": format!("SCMP_ACT_{action}")})
}

fn filter(rules: &[Value]) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})
}

pub(crate) fn every_action() {
    let b = Bundle::new();
    let ran = |rule: Value, script: &str| {
        let mut document = b.document(script);
        document["process"]["rlimits"] = json!([{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]);
        document["linux"]["seccomp"] = filter(&[rule]);
        b.run(&document)
    };
    let make = "mkdir /made && echo made; rmdir /made 2>/dev/null; exit 0";
    let mkdir = ["mkdir", "mkdirat"];
    let said = |rule: Value| {
        let ran = ran(rule, make);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out + &ran.err
    };
    assert_eq!(said(rule(&mkdir, "LOG")), "made\n");
    assert_eq!(said(rule(&mkdir, "ALLOW")), "made\n");
    assert!(said(rule(&mkdir, "ERRNO")).contains("Operation not permitted"));
    let mut errno = rule(&mkdir, "ERRNO");
    errno["errnoRet"] = json!(100);
    assert!(said(errno).contains("Network is down"));
    // Nobody traces.
    assert!(said(rule(&mkdir, "TRACE")).contains("Function not implemented"));
    for action in ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP"] {
        let ran = ran(rule(&mkdir, action), "mkdir /made; echo $?");
        assert!(ran.out.ends_with("159\n"), "{action}: {} {}", ran.out, ran.err);
    }
    assert!(!b.inside("made").exists());
    let mut document = b.document("mkdir /made");
    document["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_MOON"});
    assert!(b.run(&document).err.contains("SCMP_ACT_MOON"));
    // An errno for an action that has none.
    let mut killed = rule(&mkdir, "KILL");
    killed["errnoRet"] = json!(1);
    let refused = ran(killed, make);
    assert!(refused.code == 1 && refused.err.contains("errnoRet"), "{} {}", refused.out, refused.err);
}

pub(crate) fn arguments_flags_and_architectures() {
    let b = Bundle::new();
    let ran = |seccomp: Value, script: &str| {
        let mut document = b.document(script);
        document["linux"]["seccomp"] = seccomp;
        b.run(&document)
    };
    // The second argument of kill: every signal but 0 fails.
    let mut kill = rule(&["kill"], "ERRNO");
    kill["errnoRet"] = json!(100);
    kill["args"] = json!([{"index": 1, "value": 0, "op": "SCMP_CMP_NE"}]);
    let said = ran(filter(&[kill]), "kill -0 $$ && echo fine; kill -10 $$; exit 0");
    assert_eq!(
        (said.code, said.out.as_str(), said.err.contains("Network is down")),
        (0, "fine\n", true),
        "{}",
        said.err
    );
    let mut all = filter(&[rule(&["mkdir", "mkdirat"], "ERRNO")]);
    all["flags"] =
        json!(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]);
    all["architectures"] = json!([
        "SCMP_ARCH_X86_64",
        "SCMP_ARCH_X86",
        "SCMP_ARCH_X32",
        "SCMP_ARCH_AARCH64",
        "SCMP_ARCH_S390X",
        "SCMP_ARCH_RISCV64",
        "SCMP_ARCH_LOONGARCH64",
        "SCMP_ARCH_PPC64LE",
        "SCMP_ARCH_SHEB"
    ]);
    let said = ran(all, "grep Seccomp: /proc/self/status; mkdir /made");
    assert_eq!((said.code, said.out.as_str()), (1, "Seccomp:\t2\n"), "{}", said.err);
    for (field, word) in [("flags", "SECCOMP_FILTER_FLAG_MOON"), ("architectures", "SCMP_ARCH_MOON")] {
        let mut bad = filter(&[]);
        bad[field] = json!([word]);
        let said = ran(bad, "true");
        assert!(said.code == 1 && said.err.contains(word), "{}", said.err);
    }
    let default = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 6, "syscalls": []});
    assert_ne!(ran(default, "true").code, 0, "even exec has the default's errno");
}

/// One message with its descriptors.
pub(crate) fn receive(listener: &UnixListener) -> (String, Vec<OwnedFd>) {
    let mut ready = [PollFd::new(listener, PollFlags::IN)];
    let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll(&mut ready, Some(&patience)).unwrap(), 1, "nobody connected");
    let (mut stream, _) = listener.accept().unwrap();
    let mut bytes = vec![0; 1 << 16];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [std::io::IoSliceMut::new(&mut bytes)];
    let length = recvmsg(&stream, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap().bytes;
    let fds = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
        _ => Vec::new(),
    });
    let fds: Vec<OwnedFd> = fds.collect();
    let mut text = String::from_utf8(bytes[..length].to_vec()).unwrap();
    stream.read_to_string(&mut text).expect("the end of the connection");
    (text, fds)
}

fn notifying(b: &Bundle, script: &str, no_new_privileges: bool) -> Value {
    let mut document = b.document(script);
    document["process"]["noNewPrivileges"] = json!(no_new_privileges);
    document["annotations"] = json!({"a": "b"});
    document["linux"]["seccomp"] = filter(&[rule(&["mkdir", "mkdirat"], "NOTIFY")]);
    document["linux"]["seccomp"]["listenerPath"] = json!(b.directory().join("agent"));
    document["linux"]["seccomp"]["listenerMetadata"] = json!("some text");
    document
}

/// A call that asks waits for its answer; an agent that goes lets it fail.
fn ask(notifications: OwnedFd) {
    let mut ready = [PollFd::from_borrowed_fd(notifications.as_fd(), PollFlags::IN)];
    let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll(&mut ready, Some(&patience)).unwrap(), 1, "nobody asked");
    assert!(ready[0].revents().contains(PollFlags::IN), "{:?}", ready[0].revents());
}

pub(crate) fn agents_are_asked() {
    for no_new_privileges in [false, true] {
        let b = Bundle::new();
        let listener = UnixListener::bind(b.directory().join("agent")).unwrap();
        b.write(&notifying(&b, "ls /proc/self/fd; mkdir /made 2>&1; sleep 1000", no_new_privileges));
        let out = || fs::read_to_string(b.directory().join("words")).unwrap_or_default();
        let words = fs::File::create(b.directory().join("words")).unwrap();
        assert!(b.command(&["create", "c1"]).stdout(words).status().unwrap().success());
        let (text, mut fds) = receive(&listener);
        let told: Value = serde_json::from_str(&text).unwrap();
        let state: Value = serde_json::from_str(&b.runtime(&["state", "c1"]).ok()).unwrap();
        assert_eq!((&told["fds"], &told["metadata"]), (&json!(["seccompFd"]), &json!("some text")));
        assert_eq!((&told["pid"], &told["state"]["pid"]), (&state["pid"], &state["pid"]));
        assert_eq!((&told["state"]["id"], &told["state"]["status"]), (&json!("c1"), &json!("creating")));
        assert_eq!(told["state"]["annotations"], json!({"a": "b"}));
        assert_eq!(told["state"]["bundle"], state["bundle"]);
        b.runtime(&["start", "c1"]).ok();
        wait_for("its descriptors", || out().contains("2\n"));
        ask(fds.remove(0));
        wait_for("its answer", || out().contains("Function not implemented"));
        assert!(!out().contains("4\n"), "{}: no descriptor of ours is in the container", out());

        let process = b.command(&["exec", "c1", "mkdir", "/made"]).spawn().unwrap();
        let (text, mut fds) = receive(&listener);
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&told["state"]["status"], &told["state"]["pid"]), (&json!("running"), &state["pid"]));
        assert_ne!(told["pid"], state["pid"]);
        ask(fds.remove(0));
        assert_eq!(process.wait_with_output().unwrap().status.code(), Some(1));
    }
}

pub(crate) fn agents_that_are_not_there() {
    let b = Bundle::new();
    let refused = |document: &Value, wanted: &str| {
        let said = b.run(document);
        assert!(said.code == 1 && said.err.contains(wanted), "{wanted}: {} {}", said.code, said.err);
        assert_eq!(b.runtime(&["list", "-q"]).out, "", "{wanted}: nothing is left");
    };
    let document = notifying(&b, "true", false);
    refused(&document, "failed to connect with seccomp agent");
    let change = |value: Value, field: &str| {
        let mut document = notifying(&b, "true", false);
        document["linux"]["seccomp"][field] = value;
        document
    };
    refused(&change(json!("@bt-absent"), "listenerPath"), "failed to connect with seccomp agent");
    refused(&change(json!(""), "listenerPath"), "listenerPath");
    for call in ["write", "sendmsg"] {
        let rules = json!([rule(&[call], "NOTIFY")]);
        refused(
            &change(rules, "syscalls"),
            &format!("SCMP_ACT_NOTIFY cannot be used for the {call} syscall"),
        );
    }
    refused(&change(json!("SCMP_ACT_NOTIFY"), "defaultAction"), "cannot be used as default action");
    // Without a rule that asks, nobody is called.
    let ignored = change(json!([]), "syscalls");
    assert_eq!(b.run(&ignored).code, 0);
}

/// A hook in the program's stead may do what the program may.
pub(crate) fn hooks_at_start_are_filtered() {
    let b = Bundle::new();
    let mut document = b.document("echo program");
    document["linux"]["seccomp"] = filter(&[rule(&["mkdir", "mkdirat"], "ERRNO")]);
    document["hooks"] = json!({"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "mkdir /made; ls /proc/self/fd >&2; exit 3"]}]});
    let said = b.run(&document);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{}", said.err);
    for wanted in ["error running startContainer hook #0", "Operation not permitted", "stderr"] {
        assert!(said.err.contains(wanted), "{}", said.err);
    }
    assert!(!said.err.contains("\n4\n"), "{}: a hook has no descriptor of ours", said.err);
    document["hooks"] = json!({"startContainer": [{"path": "/absent"}]});
    let said = b.run(&document);
    assert!(said.code == 1 && said.err.contains("error running startContainer hook #0"), "{}", said.err);
    // Who is told what: the container's own environment, and capabilities no more than the program's.
    document["hooks"] = json!({"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "env > /env; grep CapEff /proc/self/status > /caps"]}]});
    document["process"]["env"] = json!(["PATH=/bin", "ONE=two"]);
    document["process"]["args"] = json!(["sh", "-c", "grep CapEff /proc/self/status; cat /caps; cat /env"]);
    let said = b.run(&document).ok();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], lines[1], "{said}");
    assert!(lines.contains(&"ONE=two") && lines.contains(&"HOME=/root"), "{said}");
}

/// The second container of a host has the filter that was compiled for the first; whoever else writes in its place changes nothing.
pub(crate) fn kept_filters() {
    let b = Bundle::new();
    let mut document = b.document("mkdir /made; grep Seccomp: /proc/self/status; exit 0");
    document["linux"]["seccomp"] = filter(&[rule(&["mkdir", "mkdirat"], "ERRNO")]);
    let place = b.directory().join("state/@filters");
    let check = |document: &Value, denied: bool, what: &str| {
        let ran = b.run(document);
        assert_eq!(ran.err.contains("Operation not permitted"), denied, "{what}: {}", ran.err);
        assert!(ran.code == 0 && ran.out.contains("Seccomp:\t2"), "{what}: {} {}", ran.out, ran.err);
    };
    let entries = || {
        let found = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path());
        found.collect::<Vec<_>>()
    };
    check(&document, true, "compiled");
    let [entry] = &*entries() else { panic!("one filter is kept: {:?}", entries()) };
    let (whole, made) = (fs::read(entry).unwrap(), fs::metadata(entry).unwrap());
    check(&document, true, "kept");
    let same = |now: &fs::Metadata| (now.ino(), now.mtime_nsec()) == (made.ino(), made.mtime_nsec());
    assert!(same(&fs::metadata(entry).unwrap()), "it was compiled again");
    // One that lets everything pass, under this one's name.
    let mut open = document.clone();
    open["linux"]["seccomp"] = filter(&[rule(&["mkdir", "mkdirat"], "LOG")]);
    open["process"]["args"] =
        json!(["sh", "-c", "mkdir /made; rmdir /made; grep Seccomp: /proc/self/status"]);
    check(&open, false, "another filter");
    let other = entries().into_iter().find(|path| path != entry).unwrap();
    fs::copy(&other, entry).unwrap();
    check(&document, true, "another's entry");
    assert_eq!(fs::read(entry).unwrap(), whole, "it is replaced");
    fs::set_permissions(entry, fs::Permissions::from_mode(0o666)).unwrap();
    check(&document, true, "one that everybody may write");
    assert_eq!(fs::metadata(entry).unwrap().mode() & 0o777, 0o600);
    fs::write(entry, &whole[..whole.len() / 2]).unwrap();
    check(&document, true, "half of one");
    fs::remove_dir_all(&place).unwrap();
    fs::write(&place, "").unwrap();
    check(&document, true, "no place for any");
    assert!(b.left().is_empty());
}
