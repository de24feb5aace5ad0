//! Hooks beyond their order: what they are given, how long they may take, what their failure does.

use std::fs;

use serde_json::{Value, json};
use testkit::Bundle;

const MOMENTS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A shell, and where its words go: the container's root is another's for the host.
fn shell(b: &Bundle, moment: &str, script: &str) -> Value {
    let place = if moment == "startContainer" { String::new() } else { b.inside("").display().to_string() };
    json!({"path": "/bin/sh", "args": ["sh", "-c", script.replace("LOG", &format!("{}/{moment}", place.trim_end_matches('/')))]})
}

pub(crate) fn state_on_stdin() {
    let b = Bundle::new();
    let mut document = b.document("sleep 1000");
    document["annotations"] = json!({"a.b": "c", "d": ""});
    document["hooks"] =
        MOMENTS.map(|m| (m.to_owned(), json!([shell(&b, m, "cat > LOG")]))).into_iter().collect();
    b.write(&document);
    b.runtime(&["create", "c1"]).ok();
    let pid = serde_json::from_str::<Value>(&b.runtime(&["state", "c1"]).ok()).unwrap()["pid"].clone();
    b.runtime(&["start", "c1"]).ok();
    b.runtime(&["delete", "--force", "c1"]).ok();
    for (moment, status, wanted) in [
        ("prestart", "created", &pid),
        ("createRuntime", "creating", &pid),
        ("createContainer", "creating", &json!(1)),
        ("startContainer", "created", &json!(1)),
        ("poststart", "running", &pid),
        ("poststop", "stopped", &json!(0)),
    ] {
        let text = fs::read_to_string(b.inside(moment)).unwrap();
        let state: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{moment}: {e}: {text}"));
        let seen = (&state["status"], &state["pid"], &state["id"]);
        assert_eq!(seen, (&json!(status), wanted, &json!("c1")), "{moment}");
        assert_eq!(state["annotations"], document["annotations"], "{moment}");
        assert_eq!(state["bundle"], json!(b.directory()), "{moment}");
        assert!(state["ociVersion"].as_str().unwrap().starts_with("1."), "{moment}");
    }
}

pub(crate) fn environment_and_place() {
    let b = Bundle::new();
    let mut document = b.document("true");
    document["process"]["env"] = json!(["PATH=/usr/bin:/bin", "ONE=two"]);
    let script = "{ pwd; env; } > LOG";
    document["hooks"] = MOMENTS
        .map(|moment| {
            let mut given = shell(&b, moment, &script.replace("LOG", "LOG.given"));
            given["env"] = json!(["PATH=/bin", "GIVEN=x y"]);
            (moment.to_owned(), json!([shell(&b, moment, script), given]))
        })
        .into_iter()
        .collect();
    b.write(&document);
    let mut command = b.command(&["run", "c1"]);
    assert!(command.env("OURS", "1").status().unwrap().success());
    for moment in MOMENTS {
        let read = |end: &str| fs::read_to_string(b.inside(&format!("{moment}{end}"))).unwrap();
        let (silent, given) = (read(""), read(".given"));
        let of_host = !matches!(moment, "createContainer" | "startContainer");
        assert_eq!(silent.contains("\nOURS=1\n"), of_host, "{moment}: {silent}");
        assert_eq!(silent.contains("\nONE=two\n"), moment == "startContainer", "{moment}: {silent}");
        assert!(of_host || silent.contains("\nPATH=/usr/bin:/bin\n"), "{moment}: {silent}");
        assert!(
            given.contains("\nGIVEN=x y\n") && !given.contains("OURS") && !given.contains("ONE="),
            "{moment}: {given}"
        );
        let place = match moment {
            "createContainer" => b.directory().join("rootfs").display().to_string(),
            "startContainer" => "/".to_owned(),
            _ => b.directory().display().to_string(),
        };
        assert_eq!(silent.lines().next(), Some(&*place), "{moment}");
    }
}

pub(crate) fn no_longer_than_their_timeout() {
    let b = Bundle::new();
    for moment in &MOMENTS[..5] {
        let mut document = b.document("sleep 1000");
        document["hooks"] =
            json!({*moment: [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]});
        let said = b.run(&document);
        assert!(
            said.code == 1 && said.err.contains(&format!("error running {moment} hook #0")),
            "{}",
            said.err
        );
        assert!(said.err.contains("not done after"), "{}", said.err);
        assert_eq!(b.runtime(&["list", "-q"]).out, "", "{moment}: nothing is left");
    }
}

pub(crate) fn the_one_that_fails_is_named() {
    let b = Bundle::new();
    for moment in &MOMENTS[..5] {
        let mut document = b.document("sleep 1000");
        let busybox = if *moment == "startContainer" {
            "/bin/busybox".to_owned()
        } else {
            b.inside("bin/busybox").display().to_string()
        };
        // What is run and what it is called are two things.
        let second = json!({"path": busybox, "args": ["cat", "/absent"]});
        document["hooks"] =
            json!({*moment: [{"path": "/bin/true"}, second, shell(&b, moment, "echo ran > LOG")]});
        let said = b.run(&document);
        assert_eq!(said.code, 1);
        for wanted in [format!("error running {moment} hook #1"), "cat: can't open '/absent'".into()] {
            assert!(said.err.contains(&wanted), "{wanted} is not in {}", said.err);
        }
        assert!(!b.inside(moment).exists(), "{moment}: those after it do not run");
        document["hooks"] = json!({*moment: [{"path": "/absent/hook"}]});
        let said = b.run(&document);
        assert!(
            said.code == 1 && said.err.contains(&format!("error running {moment} hook #0")),
            "{}",
            said.err
        );
    }
    // The last ones only warn, and all of them run.
    let mut document = b.document("true");
    document["hooks"] = json!({"poststop": [{"path": "/bin/false"}, {"path": "/absent/hook"}, shell(&b, "poststop", "echo ran > LOG")]});
    b.write(&document);
    b.runtime(&["create", "c1"]).ok();
    let said = b.runtime(&["delete", "--force", "c1"]);
    assert_eq!(said.code, 0);
    for wanted in ["warning: error running poststop hook #0", "warning: error running poststop hook #1"] {
        assert!(said.err.contains(wanted), "{wanted} is not in {}", said.err);
    }
    assert_eq!(fs::read_to_string(b.inside("poststop")).unwrap(), "ran\n");
}
