//! Runs tests one after the other, each with a deadline; what cannot run here is skipped with its reason.
//!
//! The whole run happens in network and mount namespaces of its own, so that no bridge, rule or mount of a test ever
//! stands on the host.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longest time of one test, in seconds, before [`slow`] stretches it.
const DEADLINE_S: u64 = 120;
/// Set once the namespaces are ours.
const INSIDE: &str = "BERTH_TEST_INSIDE";
/// Pid of a process in the namespaces outside, for the few tests that ask a package registry.
const OUTSIDE: &str = "BERTH_TEST_OUTSIDE";

/// One test.
#[derive(Clone, Copy)]
pub struct Test {
    /// `module::name`.
    pub name: &'static str,
    /// Panics when it fails.
    pub run: fn(),
    /// What the machine must have.
    pub needs: &'static [Need],
}

/// Something a machine may lack.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// The unified cgroup hierarchy with controllers.
    CgroupV2,
    /// Controllers on version 1 hierarchies.
    CgroupV1,
    /// At least this kernel.
    Kernel(u32, u32),
    /// A program on the path.
    Program(&'static str),
}

impl Need {
    /// Why the machine does not have it.
    fn missing(self) -> Option<String> {
        let controllers = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
        match self {
            Self::CgroupV2 if !controllers.contains("memory") => {
                Some("needs cgroup v2 with controllers".to_owned())
            }
            Self::CgroupV1 if controllers.contains("memory") => {
                Some("needs cgroup v1 controllers".to_owned())
            }
            Self::Kernel(major, minor) if kernel() < (major, minor) => {
                Some(format!("needs Linux {major}.{minor}, this is {}.{}", kernel().0, kernel().1))
            }
            Self::Program(name) if find_program(name).is_none() => Some(format!("needs the program {name}")),
            _ => None,
        }
    }
}

fn kernel() -> (u32, u32) {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn find_program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file())
}

/// `time`, stretched on machines that say they are slow (`BERTH_SLOW`, a factor).
#[must_use]
pub fn slow(time: Duration) -> Duration {
    let factor = std::env::var("BERTH_SLOW").ok().and_then(|f| f.parse().ok()).unwrap_or(1);
    time * factor
}

/// Runs the tests whose names contain one of the arguments, or all.
#[must_use]
pub fn main(tests: Vec<Test>) -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        println!("{} tests need root", tests.len());
        println!("test result: ok. 0 passed; 0 failed; {} skipped;", tests.len());
        return ExitCode::SUCCESS;
    }
    if std::env::var_os(INSIDE).is_none() {
        return enter();
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let chosen =
        tests.into_iter().filter(|t| wanted.is_empty() || wanted.iter().any(|w| t.name.contains(w.as_str())));
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), 0);
    for test in chosen {
        let started = Instant::now();
        let line = match test.needs.iter().find_map(|need| need.missing()) {
            Some(reason) => {
                skipped += 1;
                format!("skipped: {reason}")
            }
            None => match run(test) {
                Ok(()) => {
                    passed += 1;
                    format!("ok ({:.1} s)", started.elapsed().as_secs_f64())
                }
                Err(message) => {
                    failed.push(test.name);
                    format!("FAILED: {message}")
                }
            },
        };
        println!("test {} ... {line}", test.name);
    }
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!("{}", failed.join("\n"));
    println!("test result: {verdict}. {passed} passed; {} failed; {skipped} skipped;", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs this program again inside fresh network and mount namespaces.
fn enter() -> ExitCode {
    let script = "mount --make-rprivate / && ip link set lo up && exec \"$0\" \"$@\"";
    let itself = std::env::current_exe().expect("own path");
    let mut shell = Command::new("unshare");
    shell.args(["-n", "-m", "sh", "-c", script]).arg(itself).args(std::env::args().skip(1));
    shell.env(INSIDE, "1").env(OUTSIDE, std::process::id().to_string());
    let status = shell.status().expect("unshare (package util-linux)");
    ExitCode::from(status.code().unwrap_or(1) as u8)
}

/// One test on a thread of its own, so that one that hangs does not stop the rest.
fn run(test: Test) -> Result<(), String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new()
        .name(test.name.to_owned())
        .spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(test.run)).map_err(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned())).unwrap_or_default()
            });
            // The receiver has left when the deadline passed.
            let _ = sender.send(result);
        })
        .map_err(|e| e.to_string())?;
    let deadline = slow(Duration::from_secs(DEADLINE_S));
    receiver
        .recv_timeout(deadline)
        .unwrap_or_else(|_| Err(format!("not done after {} s", deadline.as_secs())))
}
