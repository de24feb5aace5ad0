//! The packet filter of one daemon: a table that never changes while it runs, except for the elements of its two maps.
//! Its text is what `nft list table` prints.

use std::fmt;

use ipnet::Ipv4Net;

use super::element::Map;

/// The table of one bridge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ruleset {
    /// The table's name, of family `ip`.
    pub table: String,
    /// Its chains.
    pub chains: Vec<Chain>,
}

/// A chain and its rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// Its name.
    pub name: &'static str,
    /// Where packets enter it; nothing when only other chains jump to it.
    pub hook: Option<Hook>,
    /// What it does, in order.
    pub rules: Vec<Rule>,
}

/// Where packets enter a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hook {
    /// What the chain may do.
    pub kind: ChainKind,
    /// At which point of a packet's way.
    pub point: Point,
    /// The order among the chains of that point, lowest first.
    pub priority: i32,
}

/// What a chain may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChainKind {
    /// Let pass or drop.
    Filter,
    /// Translate addresses; sees only the first packet of a connection.
    Nat,
}

/// The points of a packet's way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    /// Arrived, not yet routed.
    Prerouting,
    /// Routed through this host.
    Forward,
    /// Made by this host.
    Output,
    /// About to leave.
    Postrouting,
}

/// Tests, and what happens when all hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// All of them must hold.
    pub tests: Vec<Test>,
    /// What is done then.
    pub action: Action,
}

/// A property of a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Test {
    /// It came in by this link.
    From(String),
    /// It came in by another link.
    NotFrom(String),
    /// It goes out by this link.
    To(String),
    /// It goes out by another link.
    NotTo(String),
    /// Its source is in this network.
    Source(Ipv4Net),
    /// Its destination is in this network.
    Destination(Ipv4Net),
    /// Its destination is an address of this host.
    DestinationIsLocal,
    /// It belongs to a connection that was let through before.
    Established,
    /// Its connection's destination was translated.
    Translated,
}

/// What happens to a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// It passes this chain.
    Accept,
    /// It vanishes.
    Drop,
    /// Another chain goes on.
    Jump(&'static str),
    /// Its source becomes the address of the link it leaves by.
    Masquerade,
    /// Its destination becomes what the map says, if that has an entry.
    Translate(Map),
}

impl Ruleset {
    /// The rules for a bridge with this subnet.
    #[must_use]
    pub fn new(table: &str, bridge: &str, subnet: Ipv4Net) -> Self {
        use ChainKind::{Filter, Nat};
        let chain = |name, kind, point, priority, rules| Chain {
            name,
            hook: Some(Hook { kind, point, priority }),
            rules,
        };
        let publish = || vec![rule([Test::DestinationIsLocal], Action::Jump("publish"))];
        let translations = [Map::Exact, Map::Wildcard].map(|map| rule([], Action::Translate(map)));
        let chains = vec![
            Chain { name: "publish", hook: None, rules: translations.into() },
            chain("guard", Filter, Point::Prerouting, -300, guard()),
            chain("arrive", Nat, Point::Prerouting, -100, publish()),
            chain("originate", Nat, Point::Output, -100, publish()),
            chain("forward", Filter, Point::Forward, 0, forward(bridge)),
            chain("leave", Nat, Point::Postrouting, 100, leave(bridge, subnet)),
        ];
        Self { table: table.to_owned(), chains }
    }

    /// A number that differs between different rulesets (FNV-1a of the text).
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.to_string().bytes().fold(0xcbf2_9ce4_8422_2325, mix)
    }
}

fn rule(tests: impl Into<Vec<Test>>, action: Action) -> Rule {
    Rule { tests: tests.into(), action }
}

const fn loopback() -> Ipv4Net {
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8)
}

/// The bridge may route 127.0.0.0/8 (`route_localnet`), so nobody but this host may use such addresses: otherwise a
/// neighbour or a container could reach what is published, or listens, on 127.0.0.1 only.
fn guard() -> Vec<Rule> {
    let foreign = || Test::NotFrom("lo".to_owned());
    vec![
        rule([foreign(), Test::Destination(loopback())], Action::Drop),
        rule([foreign(), Test::Source(loopback())], Action::Drop),
    ]
}

/// Containers talk to each other and to the world. The world reaches them only by published ports: not by a route to
/// their own addresses, which would open what is published on 127.0.0.1 only.
fn forward(bridge: &str) -> Vec<Rule> {
    let to = || Test::To(bridge.to_owned());
    vec![
        rule([Test::From(bridge.to_owned())], Action::Accept),
        rule([to(), Test::Established], Action::Accept),
        rule([to(), Test::Translated], Action::Accept),
        rule([to()], Action::Drop),
    ]
}

/// Containers leave with the host's address. A container that reaches another by its published port, and the host by
/// 127.0.0.1, appear as the bridge: the answer must come back this way to be translated.
fn leave(bridge: &str, subnet: Ipv4Net) -> Vec<Rule> {
    let to = || Test::To(bridge.to_owned());
    vec![
        rule([Test::Source(subnet), Test::NotTo(bridge.to_owned())], Action::Masquerade),
        rule([to(), Test::Source(subnet), Test::Translated], Action::Masquerade),
        rule([to(), Test::Source(loopback())], Action::Masquerade),
    ]
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table ip {} {{", self.table)?;
        for map in Map::ALL {
            let (name, key) = (map.name(), map.key_type());
            writeln!(f, "\tmap {name} {{\n\t\ttype {key} : ipv4_addr . inet_service\n\t}}\n")?;
        }
        for (index, chain) in self.chains.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            writeln!(f, "{gap}\tchain {} {{", chain.name)?;
            if let Some(hook) = chain.hook {
                writeln!(f, "\t\t{hook}")?;
            }
            chain.rules.iter().try_for_each(|rule| writeln!(f, "\t\t{rule}"))?;
            writeln!(f, "\t}}")?;
        }
        writeln!(f, "}}")
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ChainKind::Filter => "filter",
            ChainKind::Nat => "nat",
        };
        let point = match self.point {
            Point::Prerouting => "prerouting",
            Point::Forward => "forward",
            Point::Output => "output",
            Point::Postrouting => "postrouting",
        };
        let priority = match (self.point, self.priority) {
            (Point::Prerouting, -100) => "dstnat".to_owned(),
            (Point::Postrouting, 100) => "srcnat".to_owned(),
            (_, -300) => "raw".to_owned(),
            (_, 0) => "filter".to_owned(),
            (_, other) => other.to_string(),
        };
        write!(f, "type {kind} hook {point} priority {priority}; policy accept;")
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tests.iter().try_for_each(|test| write!(f, "{test} "))?;
        self.action.fmt(f)
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(link) => write!(f, "iifname \"{link}\""),
            Self::NotFrom(link) => write!(f, "iifname != \"{link}\""),
            Self::To(link) => write!(f, "oifname \"{link}\""),
            Self::NotTo(link) => write!(f, "oifname != \"{link}\""),
            Self::Source(net) => write!(f, "ip saddr {net}"),
            Self::Destination(net) => write!(f, "ip daddr {net}"),
            Self::DestinationIsLocal => f.write_str("fib daddr type local"),
            Self::Established => f.write_str("ct state established,related"),
            Self::Translated => f.write_str("ct status dnat"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Masquerade => f.write_str("masquerade"),
            Self::Translate(map) => {
                let name = map.name();
                match map {
                    Map::Exact => write!(f, "dnat ip to meta l4proto . ip daddr . th dport map @{name}"),
                    Map::Wildcard => write!(f, "dnat ip to meta l4proto . th dport map @{name}"),
                }
            }
        }
    }
}
