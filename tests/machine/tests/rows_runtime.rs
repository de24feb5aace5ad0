//! What has gone wrong in runtimes before, row by row (R01 to R21): each test is red against a runtime that leaves the row's defence
//! out (`cargo xtask test teeth`).

use serde_json::json;
use testkit::Bundle;

/// A process inherits no capabilities unless somebody asks for ambient ones (CVE-2022-24769, CVE-2022-29162).
pub(crate) fn r04_nothing_is_inheritable() {
    let b = Bundle::new();
    let script = "grep CapInh /proc/self/status; sleep 1000";
    let mut document = b.document(script);
    let named = json!(["CAP_CHOWN", "CAP_KILL"]);
    document["process"]["capabilities"]["inheritable"] = named.clone();
    b.write(&document);
    let none = "CapInh:\t0000000000000000";
    b.runtime(&["run", "-d", "c1"]).ok();
    testkit::wait_for("its line", || {
        std::fs::read_to_string(b.directory().join("out")).unwrap().ends_with('\n')
    });
    assert_eq!(std::fs::read_to_string(b.directory().join("out")).unwrap().trim(), none, "the first process");
    let process = b.directory().join("process.json");
    let text = json!({
        "args": ["grep", "CapInh", "/proc/self/status"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0},
        "capabilities": {"bounding": named, "effective": named, "permitted": named, "inheritable": named},
    });
    std::fs::write(&process, text.to_string()).unwrap();
    let process = process.display().to_string();
    let grep = ["c1", "grep", "CapInh", "/proc/self/status"];
    for options in [&[][..], &["--cap", "CAP_NET_RAW"], &["-u", "1000"], &["--cap", "CAP_KILL", "-u", "7"]] {
        let said = b.runtime(&[&["exec"], options, &grep].concat());
        assert_eq!((said.code, said.out.trim()), (0, none), "{options:?}: {}", said.err);
    }
    assert_eq!(b.runtime(&["exec", "-p", &process, "c1"]).out.trim(), none, "a document of its own");
    // Asked for, it is given: ambient capabilities need it.
    document["process"]["capabilities"]["ambient"] = json!(["CAP_KILL"]);
    document["process"]["args"] = json!(["grep", "CapInh", "/proc/self/status"]);
    b.runtime(&["delete", "--force", "c1"]).ok();
    assert_eq!(b.run(&document).ok(), "CapInh:\t0000000000000020");
}
