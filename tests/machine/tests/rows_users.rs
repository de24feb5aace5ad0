//! R13 to R17: who a process runs as, and the files that a root has about it, which are foreign.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::json;
use testkit::Bundle;

fn running() -> Bundle {
    let b = Bundle::new();
    b.write(&b.document("sleep 1000"));
    b.runtime(&["run", "-d", "c1"]).ok();
    b
}

/// What is not a number is nobody, least of all root (CVE-2026-30892). The whole table is in the crate.
pub(crate) fn r13_no_text_means_root_by_mistake() {
    let b = running();
    let who = |user: &str| b.runtime(&["exec", "-u", user, "c1", "sh", "-c", "id -u; id -g"]);
    for user in [
        "x", "root", "0x1", "+1", "-1", " 1", "1 ", "1:", ":1", "1:2:3", "1:x", "x:1", "1,2", "1.0", "1e3",
        "١", "a0",
    ] {
        let said = who(user);
        assert!(said.code != 0 && said.out.is_empty(), "{user:?} ran as {}", said.out);
        assert!(said.err.contains("is not a user or group id"), "{user:?}: {}", said.err);
    }
    for (user, wanted) in [
        ("1", "1\n0\n"),
        ("7:8", "7\n8\n"),
        ("007", "7\n0\n"),
        ("0", "0\n0\n"),
        ("4294967294", "4294967294\n0\n"),
    ] {
        assert_eq!(who(user).out, wanted, "{user}");
    }
}

/// A number that the kernel does not have is an error, not another number, and no name (CVE-2024-40635).
pub(crate) fn r14_numbers_out_of_range_are_refused() {
    let b = running();
    // Accounts that would make root of such numbers, if digits were names or overflowed.
    let passwd = "evil:x:4294967296:0::/evil:\nevil:x:+0:0::/evil:\nevil:x: 0:0::/evil:\nevil:x:-0:0::/evil:\nfine:x:0:0::/fine:\n\
        4294967296:x:0:0::/evil:\n12:x:0:0::/evil:\n";
    fs::write(b.inside("etc/passwd"), passwd).unwrap();
    let forty = "9".repeat(40);
    for number in
        ["4294967295", "4294967296", "8589934592", "18446744073709551615", "18446744073709551616", &forty]
    {
        for user in [number.to_owned(), format!("{number}:0"), format!("1:{number}")] {
            let said = b.runtime(&["exec", "-u", &user, "c1", "id", "-u"]);
            assert!(said.code != 0 && said.out.is_empty(), "{user} ran as {}", said.out);
        }
        let said = b.runtime(&["exec", "-g", number, "c1", "id", "-G"]);
        assert!(said.code != 0 && said.out.is_empty(), "group {number} is {}", said.out);
    }
    assert_eq!(b.runtime(&["exec", "-u", "12", "c1", "sh", "-c", "id -u; echo $HOME"]).out, "12\n/\n");
    assert_eq!(
        b.runtime(&["exec", "c1", "sh", "-c", "echo $HOME"]).out,
        "/fine\n",
        "accounts of no number are nobody's"
    );
}

