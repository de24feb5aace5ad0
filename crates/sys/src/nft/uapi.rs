//! Numbers of linux/netfilter/nfnetlink.h, nf_tables.h and nfnetlink_conntrack.h.

pub(super) const AF_INET: u8 = 2;

pub(super) const NFNL_MSG_BATCH_BEGIN: u16 = 16;
pub(super) const NFNL_MSG_BATCH_END: u16 = 17;
pub(super) const NFNL_SUBSYS_NFTABLES: u16 = 10;
pub(super) const NLM_F_APPEND: u16 = 0x800;

pub(super) const NEWTABLE: u16 = NFNL_SUBSYS_NFTABLES << 8;
pub(super) const GETTABLE: u16 = NEWTABLE + 1;
pub(super) const DELTABLE: u16 = NEWTABLE + 2;
pub(super) const NEWCHAIN: u16 = NEWTABLE + 3;
pub(super) const GETCHAIN: u16 = NEWTABLE + 4;
pub(super) const DELCHAIN: u16 = NEWTABLE + 5;
pub(super) const NEWRULE: u16 = NEWTABLE + 6;
pub(super) const DELRULE: u16 = NEWTABLE + 8;
pub(super) const NEWSET: u16 = NEWTABLE + 9;
pub(super) const DELSET: u16 = NEWTABLE + 11;
pub(super) const NEWSETELEM: u16 = NEWTABLE + 12;
pub(super) const GETSETELEM: u16 = NEWTABLE + 13;
pub(super) const DELSETELEM: u16 = NEWTABLE + 14;

pub(super) const NFTA_TABLE_NAME: u16 = 1;
pub(super) const NFTA_TABLE_FLAGS: u16 = 2;
pub(super) const NFTA_TABLE_USERDATA: u16 = 6;
/// The table belongs to the socket that made it: others can neither change nor flush it (5.12).
pub(super) const NFT_TABLE_F_OWNER: u32 = 2;
/// The table stays when its owner's socket closes (6.9).
pub(super) const NFT_TABLE_F_PERSIST: u32 = 4;

pub(super) const NFTA_CHAIN_TABLE: u16 = 1;
pub(super) const NFTA_CHAIN_NAME: u16 = 3;
pub(super) const NFTA_CHAIN_HOOK: u16 = 4;
pub(super) const NFTA_CHAIN_POLICY: u16 = 5;
pub(super) const NFTA_CHAIN_TYPE: u16 = 7;
pub(super) const NFTA_HOOK_HOOKNUM: u16 = 1;
pub(super) const NFTA_HOOK_PRIORITY: u16 = 2;

pub(super) const NFTA_RULE_TABLE: u16 = 1;
pub(super) const NFTA_RULE_CHAIN: u16 = 2;
pub(super) const NFTA_RULE_EXPRESSIONS: u16 = 4;
pub(super) const NFTA_LIST_ELEM: u16 = 1;
pub(super) const NFTA_EXPR_NAME: u16 = 1;
pub(super) const NFTA_EXPR_DATA: u16 = 2;
pub(super) const NFTA_DATA_VALUE: u16 = 1;
pub(super) const NFTA_DATA_VERDICT: u16 = 2;

pub(super) const NFTA_SET_TABLE: u16 = 1;
pub(super) const NFTA_SET_NAME: u16 = 2;
pub(super) const NFTA_SET_FLAGS: u16 = 3;
pub(super) const NFTA_SET_KEY_TYPE: u16 = 4;
pub(super) const NFTA_SET_KEY_LEN: u16 = 5;
pub(super) const NFTA_SET_DATA_TYPE: u16 = 6;
pub(super) const NFTA_SET_DATA_LEN: u16 = 7;
pub(super) const NFTA_SET_ID: u16 = 10;
pub(super) const NFT_SET_MAP: u32 = 8;

pub(super) const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
pub(super) const NFTA_SET_ELEM_LIST_SET: u16 = 2;
pub(super) const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
pub(super) const NFTA_SET_ELEM_KEY: u16 = 1;
pub(super) const NFTA_SET_ELEM_DATA: u16 = 2;

pub(super) const NF_DROP: u32 = 0;
pub(super) const NF_ACCEPT: u32 = 1;
/// NFT_JUMP, which is -3.
pub(super) const NFT_JUMP: u32 = 0xffff_fffd;

pub(super) const IPCTNL_MSG_CT_DELETE: u16 = 1 << 8 | 2;
pub(super) const CTA_TUPLE_ORIG: u16 = 1;
pub(super) const CTA_TUPLE_REPLY: u16 = 2;
pub(super) const CTA_FILTER: u16 = 25;
pub(super) const CTA_TUPLE_IP: u16 = 1;
pub(super) const CTA_TUPLE_PROTO: u16 = 2;
pub(super) const CTA_IP_V4_SRC: u16 = 1;
pub(super) const CTA_PROTO_NUM: u16 = 1;
pub(super) const CTA_PROTO_DST_PORT: u16 = 3;
pub(super) const CTA_FILTER_ORIG_FLAGS: u16 = 1;
pub(super) const CTA_FILTER_REPLY_FLAGS: u16 = 2;
pub(super) const CTA_FILTER_F_CTA_IP_SRC: u32 = 1;
pub(super) const CTA_FILTER_F_CTA_PROTO_NUM: u32 = 8;
pub(super) const CTA_FILTER_F_CTA_PROTO_DST_PORT: u32 = 32;

/// `struct nfgenmsg` for IPv4.
pub(super) const HEADER: [u8; 4] = [AF_INET, 0, 0, 0];
