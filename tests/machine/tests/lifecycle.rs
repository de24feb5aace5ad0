//! A container from create to rm, and what is told of it.

use testkit::{Daemon, wait_for};

fn field(d: &Daemon, name: &str, template: &str) -> String {
    d.berth(&["inspect", "-f", template, name]).ok()
}

pub(crate) fn create_start_wait_remove() {
    let d = Daemon::start();
    d.busybox();
    let id = d.berth(&["create", "--name", "c1", "busybox", "sh", "-c", "exit 3"]).ok();
    assert_eq!(field(&d, "c1", "{{.State.Status}} {{.State.Running}} {{.State.Pid}}"), "created false 0");
    assert_eq!(d.berth(&["start", "c1"]).ok(), "c1");
    assert_eq!(d.berth(&["wait", "c1"]).ok(), "3");
    assert_eq!(field(&d, "c1", "{{.State.Status}} {{.State.ExitCode}} {{.Id}}"), format!("exited 3 {id}"));
    assert_eq!(d.berth(&["start", "-a", "c1"]).code, 3, "it can be started again");
    d.berth(&["rm", "c1"]).ok();
    assert!(!d.data_root().join("containers").join(&id).exists());
}

pub(crate) fn stop_asks_then_kills() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&[
        "run",
        "-d",
        "--name",
        "polite",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done",
    ])
    .ok();
    wait_for("the trap", || d.berth(&["logs", "polite"]).out.contains("up"));
    d.berth(&["stop", "polite"]).ok();
    assert_eq!(field(&d, "polite", "{{.State.ExitCode}}"), "5");
    d.berth(&[
        "run",
        "-d",
        "--name",
        "deaf",
        "busybox",
        "sh",
        "-c",
        "trap '' TERM; echo up; while :; do sleep 0.05; done",
    ])
    .ok();
    wait_for("the trap", || d.berth(&["logs", "deaf"]).out.contains("up"));
    d.berth(&["stop", "-t", "1", "deaf"]).ok();
    assert_eq!(field(&d, "deaf", "{{.State.ExitCode}}"), "137");
    d.berth(&[
        "run",
        "-d",
        "--name",
        "usr",
        "--stop-signal",
        "USR1",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 8' USR1; echo up; while :; do sleep 0.05; done",
    ])
    .ok();
    wait_for("the trap", || d.berth(&["logs", "usr"]).out.contains("up"));
    d.berth(&["stop", "usr"]).ok();
    assert_eq!(field(&d, "usr", "{{.State.ExitCode}}"), "8");
    assert_eq!(d.berth(&["stop", "usr"]).ok(), "usr", "stopping again is no error");
}

pub(crate) fn kill_with_a_signal() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "k1", "busybox", "sleep", "1000"]).ok();
    let bad = d.berth(&["kill", "-s", "NOPE", "k1"]);
    assert_eq!(bad.code, 1);
    assert!(bad.err.contains("NOPE"), "{}", bad.err);
    d.berth(&["kill", "k1"]).ok();
    assert_eq!(d.berth(&["wait", "k1"]).ok(), "137");
    let again = d.berth(&["kill", "k1"]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("is not running"), "{}", again.err);
}

pub(crate) fn restart_again() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "r1", "busybox", "sh", "-c", "echo once; sleep 1000"]).ok();
    wait_for("the first line", || d.berth(&["logs", "r1"]).out == "once\n");
    let first = field(&d, "r1", "{{.State.Pid}}");
    d.berth(&["restart", "-t", "0", "r1"]).ok();
    assert_ne!(field(&d, "r1", "{{.State.Pid}}"), first);
    wait_for("both lines", || d.berth(&["logs", "r1"]).out == "once\nonce\n");
}

pub(crate) fn pause_and_unpause() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "p1", "busybox", "sh", "-c", "while :; do date +%N; sleep 0.02; done"])
        .ok();
    d.berth(&["pause", "p1"]).ok();
    assert_eq!(field(&d, "p1", "{{.State.Status}} {{.State.Paused}}"), "paused true");
    let lines = d.berth(&["logs", "p1"]).out.len();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(d.berth(&["logs", "p1"]).out.len(), lines, "a frozen container says nothing");
    assert_eq!(d.berth(&["exec", "p1", "true"]).code, 1, "no exec in a paused container");
    d.berth(&["unpause", "p1"]).ok();
    wait_for("more lines", || d.berth(&["logs", "p1"]).out.len() > lines);
    d.berth(&["rm", "-f", "p1"]).ok();
}

