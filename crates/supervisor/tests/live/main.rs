//! A real supervisor, started, asked, killed and upgraded. Its containers here are plain processes of the host (plans without
//! namespaces): what is tested is the supervisor. `real` has containers with
//! everything; it needs root and busybox.

#![allow(clippy::disallowed_methods, reason = "drives a real program on a real host")]

mod basics;
mod bench;
mod calls;
mod deaths;
mod real;
mod wire;

use std::process::ExitCode;

type Case = (&'static str, fn());

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|word| word == "supervisor") {
        return supervisor::run(&args[2..]);
    }
    let filter = args.iter().skip(1).find(|arg| !arg.starts_with('-'));
    let mut failed = 0;
    let cases: Vec<Case> =
        basics::CASES.iter().chain(deaths::CASES).chain(real::CASES).chain(calls::CASES).copied().collect();
    for (name, case) in cases {
        if filter.is_some_and(|filter| !name.contains(filter.as_str())) {
            continue;
        }
        let begin = std::time::Instant::now();
        // A panic aborts in this profile or unwinds in another: each case runs in a thread so that both are seen.
        let passed = std::thread::spawn(case).join().is_ok();
        let word = if passed { "ok" } else { "FAILED" };
        println!("test {name} ... {word} ({:?})", begin.elapsed());
        failed += usize::from(!passed);
    }
    real::remove_cgroups();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
