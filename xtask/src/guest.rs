//! A guest with cgroup v2: Debian's cloud kernel under QEMU's own emulation (no KVM needed), with both programs
//! and the machine tests inside. Its console is our output; its last lines are the result.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::suite::{self, Count};
use crate::{command, packages, programs};

/// Modules the tests need, with what they depend on. All else of the kernel stays out of the image.
const MODULES: &[&str] = &[
    "overlay",
    "veth",
    "bridge",
    "br_netfilter",
    "nf_tables",
    "nft_chain_nat",
    "nft_nat",
    "nft_masq",
    "nft_ct",
    "nft_fib_inet",
    "nft_reject_inet",
    "nft_log",
    "nft_limit",
    "nf_conntrack_netlink",
    "nf_nat",
    "tun",
    "bfq",
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
];

/// Longer than any run so far took by a factor of three.
const LIMIT_S: u32 = 1500;

/// Boots the guest, runs the machine tests whose names contain one of these words (or all) in it, and counts them.
pub(crate) fn run(wanted: &[&str]) -> Result<Count, String> {
    if let Some(word) =
        wanted.iter().find(|w| !w.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:".contains(&b)))
    {
        return Err(format!("{word:?} is no part of a test's name"));
    }
    packages::install(packages::TEST)?;
    let built = programs::build()?;
    let tests = test_program()?;
    let (kernel, image) = image(
        "guest",
        &[
            (built.berth.as_path(), "bin/berth"),
            (built.runtime.as_path(), "bin/berth-runtime"),
            (tests.as_path(), "bin/machine"),
        ],
    )?;
    suite::counted(&mut machine(&kernel, &image, wanted))
}

/// Packs a guest with these files at their places; answers its kernel and image. A `bin/bench` among them is run instead of tests.
/// It lies in the directory of that name below cargo's.
pub(crate) fn image(directory: &str, files: &[(&Path, &str)]) -> Result<(String, PathBuf), String> {
    let work = programs::target_directory().join(directory);
    let tree = work.join("tree");
    let _ = fs::remove_dir_all(&tree);
    let kernel = kernel()?;
    let init = command::root().join("xtask/src/guest-init.sh");
    for (source, target) in [(Path::new("/bin/busybox"), "bin/busybox"), (&init, "init")].iter().chain(files)
    {
        install(source, &tree.join(target))?;
    }
    copy_modules(&kernel, &tree)?;
    let image = work.join("initramfs.cpio");
    pack(&tree, &image)?;
    Ok((kernel, image))
}

/// The newest cloud kernel's release, for example `6.1.0-56-cloud-amd64`.
fn kernel() -> Result<String, String> {
    let boot = fs::read_dir("/boot").map_err(|e| format!("/boot: {e}"))?;
    let names = boot.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut releases: Vec<String> = names
        .filter_map(|n| Some(n.strip_prefix("vmlinuz-")?.to_owned()))
        .filter(|r| r.contains("cloud"))
        .collect();
    releases.sort();
    releases.pop().ok_or_else(|| "no cloud kernel in /boot (package linux-image-cloud-amd64)".to_owned())
}

/// Builds the machine tests and finds the program that cargo made of them.
pub(crate) fn test_program() -> Result<PathBuf, String> {
    let mut build = command::cargo();
    build.args(["test", "-p", "machine", "--no-run", "--message-format=json", "--quiet"]);
    let messages = command::output(&mut build)?;
    let mut programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_suite = message["target"]["name"] == "machine" && message["target"]["kind"][0] == "test";
        is_suite.then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    programs.next_back().ok_or_else(|| "cargo named no test program for the machine tests".to_owned())
}

fn install(source: &Path, target: &Path) -> Result<(), String> {
    let copy = || -> std::io::Result<()> {
        fs::create_dir_all(target.parent().unwrap_or(target))?;
        fs::copy(source, target)?;
        fs::set_permissions(target, std::os::unix::fs::PermissionsExt::from_mode(0o755))
    };
    copy().map_err(|e| format!("{} → {}: {e}", source.display(), target.display()))
}

/// Copies the modules and everything they depend on, and writes the order to load them in.
fn copy_modules(kernel: &str, tree: &Path) -> Result<(), String> {
    let base = PathBuf::from("/lib/modules").join(kernel);
    let list = fs::read_to_string(base.join("modules.dep")).map_err(|e| format!("modules.dep: {e}"))?;
    let mut order: Vec<&str> = Vec::new();
    for name in MODULES {
        // Built in, or not of this kernel: the tests will tell.
        let Some(line) = list.lines().find(|l| is_module(l, name)) else { continue };
        let (module, needs) = line.split_once(':').unwrap_or((line, ""));
        for file in needs.split_whitespace().rev().chain([module]) {
            if !order.contains(&file) {
                order.push(file);
                let flat = file.rsplit('/').next().unwrap_or(file);
                install(&base.join(file), &tree.join("modules").join(flat))?;
            }
        }
    }
    let flat: Vec<&str> = order.iter().map(|f| f.rsplit('/').next().unwrap_or(f)).collect();
    fs::write(tree.join("modules/order"), flat.join("\n") + "\n").map_err(|e| format!("modules/order: {e}"))
}

fn is_module(line: &str, name: &str) -> bool {
    let path = line.split(':').next().unwrap_or(line);
    path.rsplit('/').next().and_then(|file| file.strip_suffix(".ko")) == Some(name)
}

fn pack(tree: &Path, image: &Path) -> Result<(), String> {
    let mut cpio = Command::new("sh");
    cpio.current_dir(tree).args(["-c", "find . | cpio --quiet -o -H newc -R 0:0 > \"$0\""]).arg(image);
    command::run(&mut cpio)
}

/// The command that boots it.
pub(crate) fn machine(kernel: &str, image: &Path, wanted: &[&str]) -> Command {
    let mut qemu = Command::new("timeout");
    qemu.args(["--kill-after=10", &LIMIT_S.to_string(), "qemu-system-x86_64", "-m", "3072"]);
    let words: String = wanted.iter().map(|word| format!(" berth.test={word}")).collect();
    hardware(&mut qemu, kernel, image, &words);
    qemu.args(["-serial", "stdio"]).stdin(Stdio::null());
    qemu
}

/// What every guest is made of, and what its kernel is told besides.
pub(crate) fn hardware(qemu: &mut Command, kernel: &str, image: &Path, words: &str) {
    qemu.args(["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"]);
    qemu.args(["-nodefaults", "-no-user-config", "-nographic", "-no-reboot"]);
    qemu.arg("-kernel").arg(format!("/boot/vmlinuz-{kernel}")).arg("-initrd").arg(image);
    let line = format!("console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off{words}");
    qemu.args(["-append", &line]);
}

/// What a program is linked with, at the places where it looks.
pub(crate) fn libraries(program: &str) -> Result<Vec<(PathBuf, String)>, String> {
    let list = command::output(Command::new("ldd").arg(program))?;
    let paths = list.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.map(|path| (PathBuf::from(path), path.trim_start_matches('/').to_owned())).collect())
}
