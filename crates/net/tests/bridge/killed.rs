//! `kill -9` of a real process that owns the network.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use net::Protocol::{Tcp, Udp};
use net::{Endpoint, EndpointRecord, Published};

use crate::host::{HOST, LOOPBACK, ask, both, inside, neighbour, network, on_fresh_host, run, serve};

const MARK: &str = "BERTH_TEST_DAEMON";
const PORT: u16 = 8080;

/// The daemon: claims and publishes, says where, and waits to be killed. Does nothing in an ordinary run of the tests.
#[test]
fn daemon() {
    if std::env::var_os(MARK).is_none() {
        return;
    }
    let network = network();
    let endpoint = network.claim("a", None).expect("an endpoint");
    network.publish("a", endpoint.record.ip, &both(Ipv4Addr::UNSPECIFIED, PORT, 80)).expect("free");
    println!("\nready {} {}", endpoint.record.ip, endpoint.netns.as_raw_fd());
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn killing_the_daemon_costs_no_packet() {
    on_fresh_host(|| {
        let far = neighbour();
        let mut daemon = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "killed::daemon", "--nocapture"])
            .env(MARK, "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("a daemon");
        let lines = BufReader::new(daemon.stdout.take().expect("a pipe")).lines();
        let ready = lines.map_while(Result::ok).find_map(|l| l.strip_prefix("ready ").map(str::to_owned));
        let ready = ready.expect("the daemon is ready");
        let (ip, fd) = ready.split_once(' ').expect("address and descriptor");
        let record = EndpointRecord::new(ip.parse().expect("an address"), 16, Ipv4Addr::new(172, 30, 0, 1));
        let netns = std::fs::File::open(format!("/proc/{}/fd/{fd}", daemon.id())).expect("its namespace");
        let container = Endpoint { netns: netns.into(), record: record.clone() };
        serve(&container, 80, "a");
        let works = || {
            [Tcp, Udp]
                .iter()
                .all(|p| inside(&far, || ask(*p, HOST, PORT)).is_some() && ask(*p, LOOPBACK, PORT).is_some())
        };
        assert!(works(), "the daemon lives");
        daemon.kill().expect("kill -9");
        assert!(works(), "it was killed");
        daemon.wait().expect("reap");
        assert!(works(), "it is gone");
        let next = network();
        assert!(works(), "the next one is there");
        let publish = |p: net::PortRequest| Published {
            proto: p.proto,
            host_ip: p.host_ip,
            host_port: p.host_port,
            container_port: p.container_port,
        };
        let published = both(Ipv4Addr::UNSPECIFIED, PORT, 80).map(publish);
        next.reconcile(&[(record.clone(), published.to_vec())]).expect("reconcile");
        assert!(works(), "and has taken over");
        next.release(&record, &published).expect("release");
        drop(container);
        next.teardown().expect("teardown");
        assert_eq!(run("nft list tables; ip -o link | grep -cE 'bth|berth' || true").trim(), "0");
    });
}
