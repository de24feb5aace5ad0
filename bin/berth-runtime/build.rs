//! How the program is linked when it is built for size (the profile `small`): with musl where that is installed (decision 0015).
#![allow(clippy::disallowed_methods, reason = "a build script reads what cargo tells it")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian's musl-dev has it.
const MUSL: &str = "/usr/lib/x86_64-linux-musl";

/// What musl lacks, in C.
const SOURCES: [&str; 2] = ["std", "words"];

fn main() {
    println!("cargo::rerun-if-changed=no-unwinding.ld");
    println!("cargo::rerun-if-changed=musl");
    println!("cargo::rerun-if-changed={MUSL}");
    let asked = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if !asked("OPT_LEVEL", "s") || !asked("CARGO_CFG_TARGET_ARCH", "x86_64") {
        return;
    }
    // A panic ends the process: nothing ever unwinds a stack.
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/no-unwinding.ld", variable("CARGO_MANIFEST_DIR"));
    println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    if Path::new(MUSL).join("rcrt1.o").exists() {
        link_musl();
    } else {
        println!(
            "cargo::warning=musl-dev is not installed: with glibc the program is larger and starts slower"
        );
        // Relocations as a bitmap: a tenth of the size. musl's start knows them from 1.2.4 on.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// musl in the place of glibc, by name: it keeps to glibc's binary interface wherever it has the same functions.
fn link_musl() {
    let made = archive();
    // Before the system's libraries, so that what is in it is taken from there.
    println!("cargo::rustc-link-search=native={}", made.display());
    println!("cargo::rustc-link-lib=static=beside-musl");
    println!("cargo::rustc-link-arg-bins=-L{MUSL}");
    println!("cargo::rustc-link-arg-bins=-nostartfiles");
    for start in ["rcrt1.o", "crti.o", "crtn.o"] {
        println!("cargo::rustc-link-arg-bins={MUSL}/{start}");
    }
}

/// Compiles the sources; answers the directory that the archive lies in.
fn archive() -> PathBuf {
    let out = PathBuf::from(variable("OUT_DIR"));
    let archive = out.join("libbeside-musl.a");
    let objects = SOURCES.map(|source| {
        let object = out.join(source).with_extension("o");
        let mut compile = Command::new("cc");
        compile.args(["-Os", "-fPIE", "-ffreestanding", "-fno-asynchronous-unwind-tables", "-c"]);
        run(compile.arg(format!("musl/{source}.c")).arg("-o").arg(&object));
        object
    });
    let _ = std::fs::remove_file(&archive);
    run(Command::new("ar").arg("rcs").arg(&archive).args(&objects));
    out
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{command:?}: {status:?}");
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
