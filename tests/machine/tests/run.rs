//! `berth run`: what a program sees and says.

use testkit::{Daemon, wait_for};

pub(crate) fn output_and_exit_codes() {
    let d = Daemon::start();
    d.busybox();
    let said = d.berth(&["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (7, "out\n", "err\n"));
    assert_eq!(d.berth(&["run", "--rm", "--init", "busybox", "sh", "-c", "kill -9 $$"]).code, 137);
    assert_eq!(d.berth(&["run", "--rm", "--init", "busybox", "sh", "-c", "kill -15 $$; sleep 9"]).code, 143);
    let missing = d.berth(&["run", "--rm", "busybox", "no-such-program"]);
    assert_eq!(missing.code, 127, "{}", missing.err);
    assert!(missing.err.contains("executable file not found in $PATH"), "{}", missing.err);
    let plain = d.berth(&["run", "--rm", "busybox", "/etc/passwd"]);
    assert_eq!(plain.code, 126, "{}", plain.err);
    assert!(plain.err.contains("permission denied"), "{}", plain.err);
    let image = d.berth(&["run", "--rm", "no-such-image", "true"]);
    assert_eq!(image.code, 125, "{}", image.err);
    assert_eq!(d.berth(&["ps", "-aq"]).ok(), "", "nothing stays");
}

pub(crate) fn environment_and_directory() {
    let d = Daemon::start();
    d.busybox();
    let file = d.directory().join("env");
    std::fs::write(&file, "# a comment\nFROM_FILE=1 2\nHOSTVAR\n").unwrap();
    let mut run = d.command(&[
        "run",
        "--rm",
        "-e",
        "A=b c",
        "-e",
        "HOSTVAR",
        "--env-file",
        file.to_str().unwrap(),
        "-w",
        "/made/for/me",
        "busybox",
        "sh",
        "-c",
        "echo $A:$HOSTVAR:$FROM_FILE; pwd; echo $HOME; echo $PATH",
    ]);
    let output = run.env("HOSTVAR", "from outside").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["b c:from outside:1 2", "/made/for/me", "/root"], "{text}");
    assert!(lines[3].contains("/usr/local/sbin"), "{text}");
}

pub(crate) fn user() {
    let d = Daemon::start();
    d.busybox();
    let id = |user: &str| {
        d.berth(&["run", "--rm", "-u", user, "busybox", "sh", "-c", "id -u; id -g; id -G; echo $HOME"])
    };
    assert_eq!(id("alice").ok(), "1000\n1000\n1000 50\n/home/alice");
    assert_eq!(id("1000").ok().lines().take(2).collect::<Vec<_>>(), ["1000", "1000"]);
    assert_eq!(id("1234:77").ok(), "1234\n77\n77\n/");
    assert_eq!(id("alice:staff").ok().lines().take(2).collect::<Vec<_>>(), ["1000", "50"]);
    for bad in ["nobodyhere", "4294967296", "-1", "alice:nogroup", "99999999999999999999"] {
        let said = id(bad);
        assert!(matches!(said.code, 125 | 126), "{bad}: {} {}", said.code, said.err);
        assert!(said.out.is_empty(), "{bad} ran as {}", said.out);
    }
}

pub(crate) fn entrypoint_and_command() {
    let d = Daemon::start();
    let tar = testkit::busybox_tar();
    let said = d.feed(
        &["import", "-c", "ENTRYPOINT [\"echo\",\"fixed\"]", "-c", "CMD [\"default\"]", "-", "echoer"],
        &tar,
    );
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(d.berth(&["run", "--rm", "echoer"]).ok(), "fixed default");
    assert_eq!(d.berth(&["run", "--rm", "echoer", "mine"]).ok(), "fixed mine");
    assert_eq!(d.berth(&["run", "--rm", "--entrypoint", "basename", "echoer", "/a/b"]).ok(), "b");
}

pub(crate) fn stdin_is_fed() {
    let d = Daemon::start();
    d.busybox();
    let megabyte = vec![b'x'; 1 << 20];
    let said = d.feed(&["run", "--rm", "-i", "busybox", "wc", "-c"], &megabyte);
    assert_eq!(said.ok(), "1048576");
    let all = d.feed(&["run", "--rm", "-i", "busybox", "cat"], &megabyte);
    assert_eq!(all.ok().len(), megabyte.len(), "every byte comes back");
    assert_eq!(d.berth(&["run", "--rm", "busybox", "cat"]).ok(), "", "without -i stdin is empty");
}

pub(crate) fn name_and_removal() {
    let d = Daemon::start();
    d.busybox();
    assert_eq!(d.berth(&["run", "--name", "one", "busybox", "true"]).code, 0);
    let taken = d.berth(&["run", "--name", "one", "busybox", "true"]);
    assert_eq!(taken.code, 125);
    assert!(taken.err.contains("The container name \"/one\" is already in use"), "{}", taken.err);
    assert_eq!(
        d.berth(&["ps", "-a", "--format", "{{.Names}} {{.Status}}"]).ok().split(" (").next(),
        Some("one Exited")
    );
    assert_eq!(d.berth(&["rm", "one"]).ok(), "one");
    let gone = d.berth(&["rm", "one"]);
    assert_eq!(gone.code, 1);
    assert!(gone.err.contains("No such container: one"), "{}", gone.err);
}

pub(crate) fn detached() {
    let d = Daemon::start();
    d.busybox();
    let id = d.berth(&["run", "-d", "--name", "bg", "busybox", "sleep", "1000"]).ok();
    assert_eq!(id.len(), 64, "{id}");
    let running = d.berth(&["rm", "bg"]);
    assert_eq!(running.code, 1, "a running container is not removed: {}", running.err);
    assert_eq!(d.berth(&["rm", "-f", "bg"]).ok(), "bg");
    let id = d.berth(&["run", "-d", "--rm", "busybox", "true"]).ok();
    wait_for("--rm", || d.berth(&["inspect", &id]).code == 1);
}

pub(crate) fn terminal() {
    let d = Daemon::start();
    d.busybox();
    let id = d.berth(&["run", "-dt", "busybox", "sh", "-c", "tty; stty size; sleep 1000"]).ok();
    wait_for("the terminal's name", || d.berth(&["logs", &id]).out.contains("/dev/pts/0"));
    assert!(d.berth(&["exec", &id, "ls", "-l", "/dev/console"]).ok().contains("crw"));
}

pub(crate) fn labels_and_hostname() {
    let d = Daemon::start();
    d.busybox();
    let said = d
        .berth(&[
            "run",
            "-d",
            "--name",
            "l1",
            "--hostname",
            "wonder",
            "-l",
            "a=b",
            "--label",
            "c",
            "busybox",
            "sleep",
            "100",
        ])
        .ok();
    assert_eq!(d.berth(&["exec", "l1", "hostname"]).ok(), "wonder");
    assert!(d.berth(&["exec", "l1", "cat", "/etc/hosts"]).ok().contains("wonder"));
    assert_eq!(
        d.berth(&["ps", "-q", "--no-trunc", "--filter", "label=a=b", "--filter", "label=c"]).ok(),
        said
    );
    assert_eq!(d.berth(&["ps", "-q", "--filter", "label=a=x"]).ok(), "");
    let short = d.berth(&["run", "--rm", "busybox", "hostname"]).ok();
    assert_eq!(short.len(), 12, "{short}");
}

pub(crate) fn init_reaps() {
    let d = Daemon::start();
    d.busybox();
    let said = d.berth(&[
        "run",
        "--rm",
        "--init",
        "busybox",
        "sh",
        "-c",
        "(sleep 0.1 &) ; sleep 1; ps -o stat | grep -c ^Z; tr '\\0' ' ' < /proc/1/cmdline",
    ]);
    assert!(said.out.starts_with("0\n"), "zombies: {}", said.out);
    assert!(said.out.contains("init"), "{}", said.out);
    assert_eq!(d.berth(&["run", "--rm", "--init", "busybox", "sh", "-c", "exit 9"]).code, 9);
}

pub(crate) fn embedded_hello() {
    let d = Daemon::start();
    let said =
        d.berth(&["run", "--rm", "--memory", "64m", "--pids-limit", "100", "--cpus", "0.5", "hello"]).ok();
    for word in ["pid", "host", "user", "memory", "64MiB", "100", "0.5"] {
        assert!(said.contains(word), "{word} is not in\n{said}");
    }
}
