//! Archives written by other people's tools, loaded and run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::{Daemon, wait_for};

/// Runs a foreign tool; its failure is the test's.
#[track_caller]
fn tool(words: &[&str]) -> String {
    let output = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}", words[0]));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A file with the busybox root file system as a plain tar.
fn busybox(d: &Daemon) -> PathBuf {
    let path = d.directory().join("busybox.tar");
    std::fs::write(&path, testkit::busybox_tar()).unwrap();
    path
}

/// Loads an archive and runs what is in it.
#[track_caller]
fn loads(d: &Daemon, archive: &Path, image: &str) {
    let said = d.berth(&["load", "-i", archive.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{}: {}", archive.display(), said.err);
    assert!(said.out.contains("Loaded image"), "{}", said.out);
    let id = if image.is_empty() {
        said.out.trim().rsplit(": ").next().unwrap().to_owned()
    } else {
        image.to_owned()
    };
    assert_eq!(
        d.berth(&["run", "--rm", &id, "/bin/busybox", "echo", "loaded"]).ok(),
        "loaded",
        "{}",
        archive.display()
    );
    d.berth(&["rmi", "-f", &id]).ok();
}

/// An OCI layout that skopeo makes from a directory Berth's own store keeps.
pub(crate) fn by_skopeo() {
    let d = Daemon::start();
    d.busybox();
    let policy = d.directory().join("policy.json");
    std::fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    let skopeo = |extra: &[&str], target: &str| {
        let source = format!("oci:{}:docker.io/library/busybox:latest", d.data_root().display());
        let head = ["skopeo", "--policy", policy.to_str().unwrap(), "copy", "-q"];
        tool(&[&head, extra, &[source.as_str(), target]].concat());
    };
    let file = |name: &str| d.directory().join(name);
    skopeo(&[], &format!("oci-archive:{}:box:oci", file("oci.tar").display()));
    skopeo(
        &["--dest-compress-format", "zstd", "--dest-compress"],
        &format!("dir:{}", file("zstd").display()),
    );
    tool(&[
        "skopeo",
        "--policy",
        policy.to_str().unwrap(),
        "copy",
        "-q",
        &format!("dir:{}", file("zstd").display()),
        &format!("oci-archive:{}:box:zstd", file("zstd.tar").display()),
    ]);
    skopeo(&[], &format!("docker-archive:{}:box:docker", file("docker.tar").display()));
    tool(&["gzip", "-k", file("oci.tar").to_str().unwrap()]);
    tool(&["zstd", "-q", file("docker.tar").to_str().unwrap()]);
    d.berth(&["rmi", "busybox"]).ok();
    loads(&d, &file("oci.tar"), "box:oci");
    loads(&d, &file("oci.tar.gz"), "box:oci");
    loads(&d, &file("zstd.tar"), "box:zstd");
    loads(&d, &file("docker.tar"), "box:docker");
    loads(&d, &file("docker.tar.zst"), "box:docker");
}

pub(crate) fn by_podman() {
    let d = Daemon::start();
    let root = d.directory().join("podman");
    let (graph, run) = (root.join("graph"), root.join("run"));
    let podman = |words: &[&str]| {
        let head = [
            "podman",
            "--root",
            graph.to_str().unwrap(),
            "--runroot",
            run.to_str().unwrap(),
            "--storage-driver",
            "vfs",
        ];
        tool(&[&head, words].concat())
    };
    let file = |name: &str| d.directory().join(name).display().to_string();
    podman(&["import", "-q", busybox(&d).to_str().unwrap(), "localhost/one:1"]);
    podman(&["tag", "localhost/one:1", "localhost/two:2"]);
    podman(&["save", "-q", "-o", &file("docker.tar"), "localhost/one:1"]);
    podman(&["save", "-q", "--format", "oci-archive", "-o", &file("oci.tar"), "localhost/one:1"]);
    podman(&["save", "-q", "-m", "-o", &file("multi.tar"), "localhost/one:1", "localhost/two:2"]);
    loads(&d, file("docker.tar").as_ref(), "localhost/one:1");
    loads(&d, file("oci.tar").as_ref(), "localhost/one:1");
    loads(&d, file("multi.tar").as_ref(), "localhost/two:2");
    // podman keeps its directories unreadable for removal otherwise.
    podman(&["rmi", "-af"]);
}

/// `docker save` of a real dockerd (Debian's), which lives in our own namespaces for the length of this test.
pub(crate) fn by_dockerd() {
    let d = Daemon::start();
    let root = d.directory().join("dockerd");
    std::fs::create_dir_all(&root).unwrap();
    let path = |name: &str| root.join(name).display().to_string();
    let log = std::fs::File::create(root.join("log")).unwrap();
    let host = format!("unix://{}", path("sock"));
    let mut dockerd = Command::new("dockerd");
    dockerd.args([
        "--host",
        &host,
        "--data-root",
        &path("data"),
        "--exec-root",
        &path("exec"),
        "--pidfile",
        &path("pid"),
    ]);
    dockerd.args(["--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs"]);
    let mut child = dockerd
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("dockerd (package docker.io)");
    let docker = |words: &[&str]| {
        let output = Command::new("docker")
            .env("DOCKER_HOST", &host)
            .args(words)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    wait_for("dockerd", || docker(&["version"]).0);
    for words in [
        vec!["import", busybox(&d).to_str().unwrap(), "saved:1"],
        vec!["tag", "saved:1", "saved:2"],
        vec!["save", "-o", &path("one.tar"), "saved:1"],
        vec!["save", "-o", &path("two.tar"), "saved:1", "saved:2"],
    ] {
        let (done, error) = docker(&words);
        assert!(done, "{words:?}: {error}");
    }
    tool(&["kill", &child.id().to_string()]);
    child.wait().unwrap();
    loads(&d, path("one.tar").as_ref(), "saved:1");
    loads(&d, path("two.tar").as_ref(), "saved:2");
}

/// A Debian made by debootstrap from the machine's own package source, imported and used.
pub(crate) fn debian_by_debootstrap() {
    let d = Daemon::start();
    let cache = Path::new("/var/tmp/berth-test-debian.tar");
    if !cache.exists() {
        let root = d.directory().join("debian");
        // The machine's own source of packages; the tests' namespaces have no route, so this runs in the first one.
        let script = "mirror=$(sed -n 's/^URIs: *//p; s/^deb \\(\\[[^]]*\\] \\)\\?\\([^ ]*\\) .*/\\2/p' /etc/apt/sources.list.d/* /etc/apt/sources.list 2>/dev/null | head -n1); \
            nsenter --net=\"$BERTH_TEST_OUTSIDE\" debootstrap --variant=minbase bookworm \"$1\" \"$mirror\" > \"$1.log\" 2>&1 && tar -C \"$1\" -cf \"$2.part\" . && mv \"$2.part\" \"$2\"";
        let status = Command::new("sh")
            .args(["-c", script, "sh", root.to_str().unwrap(), cache.to_str().unwrap()])
            .status()
            .unwrap();
        assert!(
            status.success(),
            "{}",
            std::fs::read_to_string(root.with_extension("log")).unwrap_or_default()
        );
    }
    let said = d.berth(&["import", cache.to_str().unwrap(), "debian:bookworm"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(
        d.berth(&[
            "run",
            "--rm",
            "debian:bookworm",
            "sh",
            "-c",
            ". /etc/os-release; echo $ID; dpkg -s bash | grep -c installed; apt-get --version | head -c3"
        ])
        .ok(),
        "debian\n1\napt"
    );
}
