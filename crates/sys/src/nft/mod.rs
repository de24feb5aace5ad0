//! The packet filter (nf_tables) by netlink: transactions that are carried out whole or not at all, and what is in force.
//! Knows expressions and elements, not what a rule is for. The bytes are those that nft(8) sends.

mod conntrack;
mod expression;
mod monitor;
mod read;
mod transaction;
mod uapi;

pub use conntrack::{Flow, forget_flows};
pub use expression::{Compare, Expression, Verdict};
pub use monitor::Monitor;
pub use read::{BaseChain, Elements, base_chains, elements, table_exists};
pub use transaction::{ChainType, HookSpec, MapSpec, Ownership, Transaction};

#[cfg(test)]
mod tests;
