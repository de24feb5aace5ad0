//! The calls about registries as they are on the wire: statuses, sentences before the stream and errors in it. The table was written by
//! dockerd.

use std::process::Command;

use serde_json::Value;
use testkit::{Daemon, Registry};

/// After `$` method, path and, behind it, a header or a body; then the status and what is told. `o` marks dockerd 20.10, `n` Berth, a blank both.
const TABLE: &str = include_str!("registry_calls.txt");

pub(crate) fn as_dockerd() {
    let mark = if testkit::is_reference() { 'o' } else { 'n' };
    let d = Daemon::start_with(
        &["--insecure-registry", "r.example:5000", "--registry-mirror", "https://m.example"],
        &[],
    );
    let _open = Registry::start(5000, &[]);
    let _closed = Registry::start(5001, &[("kim", "secret")]);
    d.busybox();
    d.docker(&["tag", "busybox", "127.0.0.1:5000/box:1"]).ok();
    let socket = d.host().trim_start_matches("unix://").to_owned();
    let mut said = Vec::new();
    for line in TABLE.lines().filter_map(|line| line.strip_prefix("$ ")) {
        said.push(format!("$ {line}"));
        said.extend(answer(&socket, line));
    }
    let wanted: Vec<&str> = TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            if line.starts_with("$ ") { Some(line) } else { line.strip_prefix([' ', mark])?.get(1..) }
        })
        .collect();
    let first = said.iter().zip(&wanted).find(|(said, wanted)| said != *wanted);
    assert!(said == wanted, "first other: {first:?}\nall that was said:\n{}", said.join("\n"));
    let info = d.docker(&["info", "-f", "{{json .RegistryConfig}}"]).ok();
    let config: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(config["IndexConfigs"]["r.example:5000"]["Secure"], false, "{info}");
    assert_eq!(config["Mirrors"], serde_json::json!(["https://m.example/"]), "{info}");
}

/// Status and told sentences of one call.
fn answer(socket: &str, line: &str) -> Vec<String> {
    let mut words = line.splitn(3, ' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut curl = Command::new("curl");
    curl.args(["-s", "-X", method, "--unix-socket", socket, "-w", "\n%{http_code}"]);
    match words.next() {
        Some(body) if body.starts_with('{') => {
            curl.args(["-H", "Content-Type: application/json", "-d", body]);
        }
        Some(header) => {
            curl.args(["-H", header]);
        }
        None => {}
    }
    let output = curl.arg(format!("http://d/v1.41{path}")).output().expect("curl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap();
    let mut told = vec![status.to_owned()];
    for document in serde_json::Deserializer::from_str(body).into_iter::<Value>() {
        told.extend(document.ok().as_ref().and_then(sentence));
    }
    told
}

/// What a document tells, without digests and sizes; nothing for steps in between.
fn sentence(document: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(aux) = document["aux"].as_object() {
        return Some(format!("aux {}", aux.keys().cloned().collect::<Vec<_>>().join(" ")));
    }
    if let Some(message) = text(&document["errorDetail"]["message"]) {
        assert_eq!(document["error"], document["errorDetail"]["message"]);
        return Some(format!("error {message}"));
    }
    let told = text(&document["message"])
        .or_else(|| text(&document["status"]).filter(|_| document["progressDetail"].is_null()))
        .or_else(|| text(&document["Status"]).map(|status| format!("{status}{}", document["IdentityToken"])))
        .or_else(|| document["Descriptor"].is_object().then(|| format!("{}", document["Platforms"])))?;
    let words = told.split(' ').map(|word| if word.starts_with("sha256:") { "DIGEST" } else { word });
    let words: Vec<&str> = words.collect();
    let told = words.join(" ");
    Some(match told.split_once(" size: ") {
        Some((before, _)) => format!("{before} size"),
        None => told,
    })
}
