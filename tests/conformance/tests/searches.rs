//! Searching a registry that answers as Docker's does, by both command lines, of Berth as of dockerd 20.10 (`BERTH_REFERENCE`). The
//! table was written by the docker command line and dockerd.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use testkit::Daemon;

/// After `$` the words of a command, then what it printed and its exit code; `o` marks what dockerd says alone, `n` what Berth's
/// daemon says, a blank both. `REGISTRY` stands for the registry's address.
const TABLE: &str = include_str!("searches.txt");

const RESULTS: &str = r#"{"num_results":3,"query":"box","results":[
    {"name":"box","description":"A box with everything that a very small system needs, and a little more","star_count":120,"is_official":true,"is_automated":false},
    {"name":"kim/box","description":"","star_count":3,"is_official":false,"is_automated":true},
    {"name":"kim/lines","description":"two\nlines","star_count":0,"is_official":false,"is_automated":false}]}"#;

/// Serves one registry of the old kind; answers its address and the searches that came.
fn serve() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &log);
        }
    });
    (address, asked)
}

/// One request, unless it is a TLS handshake.
fn answer(mut stream: TcpStream, log: &Mutex<Vec<String>>) -> Option<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok().filter(|()| byte[0] != 0x16)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?;
    let (status, body) = match path.split('?').next()? {
        "/v1/_ping" => ("200 OK", "true"),
        "/v1/search" => ("200 OK", RESULTS),
        _ => ("404 Not Found", "{}"),
    };
    if path.starts_with("/v1/search") {
        log.lock().unwrap().push(path.to_owned());
    }
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Docker-Registry-Standalone: True\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).ok()
}

pub(crate) fn by_both() {
    let mark = if testkit::is_reference() { 'o' } else { 'n' };
    let (d, (address, asked)) = (Daemon::start(), serve());
    for client in ["docker".to_owned(), std::env::var("BERTH").unwrap_or_else(|_| "berth".to_owned())] {
        let mut said = Vec::new();
        for line in TABLE.lines().filter_map(|line| line.strip_prefix("$ ")) {
            let words = line.split(' ').map(|word| word.replace("REGISTRY", &address).replace("TAB", "\t"));
            let mut command = Command::new(&client);
            command.args(words).env("DOCKER_HOST", d.host()).stdin(Stdio::null());
            command.env("DOCKER_CONFIG", d.directory().join("settings"));
            let output = command.output().unwrap_or_else(|e| panic!("{client}: {e}"));
            said.push(format!("$ {line}"));
            let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
            said.extend(
                text.lines().filter(|line| !line.trim().is_empty()).map(|line| line.trim_end().to_owned()),
            );
            said.push(format!("exit {}", output.status.code().unwrap_or(-1)));
        }
        let wanted: Vec<&str> = TABLE
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                if line.starts_with("$ ") { Some(line) } else { line.strip_prefix([' ', mark])?.get(1..) }
            })
            .collect();
        assert!(said == wanted, "{client} said:\n{}", said.join("\n"));
    }
    let asked = asked.lock().unwrap();
    for query in ["/v1/search?q=box&n=25", "/v1/search?q=box&n=7", "/v1/search?q=kim%2Fbox&n=25"] {
        assert!(asked.iter().any(|one| one == query), "{query}: {asked:?}");
    }
}
