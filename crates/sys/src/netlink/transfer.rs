//! Moving a link into another network namespace with what belongs to it: the kernel takes its addresses away on the way.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::decode::{Message, find, u32_of};
use super::encode::Batch;
use super::error::Error;
use super::link::header;
use super::socket::Socket;
use super::uapi::{
    IFA_ADDRESS, IFA_BROADCAST, IFA_FLAGS, IFA_LOCAL, IFA_RT_PRIORITY, IFLA_IFNAME, IFLA_NET_NS_FD,
    NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, RTM_GETADDR, RTM_NEWADDR, RTM_NEWLINK,
};

const PERMANENT: u32 = 0x80;
/// What the owner of an address decides: no duplicate detection, mobile home, no prefix route and their like.
const CHOSEN: u32 = 0x02 | 0x04 | 0x10 | 0x100 | 0x200 | 0x400;
const SCOPE_UNIVERSE: u8 = 0;

/// An address of any family, as the kernel wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAddress {
    family: u8,
    prefix: u8,
    flags: u32,
    attributes: Vec<(u16, Vec<u8>)>,
}

/// Moves a link under a name into a namespace; `%d` in the name is a number of the kernel's choice.
pub fn move_link(batch: &mut Batch, index: u32, namespace: BorrowedFd<'_>, name: &str) {
    let label = format!("move link {index} as {name}");
    batch.message(label, RTM_NEWLINK, 0, &header(index, false), |w| {
        w.put_name(IFLA_IFNAME, name);
        w.put_u32(IFLA_NET_NS_FD, namespace.as_raw_fd() as u32);
    });
}

/// The addresses of a link that somebody gave it for good and for everywhere.
///
/// # Errors
/// When the dump fails.
pub fn kept_addresses(socket: &mut Socket, link: u32) -> Result<Vec<KeptAddress>, Error> {
    let request = || {
        let mut batch = Batch::new();
        batch.message("list addresses", RTM_GETADDR, NLM_F_DUMP, &[0; 8], |_| {});
        batch
    };
    socket.dump(request, |message: &Message<'_>| {
        let (head, rest) = message.payload.split_at_checked(8)?;
        let flags = find(rest, IFA_FLAGS).and_then(u32_of).unwrap_or(u32::from(head[2]));
        let ours = message.kind == RTM_NEWADDR && u32_of(&head[4..8])? == link;
        if !ours || flags & PERMANENT == 0 || head[3] != SCOPE_UNIVERSE {
            return None;
        }
        let kept = [IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_RT_PRIORITY];
        let attributes = kept.into_iter().filter_map(|kind| Some((kind, find(rest, kind)?.to_vec())));
        Some(KeptAddress {
            family: head[0],
            prefix: head[1],
            flags: flags & CHOSEN,
            attributes: attributes.collect(),
        })
    })
}

/// Gives a link an address back.
pub fn return_address(batch: &mut Batch, link: u32, address: &KeptAddress) {
    let [a, b, c, d] = link.to_ne_bytes();
    let head = [address.family, address.prefix, 0, SCOPE_UNIVERSE, a, b, c, d];
    let label = format!("add an address to link {link}");
    batch.message(label, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &head, |w| {
        for (kind, value) in &address.attributes {
            w.put(*kind, value);
        }
        w.put_u32(IFA_FLAGS, address.flags);
    });
}
