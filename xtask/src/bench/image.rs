//! The root file system that every contestant runs: a static `true`, a static `pause`, and the directories that mounts need.

use std::path::{Path, PathBuf};
use std::process::Command;

use plan::capability;
use plan::seccomp::{Arch, compile, default_profile};

use super::stage::Stage;
use crate::command;

/// What all contestants are given.
pub(super) struct Image {
    /// The root file system as a directory.
    pub(super) root: PathBuf,
    /// The same as a tar archive, for `import`.
    pub(super) archive: PathBuf,
    /// The limit program.
    pub(super) limit: PathBuf,
    /// The limit program of an exec.
    pub(super) exec: PathBuf,
    /// Berth's compiled default filter, for the limit programs.
    pub(super) filter: PathBuf,
    /// The same profile as a document, for `--security-opt seccomp=`.
    pub(super) profile: PathBuf,
}

/// A program that waits for a signal, for ever.
pub(super) const PAUSE: &str = r#"void _start(void) {
#if defined(__x86_64__)
    for (;;) { long answer; __asm__ volatile("syscall" : "=a"(answer) : "a"(34) : "rcx", "r11", "memory"); }
#else
    for (;;) { register long x8 __asm__("x8") = 73; register long x0 __asm__("x0") = 0; register long x1 __asm__("x1") = 0;
        register long x2 __asm__("x2") = 0; register long x3 __asm__("x3") = 0;
        __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory"); }
#endif
}
"#;

/// Compiles and lays out everything in the stage's directory.
pub(super) fn build(stage: &Stage) -> Result<Image, String> {
    let root = stage.path("root");
    for directory in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        std::fs::create_dir_all(root.join(directory)).map_err(|error| format!("{directory}: {error}"))?;
    }
    for file in ["hostname", "hosts", "resolv.conf"] {
        write(&root.join("etc").join(file), b"")?;
    }
    let sources = command::root().join("benches/limit");
    let pause = stage.path("pause.c");
    write(&pause, PAUSE.as_bytes())?;
    gcc(&sources.join("limit.c"), &stage.path("limit"), &[])?;
    gcc(&sources.join("exec.c"), &stage.path("exec"), &[])?;
    gcc(&sources.join("true.c"), &root.join("true"), &["-nostdlib"])?;
    gcc(&pause, &root.join("pause"), &["-nostdlib"])?;
    let archive = stage.path("root.tar");
    command::run(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg("."))?;
    let (filter, profile) = (stage.path("filter"), stage.path("seccomp.json"));
    let document = default_profile(&capabilities()?, (6, 1), Arch::native());
    let program = compile(&document, Arch::native()).map_err(|error| error.to_string())?;
    write(&filter, &program.filter)?;
    write(&profile, &serde_json::to_vec(&document).map_err(|error| error.to_string())?)?;
    Ok(Image { root, archive, limit: stage.path("limit"), exec: stage.path("exec"), filter, profile })
}

/// Docker's default capabilities.
pub(super) fn capabilities() -> Result<Vec<String>, String> {
    capability::resolve(capability::Tweaks::default(), u64::MAX).map_err(|error| error.to_string())
}

/// Writes a file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

pub(super) fn gcc(source: &Path, program: &Path, more: &[&str]) -> Result<(), String> {
    let mut gcc = Command::new("gcc");
    command::run(gcc.args(["-O2", "-static"]).args(more).arg("-o").arg(program).arg(source))
}
