//! Daemons come and go; endpoints and published ports stay.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use net::Protocol::Tcp;
use net::{BridgeConfig, Network};
use types::Kind;

use crate::host::{
    HOST, LOOPBACK, ask, both, chain, inside, neighbour, network, on_fresh_host, open, port, run, serve,
};
use crate::publish::elements;

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

#[test]
fn ports_answer_without_a_daemon_and_the_next_one_takes_over() {
    on_fresh_host(|| {
        let far = neighbour();
        let first = network();
        let [kept, lost] = ["a", "b"].map(|id| first.claim(id, None).expect("an endpoint"));
        serve(&kept, 80, "kept");
        serve(&lost, 80, "lost");
        let kept_ports = first.publish("a", kept.record.ip, &both(ANY, 8080, 80)).expect("free");
        let lost_ports = first.publish("b", lost.record.ip, &both(ANY, 9090, 80)).expect("free");
        drop(first);
        let works =
            |port| inside(&far, || ask(Tcp, HOST, port)).is_some() && ask(Tcp, LOOPBACK, port).is_some();
        assert!(works(8080) && works(9090), "there is no daemon");
        assert!(run("ip -o link").matches("bth").count() >= 2);

        let second = network();
        assert!(works(8080) && works(9090), "not reconciled yet");
        let taken = second.publish("c", kept.record.ip, &[port(Tcp, ANY, 8080, 1)]).expect_err("taken");
        assert_eq!(taken.kind(), Kind::Conflict);
        second.reconcile(&[(kept.record.clone(), kept_ports.clone())]).expect("reconcile");
        assert!(second.settle(Duration::from_secs(5)));
        assert!(works(8080) && !works(9090));
        assert_eq!(elements().len(), 2);
        let links = run("ip -o link");
        assert!(links.contains(&kept.record.host_link) && !links.contains(&lost.record.host_link), "{links}");
        second
            .publish(
                "c",
                kept.record.ip,
                &lost_ports.iter().map(|p| port(p.proto, p.host_ip, p.host_port, 80)).collect::<Vec<_>>(),
            )
            .expect("free again");
        let fresh: Vec<_> = (0..8).map(|_| second.claim("d", None).expect("an endpoint").record.ip).collect();
        assert!(!fresh.contains(&kept.record.ip), "{fresh:?}");
        second.release(&kept.record, &kept_ports).expect("release");
        second.teardown().expect("teardown");
        assert_eq!(run("ip -o link | grep -cE 'bth|berth' || true").trim(), "0");
    });
}

#[test]
fn endpoints_whose_bridge_was_removed_are_attached_to_the_new_one() {
    on_fresh_host(|| {
        let first = network();
        let [a, b] = ["a", "b"].map(|id| first.claim(id, None).expect("an endpoint"));
        serve(&a, 80, "a");
        let ports = first.publish("a", a.record.ip, &both(ANY, 8080, 80)).expect("free");
        drop(first);
        run("ip link del berth0");
        assert_eq!(ask(Tcp, LOOPBACK, 8080), None);
        let second = network();
        second.reconcile(&[(a.record.clone(), ports)]).expect("reconcile");
        assert!(second.settle(Duration::from_secs(5)));
        assert_eq!(ask(Tcp, LOOPBACK, 8080).as_deref(), Some("a 172.30.0.1"));
        assert!(!run("ip -o link").contains(&b.record.host_link), "nobody claimed that one");
        second.teardown().expect("teardown");
    });
}

#[test]
fn a_foreign_link_with_an_endpoints_name_is_stepped_over() {
    on_fresh_host(|| {
        let network = open(0);
        run("ip link add bthac1e0002 type veth peer name x");
        assert_eq!(network.claim("a", None).expect("the next address").record.ip.octets(), [172, 30, 0, 3]);
        network.teardown().expect("teardown");
    });
}

#[test]
fn a_missing_port_is_published_again() {
    on_fresh_host(|| {
        let first = network();
        let a = first.claim("a", None).expect("an endpoint");
        serve(&a, 80, "a");
        let ports = first.publish("a", a.record.ip, &both(ANY, 8080, 80)).expect("free");
        drop(first);
        run("nft delete table ip berth");
        assert_eq!(ask(Tcp, LOOPBACK, 8080), None);
        let second = network();
        second.reconcile(&[(a.record.clone(), ports)]).expect("reconcile");
        assert!(ask(Tcp, LOOPBACK, 8080).is_some());
        second.teardown().expect("teardown");
    });
}

