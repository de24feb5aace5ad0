//! The bytes that nft(8) 1.0.6 sends for the same text, taken from its socket.

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The expressions' attribute of a rule.
fn encoded(expressions: &[Expression]) -> String {
    let mut transaction = Transaction::new();
    transaction.add_rule("t", "c", "test", expressions);
    let bytes = transaction.bytes();
    // Begin (20), header (16 + 4), table (8), chain (8), the list's own header (4); end (20).
    hex(&bytes[20 + 20 + 16 + 4..bytes.len() - 20])
}

#[test]
fn a_guard_is_encoded_as_by_nft() {
    let rule = [
        Expression::InputName(1),
        Expression::Compare(1, Compare::Different, b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec()),
        Expression::Network { register: 1, offset: 16, length: 1 },
        Expression::Compare(1, Compare::Equal, vec![127]),
        Expression::Verdict(Verdict::Drop),
    ];
    let want = "24000180090001006d65746100000000140002800800020000000006080001000000000138000180080001\
        00636d70002c000280080001000000000108000200000000011800038014000100\
        6c6f0000000000000000000000000000340001800c0001007061796c6f616400240002800800010000000001\
        080002000000000108000300000000100800040000000001\
        2c00018008000100636d70002000028008000100000000010800020000000000\
        0c000380050001007f000000300001800e000100696d6d65646961746500\
        00001c0002800800010000000000100002800c0002800800010000000000";
    assert_eq!(encoded(&rule), want);
}

#[test]
fn a_translation_is_encoded_as_by_nft() {
    let rule = [
        Expression::DestinationType(1),
        Expression::Compare(1, Compare::Equal, 2_u32.to_ne_bytes().to_vec()),
        Expression::Verdict(Verdict::Jump("publish".into())),
    ];
    let want = "28000180080001006669620\
        01c00028008000300000000020800020000000003080001000000000\
        12c00018008000100636d70002000028008000100000000010800020000000000\
        0c0003800800010002000000\
        3c0001800e000100696d6d6564696174650000002800028008000100000000001c00028018000280\
        08000100fffffffd0c0002007075626c69736800";
    assert_eq!(encoded(&rule), want);
    let nat = [Expression::TranslateDestination { address: 1, port: 9 }];
    let want =
        "30000180080001006e617400240002800800010000000001080002000000000208000300000000010800050000000009";
    assert_eq!(encoded(&nat), want);
    let mask =
        [Expression::ConnectionStatus(1), Expression::Mask(1, vec![0x20, 0, 0, 0]), Expression::Masquerade];
    let want = "200001800700010063740000140002800800020000000002080001000000000144000180\
        0c00010062697477697365003400028008000100000000010800020000000001080003000000000\
        40c00048008000100200000000c0005800800010000000000\
        14000180090001006d6173710000000004000280";
    assert_eq!(encoded(&mask), want);
}

#[test]
fn elements_are_encoded_as_by_nft() {
    let mut transaction = Transaction::new();
    let key = vec![6, 0, 0, 0, 127, 0, 0, 1, 0x1f, 0x90, 0, 0];
    transaction.add_elements("berth", "published", &[(key, vec![172, 30, 0, 2, 0, 80, 0, 0])]);
    let want = "0a0001006265727468000000\
        0e0002007075626c697368656400000\
        02c0003802800018014000180100001000600\
        00007f0000011f900000100002800c000100ac1e000200500000";
    let bytes = transaction.bytes();
    assert_eq!(hex(&bytes[40..bytes.len() - 20]), want);
    assert_eq!(hex(&bytes[..20]), "14000000100001000000000000000000".to_owned() + "0000000a");
}

#[test]
fn many_elements_are_split_over_messages() {
    let elements: Vec<_> = (0..70_000_u32).map(|n| (n.to_be_bytes().repeat(3), vec![0; 8])).collect();
    let mut transaction = Transaction::new();
    transaction.add_elements("t", "m", &elements);
    let bytes = transaction.bytes();
    let count = crate::netlink::messages(&bytes).filter_map(Result::ok).count();
    assert_eq!(count, 2 + 140);
}
