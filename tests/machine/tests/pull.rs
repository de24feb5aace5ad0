//! Pulling from Debian's docker-registry, through a wire that the test can hold: what comes, what is kept, what is left.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use testkit::{Daemon, Need, Ran, Registry, wait_for};

use super::registry_server::free_port;

const SIZE: usize = 24 << 20;

/// Hands everything on, but no more bytes to the client than it may.
struct Wire {
    port: u16,
    /// Bytes that went to the client.
    sent: Arc<AtomicU64>,
    /// Bytes that may.
    may: Arc<AtomicU64>,
}

impl Wire {
    fn to(registry: &Registry, may: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let (sent, may) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(may)));
        let (address, own, limit) = (registry.address().to_owned(), Arc::clone(&sent), Arc::clone(&may));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&address).expect("the registry");
                let (mut from, mut to) =
                    (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
                let (sent, may) = (Arc::clone(&own), Arc::clone(&limit));
                std::thread::spawn(move || hand_on(server, client, &sent, &may));
            }
        });
        Self { port, sent, may }
    }

    fn open(&self) {
        self.may.store(u64::MAX, Ordering::SeqCst);
    }

    fn image(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }
}

fn hand_on(mut server: TcpStream, mut client: TcpStream, sent: &AtomicU64, may: &AtomicU64) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        while sent.load(Ordering::SeqCst) > may.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if client.write_all(&buffer[..count]).is_err() {
            return;
        }
        sent.fetch_add(count as u64, Ordering::SeqCst);
    }
    let _ = client.shutdown(std::net::Shutdown::Write);
}

/// A registry with `big:1`, an image of 24 MiB that does not compress, and `box:1`.
fn registry(d: &Daemon) -> Registry {
    let registry = Registry::start(free_port(), &[]);
    d.busybox();
    let mut seed = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    })
    .take(SIZE)
    .collect();
    let tar = testkit::tar_of(&[("noise", &noise, 0o644), ("etc/", b"", 0o755), ("etc/x", b"x", 0o600)]);
    d.feed(&["import", "-", "big:1"], &tar).ok();
    for (name, remote) in [("busybox", "box:1"), ("big:1", "big:1")] {
        let remote = format!("{}/{remote}", registry.address());
        d.berth(&["tag", name, &remote]).ok();
        d.berth(&["push", "-q", &remote]).ok();
        d.berth(&["rmi", &remote]).ok();
        d.berth(&["rmi", name]).ok();
    }
    registry
}

fn partial(d: &Daemon) -> u64 {
    let files = fs::read_dir(d.data_root().join("partial")).into_iter().flatten().flatten();
    files.map(|file| file.metadata().map_or(0, |m| m.len())).sum()
}

fn unfinished(d: &Daemon) -> usize {
    fs::read_dir(d.data_root().join("ingest")).map_or(0, Iterator::count)
}

fn digest(d: &Daemon, name: &str) -> String {
    let said = d.berth(&["image", "inspect", "-f", "{{index .RepoDigests 0}}", name]).ok();
    said.split_once('@').expect("a digest").1.to_owned()
}

pub(crate) fn an_image_comes_and_is_current() {
    let d = Daemon::start();
    let registry = registry(&d);
    let name = format!("{}/box:1", registry.address());
    let said = d.berth(&["pull", &name]).ok();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "1: Pulling from box", "{said}");
    assert!(lines[1].ends_with(": Pulling fs layer") && said.contains(": Pull complete"), "{said}");
    assert!(said.contains("Digest: sha256:"), "{said}");
    assert!(said.contains(&format!("Status: Downloaded newer image for {name}")), "{said}");
    assert_eq!(d.berth(&["run", "--rm", "--network", "none", &name, "echo", "it runs"]).ok(), "it runs");
    let again = d.berth(&["pull", &name]).ok();
    assert!(again.contains(&format!("Status: Image is up to date for {name}")), "{again}");
    assert!(!again.contains("Pulling fs layer"), "{again}");
    let quiet = d.berth(&["pull", "-q", &name]).ok();
    assert_eq!(quiet, name);
    let missing = d.berth(&["pull", &format!("{}/box:2", registry.address())]);
    assert_eq!(missing.code, 1);
    let says = format!("manifest for {}/box:2 not found: manifest unknown", registry.address());
    assert!(missing.err.contains(&says), "{}", missing.err);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let until = (now.as_secs() + 1).to_string();
    let event = d
        .berth(&[
            "events",
            "--since",
            "1h",
            "--until",
            &until,
            "--filter",
            "event=pull",
            "--format",
            "{{.Actor.ID}} {{.Actor.Attributes.name}}",
        ])
        .ok();
    assert!(event.contains(&format!("{name} {}/box", registry.address())), "{event}");
    assert_eq!((partial(&d), unfinished(&d)), (0, 0));
}

/// What another repository has under that digest does not count.
pub(crate) fn i03_a_digest_belongs_to_its_repository() {
    let d = Daemon::start();
    let registry = registry(&d);
    let address = registry.address();
    d.berth(&["pull", "-q", &format!("{address}/box:1")]).ok();
    let digest = digest(&d, &format!("{address}/box:1"));
    // The control: that digest is good where it belongs, with a tag or without.
    for good in [format!("{address}/box@{digest}"), format!("{address}/box:1@{digest}")] {
        assert!(d.berth(&["pull", &good]).ok().contains(&digest), "{good}");
    }
    for bad in [format!("{address}/big@{digest}"), format!("{address}/big:1@{digest}")] {
        let said = d.berth(&["pull", &bad]);
        assert_eq!(said.code, 1, "{bad}: {}", said.out);
        assert!(said.err.contains("not found"), "{bad}: {}", said.err);
        assert_eq!(d.berth(&["image", "inspect", &bad]).code, 1, "{bad} is not known here, either");
    }
}

