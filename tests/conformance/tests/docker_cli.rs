//! The docker command line, as its users type it.

use testkit::{Daemon, wait_for};

fn daemon() -> Daemon {
    let d = Daemon::start();
    d.busybox();
    d
}

pub(crate) fn runs_and_removes() {
    let d = daemon();
    assert_eq!(d.docker(&["run", "--rm", "busybox", "echo", "hello"]).ok(), "hello");
    assert_eq!(
        d.docker(&[
            "run",
            "--rm",
            "-e",
            "A=1",
            "-w",
            "/tmp",
            "-u",
            "alice",
            "busybox",
            "sh",
            "-c",
            "echo $A $(pwd) $(id -un)"
        ])
        .ok(),
        "1 /tmp alice"
    );
    let id = d
        .docker(&[
            "run",
            "-d",
            "--name",
            "web",
            "--memory",
            "64m",
            "--restart",
            "unless-stopped",
            "-p",
            "18500:80",
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
    assert_eq!(d.docker(&["ps", "-q", "--no-trunc"]).ok(), id);
    assert_eq!(d.docker(&["port", "web"]).ok(), "80/tcp -> 0.0.0.0:18500");
    assert_eq!(d.docker(&["rm", "-f", "web"]).ok(), "web");
}

pub(crate) fn lists_and_inspects() {
    let d = daemon();
    d.docker(&["create", "--name", "c", "--label", "a=b", "busybox", "true"]).ok();
    assert_eq!(
        d.docker(&["ps", "-a", "--filter", "label=a=b", "--format", "{{.Names}} {{.Image}} {{.Status}}"])
            .ok(),
        "c busybox Created"
    );
    assert_eq!(
        d.docker(&["inspect", "-f", "{{.State.Status}} {{.HostConfig.NetworkMode}} {{len .Mounts}}", "c"])
            .ok(),
        "created bridge 0"
    );
    let info = d.docker(&["info"]).ok();
    assert!(info.contains("Containers: 1") && info.contains("Storage Driver: overlay2"), "{info}");
    assert!(d.docker(&["version"]).ok().contains("Server"), "version");
    assert!(d.docker(&["network", "ls", "--format", "{{.Name}}"]).ok().contains("bridge"));
    assert!(d.docker(&["system", "df"]).ok().contains("Images"));
}

pub(crate) fn logs_exec_and_attach() {
    let d = daemon();
    d.docker(&["run", "-d", "--name", "c", "busybox", "sh", "-c", "echo one; echo two >&2; sleep 1000"]).ok();
    wait_for("both streams", || {
        let said = d.docker(&["logs", "c"]);
        (said.out.as_str(), said.err.as_str()) == ("one\n", "two\n")
    });
    assert_eq!(
        d.docker(&["exec", "-w", "/tmp", "-e", "X=y", "c", "sh", "-c", "pwd; echo $X; exit 3"]).out,
        "/tmp\ny\n"
    );
    assert_eq!(d.docker(&["exec", "c", "sh", "-c", "exit 3"]).code, 3);
    assert!(d.docker(&["logs", "-t", "--tail", "1", "c"]).code == 0);
    assert!(d.docker(&["top", "c"]).ok().contains("sleep 1000"));
    assert!(d.docker(&["stats", "--no-stream", "c"]).ok().contains("CPU %"));
}

pub(crate) fn lifecycle_commands() {
    let d = daemon();
    d.docker(&["run", "-d", "--name", "c", "busybox", "sleep", "1000"]).ok();
    for words in [
        &["pause", "c"][..],
        &["unpause", "c"],
        &["restart", "-t", "0", "c"],
        &["update", "--memory", "64m", "--memory-swap", "64m", "c"],
        &["rename", "c", "x"],
        &["stop", "-t", "0", "x"],
        &["start", "x"],
        &["kill", "x"],
    ] {
        assert_eq!(d.docker(words).code, 0, "{words:?}");
    }
    assert_eq!(d.docker(&["wait", "x"]).ok(), "137");
    let events = d.docker(&["events", "--since", "1h", "--until", "1s", "--format", "{{.Action}}"]).ok();
    for action in
        ["create", "start", "pause", "unpause", "restart", "update", "rename", "stop", "kill", "die"]
    {
        assert!(events.lines().any(|e| e == action), "{action} is not in\n{events}");
    }
}

pub(crate) fn images_and_volumes() {
    let d = daemon();
    d.docker(&["tag", "busybox", "copy:1"]).ok();
    assert_eq!(d.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", "copy"]).ok(), "copy:1");
    assert!(d.docker(&["history", "busybox"]).ok().contains("IMAGE"));
    assert!(d.docker(&["rmi", "copy:1"]).ok().contains("Untagged: copy:1"));
    d.docker(&["volume", "create", "v"]).ok();
    d.docker(&["run", "--rm", "-v", "v:/v", "busybox", "touch", "/v/f"]).ok();
    assert_eq!(
        d.docker(&["run", "--rm", "--mount", "type=volume,source=v,target=/x", "busybox", "ls", "/x"]).ok(),
        "f"
    );
    assert_eq!(d.docker(&["volume", "rm", "v"]).ok(), "v");
}

pub(crate) fn exit_codes() {
    let d = daemon();
    assert_eq!(d.docker(&["run", "--rm", "busybox", "sh", "-c", "exit 9"]).code, 9);
    assert_eq!(d.docker(&["run", "--rm", "busybox", "/etc/passwd"]).code, 126);
    assert_eq!(d.docker(&["run", "--rm", "busybox", "absent"]).code, 127);
    assert_eq!(d.docker(&["run", "--rm", "--memory", "1k", "busybox", "true"]).code, 125);
    assert_eq!(d.docker(&["run", "--rm", "busybox", "sh", "-c", "kill -9 $$"]).code, 137);
    assert_eq!(d.docker(&["start", "absent"]).code, 1);
    assert_eq!(d.docker(&["ps", "-aq"]).ok(), "");
}

/// What both command lines print of the same daemon, byte for byte.
pub(crate) fn same_words_as_berth() {
    let d = daemon();
    d.berth(&[
        "create",
        "--name",
        "a",
        "-p",
        "80:80",
        "-v",
        "v:/v",
        "busybox",
        "sh",
        "-c",
        "a long command that is cut somewhere",
    ])
    .ok();
    d.berth(&["run", "--name", "b", "--label", "x=y", "busybox", "sh", "-c", "exit 3"]);
    for words in [
        &["ps", "-a"][..],
        &["ps", "-a", "--no-trunc"],
        &["ps", "-aq"],
        &["ps", "-a", "--format", "{{.Names}}\t{{.Ports}}\t{{.Labels}}\t{{.Mounts}}\t{{.Networks}}"],
        &["ps", "-a", "--format", "table {{.Names}}\t{{.State}}"],
        &["images"],
        &["images", "--digests", "--no-trunc"],
        &["images", "-q"],
        &["image", "inspect", "busybox"],
        &["inspect", "a"],
        &["inspect", "-f", "{{json .Config}}", "a", "b"],
        &["volume", "ls"],
        &["volume", "inspect", "v"],
        &["network", "ls", "--no-trunc"],
        &["port", "a"],
        &["history", "busybox"],
    ] {
        let (docker, berth) = (d.docker(words), d.berth(words));
        assert_eq!((docker.code, docker.out), (berth.code, berth.out), "{words:?}");
    }
}
