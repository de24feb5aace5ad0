//! Where a bench happens: namespaces of its own, one directory, one mark; and its end, whatever happened inside.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::{self, Programs};
use crate::{command, packages};

/// Tells the process inside where it is: the mark, then the two programs.
pub(super) const INSIDE: &str = "BERTH_BENCH_INSIDE";

/// What the benches need installed: a compiler for the limit program, and the peers.
pub(super) const PACKAGES: &[&str] = &[
    "gcc",
    "libc6-dev",
    "musl-dev",
    "iproute2",
    "util-linux",
    "runc",
    "crun",
    "podman",
    "docker.io",
    "containerd",
    "docker-registry",
];

/// The inside of a bench.
pub(super) struct Stage {
    /// Name of everything that is made: directory, cgroups, links.
    pub(super) mark: String,
    /// The bench's directory.
    pub(super) directory: PathBuf,
    /// Berth's programs.
    pub(super) programs: Programs,
}

/// Runs `act` inside. The first call, outside, builds the programs, starts this program again in new namespaces, and cleans up after it.
pub(super) fn within(
    name: &str,
    args: &[String],
    act: impl FnOnce(&Stage) -> Result<(), String>,
) -> Result<(), String> {
    if let Ok(inside) = std::env::var(INSIDE) {
        let words: Vec<&str> = inside.split('\n').collect();
        let [mark, berth, runtime] = match words.as_slice() {
            [mark] => return testkit::when_over(mark, || give_hugetlb_back(mark)),
            [mark, berth, runtime] => [mark, berth, runtime],
            _ => return Err(format!("{INSIDE} is malformed")),
        };
        let stage = Stage {
            mark: (*mark).to_owned(),
            directory: directory(mark),
            programs: Programs { berth: berth.into(), runtime: runtime.into() },
        };
        stage.set_up()?;
        return act(&stage);
    }
    if !command::is_root() {
        return Err("benches make containers, and that needs root: run it with sudo".to_owned());
    }
    packages::install(PACKAGES)?;
    let programs = programs::build()?;
    let mark = format!("berth-bench-{}", std::process::id());
    let sweeper = testkit::start_sweeper(&["bench", name], INSIDE, &mark)?;
    let done = run_inside(name, args, &mark, &programs);
    done.and(testkit::end_sweeper(sweeper))
}

/// In the new pid namespace a shell is process 1: it collects the orphans of daemons and shims.
fn run_inside(name: &str, args: &[String], mark: &str, programs: &Programs) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| format!("find this program: {error}"))?;
    // Whoever ends this process ends everything inside.
    let mut unshare = Command::new("setpriv");
    unshare.args(["--pdeathsig", "KILL", "unshare"]);
    unshare.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    unshare.args(["sh", "-c", "\"$@\"; exit $?", "bench"]).arg(own).args(["bench", name]).args(args);
    unshare.env(INSIDE, format!("{mark}\n{}\n{}", programs.berth.display(), programs.runtime.display()));
    unshare.env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT");
    command::run(&mut unshare)
}

impl Stage {
    fn set_up(&self) -> Result<(), String> {
        std::fs::create_dir_all(&self.directory)
            .map_err(|error| format!("{}: {error}", self.directory.display()))?;
        command::run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
        if let Err(reason) = take_hugetlb(&self.mark) {
            eprintln!("hugetlb stays on cgroup v2, so crun may refuse: {reason}");
        }
        Ok(())
    }

    /// A path in the bench's directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

const HUGETLB: &str = "/sys/fs/cgroup/hugetlb";

/// Debian's crun refuses a host with v1 and v2 as long as v2 holds a controller: it is mounted as v1, in this mount namespace. Its
/// directory is in a copy of the host's, or whoever starts containers outside would take it for a hierarchy.
fn take_hugetlb(mark: &str) -> Result<(), String> {
    let held = std::fs::read_to_string("/sys/fs/cgroup/unified/cgroup.controllers").unwrap_or_default();
    if !held.split_whitespace().any(|controller| controller == "hugetlb") {
        return Ok(());
    }
    let script = "copy=$(mktemp -d) && mount -t tmpfs tmpfs \"$copy\" && cd /sys/fs/cgroup && for each in *; do \
                  if [ -L \"$each\" ]; then cp -P \"$each\" \"$copy\"; \
                  else mkdir \"$copy/$each\" && mount --bind \"$each\" \"$copy/$each\"; fi || exit 1; done; \
                  mkdir \"$copy/hugetlb\" && mount -t cgroup -o hugetlb hugetlb \"$copy/hugetlb\" && \
                  mount --move \"$copy\" /sys/fs/cgroup && rmdir \"$copy\"";
    command::run(Command::new("sh").args(["-c", script]))?;
    // A hierarchy without groups ends with any of its mounts, also with a container's.
    let keep = Path::new(HUGETLB).join(format!("{mark}-keep"));
    std::fs::create_dir(&keep).map_err(|error| format!("{}: {error}", keep.display()))
}

/// The mount went with its namespace; the hierarchy stays as long as it has groups.
fn give_hugetlb_back(mark: &str) -> Result<(), String> {
    if !std::fs::read_to_string("/proc/self/cgroup").is_ok_and(|groups| groups.contains(":hugetlb:")) {
        return Ok(());
    }
    // Removed groups count until the kernel has freed them, and with one the hierarchy does not end.
    let script = "place=$(mktemp -d) && mount -t cgroup -o hugetlb hugetlb \"$place\" && \
                  find \"$place\" -mindepth 1 -depth -path \"*$1*\" -type d -exec rmdir {} + ; \
                  for try in 1 2 3 4 5 6 7 8 9; do \
                  grep -q '^hugetlb[[:space:]]*[0-9]*[[:space:]]1[[:space:]]' /proc/cgroups && break; sleep 0.2; done; \
                  umount \"$place\"; rmdir \"$place\"";
    let mut unshare = Command::new("unshare");
    command::run(unshare.args(["--mount", "sh", "-c", script, "sweep", mark]))
}

fn directory(mark: &str) -> PathBuf {
    std::env::temp_dir().join(mark)
}
