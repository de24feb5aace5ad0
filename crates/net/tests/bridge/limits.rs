//! Sizes: a thousand publishes, a full bridge, and how long things take.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use net::Protocol::Tcp;
use net::{BridgeConfig, Network};
use types::Kind;

use crate::host::{ask, chain, fill, inside, on_fresh_host, open, port, run, serve};

#[test]
fn publishing_costs_the_same_with_a_thousand_neighbours() {
    on_fresh_host(|| {
        let network = open(0);
        let mut times = Vec::new();
        let mut all = Vec::new();
        for n in 0..1_000_u16 {
            let ip = Ipv4Addr::new(172, 30, 1 + (n >> 8) as u8, n as u8);
            let since = Instant::now();
            let published = network.publish("x", ip, &[port(Tcp, Ipv4Addr::UNSPECIFIED, 10_000 + n, 80)]);
            times.push(since.elapsed());
            all.push((ip, published.expect("free")));
        }
        let median = |part: &[Duration]| {
            let mut part = part.to_vec();
            part.sort();
            part[part.len() / 2]
        };
        let (first, last) = (median(&times[..100]), median(&times[900..]));
        println!("publish, median of the first 100: {first:?}, of the last 100 of 1000: {last:?}");
        assert!(last < first * 3 + Duration::from_micros(300), "{first:?} then {last:?}");
        let count = run("nft list map ip berth published-anywhere | tr ',' '\\n' | grep -c 172.30");
        assert_eq!(count.trim(), "1000");
        let since = Instant::now();
        for (ip, published) in &all {
            let record = plan::network::EndpointRecord::new(*ip, 16, network.info().gateway);
            network.release(&record, published).expect("release");
        }
        println!("release: {:?} each", since.elapsed() / 1_000);
        assert_eq!(network.info().published, 0);
        network.teardown().expect("teardown");
    });
}

#[test]
fn a_full_bridge_says_so() {
    on_fresh_host(|| {
        let network = open(0);
        // 512 pairs, of which all ends but one are ports.
        let pair = r#"echo "link add d$n master berth0 type veth peer name e$n""#;
        let other = r#"test $n = 512 || echo "link set e$n master berth0""#;
        run(&format!("for n in $(seq 512); do {pair}; {other}; done | ip -batch -"));
        let error = network.claim("a", None).expect_err("the bridge is full");
        assert_eq!(
            (error.kind(), error.to_string().contains("1023 ports")),
            (Kind::Exhausted, true),
            "{error}"
        );
        run("ip link del d7");
        assert!(network.settle(Duration::from_secs(5)));
        assert!(network.claim("a", None).is_ok());
        network.teardown().expect("teardown");
    });
}

#[test]
fn addresses_of_endpoints_that_go_are_waited_for() {
    on_fresh_host(|| {
        let subnet = Some("10.99.0.0/29".parse().expect("a subnet"));
        let network =
            Network::open(BridgeConfig { pool_size: 2, subnet, ..BridgeConfig::default() }).expect("open");
        let mut all: Vec<_> = (0..5).map(|_| network.claim("a", None).expect("an endpoint")).collect();
        let since = Instant::now();
        let error = network.claim("b", None).expect_err("all five live");
        assert_eq!(
            (error.kind(), since.elapsed() < Duration::from_secs(2)),
            (Kind::Exhausted, true),
            "{error}"
        );
        for round in 0..10 {
            let last = all.pop().expect("one");
            network.release(&last.record, &[]).expect("release");
            // As a restart does: the same address again, by name or because there is no other.
            let hint = (round % 2 == 0).then_some(last.record.ip);
            drop(last.netns);
            all.push(network.claim("b", hint).unwrap_or_else(|e| panic!("{round}: {}", chain(&e))));
            assert_eq!(all[4].record.ip, last.record.ip);
        }
        let taken = network.claim("c", Some(all[0].record.ip)).expect_err("it lives");
        assert_eq!(taken.kind(), Kind::Conflict);
        network.teardown().expect("teardown");
    });
}

#[test]
fn the_bridge_has_the_address_that_was_asked_for() {
    on_fresh_host(|| {
        let subnet = Some("10.98.0.5/29".parse().expect("a subnet"));
        let config = BridgeConfig { pool_size: 0, subnet, ..BridgeConfig::default() };
        let network = Network::open(config).expect("open");
        assert!(run("ip -br addr show dev berth0").contains("10.98.0.5/29"));
        let mine: Vec<_> = (0..4).map(|_| network.claim("a", None).expect("an endpoint")).collect();
        assert!(
            mine.iter()
                .all(|e| e.record.gateway.octets() == [10, 98, 0, 5] && e.record.ip != e.record.gateway)
        );
        network.teardown().expect("teardown");
    });
}

