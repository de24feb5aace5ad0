//! Published ports: from where they answer, and from where not.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use net::Protocol::{Tcp, Udp};
use net::{EndpointRecord, Published};
use plan::network::{Element, Ruleset};
use types::Kind;

use crate::host::{HOST, LOOPBACK, ask, both, inside, neighbour, network, on_fresh_host, port, run, serve};

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);

/// The table as `nft` prints it, without owner and comment.
fn printed() -> String {
    let text = run("nft list table ip berth");
    let marks = ["comment", "flags"];
    let lines = text.lines().filter(|line| !marks.iter().any(|mark| line.trim().starts_with(mark)));
    let text: String =
        lines.map(|line| format!("{}\n", line.split(" # progname").next().unwrap_or(line))).collect();
    text.replace("{\n\n", "{\n")
}

#[test]
fn the_table_in_force_is_the_one_that_was_planned() {
    for subnet in ["172.30.0.0/16", "10.77.16.0/20", "10.77.5.0/27"] {
        on_fresh_host(|| {
            let subnet = subnet.parse().expect("a subnet");
            let config = net::BridgeConfig { subnet: Some(subnet), pool_size: 0, ..Default::default() };
            let network = net::Network::open(config).expect("a network");
            assert_eq!(printed(), Ruleset::new("berth", "berth0", subnet).to_string());
            network.teardown().expect("teardown");
        });
    }
}

#[test]
fn a_published_port_answers_from_everywhere() {
    on_fresh_host(|| {
        let (far, network) = (neighbour(), network());
        let [a, b] = ["a", "b"].map(|id| network.claim(id, None).expect("an endpoint"));
        serve(&a, 80, "a");
        let published = network.publish("a", a.record.ip, &both(ANY, 8080, 80)).expect("free ports");
        for proto in [Tcp, Udp] {
            let from = |who: &str| Some(format!("a {who}"));
            assert_eq!(inside(&far, || ask(proto, HOST, 8080)), from("203.0.113.2"), "from outside");
            assert_eq!(ask(proto, HOST, 8080), from("203.0.113.1"), "from the host by its address");
            assert_eq!(ask(proto, GATEWAY, 8080), from("172.30.0.1"), "from the host by the bridge");
            assert_eq!(ask(proto, LOOPBACK, 8080), from("172.30.0.1"), "from the host by 127.0.0.1");
            assert_eq!(inside(&b.netns, || ask(proto, HOST, 8080)), from("172.30.0.1"), "from a container");
            assert_eq!(inside(&b.netns, || ask(proto, GATEWAY, 8080)), from("172.30.0.1"), "by the gateway");
            assert_eq!(inside(&a.netns, || ask(proto, HOST, 8080)), from("172.30.0.1"), "from itself");
        }
        network.release(&a.record, &published).expect("release");
        assert_eq!(inside(&far, || ask(Tcp, HOST, 8080)), None);
        assert_eq!(ask(Tcp, LOOPBACK, 8080), None);
        network.teardown().expect("teardown");
    });
}

#[test]
fn hairpins_work_with_bridged_packets_filtered_or_not() {
    for filtered in [0, 1] {
        on_fresh_host(|| {
            run(&format!(
                "test ! -d /proc/sys/net/bridge || sysctl -q net.bridge.bridge-nf-call-iptables={filtered}"
            ));
            let (_far, network) = (neighbour(), network());
            let [a, b] = ["a", "b"].map(|id| network.claim(id, None).expect("an endpoint"));
            serve(&a, 80, "a");
            network.publish("a", a.record.ip, &both(ANY, 8080, 80)).expect("free ports");
            for proto in [Tcp, Udp] {
                for (who, endpoint) in [("itself", &a), ("another", &b)] {
                    let answer = inside(&endpoint.netns, || ask(proto, HOST, 8080));
                    assert_eq!(
                        answer.as_deref(),
                        Some("a 172.30.0.1"),
                        "{proto} from {who}, filtered: {filtered}"
                    );
                }
                let direct = inside(&b.netns, || ask(proto, a.record.ip, 80));
                assert_eq!(direct.as_deref(), Some(format!("a {}", b.record.ip).as_str()));
            }
            network.teardown().expect("teardown");
        });
    }
}

