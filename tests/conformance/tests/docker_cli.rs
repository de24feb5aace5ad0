//! The docker command line, as its users type it.

use testkit::{Daemon, Ran, wait_for};

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
    assert_eq!(d.docker(&["port", "web"]).ok().lines().next(), Some("80/tcp -> 0.0.0.0:18500"));
    assert_eq!(d.docker(&["rm", "-f", "web"]).ok(), "web");
}

pub(crate) fn lists_and_inspects() {
    let d = daemon();
    d.docker(&["create", "--name", "c1", "--label", "a=b", "busybox", "true"]).ok();
    assert_eq!(
        d.docker(&["ps", "-a", "--filter", "label=a=b", "--format", "{{.Names}} {{.Image}} {{.Status}}"])
            .ok(),
        "c1 busybox Created"
    );
    assert_eq!(
        d.docker(&["inspect", "-f", "{{.State.Status}} {{.HostConfig.NetworkMode}} {{len .Mounts}}", "c1"])
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
    d.docker(&["run", "-d", "--name", "c1", "busybox", "sh", "-c", "echo one; echo two >&2; sleep 1000"])
        .ok();
    wait_for("both streams", || {
        let said = d.docker(&["logs", "c1"]);
        (said.out.as_str(), said.err.as_str()) == ("one\n", "two\n")
    });
    assert_eq!(
        d.docker(&["exec", "-w", "/tmp", "-e", "X=y", "c1", "sh", "-c", "pwd; echo $X; exit 3"]).out,
        "/tmp\ny\n"
    );
    assert_eq!(d.docker(&["exec", "c1", "sh", "-c", "exit 3"]).code, 3);
    assert!(d.docker(&["logs", "-t", "--tail", "1", "c1"]).code == 0);
    assert!(d.docker(&["top", "c1"]).ok().contains("sleep 1000"));
    assert!(d.docker(&["stats", "--no-stream", "c1"]).ok().contains("CPU %"));
}

pub(crate) fn lifecycle_commands() {
    let d = daemon();
    d.docker(&["run", "-d", "--name", "c1", "busybox", "sleep", "1000"]).ok();
    for words in [
        &["pause", "c1"][..],
        &["unpause", "c1"],
        &["restart", "-t", "0", "c1"],
        &["update", "--memory", "64m", "--memory-swap", "64m", "c1"],
        &["rename", "c1", "xx"],
        &["stop", "-t", "0", "xx"],
        &["start", "xx"],
        &["kill", "xx"],
    ] {
        assert_eq!(d.docker(words).code, 0, "{words:?}");
    }
    assert_eq!(d.docker(&["wait", "xx"]).ok(), "137");
    let until = (std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 1)
        .to_string();
    let events = d.docker(&["events", "--since", "1h", "--until", &until, "--format", "{{.Action}}"]).ok();
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
    d.docker(&["volume", "create", "vv"]).ok();
    d.docker(&["run", "--rm", "-v", "vv:/v", "busybox", "touch", "/v/f"]).ok();
    assert_eq!(
        d.docker(&["run", "--rm", "--mount", "type=volume,source=vv,target=/x", "busybox", "ls", "/x"]).ok(),
        "f"
    );
    assert_eq!(d.docker(&["volume", "rm", "vv"]).ok(), "vv");
}

pub(crate) fn exit_codes() {
    let d = daemon();
    assert_eq!(d.docker(&["run", "--rm", "busybox", "sh", "-c", "exit 9"]).code, 9);
    assert_eq!(d.docker(&["run", "--rm", "busybox", "/etc/passwd"]).code, 126);
    assert_eq!(d.docker(&["run", "--rm", "busybox", "absent"]).code, 127);
    assert_eq!(d.docker(&["run", "--rm", "--memory", "1k", "busybox", "true"]).code, 125);
    assert_eq!(d.docker(&["run", "--rm", "--init", "busybox", "sh", "-c", "kill -9 $$"]).code, 137);
    assert_eq!(d.docker(&["start", "absent"]).code, 1);
    assert_eq!(d.docker(&["ps", "-aq"]).ok(), "");
}

/// What both command lines print of the same daemon, byte for byte.
pub(crate) fn same_words_as_berth() {
    let d = daemon();
    d.berth(&[
        "create",
        "--name",
        "a1",
        "-p",
        "80:80",
        "-v",
        "vv:/v",
        "busybox",
        "sh",
        "-c",
        "a long command that is cut somewhere",
    ])
    .ok();
    d.berth(&["run", "--name", "b1", "--label", "x=y", "busybox", "sh", "-c", "exit 3"]);
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
        &["inspect", "a1"],
        &["inspect", "-f", "{{json .Config.Cmd}}", "a1", "b1"],
        &["inspect", "-f", "{{json .State}}{{range .Mounts}}{{json .}}{{end}}", "a1"],
        &["volume", "inspect", "-f", "{{json .}}", "vv"],
        &["volume", "ls"],
        &["volume", "inspect", "vv"],
        &["network", "ls", "--no-trunc"],
        &["port", "a1"],
        &["history", "busybox"],
    ] {
        // Ages are printed in seconds: asked twice around a tick, the same program differs from itself.
        let ask = || (d.docker(words), d.berth(words));
        let same = |(docker, berth): &(Ran, Ran)| (docker.code, &docker.out) == (berth.code, &berth.out);
        let (docker, berth) = std::iter::repeat_with(ask).take(5).find(same).unwrap_or_else(ask);
        assert_eq!((docker.code, docker.out), (berth.code, berth.out), "{words:?}");
    }
}
