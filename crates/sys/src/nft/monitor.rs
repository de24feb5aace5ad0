//! Hearing of changes that others make to a table.

use std::os::fd::{AsFd, BorrowedFd};

use super::uapi::{DELCHAIN, DELRULE, DELSET, DELSETELEM, DELTABLE, NFTA_TABLE_NAME};
use crate::netlink::{Error, Socket, find, text};

/// `NFNLGRP_NFTABLES`, as a bit.
const GROUP: u32 = 1 << (7 - 1);

/// A socket that hears of every nf_tables change in its network namespace.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Monitor {
    /// Hears of what happens from now on.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_ADMIN`.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { socket: Socket::subscribe(GROUP)? })
    }

    /// Takes in what was heard, without waiting: whether something of `table` was deleted by anybody but the socket with
    /// the number `own`. Also when so much happened that some of it was not heard.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn heard_deletion(&mut self, table: &str, own: u32) -> Result<bool, Error> {
        let deletions = [DELTABLE, DELCHAIN, DELRULE, DELSET, DELSETELEM];
        let mut heard = false;
        // The table's name is the first attribute of every kind.
        let lost = self.socket.listen(|message| {
            let name = message.payload.get(4..).and_then(|rest| find(rest, NFTA_TABLE_NAME)).map(text);
            heard |=
                message.port != own && deletions.contains(&message.kind) && name.as_deref() == Some(table);
        })?;
        Ok(heard || lost)
    }
}
