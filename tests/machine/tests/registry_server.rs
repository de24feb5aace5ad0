//! `berth registry`: the real program, killed at any moment, told to end, told to read its certificate again, and asked to collect
//! garbage while it serves.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use testkit::wait_for;

/// A registry below a directory of its own.
pub(crate) struct Registry {
    directory: PathBuf,
    pub(crate) address: String,
    process: Child,
}

fn directory(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("{}-registry-{name}", testkit::mark()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

impl Registry {
    pub(crate) fn start(directory: &Path, flags: &[&str]) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = berth(&["registry", "serve", "--delete", "--address", &address]);
        command.arg("--data-root").arg(directory.join("data")).args(flags);
        let log = std::fs::File::options().create(true).append(true).open(directory.join("log")).unwrap();
        let process = command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        wait_for("the registry", || TcpStream::connect(&address).is_ok());
        Self { directory: directory.to_owned(), address, process }
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::mem::forget(self);
    }

    pub(crate) fn ask(&self, line: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        ask(&self.address, line, body)
    }

    fn ended(&mut self) -> bool {
        wait_for("the registry's end", || self.process.try_wait().unwrap().is_some());
        self.process.wait().unwrap().success()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Begins to push a blob; without the connection, it is broken off.
pub(crate) fn begun(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let digest = digest(bytes);
    let head = format!("POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\n");
    let length = format!("Content-Length: {}\r\n\r\n", bytes.len() * 2);
    stream.write_all(&[head.as_bytes(), length.as_bytes(), bytes].concat()).unwrap();
    stream
}

pub(crate) fn berth(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::var("BERTH").expect("BERTH"));
    command.args(words);
    command
}

/// Asks on a connection of its own; nothing when the registry went away meanwhile.
pub(crate) fn ask(address: &str, line: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let kind = "Content-Type: application/vnd.oci.image.manifest.v1+json";
    let head = format!(
        "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let status = std::str::from_utf8(&answer[..end]).ok()?.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer[end..].to_vec()))
}

fn digest(bytes: &[u8]) -> String {
    let mut sum = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    sum.stdin.take().unwrap().write_all(bytes).unwrap();
    let said = sum.wait_with_output().unwrap();
    format!("sha256:{}", String::from_utf8_lossy(&said.stdout).split(' ').next().unwrap())
}

/// An image with one layer: the manifest, and its two blobs with their digests.
pub(crate) struct Image {
    pub(crate) manifest: String,
    pub(crate) blobs: [(Vec<u8>, String); 2],
}

pub(crate) fn image(number: usize) -> Image {
    let layer: Vec<u8> = format!("layer {number} ").bytes().cycle().take(20_000 + number).collect();
    let blobs = [(b"{}".to_vec(), digest(b"{}")), (layer.clone(), digest(&layer))];
    let part = |kind: &str, (bytes, digest): &(Vec<u8>, String)| {
        format!(
            "{{\"mediaType\":\"application/vnd.oci.image.{kind}\",\"digest\":\"{digest}\",\"size\":{}}}",
            bytes.len()
        )
    };
    let manifest = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{},\"layers\":[{}]}}",
        part("config.v1+json", &blobs[0]),
        part("layer.v1.tar", &blobs[1])
    );
    Image { manifest, blobs }
}

/// Pushes; whether the manifest was acknowledged.
pub(crate) fn push(address: &str, tag: &str, image: &Image) -> bool {
    let mut blobs = image.blobs.iter();
    blobs.all(|(bytes, digest)| {
        ask(address, &format!("POST /v2/a/blobs/uploads/?digest={digest}"), bytes)
            .is_some_and(|(status, _)| status == 201)
    }) && ask(address, &format!("PUT /v2/a/manifests/{tag}"), image.manifest.as_bytes())
        .is_some_and(|(status, _)| status == 201)
}

/// Killed again and again while three clients push and one has garbage collected: what was acknowledged is there, whole, and nothing
/// lies on the disk that no record names.
pub(crate) fn killed_at_any_moment() {
    let directory = directory("killed");
    let images: Vec<Image> = (0..40).map(image).collect();
    let acknowledged = Mutex::new(BTreeMap::new());
    for round in 0..25_u64 {
        let registry = Registry::start(&directory, &["--gc-grace", "0s"]);
        let (address, process) = (registry.address.clone(), registry.process.id().to_string());
        std::thread::scope(|scope| {
            for client in 0..3 {
                let (images, acknowledged, address) = (&images, &acknowledged, &address);
                scope.spawn(move || {
                    for n in 0.. {
                        let (number, tag) =
                            ((n * 3 + client) % images.len(), format!("r{round}c{client}n{n}"));
                        if push(address, &tag, &images[number]) {
                            acknowledged.lock().unwrap().insert(tag, number);
                        } else if TcpStream::connect(address).is_err() {
                            break;
                        }
                    }
                });
            }
            scope.spawn(|| {
                let mut collect = berth(&["registry", "garbage-collect", "--grace", "0s", "--data-root"]);
                let _ = collect.arg(directory.join("data")).output();
            });
            std::thread::sleep(Duration::from_millis(40 + round * 37 % 400));
            Command::new("kill").args(["-9", &process]).status().unwrap();
        });
        registry.kill();
    }
    let registry = Registry::start(&directory, &[]);
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > 25, "{} pushes were acknowledged", acknowledged.len());
    for (tag, number) in &acknowledged {
        let image = &images[*number];
        let (status, manifest) = registry.ask(&format!("GET /v2/a/manifests/{tag}"), b"").unwrap();
        assert!(status == 200 && manifest == image.manifest.as_bytes(), "{tag}: {status}");
        for (bytes, digest) in &image.blobs {
            let (status, blob) = registry.ask(&format!("GET /v2/a/blobs/{digest}"), b"").unwrap();
            assert!(status == 200 && blob == *bytes, "{tag} lost {digest}: {status}");
        }
    }
    let uploads = directory.join("data/uploads");
    assert!(std::fs::read_dir(uploads).unwrap().next().is_none(), "uploads of killed processes are left");
    nothing_unrecorded(&registry);
}

/// Every file is named by what can be pulled, once everything else was collected.
fn nothing_unrecorded(registry: &Registry) {
    // Some were recorded whose client heard nothing of it any more.
    let list: Value = serde_json::from_slice(&registry.ask("GET /v2/a/tags/list", b"").unwrap().1).unwrap();
    for tag in list["tags"].as_array().unwrap().iter().filter_map(Value::as_str) {
        assert_eq!(registry.ask(&format!("DELETE /v2/a/manifests/{tag}"), b"").unwrap().0, 202);
    }
    std::thread::sleep(Duration::from_millis(1100));
    let mut collect = berth(&["registry", "garbage-collect", "-m", "--grace", "0s", "--data-root"]);
    let said = collect.arg(registry.directory.join("data")).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let blobs = registry.directory.join("data/blobs/sha256");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 0, "{}", String::from_utf8_lossy(&said.stdout));
}

