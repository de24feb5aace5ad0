//! The small grammars inside of documents.

use crate::Error;

/// Splits the key of a port map, `80/tcp` or `80`, into number and protocol.
///
/// # Errors
/// When it is no single port.
pub fn split_port(key: &str) -> Result<(u16, &str), Error> {
    let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" | "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        other => return Err(Error::new(format!("invalid proto: {other} (in {key})"))),
    };
    let is_number = port.bytes().all(|b| b.is_ascii_digit());
    let number = port.parse().ok().filter(|number| is_number && *number != 0);
    let number = number.ok_or_else(|| Error::new(format!("invalid port specification: {key:?}")))?;
    Ok((number, protocol))
}

#[cfg(test)]
mod tests {
    use super::split_port;

    #[test]
    fn reads_keys_of_port_maps() {
        assert_eq!(split_port("53/udp"), Ok((53, "udp")));
        assert_eq!(split_port("53"), Ok((53, "tcp")));
        assert_eq!(split_port("53/SCTP"), Ok((53, "sctp")));
        for bad in ["", "/tcp", "0/tcp", "1-2/tcp", "+1", "70000", "1/x", "1/tcp/x"] {
            assert!(split_port(bad).is_err(), "{bad}");
        }
    }
}
