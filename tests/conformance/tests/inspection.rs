//! `docker inspect` of everything: every key is there, and what is empty is empty in dockerd's way (null, "", [], {} or 0).

use std::collections::BTreeSet;

use serde_json::Value;
use testkit::Daemon;

/// A line for each key, its value put down to its sort. A mark in front says who shows it: `o` dockerd 20.10, `n` Berth and, as far
/// as the key is younger than 20.10, a younger dockerd; blank both.
const SHAPE: &str = include_str!("inspection.txt");

/// A command that makes something, and the name of what it makes.
const SUBJECTS: &[(&str, &str)] = &[
    ("create --name created busybox true", "created"),
    (
        "run -d --name running -v v1:/v1 -v /anon --mount type=volume,dst=/anon2 -v /tmp:/t:ro --tmpfs /tm -p 80:80 -p 81:81/udp \
         --expose 7 -l a=b -e A=b -m 64m --cpus 1 --pids-limit 10 --device /dev/null --cap-add SYS_PTRACE --cap-drop CHOWN \
         --ulimit nofile=50:60 --sysctl net.ipv4.ip_forward=0 --security-opt no-new-privileges --dns 1.1.1.1 --add-host a:1.2.3.4 \
         --group-add 5 --restart on-failure:3 --init --stop-signal TERM --stop-timeout 3 --log-opt max-size=1m -h hh --domainname dd \
         --read-only -w /tmp -u 1 --entrypoint sleep busybox 1000",
        "running",
    ),
    ("run --name exited busybox true", "exited"),
    ("create --name privileged --privileged busybox true", "privileged"),
    ("run -d --network host --name host busybox sleep 1000", "host"),
    ("run -d --network none --name none1 busybox sleep 1000", "none1"),
    ("run -d --network container:none1 --name shares busybox sleep 1000", "shares"),
    ("run -d --pid container:none1 --name pid busybox sleep 1000", "pid"),
    ("create --pid host --name hostpid busybox sleep 1000", "hostpid"),
    ("volume create --label a=b vol", "vol"),
    ("tag busybox other", "busybox"),
    ("version", "bridge"),
];

pub(crate) fn has_dockerds_shape() {
    let mark = if std::env::var_os("BERTH_REFERENCE").is_some() { 'o' } else { 'n' };
    let d = Daemon::start();
    d.busybox();
    let mut shape = Vec::new();
    for (command, name) in SUBJECTS {
        let words: Vec<&str> = command.split_whitespace().collect();
        d.docker(&words).ok();
        let text = d.docker(&["inspect", name]).ok();
        let document: Value = serde_json::from_str(&text).unwrap();
        let mut lines = BTreeSet::new();
        describe(&document[0], String::new(), &mut lines);
        shape.push(format!("== {name}"));
        shape.extend(lines);
    }
    let wanted: Vec<&str> =
        SHAPE.lines().filter_map(|line| line.strip_prefix([' ', mark]).map(str::trim_start)).collect();
    let missing: Vec<_> = wanted.iter().filter(|line| !shape.iter().any(|have| have == *line)).collect();
    assert!(shape == wanted, "not there: {missing:#?}\nall there is:\n{}", shape.join("\n"));
}

fn describe(value: &Value, path: String, lines: &mut BTreeSet<String>) {
    let sort = match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let is_id = key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit());
                describe(value, format!("{path}.{}", if is_id { "ID" } else { key }), lines);
            }
            return;
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                describe(item, format!("{path}[]"), lines);
            }
            return;
        }
        Value::Object(_) => "{}",
        Value::Array(_) => "[]",
        Value::Null => "null",
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        Value::Number(number) if number.as_f64() == Some(0.0) => "0",
        Value::Number(_) => "number",
        Value::String(text) if text.is_empty() => "\"\"",
        Value::String(_) => "text",
    };
    lines.insert(format!("{path} {sort}"));
}
