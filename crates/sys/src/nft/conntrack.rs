//! Forgetting connections that the kernel tracks, so that packets of an old UDP flow meet the present rules.

use std::net::Ipv4Addr;

use super::uapi::{
    AF_INET, CTA_FILTER, CTA_FILTER_F_CTA_IP_SRC, CTA_FILTER_F_CTA_PROTO_DST_PORT,
    CTA_FILTER_F_CTA_PROTO_NUM, CTA_FILTER_ORIG_FLAGS, CTA_FILTER_REPLY_FLAGS, CTA_IP_V4_SRC,
    CTA_PROTO_DST_PORT, CTA_PROTO_NUM, CTA_TUPLE_IP, CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_TUPLE_REPLY,
    IPCTNL_MSG_CT_DELETE,
};
use crate::netlink::{Batch, Error, Socket};

/// Connections that have something in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Somebody was sent on to this address.
    AnsweredBy(Ipv4Addr),
    /// Somebody sent to this port, by this protocol's number.
    SentTo(u8, u16),
}

/// Forgets connections. The kernel walks its whole table for each flow.
///
/// # Errors
/// When the kernel has no connection tracking by netlink, or no filter for this (before 5.9).
pub fn forget_flows(socket: &mut Socket, flows: &[Flow]) -> Result<(), Error> {
    let mut batch = Batch::new();
    for flow in flows {
        // Version 1: the family in the header counts.
        batch.message("forget connections", IPCTNL_MSG_CT_DELETE, 0, &[AF_INET, 1, 0, 0], |w| match *flow {
            Flow::AnsweredBy(ip) => {
                w.nest(CTA_TUPLE_REPLY, |w| w.nest(CTA_TUPLE_IP, |w| w.put(CTA_IP_V4_SRC, &ip.octets())));
                w.nest(CTA_FILTER, |w| {
                    w.put_u32(CTA_FILTER_ORIG_FLAGS, 0);
                    w.put_u32(CTA_FILTER_REPLY_FLAGS, CTA_FILTER_F_CTA_IP_SRC);
                });
            }
            Flow::SentTo(protocol, port) => {
                w.nest(CTA_TUPLE_ORIG, |w| {
                    w.nest(CTA_TUPLE_PROTO, |w| {
                        w.put_u8(CTA_PROTO_NUM, protocol);
                        w.put_be16(CTA_PROTO_DST_PORT, port);
                    });
                });
                w.nest(CTA_FILTER, |w| {
                    w.put_u32(
                        CTA_FILTER_ORIG_FLAGS,
                        CTA_FILTER_F_CTA_PROTO_NUM | CTA_FILTER_F_CTA_PROTO_DST_PORT,
                    );
                    w.put_u32(CTA_FILTER_REPLY_FLAGS, 0);
                });
            }
        });
    }
    socket.apply(batch)
}