pub(crate) fn a_killed_daemon_goes_on_where_it_was() {
    let mut d = Daemon::start();
    let registry = registry(&d);
    let half = SIZE as u64 / 2;
    let wire = Wire::to(&registry, half);
    let name = wire.image("big:1");
    let mut pulling =
        d.command(&["pull", "-q", &name]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pull");
    wait_for("half of the blob", || partial(&d) > half * 9 / 10);
    d.kill();
    pulling.wait().expect("the client ends");
    d.up();
    assert!(partial(&d) > half * 9 / 10, "{} bytes", partial(&d));
    wait_for("what was unpacked to go", || unfinished(&d) == 0);
    assert_eq!(d.berth(&["images", "-q"]).ok(), "");
    wire.open();
    d.berth(&["pull", "-q", &name]).ok();
    let sent = wire.sent.load(Ordering::SeqCst);
    assert!(sent < SIZE as u64 * 5 / 4, "{sent} bytes came for a blob of {SIZE}");
    assert_eq!((partial(&d), unfinished(&d)), (0, 0));
    let size = d.berth(&["image", "inspect", "-f", "{{.Size}}", &name]).ok();
    assert_eq!(size, (SIZE + 1).to_string());
}

pub(crate) fn what_many_want_comes_once() {
    let d = Daemon::start();
    let registry = registry(&d);
    let wire = Wire::to(&registry, SIZE as u64 / 4);
    let name = wire.image("big:1");
    let start =
        || d.command(&["pull", &name]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pull");
    let mut pulls: Vec<_> = (0..4).map(|_| start()).collect();
    wait_for("a quarter of the blob", || partial(&d) > SIZE as u64 / 5);
    // Late, and the first goes away: the others get it all the same.
    pulls.push(start());
    let mut first = pulls.remove(0);
    std::thread::sleep(Duration::from_millis(300));
    first.kill().expect("kill");
    first.wait().expect("wait");
    wire.open();
    for pull in pulls {
        let output = pull.wait_with_output().expect("pull");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains(": Pull complete"),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let sent = wire.sent.load(Ordering::SeqCst);
    assert!(sent < SIZE as u64 * 5 / 4, "{sent} bytes came for a blob of {SIZE}");
}

pub(crate) fn a_client_that_goes_away_ends_its_pull() {
    let d = Daemon::start();
    let registry = registry(&d);
    let wire = Wire::to(&registry, SIZE as u64 / 2);
    let name = wire.image("big:1");
    let mut pulling = d.command(&["pull", "-q", &name]).stdout(Stdio::null()).spawn().expect("pull");
    wait_for("some of the blob", || partial(&d) > SIZE as u64 / 4);
    assert!(unfinished(&d) > 0, "it is unpacked as it comes");
    pulling.kill().expect("kill");
    pulling.wait().expect("wait");
    wait_for("the unpacked part to go", || unfinished(&d) == 0);
    assert!(partial(&d) > SIZE as u64 / 4, "what came is kept");
    wire.open();
    d.berth(&["pull", "-q", &name]).ok();
    assert!(wire.sent.load(Ordering::SeqCst) < SIZE as u64 * 5 / 4);
}

/// A registry that does not answer is let go of when nobody waits for it any more.
pub(crate) fn a_client_that_goes_away_before_anything_came_ends_its_pull() {
    let d = Daemon::start();
    let registry = TcpListener::bind("127.0.0.1:0").expect("a port");
    let name = format!("127.0.0.1:{}/x:1", registry.local_addr().expect("its number").port());
    let mut pulling = d.command(&["pull", "-q", &name]).stdout(Stdio::null()).spawn().expect("pull");
    let (mut asks, _) = registry.accept().expect("the daemon");
    asks.set_read_timeout(Some(testkit::slow(Duration::from_secs(20)))).expect("a timeout");
    let mut request = [0; 4096];
    while asks.read(&mut request).expect("what it asks") == request.len() {}
    pulling.kill().expect("kill");
    pulling.wait().expect("wait");
    assert_eq!(asks.read(&mut request).expect("its end"), 0, "it hangs up");
}

/// Bytes that are not what they should be leave nothing.
pub(crate) fn a_lying_registry_is_found_out() {
    let d = Daemon::start();
    let registry = registry(&d);
    let before = d.berth(&["images", "-aq"]).ok();
    // Another blob of the same length under that digest, in the registry's own files.
    let found: Ran = d.berth(&["pull", "-q", &format!("{}/big:1", registry.address())]);
    assert_eq!(found.code, 0, "the control: {}", found.err);
    d.berth(&["rmi", &format!("{}/big:1", registry.address())]).ok();
    let blob = largest(&registry.directory().join("data"));
    let mut bytes = fs::read(&blob).expect("the registry's blob");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&blob, bytes).expect("damage");
    let said = d.berth(&["pull", &format!("{}/big:1", registry.address())]);
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(said.err.contains("filesystem layer verification failed for digest sha256:"), "{}", said.err);
    assert_eq!((partial(&d), unfinished(&d)), (0, 0));
    assert_eq!(d.berth(&["images", "-aq"]).ok(), before);
}

fn largest(directory: &std::path::Path) -> std::path::PathBuf {
    let mut rest = vec![directory.to_owned()];
    let mut best = (0, directory.to_owned());
    while let Some(at) = rest.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(m) if m.is_dir() => rest.push(entry.path()),
                Ok(m) if m.len() > best.0 => best = (m.len(), entry.path()),
                _ => {}
            }
        }
    }
    best.1
}

/// What the tests need on the machine.
pub(crate) const NEEDS: &[Need] = &[Need::Program("docker-registry")];
