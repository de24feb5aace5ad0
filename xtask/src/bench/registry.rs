//! Registries side by side: a large blob beside a bare sendfile program, small manifests, and pushes of 1 MB, in turns.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::load::{Connection, digest_of, rate};
use super::measure::quantile;
use super::stage::Stage;
use super::{Options, memory_of};
use crate::command;

const BLOB: usize = 256 << 20;
const PUSHED: usize = 1 << 20;
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// How long one round of small requests takes.
const ROUND: Duration = Duration::from_secs(2);

/// Somebody who serves.
struct Contestant {
    name: &'static str,
    port: u16,
    process: Child,
    blob_path: String,
    /// MB/s of the large blob, manifests a second, pushes a second; one of each in a round.
    speeds: [Vec<f64>; 3],
}

impl Drop for Contestant {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Measures and prints.
pub(super) fn measure(stage: &Stage, options: &Options) -> Result<(), String> {
    let blob: Vec<u8> = (0..BLOB).map(|n| (n >> 3) as u8).collect();
    let mut all = vec![berth(stage)?, docker(stage)?];
    for one in &mut all {
        let digest = seed(one.port, &blob)?;
        one.blob_path = format!("/v2/bench/blobs/{digest}");
    }
    all.push(limit(stage, &blob)?);
    drop(blob);
    for round in 0..options.runs {
        for one in &mut all {
            turn(one, round)?;
        }
    }
    print(&all, options);
    Ok(())
}

fn turn(one: &mut Contestant, round: usize) -> Result<(), String> {
    let mut connection = Connection::open(one.port)?;
    let began = Instant::now();
    let got = connection.ask("GET", &one.blob_path, "", b"")?;
    if got.status != 200 || got.length != BLOB {
        return Err(format!("{}: the blob was answered with {}", one.name, got.status));
    }
    one.speeds[0].push(BLOB as f64 / 1e6 / began.elapsed().as_secs_f64());
    if one.name == "limit" {
        return Ok(());
    }
    let accept = format!("Accept: {MANIFEST}\r\n");
    one.speeds[1].push(rate(one.port, 16, ROUND, |connection, _, _| {
        match connection.ask("GET", "/v2/bench/manifests/latest", &accept, b"")?.status {
            200 => Ok(()),
            status => Err(format!("a manifest was answered with {status}")),
        }
    })?);
    // Contents and their digests are made before the clock starts.
    let ready: Vec<Vec<(Vec<u8>, String)>> = (0..8).map(|client| contents(client, round)).collect();
    one.speeds[2].push(rate(one.port, 8, ROUND, |connection, client, count| {
        let (content, digest) = &ready[client][count % ready[client].len()];
        connection.push(content, digest)
    })?);
    Ok(())
}

/// Contents that no round had before.
fn contents(client: usize, round: usize) -> Vec<(Vec<u8>, String)> {
    let one = |number: usize| {
        let mut content = vec![0x5a; PUSHED];
        content[..24].copy_from_slice(&[client, round, number].map(usize::to_le_bytes).concat());
        let digest = digest_of(&content);
        (content, digest)
    };
    (0..100).map(one).collect()
}

/// Pushes the large blob and a small manifest; gives the blob's digest.
fn seed(port: u16, blob: &[u8]) -> Result<String, String> {
    let mut connection = Connection::open(port)?;
    let (digest, config) = (digest_of(blob), digest_of(b"{}"));
    connection.push(blob, &digest)?;
    connection.push(b"{}", &config)?;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2 },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": blob.len() }],
    });
    let kind = format!("Content-Type: {MANIFEST}\r\n");
    let put = connection.ask("PUT", "/v2/bench/manifests/latest", &kind, manifest.to_string().as_bytes())?;
    if put.status == 201 { Ok(digest) } else { Err(format!("the manifest was answered with {}", put.status)) }
}

fn start(name: &'static str, port: u16, command: &mut Command) -> Result<Contestant, String> {
    let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let process = process.map_err(|e| format!("{name}: {e}"))?;
    Ok(Contestant { name, port, process, blob_path: "/".to_owned(), speeds: Default::default() })
}

fn berth(stage: &Stage) -> Result<Contestant, String> {
    let mut command = Command::new(&stage.programs.berth);
    command.args(["registry", "serve", "--address", "127.0.0.1:5001", "--data-root"]);
    start("berth", 5001, command.arg(stage.path("berth")))
}

fn docker(stage: &Stage) -> Result<Contestant, String> {
    let text = format!(
        "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:5002\"}}\n",
        stage.path("docker-registry").display()
    );
    let config = stage.path("docker-registry.yml");
    std::fs::write(&config, text).map_err(|e| format!("{}: {e}", config.display()))?;
    start("docker-registry", 5002, Command::new("docker-registry").arg("serve").arg(config))
}

fn limit(stage: &Stage, blob: &[u8]) -> Result<Contestant, String> {
    let (program, file) = (stage.path("sendfile"), stage.path("blob"));
    std::fs::write(&file, blob).map_err(|e| format!("{}: {e}", file.display()))?;
    let source = command::root().join("benches/limit/sendfile.c");
    command::run(Command::new("gcc").args(["-O2", "-pthread", "-o"]).arg(&program).arg(source))?;
    start("limit", 5003, Command::new(&program).arg("5003").arg(Path::new(&file)))
}

fn print(all: &[Contestant], options: &Options) {
    println!(
        "`cargo xtask bench registry --runs {}`: medians of rounds in turns, plain HTTP on loopback; the limit is a bare sendfile program.\n",
        options.runs
    );
    println!(
        "| program | 256 MiB blob, MB/s | manifests/s (16 connections) | 1 MB pushes/s (8 connections) | peak memory, MB |"
    );
    println!("| --- | ---: | ---: | ---: | ---: |");
    for one in all {
        let cells = one.speeds.each_ref().map(|speeds| match speeds.len() {
            0 => "–".to_owned(),
            _ => format!("{:.0}", quantile(speeds, 0.5)),
        });
        println!("| {} | {} | {} |", one.name, cells.join(" | "), memory_of(one.process.id()));
    }
}
