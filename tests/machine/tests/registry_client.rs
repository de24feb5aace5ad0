//! Push and pull against Debian's docker-registry, in TLS and with passwords.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use testkit::{Daemon, Ran, wait_for};

use super::registry_server::free_port;

/// The name of the registry; only the daemon's hosts file knows where it is.
const NAME: &str = "r.berth.test";

/// A registry that speaks TLS under an authority of its own and knows one account, and a daemon that was told of it.
struct World {
    daemon: Daemon,
    registry: Child,
    directory: PathBuf,
    address: String,
}

impl World {
    fn new() -> Self {
        let directory = std::env::temp_dir().join(format!("{}rc", testkit::mark()));
        let certs = directory.join("certs.d");
        fs::create_dir_all(certs.join(NAME)).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority);
        fs::write(directory.join("r.crt"), own.unwrap().pem()).unwrap();
        fs::write(directory.join("r.key"), key.serialize_pem()).unwrap();
        fs::write(directory.join("ca.crt"), authority.pem()).unwrap();
        let world = Self {
            daemon: Daemon::start_with(&["--certs-dir", &certs.display().to_string()], &[]),
            registry: serve(&directory, &address),
            directory,
            address,
        };
        world.trust(true);
        world
    }

    /// The hosts file, with or without the registry's authority.
    fn trust(&self, trusts: bool) {
        let place = self.directory.join("certs.d").join(NAME).join("hosts.toml");
        let authority = format!("ca = \"{}\"\n", self.directory.join("ca.crt").display());
        let text = format!("server = \"https://{}\"\n{}", self.address, if trusts { &authority } else { "" });
        fs::write(place, text).unwrap();
    }

    fn berth(&self, words: &[&str]) -> Ran {
        let settings = self.directory.join("settings").display().to_string();
        self.daemon.berth(&[&["--config", &settings], words].concat())
    }

    fn log_in(&self) {
        self.berth(&["login", "-u", "kim", "-p", "secret", NAME]).ok();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.registry.kill();
        let _ = self.registry.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn serve(directory: &std::path::Path, address: &str) -> Child {
    let hashed = Command::new("htpasswd").args(["-Bbn", "kim", "secret"]).output().expect("htpasswd");
    fs::write(directory.join("htpasswd"), hashed.stdout).unwrap();
    let at = |name: &str| directory.join(name).display().to_string();
    let settings = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
         http: {{addr: '{address}', tls: {{certificate: {}, key: {}}}}}\n\
         auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
        at("data"),
        at("r.crt"),
        at("r.key"),
        at("htpasswd")
    );
    fs::write(directory.join("config.yml"), settings).unwrap();
    let mut registry = Command::new("docker-registry");
    registry.arg("serve").arg(directory.join("config.yml"));
    registry.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = registry.spawn().expect("docker-registry");
    wait_for("docker-registry", || std::net::TcpStream::connect(address).is_ok());
    child
}

fn name(rest: &str) -> String {
    format!("{NAME}/{rest}")
}

pub(crate) fn what_is_pushed_comes_back_the_same() {
    let w = World::new();
    w.daemon.busybox();
    w.log_in();
    w.berth(&["tag", "busybox", &name("box:1")]).ok();
    let said = w.berth(&["push", &name("box:1")]).ok();
    assert!(said.contains(": Pushed"), "{said}");
    let digest = said.rsplit("digest: ").next().and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
    let known = w.berth(&["image", "inspect", "-f", "{{index .RepoDigests 0}}", &name("box:1")]).ok();
    assert_eq!(known, format!("{NAME}/box@{digest}"));
    let id = w.berth(&["image", "inspect", "-f", "{{.Id}}", "busybox"]).ok();
    // Once more, and under another name: nothing is sent.
    assert!(w.berth(&["push", &name("box:1")]).ok().contains(": Layer already exists"));
    w.berth(&["tag", "busybox", &name("other/box:2")]).ok();
    let said = w.berth(&["push", &name("other/box:2")]).ok();
    assert!(said.contains(": Mounted from box"), "{said}");

    w.berth(&["rmi", "-f", &id]).ok();
    assert_eq!(w.berth(&["images", "-q"]).ok(), "");
    let said = w.berth(&["pull", &name("box:1")]).ok();
    assert!(said.contains(&format!("Digest: {digest}")), "{said}");
    assert_eq!(w.berth(&["image", "inspect", "-f", "{{.Id}}", &name("box:1")]).ok(), id);
    w.berth(&["pull", &format!("{NAME}/other/box@{digest}")]).ok();
}

pub(crate) fn every_tag_of_a_repository() {
    let w = World::new();
    w.daemon.busybox();
    w.log_in();
    for tag in ["1", "2", "three"] {
        w.berth(&["tag", "busybox", &name(&format!("box:{tag}"))]).ok();
    }
    let said = w.berth(&["push", "-a", &name("box")]).ok();
    for tag in ["1", "2", "three"] {
        assert!(said.contains(&format!("{tag}: digest: sha256:")), "{said}");
    }
    let id = w.berth(&["image", "inspect", "-f", "{{.Id}}", "busybox"]).ok();
    w.berth(&["rmi", "-f", &id]).ok();
    let said = w.berth(&["pull", "-a", &name("box")]).ok();
    assert!(said.contains(&format!("Status: Downloaded newer image for {}", name("box"))), "{said}");
    assert_eq!(w.berth(&["images", "-q", &name("box")]).ok().lines().count(), 3);
    let said = w.berth(&["pull", "-a", &name("box")]).ok();
    assert!(said.contains(&format!("Status: Image is up to date for {}", name("box"))), "{said}");
}

pub(crate) fn strangers_are_not_served() {
    let w = World::new();
    w.daemon.busybox();
    w.berth(&["tag", "busybox", &name("box:1")]).ok();
    let said = w.berth(&["push", &name("box:1")]);
    assert!(said.code == 1 && said.err.contains("no basic auth credentials"), "{}", said.err);
    let said = w.berth(&["login", "-u", "kim", "-p", "wrong", NAME]);
    assert!(said.code == 1 && said.err.contains("401 Unauthorized"), "{}", said.err);
    w.log_in();
    w.trust(false);
    let said = w.berth(&["push", &name("box:1")]);
    assert!(said.code == 1 && said.err.contains("failed to verify certificate"), "{}", said.err);
    assert!(!w.directory.join("data/docker/registry/v2/repositories/box").exists());
    w.trust(true);
    w.berth(&["push", &name("box:1")]).ok();
}
