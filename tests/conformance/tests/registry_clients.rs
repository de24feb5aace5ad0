//! Other people's clients against Berth's registry: each pushes an image, brings it back, and gets the bytes that it gave. With
//! `BERTH_REFERENCE` the registry is Debian's docker-registry.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use testkit::wait_for;

use super::caller::Caller;

/// A registry on loopback, in a client's directory.
pub(crate) struct Registry {
    pub(crate) address: String,
    process: Child,
}

impl Registry {
    /// Starts it, with flags that only Berth's has.
    pub(crate) fn start(caller: &Caller, flags: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let data = caller.path("registry");
        let mut command = if testkit::is_reference() {
            let configuration = caller.path("registry.yml");
            let text = format!(
                "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {data}}}, delete: {{enabled: true}}}}\nhttp: {{addr: \"{address}\"}}\n"
            );
            std::fs::write(&configuration, text).unwrap();
            let mut command = Command::new("docker-registry");
            command.args(["serve", &configuration]);
            command
        } else {
            let mut command = Command::new(std::env::var("BERTH").expect("BERTH"));
            command
                .args(["registry", "serve", "--data-root", &data, "--address", &address, "--delete"])
                .args(flags);
            command
        };
        let log = std::fs::File::create(caller.path("registry.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().expect("a registry");
        wait_for("the registry", || std::net::TcpStream::connect(&address).is_ok());
        Self { address, process }
    }

    /// A name in it.
    fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// A document of skopeo's `inspect`.
fn raw(registry: &Registry, name: &str) -> Value {
    let name = format!("docker://{}", registry.name(name));
    let said =
        Command::new("skopeo").args(["inspect", "--raw", "--tls-verify=false", &name]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).unwrap()
}

fn own_storage(program: &str) -> Caller {
    let mut caller = Caller::new();
    let (graph, run, tmp) = (caller.path("graph"), caller.path("run"), caller.path("tmp"));
    std::fs::create_dir(&tmp).unwrap();
    let head = [program, "--root", &graph, "--runroot", &run, "--storage-driver", "vfs"];
    caller.head = head.map(str::to_owned).into();
    caller.environment = vec![("TMPDIR".into(), tmp)];
    caller
}

pub(crate) fn docker() {
    let mut d = Caller::new();
    let registry = Registry::start(&d, &[]);
    let host = format!("unix://{}", d.path("sock"));
    let (data, exec, pid) = (d.path("data"), d.path("exec"), d.path("pid"));
    d.head = vec!["docker".into()];
    d.environment = vec![("DOCKER_HOST".into(), host.clone()), ("DOCKER_CONFIG".into(), d.path("docker"))];
    let words = ["dockerd", "--host", &host, "--data-root", &data, "--exec-root", &exec, "--pidfile", &pid];
    let quiet = ["--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs"];
    d.serve(&[&words[..], &quiet].concat(), &["version"]);
    d.ok(&["import", "-c", "CMD [\"sh\"]", &d.path("busybox.tar"), "box"]);
    let (one, two) = (registry.name("team/box:1"), registry.name("team/box:2"));
    let id = d.ok(&["inspect", "-f", "{{.Id}}", "box"]);
    for name in [&one, &two] {
        d.ok(&["tag", "box", name]);
        let said = d.ok(&["push", name]);
        assert!(said.contains("digest: sha256:"), "{said}");
    }
    // The second repository mounts what the first has.
    let mounted = registry.name("other/box:1");
    d.ok(&["tag", "box", &mounted]);
    let said = d.ok(&["push", &mounted]);
    assert!(said.contains("Mounted from team/box"), "{said}");
    let digests = || d.ok(&["inspect", "-f", "{{join .RepoDigests \" \"}}", &one]);
    let of_team =
        |digests: &str| digests.split(' ').find(|name| name.contains("team/box@")).map(str::to_owned);
    let pushed = of_team(&digests()).expect("a digest of what was pushed");
    d.ok(&["rmi", "-f", &id]);
    d.ok(&["pull", &one]);
    assert_eq!(d.ok(&["inspect", "-f", "{{.Id}}", &one]), id);
    assert_eq!(of_team(&digests()).as_ref(), Some(&pushed));
    d.ok(&["pull", "-a", &registry.name("team/box")]);
    assert_eq!(d.ok(&["inspect", "-f", "{{.Id}}", &two]), id);
    d.ok(&["pull", &pushed]);
    let said = d.run(&["pull", &registry.name("team/none")]);
    assert!(said.code == 1 && said.err.contains("not found"), "{}", said.err);
}

pub(crate) fn podman() {
    let p = own_storage("podman");
    let registry = Registry::start(&p, &[]);
    p.ok(&["import", "-q", &p.path("busybox.tar"), "box"]);
    let name = registry.name("p/box:1");
    let id = p.ok(&["inspect", "-f", "{{.Id}}", "box"]);
    for format in ["oci", "v2s2"] {
        p.ok(&["push", "-q", "--tls-verify=false", "--format", format, "box", &name]);
        let kind = raw(&registry, "p/box:1")["mediaType"].as_str().unwrap_or("oci").to_owned();
        assert_eq!(kind.contains("docker"), format == "v2s2", "{kind}");
    }
    p.ok(&[
        "push",
        "-q",
        "--tls-verify=false",
        "--compression-format",
        "zstd",
        "box",
        &registry.name("p/box:z"),
    ]);
    p.ok(&["push", "-q", "--tls-verify=false", "--format", "oci", "box", &name]);
    p.ok(&["rmi", "-f", &id]);
    p.ok(&["pull", "-q", "--tls-verify=false", &name]);
    assert_eq!(p.ok(&["inspect", "-f", "{{.Id}}", &name]), id);
    let list = registry.name("p/list:1");
    p.ok(&["manifest", "create", "list"]);
    p.ok(&["manifest", "add", "--tls-verify=false", "list", &format!("docker://{name}")]);
    p.ok(&["manifest", "push", "--tls-verify=false", "list", &format!("docker://{list}")]);
    assert_eq!(raw(&registry, "p/list:1")["manifests"].as_array().map(Vec::len), Some(1));
    let tags = p.ok(&["search", "--list-tags", "--tls-verify=false", &registry.name("p/box")]);
    let listed = |tag: &str| tags.lines().any(|line| line.split_whitespace().nth(1) == Some(tag));
    assert!(listed("1") && listed("z"), "{tags}");
}

pub(crate) fn buildah() {
    let b = own_storage("buildah");
    let registry = Registry::start(&b, &[]);
    let name = b.ok(&["from", "scratch"]);
    b.ok(&["add", &name, &b.path("busybox.tar"), "/"]);
    b.ok(&["commit", "-q", &name, "box"]);
    let (one, two) = (registry.name("b/box:1"), registry.name("b/box:2"));
    b.ok(&["push", "-q", "--tls-verify=false", "box", &format!("docker://{one}")]);
    let from = b.ok(&["from", "--pull-always", "--tls-verify=false", &one]);
    b.ok(&["config", "--label", "a=b", &from]);
    b.ok(&["commit", "-q", "--tls-verify=false", &from, &format!("docker://{two}")]);
    let (first, second) = (raw(&registry, "b/box:1"), raw(&registry, "b/box:2"));
    assert_eq!(first["layers"][0]["digest"], second["layers"][0]["digest"]);
    assert_ne!(first["config"]["digest"], second["config"]["digest"]);
}

pub(crate) fn skopeo() {
    let s = own_storage("buildah");
    let registry = Registry::start(&s, &[]);
    let name = s.ok(&["from", "scratch"]);
    s.ok(&["add", &name, &s.path("busybox.tar"), "/"]);
    let archive = format!("oci-archive:{}", s.path("box.oci"));
    s.ok(&["commit", "-q", &name, &archive]);
    let mut k = Caller::new();
    k.head = vec!["skopeo".into()];
    let copy = |from: &str, to: &str, more: &[&str]| {
        let words = ["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"];
        k.run(&[&words[..], more, &[from, to]].concat())
    };
    let (one, two) =
        (format!("docker://{}", registry.name("s/box:1")), format!("docker://{}", registry.name("t/box:2")));
    copy(&archive, &one, &[]).ok();
    copy(&one, &two, &[]).ok();
    assert_eq!(raw(&registry, "s/box:1"), raw(&registry, "t/box:2"));
    copy(&two, &format!("dir:{}", k.path("out")), &[]).ok();
    let manifest = std::fs::read(k.path("out/manifest.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&manifest).unwrap(), raw(&registry, "s/box:1"));
    copy(&one, &two, &["-f", "v2s2"]).ok();
    if !testkit::is_reference() {
        let old = copy(&one, &two, &["-f", "v2s1"]);
        assert!(old.code != 0 && old.err.contains("schema 1"), "{}", old.err);
    }
    let tags = || k.ok(&["list-tags", "--tls-verify=false", &two.replace(":2", "")]);
    assert!(tags().contains("\"2\""));
    k.ok(&["delete", "--tls-verify=false", &two]);
    assert!(!tags().contains("\"2\""));
    assert_eq!(k.run(&["inspect", "--tls-verify=false", &two]).code, 1);
}

pub(crate) fn containerd() {
    let b = own_storage("buildah");
    let registry = Registry::start(&b, &[]);
    let name = b.ok(&["from", "scratch"]);
    b.ok(&["add", &name, &b.path("busybox.tar"), "/"]);
    b.ok(&["commit", "-q", "--tls-verify=false", &name, &format!("docker://{}", registry.name("c/box:1"))]);
    let mut c = Caller::new();
    let (socket, configuration) = (c.path("sock"), c.path("config.toml"));
    let text = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {socket:?}\n",
        c.path("root"),
        c.path("state"),
    );
    std::fs::write(&configuration, text).unwrap();
    c.head = vec!["ctr".into(), "-a".into(), socket];
    c.serve(&["containerd", "-c", &configuration], &["version"]);
    let (one, two) = (registry.name("c/box:1"), registry.name("d/box:2"));
    c.ok(&["images", "pull", "--plain-http", "--snapshotter", "native", &one]);
    c.ok(&["images", "tag", &one, &two]);
    c.ok(&["images", "push", "--plain-http", &two]);
    assert_eq!(raw(&registry, "c/box:1"), raw(&registry, "d/box:2"));
    c.ok(&["images", "rm", &one, &two]);
    c.ok(&["images", "pull", "--plain-http", "--snapshotter", "native", &two]);
    assert!(c.ok(&["images", "ls", "-q"]).contains(&two));
}
