//! A registry on loopback, and a client that says exactly what a test wants it to say.

mod algorithms;
mod cache;
mod conditions;
mod damage;
mod garbage;
mod hostile;
mod power;
mod pushes;
mod rows;
mod tokens;
mod uploads;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::digest::Digest;
use oci::image::media;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::digest::digest_of;
use crate::options::Options;
use crate::site::Site;
use crate::wire::{Listener, serve};

/// How much longer than usual tests go on that can: `BERTH_TEST_MINUTES`.
pub(super) fn longer() -> Duration {
    let minutes = std::env::var("BERTH_TEST_MINUTES").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(60 * minutes.unwrap_or(0))
}

/// A registry that ends with this.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) site: Arc<Site>,
    pub(super) directory: TempDir,
    end: watch::Sender<bool>,
    pub(super) runtime: Runtime,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Server {
    pub(super) fn start(change: impl FnOnce(&mut Options)) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), change)
    }

    pub(super) fn start_in(directory: TempDir, change: impl FnOnce(&mut Options)) -> Self {
        Self::start_for(directory, Duration::from_millis(700), change)
    }

    /// For clients that take so long for a head: where many work at once, some wait for their turn.
    pub(super) fn start_for(directory: TempDir, head: Duration, change: impl FnOnce(&mut Options)) -> Self {
        let mut options =
            Options { data_root: directory.path().join("data"), delete: true, ..Options::default() };
        change(&mut options);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let site = Arc::new(Site::open(&options).unwrap());
        let (end, ended) = watch::channel(false);
        let socket = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = Listener { socket, most: options.max_connections, head };
        runtime.spawn(serve(site.clone(), listener, ended));
        Self { address, site, directory, end, runtime }
    }

    /// Ends the registry; its directory stays.
    pub(super) fn stop(self) -> TempDir {
        let _ = self.end.send(true);
        self.runtime.shutdown_timeout(Duration::from_secs(5));
        drop(self.site);
        self.directory
    }

    /// Sends bytes on a connection of their own; gives everything that comes until the registry closes it.
    pub(super) fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // A registry that has heard enough closes before everything was said.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// Sends bytes and goes away without listening.
    pub(super) fn raw_and_leave(&self, bytes: &[u8]) {
        TcpStream::connect(self.address).unwrap().write_all(bytes).unwrap();
    }

    pub(super) fn ask(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut text = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !line.starts_with("GET") && !line.starts_with("HEAD") {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        Answer::parse(&self.raw(&[format!("{text}\r\n").as_bytes(), body].concat()))
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], b"")
    }

    /// Pushes a blob in one request.
    pub(super) fn push_blob(&self, name: &str, content: &[u8]) -> Digest {
        let digest = digest_of(content);
        let answer = self.ask(&format!("POST /v2/{name}/blobs/uploads/?digest={digest}"), &[], content);
        assert_eq!(answer.status, 201, "{answer:?}");
        digest
    }

    /// Pushes an image with one layer.
    pub(super) fn push_image(&self, name: &str, tag: &str, layer: &[u8]) -> Digest {
        self.push_blob(name, b"{}");
        self.push_blob(name, layer);
        let manifest = image(layer).to_string();
        let answer = self.put_manifest(name, tag, &manifest);
        assert_eq!(answer.status, 201, "{answer:?}");
        digest_of(manifest.as_bytes())
    }

    pub(super) fn put_manifest(&self, name: &str, tag: &str, manifest: &str) -> Answer {
        let kind = [("Content-Type", media::MANIFEST)];
        self.ask(&format!("PUT /v2/{name}/manifests/{tag}"), &kind, manifest.as_bytes())
    }
}

/// A manifest with this layer and the empty configuration.
pub(super) fn image(layer: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": media::MANIFEST,
        "config": descriptor(media::CONFIG, b"{}"),
        "layers": [descriptor(media::LAYER_TAR, layer)],
    })
}

pub(super) fn descriptor(kind: &str, content: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": digest_of(content).to_string(), "size": content.len() })
}

impl Answer {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(super) fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }
}
