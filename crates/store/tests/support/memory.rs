//! How much memory something takes at most, and how much of the disk is used afterwards.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// Says to the test program that it is to do this one thing only.
const ALONE: &str = "BERTH_TEST_ALONE";

/// Runs `act` in a process of its own, where nothing else takes memory. Answers by how many bytes that grew at most;
/// `None` in that process itself, where the test is to return.
pub fn peak_growth(test: &str, act: impl FnOnce()) -> Option<u64> {
    if std::env::var_os(ALONE).is_some_and(|name| name == test) {
        // From now on, the peak is counted anew.
        std::fs::write("/proc/self/clear_refs", "5").expect("clear_refs");
        let before = status("VmRSS:");
        act();
        println!("\ngrew by {}", status("VmHWM:").saturating_sub(before));
        return None;
    }
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).args(["--exact", test, "--nocapture"]).env(ALONE, test).output();
    let output = output.expect("the process");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let grown = text.lines().find_map(|line| line.strip_prefix("grew by ")).expect("a measurement");
    println!("{test}: {} KiB at most", grown.parse::<u64>().expect("bytes") >> 10);
    grown.parse().ok()
}

/// A line of /proc/self/status, in bytes.
fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("a line");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

/// Bytes on disk and number of files below a directory.
pub fn usage(root: &Path) -> (u64, u64) {
    let mut all = (0, 0);
    for entry in std::fs::read_dir(root).expect("directory") {
        let entry = entry.expect("entry");
        let stat = entry.metadata().expect("stat");
        all = (all.0 + stat.blocks() * 512, all.1 + 1);
        if stat.is_dir() {
            let below = usage(&entry.path());
            all = (all.0 + below.0, all.1 + below.1);
        }
    }
    all
}
