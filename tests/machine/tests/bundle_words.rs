//! What the command line says: help, logs, and the environment it leaves to programs.

use serde_json::{Value, json};
use testkit::Bundle;

pub(crate) fn help_of_every_command() {
    let b = Bundle::new();
    let all = b.runtime(&["--help"]).ok();
    assert_eq!(b.runtime(&["help"]).ok(), all);
    assert_eq!(b.runtime(&[]).ok(), all);
    let commands = all.split("COMMANDS:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<&str> = commands.lines().map(|l| l.split_whitespace().next().unwrap()).collect();
    assert_eq!(names.len(), 17, "{names:?}");
    for name in names.iter().filter(|name| **name != "supervisor") {
        for words in [&[*name, "-h"][..], &[*name, "--help"], &["help", *name]] {
            let said = b.runtime(words);
            assert!(said.code == 0 && said.err.is_empty(), "{words:?}: {}", said.err);
            assert!(said.out.starts_with(&format!("NAME:\n   berth-runtime {name} - ")), "{}", said.out);
        }
    }
    let said = b.runtime(&["help", "foo"]);
    assert!(said.code == 1 && said.err.contains("No help topic for 'foo'"), "{}", said.err);
    // Another program's option is not ours.
    b.write(&b.document("sleep 1000"));
    b.runtime(&["run", "-d", "c1"]).ok();
    assert_eq!(b.runtime(&["exec", "c1", "echo", "--help"]).ok(), "--help");
}

/// The program's C library has other words for some of the kernel's errors than all other engines print.
pub(crate) fn errors_of_the_kernel_have_their_usual_words() {
    let b = Bundle::new();
    let mut document = b.document("true");
    std::os::unix::fs::symlink("round", b.directory().join("round")).unwrap();
    for (root, words) in [
        ("round".to_owned(), "too many levels of symbolic links"),
        ("x".repeat(300), "file name too long"),
        ("nothing".to_owned(), "no such file or directory"),
    ] {
        document["root"]["path"] = json!(root);
        let said = b.run(&document);
        assert!(said.code == 1 && said.err.contains(words), "{root}: {}", said.err);
    }
}

pub(crate) fn debug_is_told() {
    let b = Bundle::new();
    b.write(&b.document("echo hello"));
    let said = b.runtime(&["--debug", "run", "c1"]);
    assert_eq!((said.code, said.out.as_str()), (0, "hello\n"));
    assert!(
        said.err.lines().all(|l| l.starts_with("time=\"") && l.contains(" level=debug msg=\"")),
        "{}",
        said.err
    );
    assert!(said.err.contains("exit code 0"), "{}", said.err);
    let log = b.directory().join("log");
    let said = b.runtime(&["--debug", "--log", "log", "--log-format", "json", "run", "c1"]);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("hello\n", ""));
    for line in std::fs::read_to_string(log).unwrap().lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert_eq!(entry["level"], "debug");
        assert!(entry["msg"].is_string() && entry["time"].is_string(), "{line}");
    }
    assert_eq!(b.runtime(&["run", "c1"]).err, "");
}

pub(crate) fn the_last_value_of_a_variable_counts() {
    let b = Bundle::new();
    let mut document = b.document("echo $HOME $A; env | grep -c -e ^HOME= -e ^A=");
    document["process"]["env"] = json!(["A=1", "HOME=/x", "PATH=/bin", "A=2", "HOME="]);
    assert_eq!(b.run(&document).ok(), "/root 2\n2");
    document["process"]["env"] = json!(["PATH=/bin", "HOME=", "A=1"]);
    assert_eq!(b.run(&document).ok(), "/root 1\n2");
    document["process"]["args"] = json!(["sleep", "1000"]);
    b.write(&document);
    b.runtime(&["run", "-d", "c1"]).ok();
    let said = b.runtime(&["exec", "-e", "A=3", "c1", "sh", "-c", "echo $A; env | grep -c ^A="]);
    assert_eq!(said.ok(), "3\n1");
}

/// What is read from a foreground run's terminal has a newline at the end of a line, and nothing before.
pub(crate) fn a_newline_is_one_character() {
    let b = Bundle::new();
    let mut document = b.document("tty; echo two");
    document["process"]["terminal"] = json!(true);
    assert_eq!(b.run(&document).out, "/dev/pts/0\ntwo\n");
}
