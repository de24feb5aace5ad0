//! The project's own commands: `cargo xtask demo | test | tidy | guest-test | powercut | bench …`.
//!
//! Knows cargo, Debian's packages and the two programs. Nothing in the product depends on it.
#![allow(clippy::disallowed_methods, reason = "a development tool runs programs and reads files")]

mod bench;
mod command;
mod demo;
mod guest;
mod packages;
mod powercut;
mod programs;
mod suite;
mod teeth;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  demo [--keep]     build Berth, run the embedded image under a private daemon, show what it gained
  test              everything that must pass: format, lints, tidy, and all four rings of tests
  test <part> …     only these parts: format lints tidy unit fuzz machine denied teeth guest powercut
                    conformance
  tidy              the floors, bans and documents alone
  guest-test        the machine tests inside a guest with cgroup v2 (QEMU, no KVM needed)
  guest-test <name> …
                    only those whose names contain one of these
  powercut          cuts the power of a guest while its daemon pulls, loads, imports, commits, tags, removes and prunes,
                    and judges every disk (--stops 200 --minutes 240 --seed 1; --without-syncs or --without fsync,…: must
                    find faults)
  bench start       time to start, beside docker, podman, runc, crun and a bare limit program
  bench smallest    smallest memory limit under which a container starts, beside crun and runc
  bench runtime     starts, execs and parallel creates of OCI runtimes, beside bare limit programs
                    (--guest: in the guest with cgroup v2)
  bench registry    blobs, manifests and pushes, beside docker-registry and a bare sendfile program
  bench memory      memory per idle container
  bench pull        pull, push, save, load and removal of images, beside docker, podman, containerd, skopeo and the
                    bound of the machine (--images many,big,layers --only berth,docker --runs N --small)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["demo"] => demo::run(false),
        ["demo", "--keep"] => demo::run(true),
        ["test", parts @ ..] => suite::run(parts),
        ["tidy"] => tidy::run(),
        ["guest-test"] => suite::run(&["guest"]),
        ["guest-test", wanted @ ..] => guest::run(wanted).and_then(|count| count.verdict()),
        ["powercut", words @ ..] => powercut::run(words),
        ["bench", "start", ..] => bench::start(&args[2..]),
        ["bench", "smallest", ..] => bench::smallest(&args[2..]),
        ["bench", "runtime", ..] => bench::runtime(&args[2..]),
        ["bench", "memory", ..] => bench::memory(&args[2..]),
        ["bench", "registry", ..] => bench::registry(&args[2..]),
        ["bench", "pull", ..] => bench::pull(&args[2..]),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
