//! The default bridge, published ports, and the other network modes.

use std::io::Read;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use testkit::{Census, Daemon, wait_for};

const SERVE: &str = "while :; do echo -n pong | nc -l -p 80; done";

fn ask(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address.parse().ok()?, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

pub(crate) fn address_gateway_and_names() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "n1", "--add-host", "other:10.9.8.7", "busybox", "sleep", "1000"]).ok();
    let address = d.berth(&["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "n1"]).ok();
    let gateway = d.berth(&["inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "n1"]).ok();
    assert!(d.berth(&["exec", "n1", "ip", "-o", "-4", "addr", "show", "eth0"]).ok().contains(&address));
    assert!(d.berth(&["exec", "n1", "ip", "route"]).ok().contains(&format!("default via {gateway}")));
    assert!(d.berth(&["exec", "n1", "ip", "link", "show", "lo"]).ok().contains("UP"));
    assert!(d.berth(&["exec", "n1", "cat", "/etc/hosts"]).ok().contains("10.9.8.7\tother"));
    assert_eq!(d.berth(&["exec", "n1", "ping", "-c1", "-W2", &gateway]).code, 0, "the gateway answers");
    assert_eq!(
        d.berth(&["exec", "n1", "cat", "/proc/sys/net/ipv6/conf/eth0/disable_ipv6"]).ok(),
        "1",
        "CVE-2024-32473"
    );
}

pub(crate) fn containers_reach_each_other() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "server", "busybox", "sh", "-c", SERVE]).ok();
    let address = d.berth(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "server"]).ok();
    wait_for("an answer", || {
        d.berth(&["run", "--rm", "busybox", "nc", "-w", "2", &address, "80"]).out == "pong"
    });
}

pub(crate) fn published_tcp() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&[
        "run",
        "-d",
        "--name",
        "server",
        "-p",
        "18080:80",
        "-p",
        "127.0.0.1::80",
        "busybox",
        "sh",
        "-c",
        SERVE,
    ])
    .ok();
    wait_for("the published port", || ask("127.0.0.1:18080").as_deref() == Some("pong"));
    let ports = d.berth(&["port", "server", "80"]).ok();
    let ephemeral =
        ports.lines().find(|l| l.starts_with("127.0.0.1:")).expect("an ephemeral port").to_owned();
    wait_for("the ephemeral port", || ask(&ephemeral).as_deref() == Some("pong"));
    let gateway = d.berth(&["inspect", "-f", "{{.NetworkSettings.Gateway}}", "server"]).ok();
    wait_for("the host's own address", || ask(&format!("{gateway}:18080")).as_deref() == Some("pong"));
    wait_for("hairpin", || {
        d.berth(&["run", "--rm", "busybox", "nc", "-w", "2", &gateway, "18080"]).out == "pong"
    });
    d.berth(&["rm", "-f", "server"]).ok();
    assert_eq!(ask("127.0.0.1:18080"), None, "a removed container's port is closed");
}

/// What the container of `published_udp` runs (this program, mounted into it): answers every datagram.
pub(crate) fn serve_udp() -> ! {
    let socket = UdpSocket::bind("0.0.0.0:9").unwrap();
    let mut buffer = [0; 16];
    loop {
        let (_, from) = socket.recv_from(&mut buffer).unwrap();
        socket.send_to(b"pong\n", from).unwrap();
    }
}

pub(crate) fn published_udp() {
    let d = Daemon::start();
    d.busybox();
    let own = std::env::current_exe().unwrap();
    let mount = format!("{}:/machine:ro", own.display());
    d.berth(&[
        "run",
        "-d",
        "--name",
        "uu",
        "-p",
        "18081:9/udp",
        "-v",
        &mount,
        "busybox",
        "/machine",
        "--serve-udp",
    ])
    .ok();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut buffer = [0; 16];
    wait_for("an answer by UDP", || {
        socket.send_to(b"ping\n", "127.0.0.1:18081").unwrap();
        socket.recv_from(&mut buffer).is_ok_and(|(n, _)| &buffer[..n] == b"pong\n")
    });
}

pub(crate) fn port_taken() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "a1", "-p", "18090:80", "busybox", "sleep", "1000"]).ok();
    let second = d.berth(&["run", "-d", "--name", "b1", "-p", "18090:80", "busybox", "sleep", "1000"]);
    assert_eq!(second.code, 125);
    assert!(second.err.contains("18090") && second.err.contains("already"), "{}", second.err);
    let listener = std::net::TcpListener::bind("0.0.0.0:18091").unwrap();
    let third = d.berth(&["run", "-d", "--name", "c1", "-p", "18091:80", "busybox", "sleep", "1000"]);
    assert_eq!(third.code, 125, "a port that a program of the host has");
    drop(listener);
    d.berth(&["start", "c1"]).ok();
}

