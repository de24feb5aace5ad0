//! Sizes in bytes as Docker's flags read them and its lists print them.

/// The text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid size: '{0}'")]
pub struct SizeError(String);

/// Reads `64m`, `1.5g`, `1024`, `10 KiB`, `1gb`: binary multiples, unit letters b, k, m, g, t, p in
/// any case. The answer is in bytes.
///
/// # Errors
/// When the text is not a number with at most one unit, is negative, or exceeds an `i64`.
pub fn parse_bytes(text: &str) -> Result<u64, SizeError> {
    let fail = || SizeError(text.chars().take(80).collect());
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| fail())?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let shift = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return Err(fail()),
    };
    let bytes = number * (1_u64 << shift) as f64;
    if bytes < i64::MAX as f64 { Ok(bytes as u64) } else { Err(fail()) }
}

/// Prints with binary units and four significant digits: `1.5GiB`.
#[must_use]
pub fn print_bytes(bytes: u64) -> String {
    print(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
}

/// Prints with decimal units and three significant digits, as image lists do: `4.26MB`.
#[must_use]
pub fn print_bytes_decimal(bytes: u64) -> String {
    print(bytes as f64, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 3)
}

/// Go's `%.{digits}g` followed by the unit.
fn print(mut value: f64, base: f64, units: &[&str], digits: usize) -> String {
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let whole = (value.max(1.0).log10().floor() as usize) + 1;
    let text = format!("{value:.*}", digits.saturating_sub(whole));
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1024),
            ("64m", 64 << 20),
            ("1.5g", 3 << 29),
            ("1GB", 1 << 30),
            ("10 KiB", 10 << 10),
            ("7B", 7),
            ("1t", 1 << 40),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for bad in ["", "m", "-1", "1x", "1mm", "1 2", "1..2m", "9999999p", "0x10", "1e3"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn prints_sizes() {
        for (bytes, binary, decimal) in [
            (0, "0B", "0B"),
            (1000, "1000B", "1kB"),
            (1536, "1.5KiB", "1.54kB"),
            (4_261_550, "4.064MiB", "4.26MB"),
            (67_108_864, "64MiB", "67.1MB"),
            (117_000_000, "111.6MiB", "117MB"),
        ] {
            assert_eq!(print_bytes(bytes), binary);
            assert_eq!(print_bytes_decimal(bytes), decimal);
        }
    }
}
