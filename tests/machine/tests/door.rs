//! The Engine API at the level of bytes: what clients take for granted and no command line shows.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use testkit::{Daemon, slow, wait_for};

/// One answer: its head and its body, put together again when it came in chunks.
pub(crate) struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status line")
    }

    fn header(&self, name: &str) -> Option<String> {
        header(&self.head, name)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().expect("a message").to_owned()
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then(|| value.to_owned())
    })
}

fn connect(d: &Daemon) -> UnixStream {
    let stream = UnixStream::connect(d.directory().join("berth.sock")).expect("connect");
    stream.set_read_timeout(Some(slow(Duration::from_secs(20)))).expect("a time limit");
    stream
}

/// Reads up to and with the empty line; what follows stays in the socket.
fn read_head(stream: &mut UnixStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("a head of text")
}

pub(crate) fn ask(d: &Daemon, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let mut stream = connect(d);
    let body = body.map(Value::to_string).unwrap_or_default();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n{kind}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("ask");
    let head = read_head(&mut stream);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("a body");
    let is_chunked = header(&head, "transfer-encoding").is_some();
    Answer { head, body: if is_chunked { dechunk(&rest) } else { rest } }
}

fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n").expect("a chunk's size");
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).expect("hex");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
}

/// Asks for a stream, with `early` in the same packet as the head.
pub(crate) fn hijack(d: &Daemon, path: &str, body: &str, early: &[u8]) -> (String, UnixStream) {
    let mut stream = connect(d);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), early].concat()).expect("ask");
    (read_head(&mut stream), stream)
}

/// The next frame: stream and bytes; `None` at the end.
fn frame(stream: &mut UnixStream) -> Option<(u8, String)> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).ok()?;
    assert_eq!(head[1..4], [0, 0, 0], "a frame's head");
    let mut bytes = vec![0; u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize];
    stream.read_exact(&mut bytes).expect("a frame's bytes");
    Some((head[0], String::from_utf8(bytes).expect("text")))
}

fn daemon() -> Daemon {
    let d = Daemon::start();
    d.busybox();
    d
}