#[test]
fn what_is_published_on_loopback_stays_there() {
    on_fresh_host(|| {
        let (far, network) = (neighbour(), network());
        let [a, b] = ["a", "b"].map(|id| network.claim(id, None).expect("an endpoint"));
        serve(&a, 80, "a");
        network.publish("a", a.record.ip, &both(LOOPBACK, 8080, 80)).expect("free ports");
        network.publish("a", a.record.ip, &both(HOST, 8181, 80)).expect("free ports");
        for proto in [Tcp, Udp] {
            assert!(inside(&far, || ask(proto, HOST, 8181)).is_some() && ask(proto, HOST, 8181).is_some());
            assert!(ask(proto, LOOPBACK, 8181).is_none() && ask(proto, GATEWAY, 8181).is_none());
        }
        let own = TcpListener::bind((LOOPBACK, 7070)).expect("a service of the host");
        for proto in [Tcp, Udp] {
            assert_eq!(ask(proto, LOOPBACK, 8080).as_deref(), Some("a 172.30.0.1"));
            assert_eq!(ask(proto, HOST, 8080), None, "another address of the host");
            assert_eq!(inside(&far, || ask(proto, HOST, 8080)), None);
            assert_eq!(inside(&far, || ask(proto, a.record.ip, 80)), None, "by a route to the container");
            assert_eq!(inside(&b.netns, || ask(proto, HOST, 8080)), None);
            assert_eq!(inside(&b.netns, || ask(proto, GATEWAY, 8080)), None);
        }
        // A forger on the wire, or in a container, sends packets to 127.0.0.1 to the host's own MAC address.
        let forge = "ip route del local 127.0.0.0/8 dev lo table local; ip route del local 127.0.0.1 dev lo table local; \
                     sysctl -q net.ipv4.conf.eth0.route_localnet=1";
        inside(&far, || run(&format!("{forge}; ip route add 127.0.0.0/8 via {HOST} src 203.0.113.2")));
        inside(&b.netns, || {
            run(&format!("{forge}; ip route add 127.0.0.0/8 via {GATEWAY} src {}", b.record.ip))
        });
        for namespace in [&far, &b.netns] {
            for to in [8080, 7070] {
                assert_eq!(inside(namespace, || ask(Tcp, LOOPBACK, to)), None, "forged to {to}");
            }
        }
        let forged = run("sysctl -n net.ipv4.conf.berth0.route_localnet");
        assert_eq!(forged.trim(), "1", "only the table stands between");
        drop(own);
        network.teardown().expect("teardown");
    });
}

#[test]
fn a_taken_port_is_a_conflict_in_dockers_words() {
    on_fresh_host(|| {
        let network = network();
        let a = network.claim("a", None).expect("an endpoint");
        let fail = |requests: &[_]| {
            network.publish("b", a.record.ip, requests).map_err(|e| (e.kind(), e.to_string()))
        };
        let sentence =
            |place| Err((Kind::Conflict, format!("Bind for {place} failed: port is already allocated")));
        network.publish("a", a.record.ip, &both(ANY, 8080, 80)).expect("free ports");
        assert_eq!(fail(&[port(Tcp, ANY, 8080, 81)]), sentence("0.0.0.0:8080".into()));
        assert_eq!(fail(&[port(Udp, LOOPBACK, 8080, 81)]), sentence("127.0.0.1:8080".into()));
        let tcp = TcpListener::bind((LOOPBACK, 0)).expect("listen");
        let bound = tcp.local_addr().expect("bound").port();
        assert_eq!(fail(&[port(Tcp, ANY, bound, 1)]), sentence(format!("0.0.0.0:{bound}")));
        network.publish("a", a.record.ip, &[port(Udp, ANY, bound, 1)]).expect("the other protocol");
        let udp = UdpSocket::bind((ANY, 0)).expect("bind");
        let bound = udp.local_addr().expect("bound").port();
        assert_eq!(fail(&[port(Udp, LOOPBACK, bound, 1)]), sentence(format!("127.0.0.1:{bound}")));
        let foreign = Ipv4Addr::new(198, 51, 100, 7);
        let (kind, text) = fail(&[port(Tcp, foreign, 80, 1)]).expect_err("not an address of this host");
        assert_eq!((kind, text.contains("cannot assign requested address")), (Kind::InvalidInput, true));
        let before = network.info().published;
        assert!(fail(&[port(Tcp, ANY, 0, 1), port(Tcp, ANY, 9090, 1), port(Tcp, ANY, 8080, 1)]).is_err());
        assert_eq!(network.info().published, before, "all or none");
        let chosen =
            network.publish("a", a.record.ip, &[port(Tcp, ANY, 0, 1), port(Tcp, ANY, 0, 2)]).expect("free");
        assert!(chosen.iter().all(|p| (32_768..=60_999).contains(&p.host_port)), "{chosen:?}");
        assert_ne!(chosen[0].host_port, chosen[1].host_port);
        network.teardown().expect("teardown");
    });
}

