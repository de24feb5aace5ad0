//! The expressions that rules are made of, as nft(8) encodes them.
//!
//! Registers are the kernel's numbers: 0 is the verdict, 1 to 4 have 16 bytes each, 8 to 23 are the same room in words
//! of 4 bytes (so 1 begins where 8 does).

use super::uapi::{
    NF_ACCEPT, NF_DROP, NFT_JUMP, NFTA_DATA_VALUE, NFTA_DATA_VERDICT, NFTA_EXPR_DATA, NFTA_EXPR_NAME,
};
use crate::netlink::Writer;

/// One expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// The name of the link a packet came in by, 16 bytes.
    InputName(u32),
    /// The name of the link a packet goes out by, 16 bytes.
    OutputName(u32),
    /// The transport protocol's number, 1 byte.
    Transport(u32),
    /// Bytes of the network header.
    Network {
        /// Where they go.
        register: u32,
        /// Where they start.
        offset: u32,
        /// How many.
        length: u32,
    },
    /// The transport header's destination port, 2 bytes.
    DestinationPort(u32),
    /// The connection's state bits, 4 bytes in the host's order.
    ConnectionState(u32),
    /// The connection's status bits, 4 bytes in the host's order.
    ConnectionStatus(u32),
    /// The type of the destination address (`RTN_*`), 4 bytes in the host's order.
    DestinationType(u32),
    /// Keeps the bits of a register that a mask has.
    Mask(u32, Vec<u8>),
    /// Goes on with the rule only when the comparison holds.
    Compare(u32, Compare, Vec<u8>),
    /// Looks a key up in a map, goes on only when it is there, and puts its value into the same register.
    Lookup {
        /// The map's name.
        map: String,
        /// Where the key starts, and the value will.
        register: u32,
    },
    /// Translates the destination to the address and port in these registers.
    TranslateDestination {
        /// Where the address is.
        address: u32,
        /// Where the port is.
        port: u32,
    },
    /// Translates the source to the address of the link the packet leaves by.
    Masquerade,
    /// Ends the rule.
    Verdict(Verdict),
}

/// How a register is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// It is the same.
    Equal,
    /// It differs.
    Different,
}

/// What a rule ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The packet passes this chain.
    Accept,
    /// The packet vanishes.
    Drop,
    /// Another chain goes on.
    Jump(String),
}

impl Expression {
    /// Writes name and data.
    pub(super) fn put(&self, w: &mut Writer<'_>) {
        w.put_text(NFTA_EXPR_NAME, self.name());
        w.nest(NFTA_EXPR_DATA, |w| self.put_data(w));
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::InputName(_) | Self::OutputName(_) | Self::Transport(_) => "meta",
            Self::Network { .. } | Self::DestinationPort(_) => "payload",
            Self::ConnectionState(_) | Self::ConnectionStatus(_) => "ct",
            Self::DestinationType(_) => "fib",
            Self::Mask(..) => "bitwise",
            Self::Compare(..) => "cmp",
            Self::Lookup { .. } => "lookup",
            Self::TranslateDestination { .. } => "nat",
            Self::Masquerade => "masq",
            Self::Verdict(_) => "immediate",
        }
    }

    fn put_data(&self, w: &mut Writer<'_>) {
        match self {
            Self::InputName(register) => numbers(w, &[(2, 6), (1, *register)]),
            Self::OutputName(register) => numbers(w, &[(2, 7), (1, *register)]),
            Self::Transport(register) => numbers(w, &[(2, 16), (1, *register)]),
            Self::Network { register, offset, length } => payload(w, *register, 1, *offset, *length),
            Self::DestinationPort(register) => payload(w, *register, 2, 2, 2),
            Self::ConnectionState(register) => numbers(w, &[(2, 0), (1, *register)]),
            Self::ConnectionStatus(register) => numbers(w, &[(2, 2), (1, *register)]),
            Self::DestinationType(register) => numbers(w, &[(3, 2), (2, 3), (1, *register)]),
            Self::Mask(register, mask) => put_mask(w, *register, mask),
            Self::Compare(register, compare, value) => {
                let operator = u32::from(*compare == Compare::Different);
                numbers(w, &[(1, *register), (2, operator)]);
                w.nest(3, |w| w.put(NFTA_DATA_VALUE, value));
            }
            Self::Lookup { map, register } => {
                numbers(w, &[(2, *register), (3, *register)]);
                w.put_text(1, map);
            }
            Self::TranslateDestination { address, port } => {
                numbers(w, &[(1, 1), (2, 2), (3, *address), (5, *port)])
            }
            Self::Masquerade => {}
            Self::Verdict(verdict) => {
                numbers(w, &[(1, 0)]);
                w.nest(2, |w| w.nest(NFTA_DATA_VERDICT, |w| put_verdict(w, verdict)));
            }
        }
    }
}

fn numbers(w: &mut Writer<'_>, attributes: &[(u16, u32)]) {
    attributes.iter().for_each(|(kind, value)| w.put_be32(*kind, *value));
}

fn payload(w: &mut Writer<'_>, register: u32, base: u32, offset: u32, length: u32) {
    numbers(w, &[(1, register), (2, base), (3, offset), (4, length)]);
}

fn put_mask(w: &mut Writer<'_>, register: u32, mask: &[u8]) {
    numbers(w, &[(1, register), (2, register), (3, mask.len() as u32)]);
    w.nest(4, |w| w.put(NFTA_DATA_VALUE, mask));
    w.nest(5, |w| w.put(NFTA_DATA_VALUE, &vec![0; mask.len()]));
}

fn put_verdict(w: &mut Writer<'_>, verdict: &Verdict) {
    match verdict {
        Verdict::Accept => w.put_be32(1, NF_ACCEPT),
        Verdict::Drop => w.put_be32(1, NF_DROP),
        Verdict::Jump(chain) => {
            w.put_be32(1, NFT_JUMP);
            w.put_text(2, chain);
        }
    }
}
