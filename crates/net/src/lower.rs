//! From the ruleset as data to what nf_tables takes: each test and action becomes a few expressions.

use ipnet::Ipv4Net;
use plan::network::{Action, ChainKind, Hook, Map, Point, Rule, Test};
use sys::nft::{ChainType, Compare, Expression, HookSpec, MapSpec, Verdict};

/// nft's types, six bits each: inet_proto 12, ipv4_addr 7, inet_service 13.
const VALUE_TYPE: u32 = 7 << 6 | 13;
/// `RTN_LOCAL`, `IP_CT_ESTABLISHED` and `IP_CT_RELATED` as nft's state bits, `IPS_DST_NAT`.
const LOCAL: u32 = 2;
const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
const DESTINATION_TRANSLATED: u32 = 1 << 5;
const SOURCE_OFFSET: u32 = 12;
const DESTINATION_OFFSET: u32 = 16;

/// A map of the table as the kernel wants it.
pub(crate) const fn map_spec(map: Map, id: u32) -> MapSpec<'static> {
    let (key_type, key_length) = match map {
        Map::Exact => (12 << 12 | VALUE_TYPE, 12),
        Map::Wildcard => (12 << 6 | 13, 8),
    };
    MapSpec { name: map.name(), id, key_type, key_length, value_type: VALUE_TYPE, value_length: 8 }
}

/// Where a chain's packets come from.
pub(crate) const fn hook_spec(hook: Hook) -> HookSpec {
    let kind = match hook.kind {
        ChainKind::Filter => ChainType::Filter,
        ChainKind::Nat => ChainType::Nat,
    };
    let number = match hook.point {
        Point::Prerouting => 0,
        Point::Forward => 2,
        Point::Output => 3,
        Point::Postrouting => 4,
    };
    HookSpec { kind, number, priority: hook.priority }
}

/// A rule's tests and its action.
pub(crate) fn expressions(rule: &Rule) -> Vec<Expression> {
    rule.tests.iter().flat_map(test).chain(action(&rule.action)).collect()
}

fn test(test: &Test) -> Vec<Expression> {
    use Compare::{Different, Equal};
    match test {
        Test::From(link) => vec![Expression::InputName(1), Expression::Compare(1, Equal, name(link))],
        Test::NotFrom(link) => vec![Expression::InputName(1), Expression::Compare(1, Different, name(link))],
        Test::To(link) => vec![Expression::OutputName(1), Expression::Compare(1, Equal, name(link))],
        Test::NotTo(link) => vec![Expression::OutputName(1), Expression::Compare(1, Different, name(link))],
        Test::Source(net) => network(SOURCE_OFFSET, *net),
        Test::Destination(net) => network(DESTINATION_OFFSET, *net),
        Test::DestinationIsLocal => {
            vec![Expression::DestinationType(1), Expression::Compare(1, Equal, LOCAL.to_ne_bytes().to_vec())]
        }
        Test::Established => bits(Expression::ConnectionState(1), ESTABLISHED_OR_RELATED),
        Test::Translated => bits(Expression::ConnectionStatus(1), DESTINATION_TRANSLATED),
    }
}

/// A name fills its 16 bytes.
fn name(link: &str) -> Vec<u8> {
    let mut bytes = link.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
}

/// Whole bytes of the network part are compared as they are, otherwise the address under its mask.
fn network(offset: u32, net: Ipv4Net) -> Vec<Expression> {
    let whole = net.prefix_len().is_multiple_of(8);
    let length = if whole { usize::from(net.prefix_len() / 8) } else { 4 };
    let load = Expression::Network { register: 1, offset, length: length as u32 };
    let mask = Expression::Mask(1, net.netmask().octets().to_vec());
    let compare = Expression::Compare(1, Compare::Equal, net.network().octets()[..length].to_vec());
    if whole { vec![load, compare] } else { vec![load, mask, compare] }
}

/// Any of these bits is set.
fn bits(load: Expression, wanted: u32) -> Vec<Expression> {
    let mask = Expression::Mask(1, wanted.to_ne_bytes().to_vec());
    vec![load, mask, Expression::Compare(1, Compare::Different, vec![0; 4])]
}

fn action(action: &Action) -> Vec<Expression> {
    match action {
        Action::Accept => vec![Expression::Verdict(Verdict::Accept)],
        Action::Drop => vec![Expression::Verdict(Verdict::Drop)],
        Action::Jump(chain) => vec![Expression::Verdict(Verdict::Jump((*chain).to_owned()))],
        Action::Masquerade => vec![Expression::Masquerade],
        Action::Translate(map) => {
            // The key's words follow one another from register 1 on, which begins where word 8 does.
            let mut all = vec![Expression::Transport(1)];
            if *map == Map::Exact {
                all.push(Expression::Network { register: 9, offset: DESTINATION_OFFSET, length: 4 });
            }
            all.push(Expression::DestinationPort(if *map == Map::Exact { 10 } else { 9 }));
            all.push(Expression::Lookup { map: map.name().to_owned(), register: 1 });
            all.push(Expression::TranslateDestination { address: 1, port: 9 });
            all
        }
    }
}
