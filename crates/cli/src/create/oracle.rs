//! Docker's own client as the oracle: the body it sends for a command line is the body that Berth sends.
#![allow(clippy::disallowed_methods, reason = "runs the docker client against a listener of the test's own")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::tests::body_of;

/// Each line twice: as `docker run …`, as `berth run …`. `@` stands for a directory with the files named below.
const LINES: &[&str] = &[
    "run -d busybox",
    "run -d busybox sh -c ls -x",
    "create busybox true",
    "create -it busybox",
    "create -i busybox",
    "create -a stdin -a STDERR busybox",
    "run -d --name web --hostname h --domainname d.example busybox",
    "run -d -h h -e A=1 -e B= -e PATH busybox",
    "run -d -e UNSET_HERE --env=C=a=b --env-file @/env busybox",
    "run -d -l a=1 --label b --label-file @/labels busybox",
    "run -d -w /x -u 1000:1000 busybox",
    "run -d --entrypoint /bin/sh busybox -c true",
    "run -d --entrypoint= busybox",
    "run -d -v /data busybox",
    "run -d -v /a:/b busybox",
    "run -d -v /a:/b:ro,z busybox",
    "run -d -v vol:/b:nocopy busybox",
    "run -d -v ./x:/b busybox",
    "run -d -v ../x/../y:/b busybox",
    "run -d --read-only --tmpfs /run --tmpfs /tmp:size=1m,mode=700 busybox",
    "run -d --mount type=bind,src=/a,dst=/b,ro busybox",
    "run -d --mount type=bind,source=/a,target=/b,readonly=true,bind-propagation=rslave busybox",
    "run -d --mount type=bind,source=./a,target=/b,bind-recursive=disabled busybox",
    "run -d --mount type=bind,source=/a,target=/b,ro,bind-recursive=readonly,bind-propagation=rprivate busybox",
    "run -d --mount src=v,dst=/b busybox",
    "run -d --mount type=volume,dst=/b,volume-nocopy,volume-label=a=b busybox",
    "run -d --mount type=volume,src=v,dst=/b,volume-driver=local,volume-opt=type=nfs,volume-subpath=x busybox",
    "run -d --mount type=volume,dst=/b,\"volume-opt=o=a,b\" busybox",
    "run -d --mount type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=1770 busybox",
    "run -d --mount type=tmpfs,dst=/b,consistency=cached busybox",
    "run -d --network none busybox",
    "run -d --net host busybox",
    "run -d --network bridge busybox",
    "run -d --network container:x busybox",
    "run -d --network mine --ip 172.30.0.9 busybox",
    "run -d --network name=mine,alias=a,alias=b,ip=1.2.3.4 busybox",
    "run -d --network a --network b busybox",
    "run -d --mac-address 92:d0:c6:0a:29:33 busybox",
    "run -d -p 80 busybox",
    "run -d -p 8080:80 -p 127.0.0.1:53:53/udp -p 127.0.0.1::81 busybox",
    "run -d -p 8000-8002:80-82 busybox",
    "run -d -p 8000-8010:80 busybox",
    "run -d -p [::1]:80:80/tcp -p 80:80/TCP busybox",
    "run -d -p target=80,published=8080,protocol=udp busybox",
    "run -d -P --expose 99 --expose 100-102/udp busybox",
    "run -d -m 64m --memory-swap 128m --memory-reservation 32M busybox",
    "run -d -m 1.5g --memory-swap -1 --memory-swappiness 10 busybox",
    "run -d --cpus 1.5 -c 512 --cpuset-cpus 0-1 --cpuset-mems 0 busybox",
    "run -d --cpus .25 busybox",
    "run -d --cpu-period 100000 --cpu-quota 50000 busybox",
    "run -d --pids-limit 50 busybox",
    "run -d --pids-limit=-1 busybox",
    "run -d --device /dev/null --device /dev/zero:/dev/x --device /dev/full:r --device /dev/tty:/dev/y:rw busybox",
    "run -d --device-cgroup-rule \"c 1:3 rwm\" busybox",
    "run -d --cap-add NET_ADMIN --cap-add ALL --cap-drop MKNOD --privileged busybox",
    "run -d --security-opt no-new-privileges --security-opt seccomp=unconfined busybox",
    "run -d --security-opt seccomp=@/seccomp.json --security-opt apparmor:unconfined busybox",
    "run -d --security-opt systempaths=unconfined --security-opt no-new-privileges=true busybox",
    "run -d --ulimit nofile=1024:2048 --ulimit core=0 --ulimit nofile=10 busybox",
    "run -d --sysctl net.ipv4.ip_forward=1 --sysctl kernel.shmmax=1 busybox",
    "run -d --init busybox",
    "run -d --init=false --rm busybox",
    "run -d --restart always busybox",
    "run -d --restart on-failure:5 busybox",
    "run -d --restart unless-stopped busybox",
    "run -d --userns host --pid host --uts host --ipc host --cgroupns host busybox",
    "run -d --pid container:x --ipc shareable --cgroupns private busybox",
    "run -d --stop-signal SIGINT --stop-timeout 3 busybox",
    "run -d --log-driver json-file --log-opt max-size=1m --log-opt max-file=3 busybox",
    "run -d --shm-size 128m --cgroup-parent /x --oom-kill-disable --oom-score-adj 500 busybox",
    "run -d --add-host a:1.2.3.4 --add-host b=::1 --add-host c:host-gateway busybox",
    "run -d --dns 1.1.1.1 --dns-search example.com --dns-option ndots:1 --dns-opt debug busybox",
    "run -d --group-add audio --group-add 44 busybox",
    "run -d --annotation a=b --annotation c=d busybox",
    "run -d --no-healthcheck busybox",
    "run -dit --name=x --rm=false busybox sh",
];