/// Makes a container that reads its input, over the API as `docker run -i` asks for it.
fn create(d: &Daemon, name: &str, script: &str) -> String {
    let body = json!({"Image": "busybox", "Cmd": ["sh", "-c", script], "OpenStdin": true, "StdinOnce": true,
        "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "HostConfig": null, "Env": null});
    let created = ask(d, "POST", &format!("/v1.51/containers/create?name={name}"), Some(&body));
    assert_eq!(created.status(), 201, "{}", String::from_utf8_lossy(&created.body));
    assert_eq!(created.json()["Warnings"], json!([]));
    created.json()["Id"].as_str().expect("an id").to_owned()
}

pub(crate) fn ping_and_versions() {
    let d = Daemon::start();
    for (method, path) in [("GET", "/_ping"), ("HEAD", "/_ping"), ("GET", "/v1.24/_ping")] {
        let ping = ask(&d, method, path, None);
        assert_eq!(ping.status(), 200, "{method} {path}");
        assert_eq!(ping.body, if method == "HEAD" { &b""[..] } else { b"OK" });
        for (name, value) in [
            ("api-version", "1.51"),
            ("ostype", "linux"),
            ("swarm", "inactive"),
            ("docker-experimental", "false"),
        ] {
            assert_eq!(ping.header(name).as_deref(), Some(value), "{name}");
        }
        assert!(ping.header("server").is_some_and(|s| s.starts_with("Docker/") && s.ends_with(" (linux)")));
        assert!(ping.header("cache-control").is_some_and(|c| c.contains("no-store")));
    }
    let old = ask(&d, "GET", "/v1.23/info", None);
    let new = ask(&d, "GET", "/v1.99/info", None);
    assert_eq!((old.status(), new.status()), (400, 400));
    assert!(
        old.message().starts_with("client version 1.23 is too old. Minimum supported API version is 1.24")
    );
    assert_eq!(new.message(), "client version 1.99 is too new. Maximum supported API version is 1.51");
    for (method, path) in [("GET", "/nope"), ("PUT", "/info"), ("GET", "/containers//json")] {
        let unknown = ask(&d, method, path, None);
        assert_eq!(
            (unknown.status(), unknown.message().as_str()),
            (404, "page not found"),
            "{method} {path}"
        );
    }
    assert_eq!(ask(&d, "GET", "/services", None).status(), 503);
    assert_eq!(ask(&d, "GET", "/plugins", None).json(), json!([]));
}

pub(crate) fn refusals_reach_the_client() {
    let d = daemon();
    let large = json!({"Name": "n", "Filler": "x".repeat(3 << 20)});
    let refused = ask(&d, "POST", "/v1.51/networks/create", Some(&large));
    assert_eq!(refused.status(), 501);
    assert!(refused.message().contains("network create"), "{}", refused.message());
    let too_large = json!({"Image": "x".repeat(5 << 20)});
    assert_eq!(ask(&d, "POST", "/containers/create", Some(&too_large)).status(), 400);
    let id = create(&d, "strict", "true");
    let with_body = ask(&d, "POST", &format!("/containers/{id}/start"), Some(&json!({"Binds": ["/:/x"]})));
    assert_eq!(with_body.status(), 400);
    assert_eq!(ask(&d, "POST", &format!("/containers/{id}/stop"), None).status(), 304);
    assert_eq!(ask(&d, "GET", &format!("/containers/{id}/logs"), None).status(), 400);
    let odd = ask(&d, "GET", "/containers/json?filters=%7B%22odd%22%3A%5B%22x%22%5D%7D", None);
    assert_eq!((odd.status(), odd.message().as_str()), (400, "invalid filter 'odd'"));
    let escaped = ask(&d, "GET", "/images/docker.io%2Flibrary%2Fbusybox%3Alatest/json", None);
    assert_eq!(escaped.status(), 200);
    assert_eq!(
        ask(&d, "GET", "/images/docker.io/library/busybox/json", None).json()["Id"],
        escaped.json()["Id"]
    );
    let network = json!({"Image": "busybox", "HostConfig": {"NetworkMode": "nowhere"}});
    assert_eq!(
        ask(&d, "POST", "/containers/create", Some(&network)).status(),
        400,
        "404 would mean the image"
    );
    assert_eq!(ask(&d, "POST", "/containers/create", Some(&json!({"Image": "nowhere"}))).status(), 404);
}

pub(crate) fn answers_have_their_versions_shape() {
    let d = daemon();
    let size = |version: &str| {
        let images = ask(&d, "GET", &format!("/{version}/images/json"), None).json();
        (images[0]["Size"].as_i64(), images[0]["VirtualSize"].as_i64())
    };
    let (new, old) = (size("v1.44"), size("v1.43"));
    assert!(new.0.is_some_and(|s| s > 0) && new.1.is_none() && old.1 == new.0, "{new:?} {old:?}");
    create(&d, "talker", "echo out; echo err >&2");
    assert_eq!(ask(&d, "POST", "/containers/talker/start", None).status(), 204);
    assert_eq!(ask(&d, "POST", "/containers/talker/wait", None).json(), json!({"StatusCode": 0}));
    for (version, kind) in [
        ("v1.41", "application/vnd.docker.raw-stream"),
        ("v1.42", "application/vnd.docker.multiplexed-stream"),
    ] {
        let logs = ask(&d, "GET", &format!("/{version}/containers/talker/logs?stdout=1&stderr=1"), None);
        assert_eq!(logs.header("content-type").as_deref(), Some(kind));
        let wanted: [&[u8]; 2] = [b"\x01\0\0\0\0\0\0\x04out\n", b"\x02\0\0\0\0\0\0\x04err\n"];
        assert!(
            logs.body == wanted.concat() || logs.body == [wanted[1], wanted[0]].concat(),
            "{:?}",
            logs.body
        );
    }
}

pub(crate) fn streams_are_hijacked() {
    let d = daemon();
    let id = create(&d, "reader", "cat; sleep 0.3; echo after >&2");
    let path = format!("/v1.51/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1");
    let (head, mut stream) = hijack(&d, &path, "", b"early\n");
    assert!(head.starts_with("HTTP/1.1 101 UPGRADED\r\n"), "{head}");
    assert_eq!(header(&head, "content-type").as_deref(), Some("application/vnd.docker.multiplexed-stream"));
    assert_eq!(ask(&d, "POST", &format!("/containers/{id}/start"), None).status(), 204);
    assert_eq!(frame(&mut stream), Some((1, "early\n".to_owned())));
    stream.write_all(b"later\n").expect("input");
    assert_eq!(frame(&mut stream), Some((1, "later\n".to_owned())));
    // The end of the input is not the end of the output.
    stream.shutdown(Shutdown::Write).expect("half-close");
    assert_eq!(frame(&mut stream), Some((2, "after\n".to_owned())));
    assert_eq!(frame(&mut stream), None);
}

pub(crate) fn streams_without_upgrade() {
    let d = daemon();
    create(&d, "plain", "echo one; sleep 0.2; echo two");
    let mut stream = connect(&d);
    stream
        .write_all(b"POST /v1.24/containers/plain/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n")
        .expect("ask");
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(header(&head, "content-type").as_deref(), Some("application/vnd.docker.raw-stream"));
    assert_eq!(ask(&d, "POST", "/containers/plain/start", None).status(), 204);
    let mut body = Vec::new();
    let mut buffer = [0; 4096];
    while !body.ends_with(b"0\r\n\r\n") {
        let count = stream.read(&mut buffer).expect("the body");
        assert_ne!(count, 0, "the body was cut short");
        body.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(dechunk(&body), b"\x01\0\0\0\0\0\0\x04one\n\x01\0\0\0\0\0\0\x04two\n");
}

pub(crate) fn exec_errors_come_in_the_stream() {
    let d = daemon();
    d.berth(&["run", "-d", "--name", "host", "busybox", "sleep", "1000"]).ok();
    let made =
        ask(&d, "POST", "/containers/host/exec", Some(&json!({"Cmd": ["/nowhere"], "AttachStdout": true})));
    assert_eq!(made.status(), 201);
    let id = made.json()["Id"].as_str().expect("an id").to_owned();
    let (head, mut stream) = hijack(&d, &format!("/v1.51/exec/{id}/start"), "{}", b"");
    assert!(head.starts_with("HTTP/1.1 101 UPGRADED\r\n"), "{head}");
    let (_, said) = frame(&mut stream).expect("the error");
    assert!(said.contains("/nowhere") && said.ends_with("\r\n"), "{said}");
    assert_eq!(ask(&d, "GET", &format!("/exec/{id}/json"), None).json()["ExitCode"], json!(127));
    assert_eq!(ask(&d, "POST", "/exec/nowhere/start", Some(&json!({}))).status(), 404);
    let late = ask(&d, "POST", "/containers/host/exec", Some(&json!({"Cmd": ["true"]}))).json();
    d.berth(&["kill", "host"]).ok();
    d.berth(&["wait", "host"]).ok();
    let path = format!("/exec/{}/start", late["Id"].as_str().expect("an id"));
    assert_eq!(ask(&d, "POST", &path, Some(&json!({}))).status(), 409);
}

pub(crate) fn wait_says_that_it_waits() {
    let d = daemon();
    create(&d, "sleeper", "sleep 1; exit 7");
    assert_eq!(ask(&d, "POST", "/containers/sleeper/start", None).status(), 204);
    let begun = Instant::now();
    let mut stream = connect(&d);
    stream
        .write_all(b"POST /containers/sleeper/wait?condition=next-exit HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        .expect("ask");
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200 OK"));
    assert!(begun.elapsed() < slow(Duration::from_millis(700)), "the head came with the body");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the body");
    assert_eq!(dechunk(&rest), b"{\"StatusCode\":7}\n");
}

pub(crate) fn vanished_clients_leave_nothing() {
    let d = daemon();
    d.berth(&["run", "-d", "-i", "--name", "silent", "busybox", "sleep", "1000"]).ok();
    let open = || std::fs::read_dir(format!("/proc/{}/fd", d.pid())).map_or(0, Iterator::count);
    let before = open();
    let mut clients = Vec::new();
    for path in ["/containers/silent/attach?stream=1&stdin=1&stdout=1&stderr=1", "/containers/silent/wait"] {
        clients.extend((0..10).map(|_| hijack(&d, path, "", b"")));
    }
    for path in ["/events", "/containers/silent/logs?follow=1&stdout=1", "/containers/silent/stats"] {
        let mut stream = connect(&d);
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: d\r\n\r\n").as_bytes()).expect("ask");
        clients.push((read_head(&mut stream), stream));
    }
    assert!(open() > before + 20);
    drop(clients);
    wait_for("the descriptors of vanished clients to be closed", || open() <= before + 2);
    assert_eq!(d.berth(&["exec", "silent", "echo", "well"]).ok(), "well");
}

pub(crate) fn one_daemon_per_socket_and_root() {
    let d = Daemon::start();
    let other = d.directory().join("other");
    let start = |exec_root: &str, host: &str| {
        let data = other.join("data").display().to_string();
        d.berth(&["daemon", "--data-root", &data, "--exec-root", exec_root, "--host", host])
    };
    let own_run = d.exec_root().display().to_string();
    let other_run = other.join("run").display().to_string();
    let taken = start(&other_run, &d.host());
    assert!(taken.code == 1 && taken.err.contains("another daemon answers there"), "{}", taken.err);
    let second = start(&own_run, &format!("unix://{}", other.join("s").display()));
    assert!(
        second.code == 1 && second.err.contains(&format!("another daemon (pid {})", d.pid())),
        "{}",
        second.err
    );
    assert!(!other.join("data").exists(), "a refused daemon made something");
    assert_eq!(ask(&d, "GET", "/_ping", None).status(), 200);
}

/// Clients that begin to upload and stop in the middle cost nobody else anything.
pub(crate) fn stalled_uploads_hold_nobody_up() {
    let d = daemon();
    let stalled: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect(&d);
            let head = "POST /images/load HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).expect("begin");
            read_head(&mut stream);
            stream
        })
        .collect();
    assert_eq!(d.berth(&["run", "--rm", "busybox", "echo", "well"]).ok(), "well");
    drop(stalled);
    let ingest = d.data_root().join("ingest");
    wait_for("the uploads to be given up", || {
        std::fs::read_dir(&ingest).is_ok_and(|mut i| i.next().is_none())
    });
}

pub(crate) fn tcp_is_for_loopback_only() {
    let d = Daemon::start_with(&["--host", "tcp://127.0.0.1:23752"], &[]);
    let other = d.directory().join("other");
    let [data, run] = ["data", "run"].map(|name| other.join(name).display().to_string());
    for host in [
        "0.0.0.0:23751",
        "[::]:23751",
        "10.0.0.1:23751",
        "[::ffff:10.0.0.1]:23751",
        "127.0.0.1:23753,0.0.0.0:23751",
    ] {
        let mut words = vec!["daemon", "--data-root", &data, "--exec-root", &run];
        let hosts: Vec<String> = host.split(',').map(|host| format!("tcp://{host}")).collect();
        words.extend(hosts.iter().flat_map(|host| ["--host", host]));
        let refused = d.berth(&words);
        assert!(refused.code == 1 && !other.exists(), "{host}: {}", refused.err);
        assert!(host.contains(',') || refused.err.contains("would be root here"), "{host}: {}", refused.err);
    }
    // Local address and state of every socket: the daemon's one listens (0A) on 127.0.0.1, nothing else does.
    let table =
        ["tcp", "tcp6"].map(|name| std::fs::read_to_string(format!("/proc/{}/net/{name}", d.pid())).unwrap());
    let listening: Vec<&str> = table
        .iter()
        .flat_map(|text| text.lines())
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.get(3) == Some(&"0A"))
        .map(|words| words[1])
        .collect();
    assert_eq!(listening, [format!("0100007F:{:04X}", 23752)]);
    let mut stream = std::net::TcpStream::connect("127.0.0.1:23752").expect("the daemon's port");
    stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("OK"), "{answer}");
}

