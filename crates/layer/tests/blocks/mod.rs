//! Archives block by block, also such as no writer of ours would make.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

/// A header block with a right checksum, after `patch` had its way.
pub fn header(name: &[u8], typeflag: u8, size: &[u8; 12], patch: impl Fn(&mut [u8; 512])) -> Vec<u8> {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(size);
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = typeflag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    patch(&mut block);
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.to_vec()
}

/// A size as headers have it.
pub fn octal(size: usize) -> [u8; 12] {
    let text = format!("{size:011o}\0");
    text.as_bytes().try_into().expect("twelve bytes")
}

/// An entry with its data.
pub fn entry(name: &[u8], typeflag: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, typeflag, &octal(data.len()), |_| ());
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// An extension header with these records.
pub fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (rest..rest + 8).find(|n| n - rest == n.to_string().len()).expect("a length");
        body.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
    }
    entry(b"PaxHeaders/x", b'x', &body)
}

/// Makes the checksum of every block that looks like a header right again, so that mutants get past it.
pub fn mend(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512).filter(|block| looks_like_header(block)) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// A magic, or something where a checksum would be.
pub fn looks_like_header(block: &[u8]) -> bool {
    block[257..262] == *b"ustar"
        || (block[154..156] == *b"\0 " && block[148..154].iter().all(u8::is_ascii_digit))
}
