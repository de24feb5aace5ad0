//! `berth` and `docker`, side by side before one daemon with canned answers: what they print and how they exit is the
//! same, name aside. Skipped, with a word, where there is no docker client.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "runs programs against a listener of its own"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

/// Command lines, blanks between words, `_` for a blank inside of one.
const LINES: &[&str] = &[
    // lists
    "ps",
    "ps -a --no-trunc",
    "ps -q",
    "ps -s",
    "ps --format {{.ID}}|{{.Names}}|{{.Image}}|{{.Ports}}|{{.Labels}}|{{.Label_\"a\"}}|{{.Mounts}}|{{.Networks}}",
    "ps --format table_{{.Names}}\\t{{upper_.Image}}\\t{{.Status}}",
    "ps --format json",
    "ps --format {{json_.Names}}{{println}}{{truncate_.ID_3}}{{pad_.Image_2_2}}",
    "ps -q --format {{.Names}}",
    "images",
    "images --digests",
    "images --no-trunc -q",
    "images --format {{json_.}}",
    "image ls --format table_{{.Repository}}\\t{{.VirtualSize}}",
    "history img",
    "history --no-trunc -H=false img",
    "history -q img",
    "volume ls",
    "volume ls -q",
    "volume ls --format {{.Name}}_{{.Label_\"k\"}}_{{.Size}}",
    "network ls",
    "network ls --no-trunc --format json",
    "inspect c1",
    "inspect -f {{.Name}}_{{.State.Running}}_{{json_.Config.Labels}}_{{join_.Args_\",\"}} c1",
    "inspect -f {{.Config.Labels.a}}_{{.Config.Labels.nope}} c1",
    "inspect -f {{.Config.Nope}} c1",
    "inspect -f {{.Name}}_{{if_.Config.Nope}}{{end}} c1",
    "inspect c1 nope",
    "inspect -f {{.Id}} nope",
    "container inspect nope",
    "inspect --type volume nope",
    "top c1",
    "port c1",
    "port c1 80",
    "port c1 81",
    "port c1 x",
    "logs c1",
    "logs nope",
    "events --until 1",
    "events --until 1 --format {{.Type}}:{{.Action}}",
    "events --until 1 --format {{.Actor.Attributes.name}}_{{.Actor.Attributes.nope}}",
    // one after the other
    "stop c1 nope",
    "start c1 nope",
    "kill c1",
    "pause nope",
    "wait c1",
    "rm c1 nope",
    "rm -f nope",
    "rmi img",
    "rmi nope",
    "rmi -f nope",
    "tag img X",
    "rename c1 c2",
    "rename nope c2",
    "rename c1 c1_",
    "update c1",
    "update -m 64m c1",
    "volume create v",
    "volume rm nope",
    "exec c1 true",
    "exec nope true",
    "attach stopped",
    // run
    "run img",
    "run --rm img",
    "run -d img",
    "run --name conflict img",
    "run --name nofile img",
    "run --name noexec img",
    "create img",
    "run --pull foo img",
    "run -d -a stdin img",
    "run -it img",
    "run IMG",
    "run -p abc img",
    "run --pid foo img",
    "run --rm --restart=always img",
    "run --env-file /nonexistent img",
    "run --security-opt foo img",
    "run --cidfile /etc/passwd img",
    // usage
    "run",
    "run --foo x",
    "run -Z x",
    "run -e",
    "run --name",
    "run -m 1x a",
    "run --shm-size x a",
    "run --cpus x a",
    "run --mount foo a",
    "run --ulimit x a",
    "run --ulimit nofile=5:3 a",
    "run --dns x a",
    "run -e =x a",
    "run --add-host x a",
    "run -a foo a",
    "run --pids-limit x a",
    "run --sysctl x a",
    "run -it=x a",
    "run --device-cgroup-rule x a",
    "run --network name=x,foo=y a",
    "ps x",
    "ps -n x",
    "ps --filter foo",
    "exec c1",
    "rename c1",
    "stop",
    "foo",
    "container foo",
    "image foo",
    "--foo ps",
];

#[test]
fn the_same_words_and_exit_codes() {
    if Command::new("docker").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: there is no docker client here to compare with");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("tcp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(&stream));
        }
    });
    let mut different = Vec::new();
    for line in LINES {
        let theirs = outcome("docker", line, &host);
        let ours = outcome(env!("CARGO_BIN_EXE_berth"), line, &host);
        if ours != theirs {
            different.push(format!("== {line}\n-- docker:\n{theirs}\n-- berth:\n{ours}"));
        }
    }
    assert!(different.is_empty(), "{} of {} differ\n{}", different.len(), LINES.len(), different.join("\n"));
}

