//! How the program is linked when it is built for size (the profile `small`): with musl where that is installed (decision 0016).
#![allow(clippy::disallowed_methods, reason = "a build script reads what cargo tells it")]

use std::path::Path;
use std::process::Command;

/// Where Debian's musl-dev has it.
const MUSL: &str = "/usr/lib/x86_64-linux-musl";

fn main() {
    for path in ["no-unwinding.ld", "musl", MUSL] {
        println!("cargo::rerun-if-changed={path}");
    }
    if variable("OPT_LEVEL") != "s" || variable("CARGO_CFG_TARGET_ARCH") != "x86_64" {
        return;
    }
    // A panic ends the process: nothing ever unwinds a stack.
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/no-unwinding.ld", variable("CARGO_MANIFEST_DIR"));
    println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    if Path::new(MUSL).join("rcrt1.o").exists() {
        return link_musl(&variable("OUT_DIR"), &variable("CARGO_MANIFEST_DIR"));
    }
    println!("cargo::warning=musl-dev is not installed: with glibc the program is larger and starts slower");
    // Relocations as a bitmap: a tenth of the size. musl's start knows them from 1.2.4 on.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}

/// musl in the place of glibc, by name: it keeps to glibc's binary interface wherever it has the same functions. What it lacks is compiled.
fn link_musl(out: &str, here: &str) {
    let mut compile = Command::new("cc");
    compile.args(["-Os", "-fPIE", "-ffreestanding", "-fno-asynchronous-unwind-tables", "-c"]);
    run(compile.args(["std", "words"].map(|source| format!("{here}/musl/{source}.c"))).current_dir(out));
    run(Command::new("ar").args(["rcs", "libbeside-musl.a", "std.o", "words.o"]).current_dir(out));
    // Before the system's libraries, so that what is in it is taken from there.
    println!("cargo::rustc-link-search=native={out}");
    println!("cargo::rustc-link-lib=static=beside-musl");
    println!("cargo::rustc-link-arg-bins=-nostartfiles");
    println!("cargo::rustc-link-arg-bins=-L{MUSL}");
    for start in ["rcrt1.o", "crti.o", "crtn.o"] {
        println!("cargo::rustc-link-arg-bins={MUSL}/{start}");
    }
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{command:?}: {status:?}");
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