/// More connections than there are descriptors: those that come late are told, and containers get what they need.
pub(crate) fn floods_leave_descriptors_for_containers() {
    let d = daemon();
    let limit = Rlimit { current: Some(200), maximum: Some(200) };
    prlimit(Pid::from_raw(d.pid() as i32), Resource::Nofile, limit).expect("a smaller limit");
    d.berth(&["run", "-d", "--rm", "--name", "brief", "busybox", "sleep", "2"]).ok();
    let mut early = connect(&d);
    let mut flood: Vec<_> =
        (0..300).filter_map(|_| UnixStream::connect(d.directory().join("berth.sock")).ok()).collect();
    let mut late = String::new();
    flood.last_mut().expect("one").read_to_string(&mut late).expect("an answer");
    assert!(late.starts_with("HTTP/1.1 503 ") && late.contains("too many connections"), "{late}");
    wait_for("--rm, seen by who came early", || {
        early.write_all(b"GET /containers/brief/json HTTP/1.1\r\nHost: d\r\n\r\n").expect("ask");
        let head = read_head(&mut early);
        let length = header(&head, "content-length").and_then(|l| l.parse().ok()).expect("a length");
        let mut body = vec![0; length];
        early.read_exact(&mut body).expect("a body");
        head.contains(" 404 ")
    });
    drop(flood);
    assert_eq!(d.berth(&["run", "--rm", "busybox", "echo", "well"]).ok(), "well");
    assert_eq!(d.log().matches("ERROR").count(), 0, "{}", d.log());
}

