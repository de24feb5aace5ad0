//! Changes of the packet filter that are carried out together or not at all.

use super::expression::Expression;
use super::uapi::{
    DELSETELEM, DELTABLE, HEADER, NEWCHAIN, NEWRULE, NEWSET, NEWSETELEM, NEWTABLE, NF_ACCEPT,
    NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFNL_SUBSYS_NFTABLES, NFT_SET_MAP, NFT_TABLE_F_OWNER,
    NFT_TABLE_F_PERSIST, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY, NFTA_CHAIN_TABLE,
    NFTA_CHAIN_TYPE, NFTA_DATA_VALUE, NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY, NFTA_LIST_ELEM, NFTA_RULE_CHAIN,
    NFTA_RULE_EXPRESSIONS, NFTA_RULE_TABLE, NFTA_SET_DATA_LEN, NFTA_SET_DATA_TYPE, NFTA_SET_ELEM_DATA,
    NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_LIST_ELEMENTS, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_TABLE,
    NFTA_SET_FLAGS, NFTA_SET_ID, NFTA_SET_KEY_LEN, NFTA_SET_KEY_TYPE, NFTA_SET_NAME, NFTA_SET_TABLE,
    NFTA_TABLE_FLAGS, NFTA_TABLE_NAME, NFTA_TABLE_USERDATA, NLM_F_APPEND,
};
use crate::netlink::{Batch, Error, NLM_F_CREATE, Socket, Writer};

/// Elements in one message: their attribute's length has 16 bits.
const ELEMENTS_PER_MESSAGE: usize = 500;

/// Who may change a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Everyone with `CAP_NET_ADMIN`.
    Shared,
    /// Only the socket that made it; it stays when that closes, and is then shared until somebody owns it again
    /// (Linux 6.9). A foreign `flush ruleset` passes it by.
    Owned,
}

/// What a base chain may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainType {
    /// Let pass or drop.
    Filter,
    /// Translate addresses.
    Nat,
}

/// Where packets enter a base chain. The policy is to accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookSpec {
    /// What it may do.
    pub kind: ChainType,
    /// `NF_INET_*`.
    pub number: u32,
    /// Lowest first.
    pub priority: i32,
}

/// A map: types are nft's, six bits for each part of a concatenation; lengths are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapSpec<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its number within the transaction, from 1.
    pub id: u32,
    /// The key's type.
    pub key_type: u32,
    /// The key's length.
    pub key_length: u32,
    /// The value's type.
    pub value_type: u32,
    /// The value's length.
    pub value_length: u32,
}

/// Changes in the order they are to be carried out. All tables are of family `ip`.
#[derive(Debug)]
pub struct Transaction {
    batch: Batch,
}

impl Default for Transaction {
    fn default() -> Self {
        Self::new()
    }
}

impl Transaction {
    /// No changes yet.
    #[must_use]
    pub fn new() -> Self {
        let mut batch = Batch::new();
        batch.message("begin nft transaction", NFNL_MSG_BATCH_BEGIN, 0, &frame(), |_| {});
        Self { batch }
    }

    /// Adds a table, or takes over the one of this name. A comment is what `nft list` shows beside it.
    pub fn add_table(&mut self, name: &str, ownership: Ownership, comment: &str) {
        let flags = match ownership {
            Ownership::Shared => 0,
            Ownership::Owned => NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST,
        };
        self.add(format!("add nft table {name}"), NEWTABLE, NLM_F_CREATE, |w| {
            w.put_text(NFTA_TABLE_NAME, name);
            w.put_be32(NFTA_TABLE_FLAGS, flags);
            // libnftnl's user data: type 0 is the comment, its length in one byte.
            if let Ok(length) = u8::try_from(comment.len() + 1)
                && !comment.is_empty()
            {
                w.put(NFTA_TABLE_USERDATA, &[&[0, length], comment.as_bytes(), &[0]].concat());
            }
        });
    }

    /// Deletes a table and all that is in it.
    pub fn delete_table(&mut self, name: &str) {
        self.add(format!("delete nft table {name}"), DELTABLE, 0, |w| w.put_text(NFTA_TABLE_NAME, name));
    }

    /// Adds a chain; with a hook packets enter it.
    pub fn add_chain(&mut self, table: &str, name: &str, hook: Option<HookSpec>) {
        self.add(format!("add nft chain {name}"), NEWCHAIN, NLM_F_CREATE, |w| {
            w.put_text(NFTA_CHAIN_TABLE, table);
            w.put_text(NFTA_CHAIN_NAME, name);
            let Some(hook) = hook else { return };
            let kind = match hook.kind {
                ChainType::Filter => "filter",
                ChainType::Nat => "nat",
            };
            w.put_text(NFTA_CHAIN_TYPE, kind);
            w.put_be32(NFTA_CHAIN_POLICY, NF_ACCEPT);
            w.nest(NFTA_CHAIN_HOOK, |w| {
                w.put_be32(NFTA_HOOK_HOOKNUM, hook.number);
                w.put(NFTA_HOOK_PRIORITY, &hook.priority.to_be_bytes());
            });
        });
    }

