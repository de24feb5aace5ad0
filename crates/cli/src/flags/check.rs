//! What the values of flags must look like, with Docker's reasons.

/// Takes anything.
#[expect(clippy::unnecessary_wraps, reason = "one shape for all checks")]
pub(crate) fn any(_: &str) -> Result<(), String> {
    Ok(())
}

/// Go's `ParseBool`.
pub(crate) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// A whole number that fits 64 bits.
pub(crate) fn integer(text: &str) -> Result<(), String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
    }
    match text.parse::<i64>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("strconv.ParseInt: parsing {text:?}: value out of range")),
    }
}

/// A whole number from 1 to 2³²−1.
pub(crate) fn count(text: &str) -> Result<(), String> {
    integer(text)?;
    match text.parse::<u32>() {
        Ok(1..) => Ok(()),
        _ => Err("want a number greater than 0".to_owned()),
    }
}

/// A size: `64m`, `1.5g`.
pub(crate) fn bytes(text: &str) -> Result<(), String> {
    types::parse_bytes(text).map(drop).map_err(|e| {
        match text.find(|c: char| !c.is_ascii_digit() && c != '.') {
            Some(at) if at > 0 => format!("invalid suffix: '{}'", text[at..].trim_start().to_lowercase()),
            _ => e.to_string(),
        }
    })
}

/// A size, or `-1` for no limit.
pub(crate) fn bytes_or_unlimited(text: &str) -> Result<(), String> {
    if text == "-1" { Ok(()) } else { bytes(text) }
}

/// A number of processors as thousand-millionths: `1.5` is 1,500,000,000.
pub(crate) fn nano_cpus(text: &str) -> Result<i64, String> {
    let bad = || format!("failed to parse {text} as a rational number");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return Err(bad());
    }
    if fraction.trim_end_matches('0').len() > 9 {
        return Err("value is too precise".to_owned());
    }
    let nano: i64 =
        format!("{whole}{:0<9}", &fraction[..fraction.len().min(9)]).parse().map_err(|_| bad())?;
    Ok(if negative { -nano } else { nano })
}

/// A number of processors.
pub(crate) fn cpus(text: &str) -> Result<(), String> {
    nano_cpus(text).map(drop)
}

/// `NAME` or `NAME=value`.
pub(crate) fn env(text: &str) -> Result<(), String> {
    if text.split('=').next() == Some("") {
        return Err(format!("invalid environment variable: {text}"));
    }
    Ok(())
}

/// `key` or `key=value`.
pub(crate) fn label(text: &str) -> Result<(), String> {
    if text.split('=').next() == Some("") {
        return Err(format!("invalid label '{text}': empty name"));
    }
    Ok(())
}

/// An IP address.
pub(crate) fn address(text: &str) -> Result<(), String> {
    match text.trim().parse::<std::net::IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("IP address is not correctly formatted: {text}")),
    }
}

/// A search domain; `.` alone means none.
pub(crate) fn search_domain(text: &str) -> Result<(), String> {
    let name = text.trim_matches(' ');
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let fits = |part: &str| !part.is_empty() && part.len() <= 63 && part.bytes().all(letter);
    if name == "." || (!name.is_empty() && name.strip_suffix('.').unwrap_or(name).split('.').all(fits)) {
        return Ok(());
    }
    Err(format!("{name} is not a valid domain"))
}

/// `name:address` or `name=address` for `/etc/hosts`.
pub(crate) fn extra_host(text: &str) -> Result<(), String> {
    let bad = || format!("bad format for add-host: {text:?}");
    let (name, address) = text.split_once(['=', ':']).ok_or_else(bad)?;
    if name.is_empty() {
        return Err(bad());
    }
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    if address == "host-gateway" || bare.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    Err(format!("invalid IP address in add-host: {address:?}"))
}

/// One of the three streams.
pub(crate) fn stream(text: &str) -> Result<(), String> {
    match text.to_ascii_lowercase().as_str() {
        "stdin" | "stdout" | "stderr" => Ok(()),
        _ => Err("valid streams are STDIN, STDOUT and STDERR".to_owned()),
    }
}

/// `name=soft[:hard]`.
pub(crate) fn ulimit(text: &str) -> Result<(), String> {
    crate::create::limits::ulimit(text).map(drop)
}

/// A sysctl that Docker lets through the client: namespaced ones only.
pub(crate) fn sysctl(text: &str) -> Result<(), String> {
    const EXACT: &[&str] = &[
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let key = text.split_once('=').map(|(key, _)| key);
    match key {
        Some(key) if EXACT.contains(&key) || key.starts_with("net.") || key.starts_with("fs.mqueue.") => {
            Ok(())
        }
        _ => Err(format!("sysctl '{text}' is not allowed")),
    }
}

/// `name=value`.
pub(crate) fn filter(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains('=') {
        return Ok(());
    }
    Err("bad format of filter (expected name=value)".to_owned())
}

/// A `--mount` description.
pub(crate) fn mount(text: &str) -> Result<(), String> {
    crate::create::mounts::mount(text).map(drop)
}

/// A network, alone or with options.
pub(crate) fn network(text: &str) -> Result<(), String> {
    crate::create::network::attachment(text).map(drop)
}

/// `a 8:0 rwm`: a rule of the devices cgroup.
pub(crate) fn device_rule(text: &str) -> Result<(), String> {
    let bad = || format!("invalid device cgroup format '{text}'");
    let mut words = text.split(' ');
    let (Some(kind), Some(node), Some(mode), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad());
    };
    let number = |part: &str| part == "*" || (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let (major, minor) = node.split_once(':').ok_or_else(bad)?;
    let mode_fits = (1..=3).contains(&mode.len()) && mode.bytes().all(|b| b"rwm".contains(&b));
    if matches!(kind, "a" | "b" | "c") && number(major) && number(minor) && mode_fits {
        Ok(())
    } else {
        Err(bad())
    }
}