pub(crate) fn the_past_joins_the_present() {
    let d = daemon();
    d.berth(&[
        "run",
        "-d",
        "--name",
        "counts",
        "busybox",
        "sh",
        "-c",
        "i=0; while :; do i=$((i+1)); echo $i; done",
    ])
    .ok();
    wait_for("some past", || {
        d.berth(&["logs", "--tail", "1", "counts"]).out.trim().parse().unwrap_or(0) > 100
    });
    let (_, mut stream) = hijack(&d, "/containers/counts/attach?logs=1&stream=1&stdout=1", "", b"");
    let (mut text, mut lines) = (String::new(), 0);
    while lines < 20_000 {
        let piece = frame(&mut stream).expect("the stream goes on").1;
        lines += piece.matches('\n').count();
        text += &piece;
    }
    let whole = text.rfind('\n').expect("a line");
    for (line, number) in text[..whole].lines().zip(1..) {
        assert_eq!(line.parse(), Ok(number), "a gap or a double");
    }
    d.berth(&["rm", "-f", "counts"]).ok();
}

pub(crate) fn detach_keys_end_the_session_only() {
    let d = daemon();
    d.berth(&["run", "-dit", "--name", "shell", "busybox", "cat"]).ok();
    for (keys, typed) in [("", &b"one\x10\x11"[..]), ("&detachKeys=ctrl-a,x", b"two\x01x")] {
        let path = format!("/containers/shell/attach?stream=1&stdin=1&stdout=1{keys}");
        let (_, mut stream) = hijack(&d, &path, "", b"");
        // As a person types: dockerd knows a key only when it comes alone.
        for byte in typed {
            std::thread::sleep(Duration::from_millis(20));
            stream.write_all(&[*byte]).expect("a key");
        }
        let mut seen = Vec::new();
        stream.read_to_end(&mut seen).expect("the session ends");
        assert!(!seen.contains(&typed[3]), "the keys reached the terminal: {seen:?}");
    }
    assert_eq!(d.berth(&["inspect", "-f", "{{.State.Running}}", "shell"]).ok(), "true");
}
