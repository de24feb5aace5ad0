//! What is in force: tables, base chains, elements.

use rustix::io::Errno;

use super::uapi::{
    GETCHAIN, GETSETELEM, GETTABLE, HEADER, NEWCHAIN, NEWSETELEM, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME,
    NFTA_CHAIN_POLICY, NFTA_CHAIN_TABLE, NFTA_DATA_VALUE, NFTA_HOOK_HOOKNUM, NFTA_LIST_ELEM,
    NFTA_SET_ELEM_DATA, NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_LIST_ELEMENTS, NFTA_SET_ELEM_LIST_SET,
    NFTA_SET_ELEM_LIST_TABLE, NFTA_TABLE_NAME,
};
use crate::netlink::{Batch, Error, Message, NLM_F_DUMP, Socket, attributes, be32, find, text};

/// Keys and values of a map's elements.
pub type Elements = Vec<(Vec<u8>, Vec<u8>)>;

/// A chain that packets enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseChain {
    /// The address family's number: 1 is `inet`, 2 is `ip`.
    pub family: u8,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// `NF_INET_*`.
    pub hook: u32,
    /// Whether what no rule decides is dropped.
    pub drops: bool,
}

/// Whether there is a table of family `ip` with this name.
///
/// # Errors
/// When the exchange fails.
pub fn table_exists(socket: &mut Socket, name: &str) -> Result<bool, Error> {
    let mut batch = Batch::new();
    batch.message(format!("look up nft table {name}"), GETTABLE, 0, &HEADER, |w| {
        w.put_text(NFTA_TABLE_NAME, name)
    });
    match socket.ask(batch, |_| {}) {
        Ok(()) => Ok(true),
        Err(error) if error.is(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The base chains of all tables.
///
/// # Errors
/// When the dump fails.
pub fn base_chains(socket: &mut Socket) -> Result<Vec<BaseChain>, Error> {
    let request = || {
        let mut batch = Batch::new();
        batch.message("list nft chains", GETCHAIN, NLM_F_DUMP, &[0; 4], |_| {});
        batch
    };
    socket.dump(request, |message| {
        let (head, rest) = message.payload.split_at_checked(4)?;
        (message.kind == NEWCHAIN).then_some(())?;
        Some(BaseChain {
            family: head[0],
            table: find(rest, NFTA_CHAIN_TABLE).map(text)?,
            name: find(rest, NFTA_CHAIN_NAME).map(text)?,
            hook: find(rest, NFTA_CHAIN_HOOK)
                .and_then(|hook| find(hook, NFTA_HOOK_HOOKNUM))
                .and_then(be32)?,
            drops: find(rest, NFTA_CHAIN_POLICY).and_then(be32) == Some(0),
        })
    })
}

/// The elements of a map.
///
/// # Errors
/// `ENOENT` when there is no such table or map.
pub fn elements(socket: &mut Socket, table: &str, map: &str) -> Result<Elements, Error> {
    let request = || {
        let mut batch = Batch::new();
        batch.message(format!("list nft elements of {map}"), GETSETELEM, NLM_F_DUMP, &HEADER, |w| {
            w.put_text(NFTA_SET_ELEM_LIST_TABLE, table);
            w.put_text(NFTA_SET_ELEM_LIST_SET, map);
        });
        batch
    };
    Ok(socket.dump(request, |message| Some(parse(message)))?.into_iter().flatten().collect())
}

fn parse(message: &Message<'_>) -> Elements {
    let rest = message.payload.get(4..).filter(|_| message.kind == NEWSETELEM).unwrap_or(&[]);
    let list = find(rest, NFTA_SET_ELEM_LIST_ELEMENTS).unwrap_or(&[]);
    let items = attributes(list).map_while(Result::ok).filter(|a| a.kind == NFTA_LIST_ELEM);
    let value =
        |item: &[u8], kind| find(item, kind).and_then(|d| find(d, NFTA_DATA_VALUE)).map(<[u8]>::to_vec);
    items
        .filter_map(|a| {
            let data = value(a.payload, NFTA_SET_ELEM_DATA).unwrap_or_default();
            Some((value(a.payload, NFTA_SET_ELEM_KEY)?, data))
        })
        .collect()
}