    /// Adds a map without elements.
    pub fn add_map(&mut self, table: &str, map: &MapSpec<'_>) {
        self.add(format!("add nft map {}", map.name), NEWSET, NLM_F_CREATE, |w| {
            w.put_text(NFTA_SET_TABLE, table);
            w.put_text(NFTA_SET_NAME, map.name);
            w.put_be32(NFTA_SET_FLAGS, NFT_SET_MAP);
            w.put_be32(NFTA_SET_KEY_TYPE, map.key_type);
            w.put_be32(NFTA_SET_KEY_LEN, map.key_length);
            w.put_be32(NFTA_SET_DATA_TYPE, map.value_type);
            w.put_be32(NFTA_SET_DATA_LEN, map.value_length);
            w.put_be32(NFTA_SET_ID, map.id);
        });
    }

    /// Appends a rule to a chain. `label` is what errors call it.
    pub fn add_rule(&mut self, table: &str, chain: &str, label: &str, expressions: &[Expression]) {
        let label = format!("add nft rule to {chain}: {label}");
        self.add(label, NEWRULE, NLM_F_CREATE | NLM_F_APPEND, |w| {
            w.put_text(NFTA_RULE_TABLE, table);
            w.put_text(NFTA_RULE_CHAIN, chain);
            w.nest(NFTA_RULE_EXPRESSIONS, |w| {
                expressions.iter().for_each(|e| w.nest(NFTA_LIST_ELEM, |w| e.put(w)));
            });
        });
    }

    /// Adds elements to a map: keys and values. One that is there already may stay; `EBUSY` when its value differs.
    pub fn add_elements(&mut self, table: &str, map: &str, elements: &[(Vec<u8>, Vec<u8>)]) {
        for part in elements.chunks(ELEMENTS_PER_MESSAGE) {
            self.elements(
                NEWSETELEM,
                NLM_F_CREATE,
                ("add nft elements to", table, map),
                part.iter(),
                |w, (key, value)| {
                    w.nest(NFTA_SET_ELEM_KEY, |w| w.put(NFTA_DATA_VALUE, key));
                    w.nest(NFTA_SET_ELEM_DATA, |w| w.put(NFTA_DATA_VALUE, value));
                },
            );
        }
    }

    /// Deletes the elements with these keys; `ENOENT` when one is not there.
    pub fn delete_elements(&mut self, table: &str, map: &str, keys: &[Vec<u8>]) {
        for part in keys.chunks(ELEMENTS_PER_MESSAGE) {
            self.elements(DELSETELEM, 0, ("delete nft elements from", table, map), part.iter(), |w, key| {
                w.nest(NFTA_SET_ELEM_KEY, |w| w.put(NFTA_DATA_VALUE, key));
            });
        }
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.len() == 1
    }

    /// Carries the changes out.
    ///
    /// # Errors
    /// When the kernel refused one; then nothing is changed.
    pub fn commit(mut self, socket: &mut Socket) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let last = self.batch.len() - 1;
        self.batch.message("end nft transaction", NFNL_MSG_BATCH_END, 0, &frame(), |_| {});
        let failures = socket.send_acknowledged(self.batch, |index| index == last, last)?;
        failures.into_iter().next().map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// The bytes that [`Transaction::commit`] would send, numbered from 0 and without acknowledgement.
    #[cfg(test)]
    pub(super) fn bytes(mut self) -> Vec<u8> {
        self.batch.message("end", NFNL_MSG_BATCH_END, 0, &frame(), |_| {});
        self.batch.encode(0, 0, |_| false).expect("short").to_vec()
    }

    fn add(&mut self, label: String, kind: u16, flags: u16, fill: impl FnOnce(&mut Writer<'_>)) {
        self.batch.message(label, kind, flags, &HEADER, fill);
    }

    fn elements<T>(
        &mut self,
        kind: u16,
        flags: u16,
        (verb, table, map): (&str, &str, &str),
        items: impl Iterator<Item = T>,
        put: impl Fn(&mut Writer<'_>, T),
    ) {
        self.add(format!("{verb} {map}"), kind, flags, |w| {
            w.put_text(NFTA_SET_ELEM_LIST_TABLE, table);
            w.put_text(NFTA_SET_ELEM_LIST_SET, map);
            w.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |w| {
                items.for_each(|item| w.nest(NFTA_LIST_ELEM, |w| put(w, item)));
            });
        });
    }
}

/// `struct nfgenmsg` of the messages around a batch: the subsystem is in `res_id`.
fn frame() -> [u8; 4] {
    let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
    [0, 0, high, low]
}