#[test]
fn a_udp_flow_follows_its_port_to_the_next_container() {
    on_fresh_host(|| {
        let (far, network) = (neighbour(), network());
        let [a, b] = ["a", "b"].map(|id| network.claim(id, None).expect("an endpoint"));
        serve(&a, 53, "a");
        serve(&b, 53, "b");
        let client = inside(&far, || UdpSocket::bind((ANY, 5353)).expect("bind"));
        client.connect((HOST, 53)).expect("connect");
        client.set_read_timeout(Some(std::time::Duration::from_millis(500))).expect("timeout");
        let ask = || {
            let mut buffer = [0; 64];
            client.send(b"?").ok();
            client.recv(&mut buffer).ok().map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned())
        };
        assert_eq!(ask(), None, "nobody is there yet");
        let wanted = [port(Udp, ANY, 53, 53)];
        let settle = || assert!(network.settle(std::time::Duration::from_secs(5)));
        let published = network.publish("a", a.record.ip, &wanted).expect("free");
        settle();
        let _ = ask();
        assert_eq!(ask().as_deref(), Some("a 203.0.113.2"), "the flow that was there before is translated");
        network.release(&a.record, &published).expect("release");
        network.publish("b", b.record.ip, &wanted).expect("free again");
        settle();
        let _ = ask();
        assert_eq!(ask().as_deref(), Some("b 203.0.113.2"), "the old flow is forgotten");
        network.teardown().expect("teardown");
    });
}

#[test]
fn nft_shows_the_elements_and_release_leaves_none() {
    on_fresh_host(|| {
        let network = network();
        let a = network.claim("a", None).expect("an endpoint");
        let wanted =
            [port(Tcp, ANY, 8080, 80), port(Udp, LOOPBACK, 5300, 53), port(net::Protocol::Sctp, ANY, 9, 9)];
        let published = network.publish("a", a.record.ip, &wanted).expect("free");
        let listed = elements();
        assert_eq!(listed, expected(&a.record, &published), "{}", run("nft list table ip berth"));
        network.release(&a.record, &published).expect("release");
        assert_eq!(elements(), Vec::<String>::new());
        drop(a.netns);
        assert!(network.settle(std::time::Duration::from_secs(5)), "the link goes");
        assert!(!run("ip -o link").contains(&a.record.host_link));
        network.teardown().expect("teardown");
        assert_eq!(run("ip -o link | wc -l; nft list ruleset").trim(), "1", "only lo is left");
    });
}

fn expected(record: &EndpointRecord, published: &[Published]) -> Vec<String> {
    let mut all: Vec<_> = published.iter().map(|p| Element::new(p, record.ip).to_string()).collect();
    all.sort();
    all
}

/// The elements as `nft` prints them.
pub(crate) fn elements() -> Vec<String> {
    let text = run("nft -nn list table ip berth").replace(['\n', '\t'], " ");
    let lists = text.split("elements = {").skip(1).filter_map(|rest| rest.split('}').next());
    let mut all: Vec<String> = lists
        .flat_map(|list| list.split(','))
        .map(|e| e.split_whitespace().collect::<Vec<_>>().join(" "))
        .map(|e| e.replacen("6 .", "tcp .", usize::from(e.starts_with("6 ."))))
        .map(|e| e.replacen("17 .", "udp .", usize::from(e.starts_with("17 ."))))
        .map(|e| e.replacen("132 .", "sctp .", usize::from(e.starts_with("132 ."))))
        .collect();
    all.sort();
    all
}
