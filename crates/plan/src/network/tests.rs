//! Tables: subnets, addresses, ports, elements; and the ruleset's whole text.

use std::net::Ipv4Addr;

use types::Kind;

use super::*;

fn net(text: &str) -> ipnet::Ipv4Net {
    text.parse().expect("a network")
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

#[test]
fn a_subnet_that_overlaps_nothing_is_chosen() {
    for (requested, present, want) in [
        (None, &[][..], Ok("172.30.0.0/16")),
        (None, &["0.0.0.0/0", "10.0.0.5/24"], Ok("172.30.0.0/16")),
        (None, &["172.30.9.1/32"], Ok("172.31.0.0/16")),
        (None, &["172.30.0.0/15"], Ok("172.29.0.0/16")),
        (None, &["172.16.0.0/12"], Ok("10.200.0.0/16")),
        (None, &["172.16.0.0/12", "10.0.0.0/8", "0.0.0.0/1"], Ok("192.168.240.0/20")),
        (None, &["172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"], Err(Kind::Exhausted)),
        (Some("10.9.8.7/24"), &["10.9.9.0/24"], Ok("10.9.8.0/24")),
        (Some("10.9.8.0/24"), &["10.9.8.128/25"], Err(Kind::Conflict)),
        (Some("10.9.8.0/24"), &["10.0.0.0/8"], Err(Kind::Conflict)),
        (Some("10.9.8.0/30"), &[], Err(Kind::InvalidInput)),
        (Some("0.0.0.0/0"), &[], Err(Kind::InvalidInput)),
    ] {
        let present: Vec<_> = present.iter().map(|p| net(p)).collect();
        let got = choose(requested.map(net), &present).map(|n| n.to_string());
        assert_eq!(got.as_deref().map_err(|e| e.kind()), want, "{requested:?} beside {present:?}");
    }
}

#[test]
fn addresses_rise_and_are_reused_last() {
    let mut addresses = Addresses::new(net("10.0.0.0/29"));
    let mut take = || addresses.take().map(|a| a.octets()[3]);
    assert_eq!([take(), take(), take()], [Some(2), Some(3), Some(4)]);
    addresses.free(ip("10.0.0.3"));
    assert!(addresses.is_taken(ip("10.0.0.2")) && !addresses.is_taken(ip("10.0.0.3")));
    let rest: Vec<_> = std::iter::from_fn(|| addresses.take()).map(|a| a.octets()[3]).collect();
    assert_eq!(rest, [5, 6, 3]);
    for reserved in ["10.0.0.0", "10.0.0.1", "10.0.0.7", "10.0.0.8", "9.255.255.255"] {
        addresses.free(ip(reserved));
        assert!(!addresses.take_this(ip(reserved)), "{reserved}");
    }
    assert_eq!((addresses.take(), addresses.count()), (None, 8));
    addresses.free(ip("10.0.0.6"));
    assert!(addresses.take_this(ip("10.0.0.6")) && !addresses.take_this(ip("10.0.0.6")));
    let mut large = Addresses::new(net("172.30.0.0/16"));
    assert_eq!(std::iter::from_fn(|| large.take()).count(), 65_533);
}

#[test]
fn names_follow_from_the_address() {
    let record = EndpointRecord::new(ip("172.30.0.2"), 16, ip("172.30.0.1"));
    assert_eq!(
        (record.mac.to_string().as_str(), record.host_link.as_str()),
        ("02:42:ac:1e:00:02", "bthac1e0002")
    );
    let text = serde_json::to_string(&record).expect("plain data");
    assert!(text.contains(r#""mac":"02:42:ac:1e:00:02""#), "{text}");
    assert_eq!(serde_json::from_str::<EndpointRecord>(&text).expect("what was printed"), record);
    assert_eq!(link_address("bthac1e0002"), Some(record.ip));
    for other in ["bth", "bth0", "bthAC1E0002", "bthac1e00020", "veth0", "bth+c1e0002"] {
        assert_eq!(link_address(other), None, "{other}");
    }
    for bad in ["", "02:42", "02:42:ac:1e:00:02:01", "2:42:ac:1e:00:02", "02:42:ac:1e:00:+2"] {
        assert!(bad.parse::<Mac>().is_err(), "{bad}");
    }
}

#[test]
fn bindings_are_read_as_docker_writes_them() {
    for (container, host_ip, host_port, want) in [
        ("80/tcp", "", "8080", "tcp 0.0.0.0:8080 80"),
        ("80", "0.0.0.0", "", "tcp 0.0.0.0:0 80"),
        ("53/UDP", "127.0.0.1", "0", "udp 127.0.0.1:0 53"),
        ("65535/sctp", "10.1.2.3", "65535", "sctp 10.1.2.3:65535 65535"),
    ] {
        let r =
            PortRequest::parse(container, host_ip, host_port).unwrap_or_else(|e| panic!("{container}: {e}"));
        assert_eq!(format!("{} {}:{} {}", r.proto, r.host_ip, r.host_port, r.container_port), want);
    }
    for (container, host_ip, host_port, kind) in [
        ("0/tcp", "", "1", Kind::InvalidInput),
        ("65536/tcp", "", "1", Kind::InvalidInput),
        ("80/icmp", "", "1", Kind::InvalidInput),
        ("80/", "", "1", Kind::InvalidInput),
        ("/tcp", "", "1", Kind::InvalidInput),
        ("+80/tcp", "", "1", Kind::InvalidInput),
        ("80/tcp", "localhost", "1", Kind::InvalidInput),
        ("80/tcp", "", "65536", Kind::InvalidInput),
        ("80/tcp", "", "x", Kind::InvalidInput),
        ("80/tcp", "::1", "1", Kind::Unimplemented),
        ("80/tcp", "", "8010-8000", Kind::InvalidInput),
        ("80/tcp", "", "0-8", Kind::InvalidInput),
        ("80/tcp", "", "-8", Kind::InvalidInput),
        ("80/tcp", "", "8-", Kind::InvalidInput),
        ("80/tcp", "", "1-2-3", Kind::InvalidInput),
    ] {
        let got = PortRequest::parse(container, host_ip, host_port).map_err(|e| e.kind());
        assert_eq!(got, Err(kind), "{container} {host_ip} {host_port}");
    }
}

fn request(text: &str) -> PortRequest {
    let (host, container) = text.rsplit_once(' ').expect("host and container");
    let (host_ip, host_port) = host.split_once(':').expect("address and port");
    PortRequest::parse(container, host_ip, host_port).expect("a request")
}

#[test]
fn taken_ports_clash_by_address_and_protocol() {
    for (first, second, fits) in [
        (":80 1/tcp", ":80 1/tcp", false),
        (":80 1/tcp", ":80 1/udp", true),
        (":80 1/tcp", ":81 1/tcp", true),
        (":80 1/tcp", "127.0.0.1:80 1/tcp", false),
        ("127.0.0.1:80 1/tcp", ":80 1/tcp", false),
        ("127.0.0.1:80 1/tcp", "127.0.0.1:80 2/tcp", false),
        ("127.0.0.1:80 1/tcp", "127.0.0.2:80 1/tcp", true),
    ] {
        let mut table = PortTable::default();
        let taken = table.take(&[request(first)], &mut |_, _, _| true).expect("the first is free");
        let got = table.take(&[request(second)], &mut |_, _, _| true);
        assert_eq!(got.is_ok(), fits, "{first} then {second}");
        assert_eq!(table.count(), 1 + usize::from(fits));
        table.free(&taken);
        table.free(&got.unwrap_or_default());
        assert_eq!(table.count(), 0);
    }
    let error = PortTable::default().take(&[request(":8080 80")], &mut |_, _, _| false).expect_err("bound");
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(error.to_string(), "Bind for 0.0.0.0:8080 failed: port is already allocated");
}

#[test]
fn all_ports_or_none_are_taken() {
    let mut table = PortTable::default();
    let wanted = [request(":0 1"), request(":32768 2"), request(":0 3/udp"), request(":0 4")];
    let got = table.take(&wanted, &mut |_, _, port| port != 32_769).expect("free");
    let ports: Vec<_> = got.iter().map(|p| (p.host_port, p.container_port)).collect();
    assert_eq!(ports, [(32_770, 1), (32_768, 2), (32_771, 3), (32_772, 4)], "32768 is for who asked for it");
    let before = table.count();
    assert!(
        table.take(&[request(":0 5"), request(":99 6"), request(":32768 7")], &mut |_, _, _| true).is_err()
    );
    assert_eq!(table.count(), before);
    let ranged = [request(":8000-8002 1"), request(":8001 2"), request(":8000-8002 3")];
    let ports: Vec<_> =
        table.take(&ranged, &mut |_, _, _| true).expect("free").iter().map(|p| p.host_port).collect();
    assert_eq!(ports, [8000, 8001, 8002]);
    let mut again = PortTable::default();
    again.adopt(&got);
    assert!(again.take(&[request(":32770 1")], &mut |_, _, _| true).is_err());
    let mut full = PortTable::default();
    let count = EPHEMERAL.len();
    for _ in 0..count {
        full.take(&[request(":0 1")], &mut |_, _, _| true).expect("one is left");
    }
    let error = full.take(&[request(":0 1")], &mut |_, _, _| true).expect_err("none is left");
    assert_eq!(error.kind(), Kind::Exhausted);
}

#[test]
fn elements_read_what_they_write() {
    for (text, map, key, value, print) in [
        (
            "127.0.0.1:8080 80",
            Map::Exact,
            "06000000 7f000001 1f900000",
            "ac1e0002 00500000",
            "tcp . 127.0.0.1 . 8080 : 172.30.0.2 . 80",
        ),
        (
            ":53 5353/udp",
            Map::Wildcard,
            "11000000 00350000",
            "ac1e0002 14e90000",
            "udp . 53 : 172.30.0.2 . 5353",
        ),
    ] {
        let hex = |bytes: &[u8]| {
            let words: Vec<String> =
                bytes.chunks(4).map(|w| w.iter().map(|b| format!("{b:02x}")).collect()).collect();
            words.join(" ")
        };
        let mut table = PortTable::default();
        let published = table.take(&[request(text)], &mut |_, _, _| true).expect("free");
        let element = Element::new(&published[0], ip("172.30.0.2"));
        assert_eq!(
            (element.map(), hex(&element.key()), hex(&element.value())),
            (map, key.into(), value.into())
        );
        assert_eq!(element.to_string(), print);
        assert_eq!(Element::read(map, &element.key(), &element.value()), Some(element));
        assert_eq!(Element::read(map, &element.key()[1..], &element.value()), None);
        assert_eq!(Element::read(map, &element.key(), &[]), None);
    }
}

#[test]
fn the_ruleset_reads_as_nft_prints_it() {
    let ruleset = Ruleset::new("berth", "berth0", net("172.30.0.0/16"));
    assert_eq!(ruleset.to_string(), include_str!("ruleset.golden"));
    let other = Ruleset::new("berth", "berth1", net("172.30.0.0/16"));
    assert_ne!(ruleset.fingerprint(), other.fingerprint());
}