/// What a program printed and how it ended, in docker's name.
fn outcome(program: &str, line: &str, host: &str) -> String {
    let argv = line.split(' ').map(|word| word.replace('_', " "));
    let output = Command::new(program)
        .args(argv)
        .env("DOCKER_HOST", host)
        .env("DOCKER_CONFIG", "/nonexistent")
        .env_remove("DOCKER_CONTEXT")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("berth", "docker");
    format!("{}{}exit {:?}", text(&output.stdout), text(&output.stderr), output.status.code())
}

fn serve(stream: &TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some((method, path)) = request(&mut reader) {
        if !respond(stream, &method, &path) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
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
    reader.read_exact(&mut vec![0; length]).ok()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let versioned = target.strip_prefix("/v1.");
    let path = versioned.map_or(target, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    Some((method, path.to_owned()))
}

/// Answers; false when the connection is done.
fn respond(mut stream: &TcpStream, method: &str, target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    if path.ends_with("/attach")
        || (path.starts_with("/exec/") && path.ends_with("/start") && method == "POST")
    {
        let head = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
        // Containers that do not start print nothing: whether a client would still show it is a race.
        let printed = if path.contains("/ab02/") || path.contains("/ab03/") { Vec::new() } else { frames() };
        let _ = stream.write_all(&[head.as_bytes(), &printed].concat());
        return false;
    }
    let (status, body) = answer(method, path, target);
    let head = format!(
        "HTTP/1.1 {status} X\r\nApi-Version: 1.51\r\nOstype: linux\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        if method == "HEAD" { 0 } else { body.len() }
    );
    let _ = stream.write_all(head.as_bytes());
    if method != "HEAD" {
        let _ = stream.write_all(&body);
    }
    true
}

/// A line on stdout and one on stderr.
fn frames() -> Vec<u8> {
    [&[1, 0, 0, 0, 0, 0, 0, 4][..], b"out\n", &[2, 0, 0, 0, 0, 0, 0, 4], b"err\n"].concat()
}

fn answer(method: &str, path: &str, target: &str) -> (u16, Vec<u8>) {
    let json = |text: &str| (200, text.replace('\n', "").replace("  ", "").into_bytes());
    let refuse = |status: u16, text: &str| (status, format!("{{\"message\":{text:?}}}").into_bytes());
    let absent = |what: &str| refuse(404, &format!("No such {what}: nope"));
    match (method, path) {
        (_, "/_ping") => (200, Vec::new()),
        ("GET", "/info") => json("{\"Swarm\":{\"ControlAvailable\":false}}"),
        ("GET", "/containers/json") => json(CONTAINERS),
        ("GET", "/images/json") => json(IMAGES),
        ("GET", "/images/img/history") => json(HISTORY),
        ("GET", "/volumes") => json(VOLUMES),
        ("GET", "/networks") => json(NETWORKS),
        ("GET", "/events") => json(EVENTS),
        ("GET", "/containers/c1/json") => json(CONTAINER),
        ("GET", "/containers/stopped/json") => {
            json("{\"Id\":\"ab\",\"State\":{\"Running\":false},\"Config\":{}}")
        }
        ("GET", "/containers/c1/top") => {
            json("{\"Titles\":[\"PID\",\"CMD\"],\"Processes\":[[\"1\",\"sh -c x\"]]}")
        }
        ("GET", "/exec/e1/json") => json("{\"ExitCode\":7}"),
        ("POST", "/containers/c1/exec") => json("{\"Id\":\"e1\"}"),
        ("POST", "/volumes/create") => json("{\"Name\":\"v\"}"),
        ("POST", "/containers/c1/update") => json("{\"Warnings\":[\"careful\"]}"),
        ("POST", "/containers/create") => create(target),
        ("DELETE", "/images/img") => json("[{\"Untagged\":\"img:latest\"},{\"Deleted\":\"sha256:ab\"}]"),
        ("GET", path) if path.ends_with("/logs") => (200, frames()),
        ("POST", path) if path.ends_with("/wait") => json("{\"StatusCode\":3}"),
        ("POST", "/containers/ab02/start") => refuse(400, "exec: \"x\": executable file not found in $PATH"),
        ("POST", "/containers/ab03/start") => refuse(400, "exec /etc/passwd: permission denied"),
        (_, path) if path.starts_with("/images/nope") => absent("image"),
        (_, path) if path.starts_with("/volumes/nope") => absent("volume"),
        (_, path) if path.contains("/nope") => absent("container"),
        (_, path) if path.starts_with("/containers/") => (204, Vec::new()),
        _ => refuse(500, &format!("no canned answer for {method} {target}")),
    }
}

fn create(target: &str) -> (u16, Vec<u8>) {
    if target.contains("conflict") {
        return (
            409,
            b"{\"message\":\"Conflict. The container name \\\"/conflict\\\" is already in use\"}".to_vec(),
        );
    }
    let id = match () {
        () if target.contains("nofile") => "ab02",
        () if target.contains("noexec") => "ab03",
        () => "ab01",
    };
    (201, format!("{{\"Id\":\"{id}\",\"Warnings\":[\"it is a test\"]}}").into_bytes())
}

const CONTAINERS: &str = r#"[
  {"Id":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","Names":["/web","/other/alias"],
   "Image":"busybox:1.36","ImageID":"sha256:ffff456789abcdef","Command":"sh -c 'sleep 1000000'","Created":1500000000,
   "Ports":[{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"IP":"::","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},
   {"PrivatePort":90,"Type":"tcp"},{"PrivatePort":91,"Type":"tcp"},{"IP":"0.0.0.0","PrivatePort":5,"PublicPort":5,"Type":"udp"}],
   "Labels":{"b":"2","a":"1 <x>"},"State":"running","Status":"Up 2 days","SizeRw":2000,"SizeRootFs":5000000,
   "HostConfig":{"NetworkMode":"bridge"},"NetworkSettings":{"Networks":{"bridge":{}}},
   "Mounts":[{"Type":"volume","Name":"averyveryverylongname","Source":"/x","Driver":"local"},{"Type":"bind","Source":"/tmp"}]},
  {"Id":"aa23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","Names":["/two"],"Image":"sha256:ffff456789abcdef",
   "ImageID":"sha256:ffff456789abcdef","Command":"true","Created":1600000000,"Ports":[],"Labels":{},"State":"exited",
   "Status":"Exited (0) 3 weeks ago","HostConfig":{},"NetworkSettings":{"Networks":{}},"Mounts":[]}
]"#;

const IMAGES: &str = r#"[
  {"Id":"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","RepoTags":["busybox:1.36"],
   "RepoDigests":["busybox@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
   "Created":1500000000,"Size":4261550,"SharedSize":-1,"Containers":-1,"Labels":null,"ParentId":""},
  {"Id":"sha256:bb23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","RepoTags":[],"RepoDigests":[],
   "Created":1400000000,"Size":12,"SharedSize":-1,"Containers":-1,"Labels":{},"ParentId":""}
]"#;

const HISTORY: &str = r#"[
  {"Id":"sha256:0123456789abcdef","Created":1500000000,"CreatedBy":"/bin/sh -c #(nop) CMD [\"a very long command line that is cut\"]","Size":0,"Comment":"note","Tags":["a:b"]},
  {"Id":"<missing>","Created":0,"CreatedBy":"COPY\tx","Size":4261550,"Comment":"","Tags":null}
]"#;

const VOLUMES: &str = r#"{"Volumes":[{"Name":"v1","Driver":"local","Scope":"local","Mountpoint":"/m","Labels":{"k":"w"}},
  {"Name":"a0","Driver":"local","Scope":"local","Mountpoint":"/n","Labels":null}],"Warnings":null}"#;

const NETWORKS: &str = r#"[{"Name":"none","Id":"cc23456789abcdef","Created":"2020-01-02T03:04:05Z","Scope":"local","Driver":"null","EnableIPv4":false,"EnableIPv6":false,"Internal":false,"Labels":{}},
  {"Name":"bridge","Id":"dd23456789abcdef","Created":"2020-01-02T03:04:05Z","Scope":"local","Driver":"bridge","EnableIPv4":true,"EnableIPv6":false,"Internal":false,"Labels":{}}]"#;

const EVENTS: &str = r#"{"Type":"container","Action":"die","Actor":{"ID":"ab","Attributes":{"name":"x","exitCode":"0"}},"scope":"local","time":1500000000,"timeNano":1500000000000000001}"#;

const CONTAINER: &str = r#"{"Id":"c1c1","Name":"/c1","Args":["-c","x y"],"State":{"Status":"running","Running":true,"Paused":false},
  "Config":{"Tty":false,"OpenStdin":false,"Labels":{"a":"1"}},"HostConfig":{"AutoRemove":false},
  "NetworkSettings":{"Ports":{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}],"9/udp":null}}}"#;
