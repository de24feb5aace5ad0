//! How the program is linked when it is built for size (the profile `small`).
#![allow(clippy::disallowed_methods, reason = "a build script reads what cargo tells it")]

fn main() {
    println!("cargo::rerun-if-changed=no-unwinding.ld");
    let asked = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if !asked("OPT_LEVEL", "z") || !asked("CARGO_CFG_TARGET_ARCH", "x86_64") {
        return;
    }
    // Relocations as a bitmap: a tenth of the size.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    // A panic ends the process: nothing ever unwinds a stack.
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{here}/no-unwinding.ld");
    println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
}
