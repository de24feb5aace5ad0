//! The packet filter's table in the kernel: put there once, then only elements come and go.

use std::collections::BTreeSet;

use plan::network::{Element, Map, Ruleset};
use rustix::io::Errno;
use sys::netlink::{Error as NetlinkError, Family, Socket};
use sys::nft::{BaseChain, Ownership, Transaction};
use types::Kind;

use crate::lower::{expressions, hook_spec, map_spec};
use crate::{Error, Result};

const FEATURE: &str = "nf_tables (CONFIG_NF_TABLES, NFT_NAT, NFT_MASQ, NFT_CT, NFT_FIB_IPV4)";

/// The table and what is known to be in its maps. The socket owns the table where the kernel can do that.
#[derive(Debug)]
pub(crate) struct Filter {
    socket: Socket,
    ruleset: Ruleset,
    elements: BTreeSet<Element>,
    ownership: Ownership,
    number: u32,
}

impl Filter {
    /// Puts the table in place, in one transaction that keeps the elements an earlier daemon left.
    pub(crate) fn open(ruleset: Ruleset, ownership: Ownership) -> Result<Self> {
        let fail = |e| Error::netlink("open nf_tables socket", FEATURE, e);
        let mut socket = Socket::open(Family::Netfilter).map_err(fail)?;
        socket.enlarge();
        let mut elements = BTreeSet::new();
        for map in Map::ALL {
            elements.extend(read(&mut socket, &ruleset.table, map)?);
        }
        let number = socket.number().map_err(fail)?;
        let mut filter = Self { socket, ruleset, elements, ownership, number };
        filter.install()?;
        Ok(filter)
    }

    /// Replaces the table, with all elements, at once: no packet meets half of it.
    pub(crate) fn install(&mut self) -> Result<()> {
        let what = format!("install nft table {}", self.ruleset.table);
        let present = sys::nft::table_exists(&mut self.socket, &self.ruleset.table)
            .map_err(|e| Error::netlink(what.clone(), FEATURE, e))?;
        let mut done = self.rebuild(present).commit(&mut self.socket);
        let refused = done.as_ref().is_err_and(|e| e.is(Errno::OPNOTSUPP) || e.is(Errno::INVAL));
        if refused && self.ownership == Ownership::Owned {
            self.ownership = Ownership::Shared;
            done = self.rebuild(present).commit(&mut self.socket);
        }
        done.map_err(|error| {
            if error.is(Errno::PERM) {
                let message = format!("nft table {} belongs to a running process", self.ruleset.table);
                return Error::new(Kind::Conflict, message);
            }
            Error::netlink(what, FEATURE, error)
        })
    }

    /// Adds elements in one transaction. When somebody removed the table, it is put back with all that was in it.
    pub(crate) fn add(&mut self, elements: &[Element]) -> Result<()> {
        let mut transaction = Transaction::new();
        self.put(&mut transaction, elements.iter());
        match transaction.commit(&mut self.socket) {
            Ok(()) => self.elements.extend(elements),
            Err(error) if error.is(Errno::NOENT) => {
                self.elements.extend(elements);
                self.install().inspect_err(|_| self.elements.retain(|e| !elements.contains(e)))?;
            }
            Err(error) => return Err(Error::netlink("publish ports", FEATURE, error)),
        }
        Ok(())
    }