#[test]
fn many_at_once_get_different_addresses_and_ports() {
    on_fresh_host(|| {
        let network = open(8);
        let home = sys::netlink::namespace::current().expect("this namespace");
        let (ips, ports) = (Mutex::new(HashSet::new()), Mutex::new(HashSet::new()));
        let work = || {
            sys::netlink::namespace::enter(&home).expect("the test's host");
            for _ in 0..12 {
                let endpoint = network.claim("x", None).expect("an endpoint");
                let ip = endpoint.record.ip;
                let requests =
                    [port(Tcp, Ipv4Addr::UNSPECIFIED, 0, 80), port(Tcp, Ipv4Addr::LOCALHOST, 0, 80)];
                let published = network.publish("x", ip, &requests).expect("free");
                assert!(ips.lock().expect("ips").insert(ip), "{ip} twice");
                for p in &published {
                    assert!(ports.lock().expect("ports").insert(p.host_port), "{} twice", p.host_port);
                    ports.lock().expect("ports").remove(&p.host_port);
                }
                network.release(&endpoint.record, &published).expect("release");
            }
        };
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(work))));
        assert!(network.settle(Duration::from_secs(20)));
        assert_eq!(network.info().published, 0);
        assert!(!run("nft list table ip berth").contains("elements"));
        let permanent = run("ip neigh show nud permanent dev berth0").lines().count();
        assert!(permanent <= 9, "{permanent} neighbours for a pool of 8, one of which may be in the making");
        network.teardown().expect("teardown");
    });
}

#[test]
fn without_the_capability_the_error_names_it() {
    on_fresh_host(|| {
        use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
        let full = capabilities(None).expect("capabilities");
        for (missing, name) in
            [(CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"), (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN")]
        {
            let mut fewer = full;
            fewer.effective.remove(missing);
            set_capabilities(None, fewer).expect("fewer capabilities");
            let config = BridgeConfig { pool_size: 0, ..BridgeConfig::default() };
            let error = Network::open(config).and_then(|network| network.claim("a", None));
            set_capabilities(None, full).expect("all of them again");
            let error = error.expect_err("not allowed");
            assert_eq!(error.kind(), Kind::Forbidden);
            assert!(chain(&error).contains(&format!("needs {name}")), "{}", chain(&error));
        }
    });
}

#[test]
fn a_thousand_endpoints_fit_and_reach_the_host() {
    on_fresh_host(|| {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
            .expect("raise the soft limit");
        let network = open(0);
        let since = Instant::now();
        let all: Vec<_> = (0..1_000).map(|_| network.claim("x", None).expect("an endpoint")).collect();
        println!("1000 endpoints: {:?}", since.elapsed());
        let home = sys::netlink::namespace::current().expect("this namespace");
        let host = net::Endpoint { netns: home, record: all[0].record.clone() };
        serve(&host, 80, "host");
        let since = Instant::now();
        let gateway = network.info().gateway;
        for endpoint in &all {
            assert!(inside(&endpoint.netns, || ask(Tcp, gateway, 80)).is_some());
        }
        println!("each asked the host: {:?}", since.elapsed());
        let since = Instant::now();
        for endpoint in all {
            network.release(&endpoint.record, &[]).expect("release");
        }
        println!("released: {:?}", since.elapsed());
        assert!(network.settle(Duration::from_secs(120)));
        println!("gone: {:?}", since.elapsed());
        network.teardown().expect("teardown");
    });
}

#[test]
fn how_long_a_start_waits_for_its_network() {
    on_fresh_host(|| {
        let network = open(16);
        fill(&network, 16);
        let (mut pooled, mut publish, mut release, mut records) = (vec![], vec![], vec![], vec![]);
        for n in 0..16 {
            fill(&network, 4);
            let since = Instant::now();
            let endpoint = network.claim("x", None).expect("an endpoint");
            pooled.push(since.elapsed());
            let since = Instant::now();
            let requests = [port(Tcp, Ipv4Addr::UNSPECIFIED, 20_000 + n, 80)];
            let published = network.publish("x", endpoint.record.ip, &requests).expect("free");
            publish.push(since.elapsed());
            records.push((endpoint, published));
        }
        for (endpoint, published) in records {
            let since = Instant::now();
            network.release(&endpoint.record, &published).expect("release");
            release.push(since.elapsed());
        }
        let since = Instant::now();
        assert!(network.settle(Duration::from_secs(10)));
        let gone = since.elapsed();
        let cold = open_cold(20);
        for (what, mut times) in
            [("claim", pooled), ("publish", publish), ("release", release), ("claim, no pool", cold)]
        {
            times.sort();
            println!("{what}: median {:?}, worst {:?}", times[times.len() / 2], times[times.len() - 1]);
        }
        println!("16 released endpoints gone after {gone:?}");
        network.teardown().expect("teardown");
    });
}

/// Claims without a pool, on a bridge of their own.
fn open_cold(count: usize) -> Vec<Duration> {
    let config = net::BridgeConfig {
        bridge: "berth1".into(),
        table: "berth1".into(),
        pool_size: 0,
        ..net::BridgeConfig::default()
    };
    let network = net::Network::open(config).expect("a second bridge");
    let mut kept = Vec::new();
    let times = (0..count).map(|_| {
        let since = Instant::now();
        kept.push(network.claim("x", None).expect("an endpoint"));
        since.elapsed()
    });
    let times = times.collect();
    network.teardown().expect("teardown");
    times
}