/// The primary group is among the supplementary ones, or a file that denies it could be opened (CVE-2022-36109).
pub(crate) fn r15_the_primary_group_is_supplementary() {
    let b = Bundle::new();
    let groups = ["grep", "Groups:", "/proc/self/status"];
    let mut document = b.document("");
    document["process"]["args"] = json!(groups);
    for (user, wanted) in [
        (json!({"uid": 1000, "gid": 1000}), "1000"),
        (json!({"uid": 0, "gid": 0}), "0"),
        (json!({"uid": 1000, "gid": 50, "additionalGids": [1000, 60]}), "50 60 1000"),
        (json!({"uid": 1000, "gid": 60, "additionalGids": [60, 7]}), "7 60"),
    ] {
        document["process"]["user"] = user.clone();
        let said = b.run(&document).ok();
        assert_eq!(said.split_whitespace().skip(1).collect::<Vec<_>>().join(" "), wanted, "{user}");
    }
    document["process"]["args"] = json!(["sleep", "1000"]);
    b.write(&document);
    b.runtime(&["run", "-d", "c1"]).ok();
    for (options, wanted) in [
        (&[][..], "7 60"),
        (&["-u", "5"], "7 60"),
        (&["-u", "5:6"], "6 7"),
        (&["-u", "5:6", "-g", "8", "-g", "9"], "6 7 8 9"),
        (&["-g", "8"], "7 8 60"),
    ] {
        let said = b.runtime(&[&["exec"], options, &["c1"], &groups].concat()).ok();
        assert_eq!(said.split_whitespace().skip(1).collect::<Vec<_>>().join(" "), wanted, "{options:?}");
    }
}

/// However large the file of accounts is, the memory of nobody pays for it (CVE-2026-47262).
pub(crate) fn r16_huge_accounts_cost_nothing() {
    let b = Bundle::new();
    let mut document = b.document("echo fine; sleep 1000");
    document["linux"]["resources"]["memory"] = json!({"limit": 64 << 20});
    b.write(&document);
    for name in ["etc/passwd", "etc/group"] {
        fs::File::create(b.inside(name)).unwrap().set_len(10 << 30).unwrap();
    }
    quick(&b, "ten sparse GiB");
    let line = format!("root:x:0:{}\n", "member,".repeat(1_000_000));
    fs::write(b.inside("etc/group"), &line).unwrap();
    fs::write(b.inside("etc/passwd"), &line).unwrap();
    quick(&b, "a line of a million members");
    fs::write(b.inside("etc/passwd"), "a:x:5:5::/:\n".repeat(1_000_000)).unwrap();
    quick(&b, "a million accounts");
}

/// What is no file holds nobody up (CVE-2024-9676), and a link out of the root leads nowhere.
pub(crate) fn r17_special_files_hold_nobody_up() {
    let b = Bundle::new();
    b.write(&b.document("echo fine; sleep 1000"));
    let passwd = b.inside("etc/passwd");
    let kinds: [(&str, FileType, u64); 4] = [
        ("FIFO", FileType::Fifo, 0),
        ("socket", FileType::Socket, 0),
        ("zeroes", FileType::CharacterDevice, makedev(1, 5)),
        ("a terminal", FileType::CharacterDevice, makedev(5, 0)),
    ];
    for (name, kind, device) in kinds {
        let _ = fs::remove_file(&passwd);
        mknodat(CWD, &passwd, kind, Mode::from_raw_mode(0o666), device).unwrap();
        quick(&b, name);
    }
    let outside = b.directory().join("passwd");
    fs::write(&outside, "root:x:0:0::/evil:\n").unwrap();
    for target in [outside.to_str().unwrap(), "/etc/passwd", "/proc/self/fd/0", "/dev/tty", "/proc/kmsg"] {
        fs::remove_file(&passwd).unwrap();
        symlink(target, &passwd).unwrap();
        quick(&b, target);
    }
    fs::remove_file(&passwd).unwrap();
    fs::create_dir(&passwd).unwrap();
    quick(&b, "a directory");
}

/// A container and a process beside it start at once, and believe that root lives where it does.
#[track_caller]
fn quick(b: &Bundle, what: &str) {
    let limit = Duration::from_secs(2);
    let started = Instant::now();
    let id = "c1";
    let run = b.runtime_within(limit, &["run", "-d", id]);
    assert!(run.as_ref().is_some_and(|said| said.code == 0), "{what}: {run:?} after {:?}", started.elapsed());
    let exec = b.runtime_within(limit, &["exec", id, "sh", "-c", "echo $HOME"]);
    assert_eq!(exec.map(|said| said.out).as_deref(), Some("/root\n"), "{what}");
    b.runtime(&["delete", "--force", id]).ok();
}