    /// Removes elements in one transaction; those that are gone already do not matter.
    pub(crate) fn remove(&mut self, elements: &[Element]) -> Result<()> {
        for element in elements {
            self.elements.remove(element);
        }
        let all = self.commit_removal(elements);
        if !all.as_ref().is_err_and(|e| e.is(Errno::NOENT)) {
            return all.map_err(|e| Error::netlink("withdraw ports", FEATURE, e));
        }
        for element in elements {
            match self.commit_removal(std::slice::from_ref(element)) {
                Err(error) if !error.is(Errno::NOENT) => {
                    return Err(Error::netlink("withdraw ports", FEATURE, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the maps hold exactly these elements, in one transaction.
    pub(crate) fn reconcile(&mut self, wanted: BTreeSet<Element>) -> Result<()> {
        let present: BTreeSet<_> = self.elements()?.into_iter().collect();
        let mut transaction = Transaction::new();
        let surplus: Vec<_> = present.difference(&wanted).copied().collect();
        self.take(&mut transaction, &surplus);
        self.put(&mut transaction, wanted.difference(&present));
        self.elements = wanted;
        transaction
            .commit(&mut self.socket)
            .map_err(|e| Error::netlink("reconcile published ports", FEATURE, e))
    }

    /// What the kernel has in the maps.
    pub(crate) fn elements(&mut self) -> Result<Vec<Element>> {
        let mut all = Vec::new();
        for map in Map::ALL {
            all.extend(read(&mut self.socket, &self.ruleset.table, map)?);
        }
        Ok(all)
    }

    /// Other tables' chains that drop what they do not know, on the way through this host.
    pub(crate) fn obstacles(&mut self, bridge: &str) -> Vec<String> {
        const FORWARD: u32 = 2;
        let chains = sys::nft::base_chains(&mut self.socket).unwrap_or_default();
        let drops = chains.into_iter().filter(|c| c.drops && c.hook == FORWARD && matches!(c.family, 1 | 2));
        let sentence = |chain: BaseChain| {
            let family = if chain.family == 1 { "inet" } else { "ip" };
            let place = format!("{family} {} {}", chain.table, chain.name);
            format!("nft chain {place} drops forwarded packets by default: accept those of {bridge} there")
        };
        drops.map(sentence).collect()
    }

    /// Whether others may change the table.
    pub(crate) fn is_shared(&self) -> bool {
        self.ownership == Ownership::Shared
    }

    /// The table's name.
    pub(crate) fn table(&self) -> &str {
        &self.ruleset.table
    }

    /// The number of the socket that makes the changes.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// Removes the table.
    pub(crate) fn close(&mut self) -> Result<()> {
        let mut transaction = Transaction::new();
        transaction.delete_table(&self.ruleset.table);
        match transaction.commit(&mut self.socket) {
            Err(error) if !error.is(Errno::NOENT) => Err(Error::netlink("remove nft table", FEATURE, error)),
            _ => Ok(()),
        }
    }

    fn commit_removal(&mut self, elements: &[Element]) -> Result<(), NetlinkError> {
        let mut transaction = Transaction::new();
        self.take(&mut transaction, elements);
        transaction.commit(&mut self.socket)
    }

    fn put<'a>(&self, transaction: &mut Transaction, elements: impl Iterator<Item = &'a Element>) {
        let (exact, wildcard): (Vec<&Element>, Vec<&Element>) = elements.partition(|e| e.map() == Map::Exact);
        for (map, part) in [(Map::Exact, exact), (Map::Wildcard, wildcard)] {
            let pairs: Vec<_> = part.into_iter().map(|e| (e.key(), e.value())).collect();
            transaction.add_elements(&self.ruleset.table, map.name(), &pairs);
        }
    }

    fn take(&self, transaction: &mut Transaction, elements: &[Element]) {
        for map in Map::ALL {
            let keys: Vec<_> = elements.iter().filter(|e| e.map() == map).map(Element::key).collect();
            transaction.delete_elements(&self.ruleset.table, map.name(), &keys);
        }
    }

    /// The whole table, in place of the one that is there.
    fn rebuild(&self, present: bool) -> Transaction {
        let Ruleset { table, chains } = &self.ruleset;
        let comment = format!("berth {:016x}", self.ruleset.fingerprint());
        let mut t = Transaction::new();
        if present {
            t.delete_table(table);
        }
        t.add_table(table, self.ownership, &comment);
        for (map, id) in Map::ALL.into_iter().zip(1..) {
            t.add_map(table, &map_spec(map, id));
        }
        for chain in chains {
            t.add_chain(table, chain.name, chain.hook.map(hook_spec));
        }
        for chain in chains {
            for rule in &chain.rules {
                t.add_rule(table, chain.name, &rule.to_string(), &expressions(rule));
            }
        }
        self.put(&mut t, self.elements.iter());
        t
    }
}

fn read(socket: &mut Socket, table: &str, map: Map) -> Result<Vec<Element>> {
    match sys::nft::elements(socket, table, map.name()) {
        Ok(pairs) => Ok(pairs.iter().filter_map(|(key, value)| Element::read(map, key, value)).collect()),
        Err(error) if error.is(Errno::NOENT) => Ok(Vec::new()),
        Err(error) => Err(Error::netlink("list published ports", FEATURE, error)),
    }
}