/// SIGTERM: what is under way is finished, nothing new is begun, and the exit code is good.
pub(crate) fn ends_in_good_order() {
    let directory = directory("ends");
    let mut registry = Registry::start(&directory, &[]);
    let bytes = vec![9; 3_000_000];
    let path = format!("POST /v2/a/blobs/uploads/?digest={}", digest(&bytes));
    let mut stream = TcpStream::connect(&registry.address).unwrap();
    let head = format!("{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", bytes.len());
    stream.write_all(&[head.as_bytes(), &bytes[..1_000_000]].concat()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    Command::new("kill").arg(registry.process.id().to_string()).status().unwrap();
    wait_for("the closed port", || TcpStream::connect(&registry.address).is_err());
    stream.write_all(&bytes[1_000_000..]).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&answer));
    assert!(registry.ended());
    let again = Registry::start(&directory, &[]);
    assert_eq!(again.ask(&format!("GET /v2/a/blobs/{}", digest(&bytes)), b"").unwrap().1, bytes);
    let mut second = berth(&["registry", "serve", "--address", "127.0.0.1:0", "--data-root"]);
    let said = second.arg(directory.join("data")).output().unwrap();
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.code() == Some(1) && text.contains("another registry uses"), "{text}");
}

/// A new certificate is used after SIGHUP, a broken one leaves the old; passwords; metrics; the access log.
pub(crate) fn certificates_passwords_metrics_and_log() {
    let directory = directory("tls");
    let path = |name: &str| directory.join(name).display().to_string();
    let certificate = |name: &str| {
        let (cert, key) = (path("cert.pem"), path("key.pem"));
        let words =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        let mut openssl = Command::new("openssl");
        openssl.args(words).args(["-keyout", &key, "-out", &cert, "-subj", &format!("/CN={name}")]);
        openssl.args(["-addext", "subjectAltName=IP:127.0.0.1"]).stderr(Stdio::null());
        assert!(openssl.status().unwrap().success());
    };
    certificate("first");
    let mut htpasswd = Command::new("htpasswd");
    let said = htpasswd.args(["-Bbn", "-C", "5", "ann", "secret"]).output().unwrap();
    std::fs::write(path("users"), said.stdout).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let metrics = format!("127.0.0.1:{port}");
    let flags = [
        "--tls-cert",
        &path("cert.pem"),
        "--tls-key",
        &path("key.pem"),
        "--htpasswd",
        &path("users"),
        "--metrics",
        &metrics,
        "--access-log",
        &path("access"),
    ];
    let registry = Registry::start(&directory, &flags);
    let curl = |user: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-sk", "-w", "%{http_code} %{certs}", "-o", "/dev/null", "-u", user]);
        let said = curl.arg(format!("https://{}/v2/", registry.address)).output().unwrap();
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    assert!(curl("ann:secret").starts_with("200"), "{}", curl("ann:secret"));
    assert!(curl("ann:wrong").starts_with("401") && curl("bob:secret").starts_with("401"));
    let subject = || {
        let script = format!(
            "openssl s_client -connect {} </dev/null 2>/dev/null | openssl x509 -noout -subject",
            registry.address
        );
        let said = Command::new("sh").args(["-c", &script]).output().unwrap();
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    let hang_up = || drop(Command::new("kill").args(["-HUP", &registry.process.id().to_string()]).status());
    assert!(subject().contains("first"));
    certificate("second");
    hang_up();
    wait_for("the new certificate", || subject().contains("second"));
    std::fs::write(path("cert.pem"), "broken").unwrap();
    hang_up();
    wait_for("a word about it", || {
        std::fs::read_to_string(path("log")).unwrap().contains("the certificate cannot be read again")
    });
    assert!(subject().contains("second"));
    let (status, page) = ask(&metrics, "GET /metrics", b"").unwrap();
    let page = String::from_utf8(page).unwrap();
    assert_eq!(status, 200);
    assert!(
        page.contains("berth_registry_requests_total{call=\"base\",method=\"GET\",status=\"200\"} 1"),
        "{page}"
    );
    let log = std::fs::read_to_string(path("access")).unwrap();
    assert!(
        log.lines().any(|line| line.contains("\"GET /v2/ HTTP/1.1\" 401 ") && line.contains("curl/")),
        "{log}"
    );
}

/// A file changes on the disk: the check tells which and whose, repair forgets it, and a push brings it back.
pub(crate) fn checked_while_it_serves() {
    let directory = directory("check");
    let registry = Registry::start(&directory, &[]);
    let image = image(1);
    assert!(push(&registry.address, "t", &image));
    let (bytes, layer) = &image.blobs[1];
    let check = |repair: &[&str]| {
        let mut check = berth(&["registry", "check", "--data-root"]);
        let said = check.arg(directory.join("data")).args(repair).output().unwrap();
        (said.status.code(), String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned())
    };
    assert_eq!(check(&[]).0, Some(0));
    let file = directory.join("data/blobs/sha256").join(layer.strip_prefix("sha256:").unwrap());
    let mut changed = bytes.clone();
    changed[10_000] ^= 1;
    std::fs::write(file, changed).unwrap();
    let (code, said) = check(&[]);
    assert!(
        code == Some(1) && said.contains(&format!("{layer}: its file holds something else (in a)")),
        "{said}"
    );
    assert_eq!(check(&["--repair"]).0, Some(0));
    assert_eq!(registry.ask(&format!("GET /v2/a/blobs/{layer}"), b"").unwrap().0, 404);
    assert!(push(&registry.address, "t", &image));
    assert_eq!(registry.ask(&format!("GET /v2/a/blobs/{layer}"), b"").unwrap().1, *bytes);
    drop(registry);
    std::fs::create_dir_all(&directory).unwrap();
    assert!(check(&[]).1.contains("there is no registry in"));
    std::fs::remove_dir(&directory).unwrap();
}

/// Hundreds of clients that want a blob and do not read it, or begin a push and do not end it: together they would have 900 MB of the
/// process, were it to hold what they ask for and what they send.
pub(crate) fn memory_is_bounded() {
    let directory = directory("memory");
    let registry = Registry::start(&directory, &[]);
    let bytes = vec![3; 8 << 20];
    let digest = digest(&bytes);
    assert_eq!(registry.ask(&format!("POST /v2/a/blobs/uploads/?digest={digest}"), &bytes).unwrap().0, 201);
    let peak = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", registry.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:").map(str::to_owned)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    };
    let before = peak();
    let slow: Vec<TcpStream> = (0..300)
        .map(|n| {
            let mut stream = TcpStream::connect(&registry.address).unwrap();
            let (line, body) = match n % 3 {
                0 => (format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"), 0),
                1 => (format!("POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", bytes.len()), 60_000),
                _ => ("PUT /v2/a/manifests/t HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n".to_owned(), 100_000),
            };
            stream.write_all(line.as_bytes()).unwrap();
            let _ = stream.write_all(&bytes[..body]);
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(registry.ask("GET /v2/", b"").unwrap().0, 200, "others are served");
    let grown = peak().saturating_sub(before);
    assert!(grown <= 80, "{grown} MB more with 300 slow clients");
    drop(slow);
}