pub(crate) fn an_address_is_kept_over_a_restart() {
    let d = Daemon::start();
    d.busybox();
    let ip = |name: &str| d.berth(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", name]).ok();
    d.berth(&["run", "-d", "--name", "first", "busybox", "sleep", "1000"]).ok();
    let wanted = ip("first");
    d.berth(&["rm", "-f", "first"]).ok();
    d.berth(&["run", "-d", "--name", "second", "--ip", &wanted, "busybox", "sleep", "1000"]).ok();
    for _ in 0..3 {
        assert_eq!(ip("second"), wanted);
        d.berth(&["restart", "-t", "0", "second"]).ok();
    }
}

/// Somebody removes the bridge under a running daemon: the next start makes it again, also for those that run.
pub(crate) fn the_bridge_is_removed() {
    let d = Daemon::start();
    d.busybox();
    let serve = "while true; do echo here | nc -l -p 80; done";
    d.berth(&["run", "-d", "--name", "web", "-p", "18092:80", "busybox", "sh", "-c", serve]).ok();
    let gone = std::process::Command::new("ip").args(["link", "del", d.mark()]).status().unwrap();
    assert!(gone.success());
    let address = d.berth(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web"]).ok();
    assert_eq!(d.berth(&["run", "--rm", "busybox", "nc", "-w", "5", &address, "80"]).ok(), "here");
    assert_eq!(d.log().matches("had been removed: it was made again").count(), 1, "{}", d.log());
    let mut said = String::new();
    let mut answer = std::net::TcpStream::connect("127.0.0.1:18092").expect("the published port");
    std::io::Read::read_to_string(&mut answer, &mut said).unwrap();
    assert_eq!(said, "here\n");
}

pub(crate) fn none_and_host_and_shared() {
    let d = Daemon::start();
    d.busybox();
    let links = |flags: &[&str]| {
        d.berth(&[&["run", "--rm"], flags, &["busybox", "ls", "/sys/class/net"]].concat()).ok()
    };
    assert_eq!(links(&["--network", "none"]), "lo");
    assert!(links(&["--network", "host"]).contains(d.mark()), "the host's bridge is seen");
    d.berth(&["run", "-d", "--name", "owner", "busybox", "sleep", "1000"]).ok();
    let own = d.berth(&["exec", "owner", "readlink", "/proc/self/ns/net"]).ok();
    assert_eq!(
        d.berth(&["run", "--rm", "--network", "container:owner", "busybox", "readlink", "/proc/self/ns/net"])
            .ok(),
        own
    );
    let missing = d.berth(&["run", "--rm", "--network", "nowhere", "busybox", "true"]);
    assert_eq!(missing.code, 125);
    assert!(missing.err.contains("nowhere"), "{}", missing.err);
    let stopped = d.berth(&["run", "--rm", "--network", "container:nobody", "busybox", "true"]);
    assert_eq!(stopped.code, 125);
}

/// Another container's network is the one it has now, also when the policy starts this one again after that one was restarted.
pub(crate) fn shared_networks_are_the_present_ones() {
    let d = Daemon::start();
    d.busybox();
    let own = |kind: &str| d.berth(&["exec", "owner", "readlink", &format!("/proc/self/ns/{kind}")]).ok();
    d.berth(&["run", "-d", "--name", "owner", "busybox", "sleep", "1000"]).ok();
    let pids = ["run", "--rm", "--pid", "container:owner", "busybox", "readlink", "/proc/self/ns/pid"];
    assert_eq!(d.berth(&pids).ok(), own("pid"));
    let say = "readlink /proc/self/ns/net; exec sleep 1000";
    let run = ["run", "-d", "--name", "guest", "--restart", "always", "--network", "container:owner"];
    d.berth(&[&run[..], &["busybox", "sh", "-c", say]].concat()).ok();
    let lives = || d.berth(&["logs", "guest"]).out.lines().map(str::to_owned).collect::<Vec<_>>();
    wait_for("the first life", || lives().len() == 1);
    assert_eq!(lives()[0], own("net"));
    d.berth(&["restart", "-t", "0", "owner"]).ok();
    let pid: i32 = d.berth(&["inspect", "-f", "{{.State.Pid}}", "guest"]).ok().parse().expect("a pid");
    let pid = rustix::process::Pid::from_raw(pid).expect("it runs");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kill");
    wait_for("the second life", || lives().len() == 2);
    assert_eq!(lives()[1], own("net"));
    d.berth(&["create", "--name", "down", "busybox", "true"]).ok();
    for (mode, word) in [("--network", "network"), ("--pid", "PID")] {
        let refused = d.berth(&["run", "--rm", mode, "container:down", "busybox", "true"]);
        assert_eq!(refused.code, 125);
        let said = format!("cannot join {word} of a non running container: ");
        assert!(refused.err.contains(&said), "{}", refused.err);
    }
}

pub(crate) fn nothing_is_left() {
    let d = Daemon::start();
    d.busybox();
    let empty = Census::of(&d);
    for _ in 0..5 {
        d.berth(&["run", "--rm", "-p", "18100:80", "-p", "18100:80/udp", "busybox", "true"]).ok();
    }
    wait_for("the host to be as before", || Census::of(&d) == empty);
    assert!(empty.is_empty(), "{empty:?}");
}

pub(crate) fn no_bridge_at_all() {
    let d = Daemon::start_with(&["--bridge", "none"], &[]);
    d.busybox();
    let networks = d.berth(&["network", "ls", "--format", "{{.Name}}"]).ok();
    assert_eq!(networks, "host\nnone");
    for (words, code) in
        [(&["network", "inspect", "bridge"][..], 1), (&["run", "--network", "bridge", "busybox"], 125)]
    {
        let refused = d.berth(words);
        assert_eq!(refused.code, code, "{words:?}");
        assert!(refused.err.contains("network bridge not found"), "{words:?}: {}", refused.err);
    }
    assert_eq!(d.berth(&["run", "--rm", "busybox", "ls", "/sys/class/net"]).ok(), "lo");
    d.berth(&["create", "--name", "ports", "-p", "80:80", "busybox"]).ok();
    assert_eq!(d.berth(&["inspect", "-f", "{{.HostConfig.NetworkMode}}", "ports"]).ok(), "none");
    assert!(
        d.berth(&["run", "--rm", "--network", "host", "busybox", "ls", "/sys/class/net"]).ok().contains("lo")
    );
    assert!(!std::path::Path::new("/sys/class/net/none").exists());
}