pub(crate) fn rename_and_list() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "old", "-p", "12345:80", "busybox", "sleep", "1000"]).ok();
    d.berth(&["rename", "old", "new"]).ok();
    let table = d.berth(&["ps"]).ok();
    assert!(table.starts_with("CONTAINER ID   IMAGE"), "{table}");
    assert!(
        table.contains("\"sleep 1000\"") && table.contains("new") && table.contains("0.0.0.0:12345->80/tcp"),
        "{table}"
    );
    assert_eq!(
        d.berth(&["ps", "--filter", "name=new", "--format", "{{.Image}} {{.State}}"]).ok(),
        "busybox running"
    );
    assert_eq!(d.berth(&["ps", "--filter", "colour=red"]).code, 1);
}

pub(crate) fn restart_policies() {
    let mut d = Daemon::start();
    d.busybox();
    d.berth(&[
        "run",
        "-d",
        "--name",
        "f1",
        "--restart",
        "on-failure:2",
        "busybox",
        "sh",
        "-c",
        "echo try; exit 1",
    ])
    .ok();
    wait_for("three tries", || field(&d, "f1", "{{.State.Status}} {{.RestartCount}}") == "exited 2");
    assert_eq!(d.berth(&["logs", "f1"]).out, "try\ntry\ntry\n");
    d.berth(&[
        "run",
        "-d",
        "--name",
        "a1",
        "--restart",
        "always",
        "busybox",
        "sh",
        "-c",
        "echo try; sleep 0.1",
    ])
    .ok();
    wait_for("three lives", || d.berth(&["logs", "a1"]).out.lines().count() >= 3);
    d.berth(&["stop", "-t", "0", "a1"]).ok();
    let lines = d.berth(&["logs", "a1"]).out.lines().count();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(d.berth(&["logs", "a1"]).out.lines().count(), lines, "a stopped container stays down");
    d.kill();
    d.up();
    assert_eq!(
        field(&d, "a1", "{{.State.Status}}"),
        "exited",
        "a daemon's start is no reason to start a container"
    );
    let clash = d.berth(&["run", "-d", "--rm", "--restart", "always", "busybox", "true"]);
    assert_eq!(clash.code, 125, "{}", clash.err);
}

fn since_epoch() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn events_in_order() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "--name", "e1", "busybox", "true"]).ok();
    d.berth(&["rm", "e1"]).ok();
    d.berth(&["run", "-d", "--name", "s1", "busybox", "sleep", "1000"]).ok();
    d.berth(&["stop", "-t", "0", "s1"]).ok();
    let until = (since_epoch() + 1).to_string();
    let text = d
        .berth(&[
            "events",
            "--since",
            "1h",
            "--until",
            &until,
            "--filter",
            "type=container",
            "--format",
            "{{.Actor.Attributes.name}}:{{.Action}}",
        ])
        .ok();
    let of = |name: &str| {
        text.lines()
            .filter_map(|l| l.strip_prefix(name)?.strip_prefix(':').map(str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("e1"), ["create", "attach", "start", "die", "destroy"], "{text}");
    let stop = of("s1");
    assert_eq!(stop[..2], ["create", "start"], "{text}");
    assert!(
        stop.contains(&"kill".to_owned())
            && stop.contains(&"stop".to_owned())
            && stop.contains(&"die".to_owned()),
        "{text}"
    );
}

pub(crate) fn events_of_every_type() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["tag", "busybox", "other:1"]).ok();
    d.berth(&["run", "--rm", "--name", "e1", "-v", "/anon", "busybox", "true"]).ok();
    d.berth(&["rmi", "other:1"]).ok();
    d.berth(&["run", "-d", "--name", "e2", "--network", "none", "busybox", "sleep", "1000"]).ok();
    d.berth(&["exec", "e2", "true"]).ok();
    d.berth(&["exec", "e2", "sh", "-c", "exit 3"]);
    d.berth(&["exec", "e2", "absent"]);
    d.berth(&["rm", "-f", "e2"]).ok();
    let until = (since_epoch() + 1).to_string();
    let all = || {
        let words = ["events", "--since", "1h", "--until", &until, "--format", "{{json .}}"];
        let text = d.berth(&words).ok();
        text.lines().map(|line| in_short(&serde_json::from_str(line).expect("an event"))).collect::<Vec<_>>()
    };
    wait_for("the last of them", || all().iter().any(|line| line == "container destroy|e2"));
    let told = all();
    let expected = [
        "image tag|busybox",
        "image import|ID",
        "image tag|other:1",
        "volume create|",
        "container create|e1",
        "container attach|e1",
        "network connect|bridgebridge",
        "volume mount|/anon",
        "container start|e1",
        "container die|e1",
        "network disconnect|bridgebridge",
        "volume unmount|",
        "volume destroy|",
        "container destroy|e1",
        "image untag|ID",
        "container create|e2",
        "network connect|nonenull",
        "container start|e2",
        "container exec_create: true |e2",
        "container exec_start: true |e2",
        "container exec_die|e2",
        "container exec_create: sh -c exit 3|e2",
        "container exec_start: sh -c exit 3|e2",
        "container exec_die|e2",
        "container exec_create: absent |e2",
        "container exec_start: absent |e2",
        "container kill|e2",
        "container die|e2",
        "network disconnect|nonenull",
        "container destroy|e2",
    ];
    assert_eq!(told, expected);
}

