//! Bad input: one clear sentence, the right exit code, nothing half-made.

use testkit::{Census, Daemon};

pub(crate) fn each_is_one_clear_sentence() {
    let d = Daemon::start();
    d.busybox();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["run", "--no-such-flag", "busybox"], 125, "--no-such-flag"),
        (&["run"], 1, "requires at least 1 argument"),
        (&["run", "busyBOX", "true"], 125, "must be lowercase"),
        (&["run", "bad::ref", "true"], 125, "invalid reference format"),
        (&["run", "--rm", "absent", "true"], 125, "absent"),
        (&["run", "--name", "a b", "busybox"], 125, "Invalid container name"),
        (&["run", "--memory", "12q", "busybox"], 125, "12q"),
        (&["run", "-p", "99999:1", "busybox"], 125, "99999"),
        (&["run", "-v", "relative/../x:/y", "busybox"], 125, "relative"),
        (&["run", "-v", "/a:b", "busybox"], 125, "absolute"),
        (&["run", "--network", "container:", "busybox"], 125, "container"),
        (&["run", "--restart", "sometimes", "busybox"], 125, "sometimes"),
        (&["run", "--security-opt", "nonsense=1", "busybox"], 125, "nonsense"),
        (&["run", "--security-opt", "seccomp=/no/such/file", "busybox"], 125, "/no/such/file"),
        (&["run", "--rm", "--device", "/dev/no-such", "busybox"], 127, "/dev/no-such"),
        (&["run", "--gpus", "all", "busybox"], 125, "gpus"),
        (&["run", "--sysctl", "x", "busybox"], 125, "x"),
        (&["run", "--log-driver", "syslog", "busybox"], 125, "syslog"),
        (&["run", "--tmpfs", "relative", "busybox"], 125, "relative"),
        (&["run", "-w", "relative", "busybox", "true"], 125, "relative"),
        (&["nosuchcommand"], 1, "nosuchcommand"),
        (&["start", "absent"], 1, "No such container: absent"),
        (&["exec", "absent", "true"], 1, "No such container: absent"),
        (&["logs", "absent"], 1, "No such container: absent"),
        (&["rmi", "absent"], 1, "No such image: absent"),
        (&["build", "."], 1, "build"),
        (&["pull", "localhost:1/busybox"], 1, "localhost:1"),
    ];
    for (words, code, word) in cases {
        let said = d.berth(words);
        assert_eq!(said.code, *code, "{words:?}: {} {}", said.out, said.err);
        assert!(said.err.contains(word), "{words:?} should name {word}: {}", said.err);
        assert!(!said.err.contains("panicked"), "{words:?}: {}", said.err);
    }
    assert_eq!(d.berth(&["ps", "-aq"]).ok(), "");
}

pub(crate) fn nothing_is_half_made() {
    let d = Daemon::start();
    d.busybox();
    let empty = Census::of(&d);
    for words in [
        ["run", "--rm", "-w", "/etc/passwd/x", "busybox", "true"],
        ["run", "--rm", "-u", "nobody-such", "busybox", "true"],
        ["run", "--rm", "--network", "container:absent", "busybox", "true"],
        ["run", "--rm", "-v", "/etc/hostname:/proc", "busybox", "true"],
        ["run", "--rm", "-v", "/etc:/proc/self/x", "busybox", "true"],
    ] {
        let said = d.berth(&words);
        assert!((125..=127).contains(&said.code), "{words:?}: {} {}", said.code, said.err);
        testkit::wait_for("nothing left", || Census::of(&d) == empty);
    }
    assert_eq!(d.berth(&["ps", "-aq"]).ok(), "");
}

/// The data root on a small file system of its own: it fills up, says so, and recovers without a restart.
pub(crate) fn disk_full() {
    let small = std::env::temp_dir().join(format!("{}full", testkit::mark()));
    std::fs::create_dir_all(&small).unwrap();
    let mount =
        |words: &[&str]| std::process::Command::new(words[0]).args(&words[1..]).status().unwrap().success();
    let path = small.to_str().unwrap().to_owned();
    assert!(mount(&["mount", "-t", "tmpfs", "-o", "size=160m", "full", &path]));
    {
        let data = format!("{path}/data");
        let d = Daemon::start_with(&["--data-root", &data], &[]);
        d.busybox();
        let junk = small.join("junk");
        std::fs::write(&junk, vec![0; 200 << 20]).expect_err("the file system is small");
        let said = d.feed(&["import", "-", "second"], &testkit::tar_of(&[("f", &vec![7; 3 << 20], 0o644)]));
        assert_eq!(said.code, 1, "{}", said.out);
        assert!(said.err.to_lowercase().contains("space"), "{}", said.err);
        // Half a mebibyte: enough for a container's directory, too little for a copy of the image's /bin.
        let file = std::fs::File::options().write(true).open(&junk).unwrap();
        file.set_len(std::fs::metadata(&junk).unwrap().len() - (512 << 10)).unwrap();
        drop(file);
        let said = d.berth(&["create", "-v", "/bin", "busybox", "true"]);
        assert!(said.err.contains("cannot fill volume"), "{}", said.err);
        assert_eq!(d.berth(&["volume", "ls", "-q"]).ok(), "", "the volume went with it");
        std::fs::remove_file(&junk).unwrap();
        assert_eq!(
            d.feed(&["import", "-", "second"], &testkit::tar_of(&[("f", &vec![7; 3 << 20], 0o644)])).code,
            0
        );
        assert_eq!(d.berth(&["run", "--rm", "busybox", "echo", "well"]).ok(), "well");
    }
    assert!(mount(&["umount", &path]));
    std::fs::remove_dir(&small).unwrap();
}
