//! Rows of the list of weaknesses that are about images and show only in a container.

use testkit::Daemon;

/// An image without any layer, and the one program that its containers get from the host.
fn nothing(d: &Daemon) {
    let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{"Env":["PATH=/bin"]}}"#;
    let manifest = br#"[{"Config":"config.json","RepoTags":["nothing:1"],"Layers":[]}]"#;
    let archive = testkit::tar_of(&[("config.json", config, 0o644), ("manifest.json", manifest, 0o644)]);
    assert_eq!(d.feed(&["load"], &archive).code, 0);
}

/// Only what every container is given.
const EMPTY: &str = "bin dev etc proc sys \noverlay / overlay";

/// What is in the root, and what the root is, seen from inside.
fn look(d: &Daemon, flags: &[&str]) -> String {
    let see = "busybox ls -A / | busybox tr '\\n' ' '; echo; busybox grep ' / ' /proc/mounts | busybox cut -d ' ' -f 1-3";
    let words = [
        &["run", "--rm", "-v", "/bin/busybox:/bin/busybox:ro"],
        flags,
        &["nothing:1", "/bin/busybox", "sh", "-c", see],
    ];
    d.berth(&words.concat()).ok()
}

/// CVE-2026-24054: an image without layers left no root, and what came in its place was the host's disk.
pub(crate) fn i16_without_layers_the_root_is_empty_in_every_mode() {
    let d = Daemon::start();
    nothing(&d);
    assert_eq!(look(&d, &[]), EMPTY);
    for mode in [
        &["--privileged"][..],
        &["--read-only"],
        &["--network", "host", "--pid", "host", "--ipc", "host", "--uts", "host", "--cgroupns", "host"],
        &["--security-opt", "seccomp=unconfined", "--cap-add", "ALL"],
        &["--security-opt", "no-new-privileges", "--cap-drop", "ALL"],
        &["--user", "1000:1000"],
    ] {
        assert_eq!(look(&d, mode), EMPTY, "{mode:?}");
    }
    // The control: there would have been more to see.
    let host = look(&d, &["-v", "/:/host:ro"]);
    assert_ne!(host, EMPTY);
    let without = d.berth(&["run", "--rm", "nothing:1", "/bin/busybox", "true"]);
    assert_eq!(without.code, 127, "{}", without.err);
}

pub(crate) fn i16_without_layers_the_root_is_empty_in_a_user_namespace() {
    let d = Daemon::start();
    nothing(&d);
    assert_eq!(look(&d, &["--userns", "private"]), EMPTY);
}