/// Type and action, then what an event says of whom it happened to.
fn in_short(event: &serde_json::Value) -> String {
    let attribute = |key: &str| event["Actor"]["Attributes"][key].as_str().unwrap_or_default();
    let (name, more) = (attribute("name"), [attribute("type"), attribute("destination")].concat());
    let name = if name.starts_with("sha256:") { "ID" } else { name };
    format!("{} {}|{name}{more}", event["Type"].as_str().unwrap(), event["Action"].as_str().unwrap())
}

pub(crate) fn inspect_shows_what_was_asked() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&[
        "create",
        "--name",
        "i1",
        "--memory",
        "64m",
        "-e",
        "K=v",
        "--restart",
        "unless-stopped",
        "-p",
        "127.0.0.1:81:80/udp",
        "busybox",
        "sleep",
        "9",
    ])
    .ok();
    let document: serde_json::Value = serde_json::from_str(&d.berth(&["inspect", "i1"]).ok()).expect("JSON");
    let c = &document[0];
    assert_eq!(c["Name"], "/i1");
    assert_eq!(c["HostConfig"]["Memory"], 64 << 20);
    assert_eq!(c["HostConfig"]["RestartPolicy"]["Name"], "unless-stopped");
    assert_eq!(c["HostConfig"]["PortBindings"]["80/udp"][0]["HostIp"], "127.0.0.1");
    assert!(c["Config"]["Env"].as_array().unwrap().iter().any(|e| e == "K=v"));
    assert_eq!(c["Path"], "sleep");
    assert_eq!(c["Args"][0], "9");
    assert_eq!(d.berth(&["inspect", "-f", "{{json .Config.Cmd}}", "i1"]).ok(), r#"["sleep","9"]"#);
    assert_eq!(d.berth(&["inspect", "nothing"]).code, 1);
}

pub(crate) fn top_and_stats() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "t1", "--memory", "64m", "busybox", "sleep", "1000"]).ok();
    let stats =
        d.berth(&["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", "t1"]).ok();
    assert!(stats.starts_with("t1 ") && stats.contains("/ 64MiB") && stats.ends_with(" 1"), "{stats}");
    if std::path::Path::new("/bin/ps").exists()
        && !std::fs::read_link("/bin/ps").is_ok_and(|l| l.ends_with("busybox"))
    {
        let top = d.berth(&["top", "t1"]).ok();
        assert!(top.starts_with("UID") && top.contains("sleep 1000"), "{top}");
    }
}

pub(crate) fn prefixes_and_ambiguity() {
    let d = Daemon::start();
    d.busybox();
    let id = d.berth(&["create", "--name", "x1", "busybox", "true"]).ok();
    assert_eq!(field(&d, &id[..10], "{{.Name}}"), "/x1");
    assert_eq!(field(&d, &id[..1], "{{.Name}}"), "/x1");
    assert_eq!(d.berth(&["inspect", "zz"]).code, 1);
}
