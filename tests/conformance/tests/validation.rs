//! The validation programs of the OCI's runtime-tools, each in namespaces and below cgroups of its own.
//!
//! What is expected of each is a row of `validation/table.txt`, for runc and crun as they were seen, and for Berth. The programs come
//! as a Go module; they lie where the next run finds them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::caller::{self, Caller};

const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/validation");
const TABLE: &str = include_str!("../validation/table.txt");
/// Built programs, the runtime's wrapper and the archive they unpack.
const PLACE: &str = "/var/tmp/berth-test-validation";

/// The module is fetched in the machine's first network namespace.
const BUILD: &str = r#"
set -e
mkdir -p "$PLACE/bin"
export CGO_ENABLED=0 GOFLAGS=-mod=readonly
outside() { nsenter --net="$BERTH_TEST_OUTSIDE" "$@"; }
outside go build -o "$PLACE/bin" github.com/opencontainers/runtime-tools/validation/... github.com/opencontainers/runtime-tools/cmd/runtimetest
cp "$(go list -m -f '{{.Dir}}' github.com/opencontainers/runtime-tools)/rootfs-amd64.tar.gz" "$PLACE"
touch "$PLACE/ready"
"#;

/// Runs `$PROGRAM` with the cgroups named `$MARK` as the roots of its hierarchies, so that every path it knows is its own.
/// crun does not start on a host with both kinds of cgroups; it gets one of the first kind.
const RUN: &str = r#"
for h in /sys/fs/cgroup/*/$MARK; do echo $$ > $h/cgroup.procs || exit 99; done
exec timeout -k 5 "$SECONDS_AT_MOST" unshare -m -p -f -C -i -u --kill-child sh -c '
    mount --make-rprivate / && mount -t proc proc /proc || exit 99
    for h in /sys/fs/cgroup/*/$MARK; do mount --bind $h ${h%/*} || exit 99; done
    case $RUNTIME_ITSELF in */crun) umount /sys/fs/cgroup/unified; umount /sys/fs/cgroup/unified;; esac
    mount -t tmpfs tmpfs /run && exec "$PROGRAM"'
"#;

/// Some programs signal a shell as soon as `start` has returned, and mean one that has set its traps.
const WRAPPER: &str =
    "#!/bin/sh\n\"$RUNTIME_ITSELF\" \"$@\"; code=$?\n[ \"$1\" != start ] || sleep 0.1\nexit $code\n";

/// A row of the table.
struct Row {
    program: &'static str,
    expected: &'static str,
}

/// The column of the runtime under test.
fn rows(chosen: impl Fn(&str) -> bool) -> Vec<Row> {
    let column = match std::env::var("BERTH_REFERENCE").as_deref() {
        Ok("crun") => 2,
        Ok(_) => 1,
        Err(_) => 3,
    };
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rows = lines.map(|line| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        Row { program: cells[0], expected: cells[column] }
    });
    rows.filter(|row| chosen(row.program)).collect()
}

pub(crate) fn cgroups() {
    check(&rows(|program| program.starts_with("linux_cgroups")));
}

pub(crate) fn lifecycle_and_process() {
    check(&rows(|program| !program.starts_with("linux_")));
}

pub(crate) fn linux() {
    check(&rows(|program| program.starts_with("linux_") && !program.starts_with("linux_cgroups")));
}

/// The table names every program there is.
pub(crate) fn none_is_forgotten() {
    build();
    let mut known: Vec<&str> = rows(|_| true).iter().map(|row| row.program).collect();
    known.push("runtimetest");
    known.sort_unstable();
    let mut there: Vec<String> = std::fs::read_dir(Path::new(PLACE).join("bin"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(there, known);
}

/// Two at a time: they wait more than they work.
fn check(rows: &[Row]) {
    build();
    let next = AtomicUsize::new(0);
    let judge = || {
        let mut wrong = Vec::new();
        while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (verdict, said) = run(row.program);
            if row.expected != "any" && row.expected != verdict {
                wrong
                    .push(format!("{} is expected to {}, did {verdict}:\n{said}", row.program, row.expected));
            }
        }
        wrong
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let judges = [scope.spawn(judge), scope.spawn(judge)];
        judges
            .into_iter()
            .flat_map(|judge| judge.join().unwrap_or_else(|why| std::panic::resume_unwind(why)))
            .collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn build() {
    if !Path::new(PLACE).join("ready").exists() {
        let mut build = Command::new("sh");
        build.args(["-c", BUILD]).current_dir(MODULE).env("PLACE", PLACE).stdin(Stdio::null());
        assert!(build.status().unwrap().success(), "the validation programs");
    }
}

/// A verdict, and what the program said.
fn run(program: &str) -> (&'static str, String) {
    use std::os::unix::fs::PermissionsExt;
    let own = Caller::new();
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        let group = hierarchy.path().join(&own.mark);
        // Others leave plain directories among the hierarchies.
        if !hierarchy.path().join("cgroup.procs").exists() {
            continue;
        }
        std::fs::create_dir(&group).unwrap();
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Ok(all) = std::fs::read(hierarchy.path().join(file)) {
                std::fs::write(group.join(file), all).unwrap();
            }
        }
    }
    // Bundles are made there, and the archive and the program inside are looked for there.
    for file in ["rootfs-amd64.tar.gz", "bin/runtimetest"] {
        let name = Path::new(file).file_name().unwrap();
        std::fs::copy(Path::new(PLACE).join(file), own.directory.join(name)).unwrap();
    }
    let wrapper = own.path("runtime");
    std::fs::write(&wrapper, WRAPPER).unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", RUN]).current_dir(&own.directory).stdin(Stdio::null());
    shell.env("MARK", &own.mark).env("PROGRAM", format!("{PLACE}/bin/{program}")).env("RUNTIME", &wrapper);
    shell.env("RUNTIME_ITSELF", caller::runtime()).env("TMPDIR", &own.directory);
    let most = testkit::slow(std::time::Duration::from_secs(40)).as_secs();
    let output = shell.env("SECONDS_AT_MOST", most.to_string()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_ne!(output.status.code(), Some(99), "{program} could not be set up: {err}");
    (verdict(output.status.success(), &out), format!("{out}{err}"))
}

/// By the rules of TAP, but one: a program that checked nothing has not passed.
fn verdict(success: bool, out: &str) -> &'static str {
    let mut lines = out.lines().map(str::trim_start);
    if !success || lines.any(|line| line.starts_with("not ok")) {
        return "fail";
    }
    let checked = out.lines().any(|line| line.starts_with("ok ") && !line.contains("# SKIP"));
    if checked { "pass" } else { "none" }
}