#[test]
fn a_foreign_flush_passes_our_table_by() {
    on_fresh_host(|| {
        let network = network();
        let a = network.claim("a", None).expect("an endpoint");
        serve(&a, 80, "a");
        let ports = network.publish("a", a.record.ip, &both(ANY, 8080, 80)).expect("free");
        run("nft add table ip other; nft flush ruleset");
        if !run("nft list tables").contains("berth") {
            eprintln!("skipped: this kernel has no tables with an owner that persist (6.9)");
            return;
        }
        assert!(ask(Tcp, LOOPBACK, 8080).is_some());
        let config = BridgeConfig { subnet: Some(network.info().subnet), ..BridgeConfig::default() };
        let error = Network::open(config).expect_err("two daemons with one table");
        assert_eq!(error.kind(), Kind::Conflict, "{}", chain(&error));
        network.release(&a.record, &ports).expect("release");
        network.teardown().expect("teardown");
    });
}

#[test]
fn a_table_that_others_may_flush_is_put_back() {
    on_fresh_host(|| {
        let config = BridgeConfig { sole_owner: false, pool_size: 0, ..BridgeConfig::default() };
        let network = Network::open(config).expect("a network");
        let a = network.claim("a", None).expect("an endpoint");
        serve(&a, 80, "a");
        network.publish("a", a.record.ip, &both(ANY, 8080, 80)).expect("free");
        let intact = run("nft list table ip berth");
        for harm in [
            "flush ruleset",
            "flush table ip berth",
            "delete table ip berth",
            "flush map ip berth published-anywhere",
        ] {
            let since = Instant::now();
            run(&format!("nft {harm}"));
            while run("nft list table ip berth 2>&1 || true") != intact {
                assert!(
                    since.elapsed() < Duration::from_secs(1),
                    "after {harm}: {}",
                    run("nft list ruleset")
                );
            }
            assert!(ask(Tcp, LOOPBACK, 8080).is_some());
        }
        network.teardown().expect("teardown");
        assert_eq!(run("nft list tables"), "");
    });
}

#[test]
fn released_endpoints_vanish_even_while_somebody_holds_their_namespace() {
    on_fresh_host(|| {
        let network = open(0);
        let held = network.claim("a", None).expect("made on the spot");
        let (busy, outside) = (held.record.ip, Ipv4Addr::new(10, 9, 8, 7));
        assert_eq!(network.claim("b", Some(busy)).expect_err("taken").kind(), Kind::Conflict);
        assert_eq!(network.claim("b", Some(outside)).expect_err("elsewhere").kind(), Kind::InvalidInput);
        let wished = network.claim("b", Some(Ipv4Addr::new(172, 30, 7, 7))).expect("free");
        assert_eq!(wished.record.ip.octets(), [172, 30, 7, 7]);
        network.release(&held.record, &[]).expect("release");
        assert!(network.settle(Duration::from_secs(5)));
        assert!(!run("ip -o link").contains(&held.record.host_link));
        assert_eq!(inside(&held.netns, || run("ip -o link | grep -c eth0 || true")).trim(), "0");
        assert!(network.claim("c", Some(busy)).is_ok(), "the address is free again");
        network.teardown().expect("teardown");
    });
}

#[test]
fn the_pool_skips_endpoints_whose_link_somebody_removed() {
    on_fresh_host(|| {
        let network = network();
        run("ip link del bthac1e0002; ip link del bthac1e0003");
        let endpoint = network.claim("a", None).expect("an endpoint");
        assert_eq!(endpoint.record.ip.octets(), [172, 30, 0, 4]);
        network.teardown().expect("teardown");
    });
}

#[test]
fn a_removed_bridge_is_made_again_under_a_running_daemon() {
    on_fresh_host(|| {
        let far = neighbour();
        let network = network();
        let live = network.claim("a", None).expect("an endpoint");
        serve(&live, 80, "live");
        let published = network.publish("a", live.record.ip, &both(ANY, 8080, 80)).expect("free");
        let works = |port| inside(&far, || ask(Tcp, HOST, port)).is_some();
        assert!(works(8080));
        assert_eq!(network.mend().expect("nothing to do"), None);
        run("ip link del berth0");
        assert!(!works(8080));
        let said = network.mend().expect("mend").expect("a sentence");
        assert!(said.contains("bridge berth0 had been removed"), "{said}");
        assert!(works(8080), "the live endpoint is on it");
        assert_eq!(network.mend().expect("nothing to do"), None);
        // Ready ones and new ones are as well. A loaded host may need more than one try.
        for port in 9000..9008 {
            let next = network.claim("b", None).expect("an endpoint");
            serve(&next, 80, "next");
            network.publish("b", next.record.ip, &both(ANY, port, 80)).expect("free");
            assert!((0..10).any(|_| works(port)), "{port}");
        }
        run("ip link del berth0; ip link add berth0 type bridge");
        let error = network.mend().expect_err("a foreign link");
        assert_eq!((error.kind(), error.to_string().contains("restart the daemon")), (Kind::Conflict, true));
        run("ip link del berth0");
        network.mend().expect("mend");
        network.release(&live.record, &published).expect("release");
        network.teardown().expect("teardown");
    });
}
