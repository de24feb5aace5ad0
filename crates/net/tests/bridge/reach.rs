//! What an endpoint is, and whom it reaches without published ports.

use std::net::Ipv4Addr;

use net::{BridgeConfig, Network, Protocol};

use crate::host::{NEIGHBOUR, ask, inside, neighbour, network, on_fresh_host, run, serve};

#[test]
fn endpoints_are_ready_and_reach_each_other() {
    on_fresh_host(|| {
        let network = network();
        let [a, b] = ["a", "b"].map(|id| network.claim(id, None).expect("an endpoint"));
        assert_eq!([a.record.ip, b.record.ip], [Ipv4Addr::new(172, 30, 0, 2), Ipv4Addr::new(172, 30, 0, 3)]);
        let seen = inside(&a.netns, || run("ip -o addr; ip route; cat /proc/thread-self/net/if_inet6"));
        let words = seen.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in
            ["inet 127.0.0.1/8", "inet 172.30.0.2/16 brd 172.30.255.255", "default via 172.30.0.1 dev eth0"]
        {
            assert!(words.contains(part), "{part} in {seen}");
        }
        assert!(!words.contains("inet6") && !seen.contains("fe80"), "IPv6 is off: {seen}");
        let link = inside(&a.netns, || run("ip link show eth0"));
        assert!(link.contains("02:42:ac:1e:00:02") && link.contains("UP,LOWER_UP"), "{link}");
        serve(&b, 80, "b");
        for proto in [Protocol::Tcp, Protocol::Udp] {
            let answer = inside(&a.netns, || ask(proto, b.record.ip, 80));
            assert_eq!(answer.as_deref(), Some("b 172.30.0.2"), "no translation on the bridge");
            assert_eq!(ask(proto, b.record.ip, 80).as_deref(), Some("b 172.30.0.1"));
        }
        let counters = network.counters(&b.record).expect("counters");
        assert!(counters.rx_packets >= 8 && counters.tx_bytes > 300, "{counters:?}");
        network.teardown().expect("teardown");
    });
}

#[test]
fn containers_leave_with_the_hosts_address_and_strangers_do_not_come_in() {
    on_fresh_host(|| {
        let (far, network) = (neighbour(), network());
        assert!(network.info().forwarding_switched_on);
        let a = network.claim("a", None).expect("an endpoint");
        serve(&a, 80, "a");
        let stranger = net::Endpoint { netns: far, record: a.record.clone() };
        serve(&stranger, 90, "far");
        let there: Ipv4Addr = NEIGHBOUR.parse().expect("an address");
        for proto in [Protocol::Tcp, Protocol::Udp] {
            let answer = inside(&a.netns, || ask(proto, there, 90));
            assert_eq!(answer.as_deref(), Some("far 203.0.113.1"));
            let answer = inside(&stranger.netns, || ask(proto, a.record.ip, 80));
            assert_eq!(answer, None, "not published, though there is a route");
        }
        let second = Network::open(BridgeConfig {
            bridge: "berth1".into(),
            table: "berth1".into(),
            pool_size: 1,
            ..BridgeConfig::default()
        });
        let second = second.expect("side by side");
        assert_eq!(second.info().subnet.to_string(), "172.31.0.0/16", "the next subnet");
        let b = second.claim("b", None).expect("an endpoint");
        assert_eq!(inside(&b.netns, || ask(Protocol::Tcp, a.record.ip, 80)), None, "bridges are apart");
        second.teardown().expect("teardown");
        network.teardown().expect("teardown");
    });
}

#[test]
fn a_subnet_and_a_packet_size_that_suit_the_host_are_chosen() {
    on_fresh_host(|| {
        let _far = neighbour();
        run("ip link set wan mtu 1380; ip route add default via 203.0.113.2");
        run("ip route add 172.30.4.0/24 via 203.0.113.2; ip route add 172.31.0.0/16 dev wan table 52");
        let network =
            Network::open(BridgeConfig { pool_size: 0, ..BridgeConfig::default() }).expect("a network");
        assert_eq!(network.info().subnet.to_string(), "172.29.0.0/16");
        let a = network.claim("a", None).expect("an endpoint");
        assert!(inside(&a.netns, || run("ip link show eth0")).contains("mtu 1380"));
        let taken = Some("203.0.112.0/23".parse().expect("a subnet"));
        let config = BridgeConfig {
            bridge: "berth1".into(),
            table: "berth1".into(),
            subnet: taken,
            ..Default::default()
        };
        assert_eq!(Network::open(config).expect_err("overlap").kind(), types::Kind::Conflict);
        network.teardown().expect("teardown");
    });
}

#[test]
fn an_obstacle_is_reported_not_touched() {
    on_fresh_host(|| {
        run("nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }'");
        let network = network();
        assert_eq!(
            network.info().warnings,
            ["nft chain ip filter FORWARD drops forwarded packets by default: accept those of berth0 there"]
        );
        network.teardown().expect("teardown");
        assert!(run("nft list ruleset").contains("policy drop"));
    });
}