/// Answers one client's requests until it has sent the create body.
fn record(listener: &TcpListener) -> Value {
    loop {
        let (stream, _) = listener.accept().expect("the client connects");
        let mut reader = BufReader::new(stream.try_clone().expect("a socket can be shared"));
        while let Some((line, body)) = request(&mut reader) {
            let created = line.contains("/containers/create");
            answer(&stream, if created { "{\"Id\":\"ab\",\"Warnings\":[]}" } else { "" }, created);
            if created {
                return serde_json::from_slice(&body).expect("the body is JSON");
            }
        }
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}

fn answer(mut stream: &TcpStream, body: &str, created: bool) {
    let status = if created { "201 Created" } else { "200 OK" };
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nApi-Version: 1.51\r\nOstype: linux\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
}

/// Splits a line at blanks outside of double quotes around a whole word; quotes inside a word stay.
fn words(line: &str, directory: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for part in line.split(' ') {
        let part = part.replace('@', directory);
        match words.last_mut().filter(|_| open) {
            Some(last) => *last = format!("{last} {}", part.trim_end_matches('"')),
            None => words.push(part.strip_prefix('"').unwrap_or(&part).to_owned()),
        }
        open = if open { !part.ends_with('"') } else { part.starts_with('"') };
    }
    words
}

/// Docker keeps variables and binds in maps, so their order means nothing; the terminal's size is the terminal's.
fn normal(mut body: Value) -> Value {
    if let Some(Value::Array(variables)) = body.get_mut("Env") {
        variables.sort_by_key(ToString::to_string);
    }
    if let Some(host) = body.get_mut("HostConfig").and_then(Value::as_object_mut) {
        host.remove("ConsoleSize");
        if let Some(Value::Array(binds)) = host.get_mut("Binds") {
            binds.sort_by_key(ToString::to_string);
        }
    }
    body
}

#[test]
fn docker_sends_the_same_bodies() {
    if Command::new("docker").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: there is no docker client here to compare with");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("a plain path").to_owned();
    for (name, content) in [
        ("env", "# note\nFROM_FILE=1\n  PATH\nGONE_NOT_SET\nX=a b\n"),
        ("labels", "from.file=yes\nalone\n"),
        ("seccomp.json", "{ \"defaultAction\": \"SCMP_ACT_ALLOW\",\n  \"syscalls\": [ ] }\n"),
    ] {
        std::fs::write(directory.path().join(name), content).expect("a file");
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = format!("tcp://{}", listener.local_addr().expect("an address"));
    let mut different = Vec::new();
    for line in LINES {
        let argv = words(line, &path);
        let mut docker = Command::new("docker");
        docker.args(&argv).env("DOCKER_HOST", &host).env("DOCKER_CONFIG", &path);
        docker.env_remove("DOCKER_CONTEXT").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut docker = docker.spawn().expect("docker runs");
        let theirs = normal(record(&listener));
        let _ = docker.kill();
        let _ = docker.wait();
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let ours = normal(body_of(&argv).unwrap_or_else(|e| panic!("{line}: {e}")));
        if ours != theirs {
            different.push(format!("{line}\n  {}", difference("", &ours, &theirs)));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Where two documents differ.
fn difference(path: &str, ours: &Value, theirs: &Value) -> String {
    if let (Value::Object(a), Value::Object(b)) = (ours, theirs) {
        let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        let missing = Value::String("(absent)".to_owned());
        let different: Vec<String> = keys
            .into_iter()
            .map(|key| (key, a.get(key).unwrap_or(&missing), b.get(key).unwrap_or(&missing)))
            .filter(|(_, a, b)| a != b)
            .map(|(key, a, b)| difference(&format!("{path}/{key}"), a, b))
            .collect();
        return different.join("\n  ");
    }
    format!("{path}: ours {ours} theirs {theirs}")
}
