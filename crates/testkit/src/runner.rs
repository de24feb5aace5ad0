//! Runs tests one after the other, each with a deadline; what cannot run here is skipped with its reason.
//!
//! The whole run happens in network, mount and pid namespaces of its own, so that no bridge, rule, mount or process of a test
//! ever stands on the host or outlives the run, and a process outside removes what else carries the run's mark.

use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

/// Longest time of one test, in seconds, before [`slow`] stretches it.
const DEADLINE_S: u64 = 120;
/// The run's mark, once the namespaces are ours.
const INSIDE: &str = "BERTH_TEST_INSIDE";
/// The run's mark, in the process that sweeps after it.
const SWEEP: &str = "BERTH_TEST_SWEEP";
/// The network namespace outside, for the few tests that ask a package registry.
const OUTSIDE: &str = "BERTH_TEST_OUTSIDE";

/// What the name of everything begins with that a test makes outside its namespaces.
#[must_use]
pub fn mark() -> String {
    std::env::var(INSIDE).unwrap_or_else(|_| format!("bt{}", std::process::id()))
}

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

pub(crate) fn find_program(name: &str) -> Option<std::path::PathBuf> {
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
    if let Ok(mark) = std::env::var(SWEEP) {
        return done(crate::when_over(&mark, || Ok(())));
    }
    if std::env::var_os(INSIDE).is_none() {
        return done(enter());
    }
    if let Err(message) = crate::deny::from_now_on() {
        return done(Err(message));
    }
    end_with_the_outside();
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

fn done(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs this program again inside fresh namespaces, and sweeps after it.
fn enter() -> Result<(), String> {
    let mark = mark();
    let sweeper = crate::start_sweeper(&[], SWEEP, &mark)?;
    // The shell is process 1 inside: it collects orphans, and its end ends all others.
    let inside =
        "mount --make-rprivate / && mount -t proc proc /proc && ip link set lo up && \"$0\" \"$@\"; exit $?";
    let itself = std::env::current_exe().map_err(|error| format!("find this program: {error}"))?;
    let outside = network_of_this().map_err(|error| format!("open the network namespace: {error}"))?;
    let mut shell = Command::new("unshare");
    shell.args(["-n", "-m", "-p", "-f", "sh", "-c", inside]).arg(itself).args(std::env::args().skip(1));
    shell.env(INSIDE, &mark).env(OUTSIDE, format!("/proc/self/fd/{}", outside.as_raw_fd()));
    let mut run = || {
        let mut shell = shell.stdin(Stdio::piped()).spawn()?;
        let open = shell.stdin.take();
        let status = shell.wait();
        drop(open);
        status
    };
    let status = run();
    let swept = crate::end_sweeper(sweeper);
    match status {
        Ok(status) if status.success() => swept,
        Ok(status) => Err(format!("the tests ended with {status}")),
        Err(error) => Err(format!("unshare (package util-linux): {error}")),
    }
}

/// Inherited by all inside.
fn network_of_this() -> rustix::io::Result<OwnedFd> {
    rustix::fs::open("/proc/self/ns/net", OFlags::RDONLY, Mode::empty())
}

/// Ends this process, and with it all in its pid namespace, when the process outside ends, also by a kill.
fn end_with_the_outside() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
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
