//! `-v` and `HostConfig.Binds`: `[source:]target[:option,…]`.

use crate::Error;

/// What is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindSource {
    /// An absolute path of the host.
    Path(String),
    /// A volume by name.
    Volume(String),
}

/// One entry of `HostConfig.Binds`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// What is bound.
    pub source: BindSource,
    /// The absolute path in the container.
    pub target: String,
    /// `ro` was given.
    pub read_only: bool,
    /// `nocopy` was given: a new volume stays empty.
    pub no_copy: bool,
    /// The propagation, empty when not given.
    pub propagation: String,
    /// The options as written, for the mount list.
    pub mode: String,
}

/// Reads one entry of `HostConfig.Binds`.
///
/// # Errors
/// When the entry has no source, a relative target, or unknown or contradicting options.
pub fn parse_bind(text: &str) -> Result<Bind, Error> {
    let fail = || Error::new(format!("invalid volume specification: '{text}'"));
    let mut parts = text.split(':');
    let (Some(source), Some(target)) = (parts.next(), parts.next()) else { return Err(fail()) };
    let mode = parts.next();
    if parts.next().is_some() || source.is_empty() || target.is_empty() {
        return Err(fail());
    }
    check_target(target, text)?;
    let source = if source.starts_with('/') {
        BindSource::Path(source.to_owned())
    } else {
        check_volume_name(source)?;
        BindSource::Volume(source.to_owned())
    };
    let mut bind = Bind {
        source,
        target: target.to_owned(),
        read_only: false,
        no_copy: false,
        propagation: String::new(),
        mode: mode.unwrap_or_default().to_owned(),
    };
    match mode {
        None => Ok(bind),
        Some(mode) => read_mode(&mut bind, mode).map(|()| bind),
    }
}

fn read_mode(bind: &mut Bind, mode: &str) -> Result<(), Error> {
    let fail = || Error::new(format!("invalid mode: {mode}"));
    let (mut access, mut label) = (0, 0);
    for option in mode.split(',') {
        match option {
            "rw" => access += 1,
            "ro" => {
                access += 1;
                bind.read_only = true;
            }
            "z" | "Z" => label += 1,
            "nocopy" if matches!(bind.source, BindSource::Volume(_)) && !bind.no_copy => bind.no_copy = true,
            "shared" | "rshared" | "slave" | "rslave" | "private" | "rprivate"
                if matches!(bind.source, BindSource::Path(_)) && bind.propagation.is_empty() =>
            {
                option.clone_into(&mut bind.propagation);
            }
            "consistent" | "cached" | "delegated" | "default" => {}
            _ => return Err(fail()),
        }
    }
    if access > 1 || label > 1 { Err(fail()) } else { Ok(()) }
}

/// Splits a `-v` value of the command line: `Ok(Err(target))` is an anonymous volume, `Ok(Ok(bind))` the text of
/// a bind, its `.`-relative source made absolute in `directory`.
///
/// # Errors
/// When the value does not follow the grammar.
pub fn parse_volume_flag(text: &str, directory: &str) -> Result<Result<String, String>, Error> {
    if !text.contains(':') {
        check_target(text, text)?;
        return Ok(Err(text.to_owned()));
    }
    let absolute =
        if text == "." || text.starts_with("./") || text.starts_with("../") || text.starts_with(".:") {
            format!("{}/{text}", directory.trim_end_matches('/'))
        } else {
            text.to_owned()
        };
    let (source, rest) = absolute.split_once(':').unwrap_or((&absolute, ""));
    let source = if source.starts_with('/') { clean(source) } else { source.to_owned() };
    let bind = format!("{source}:{rest}");
    parse_bind(&bind)?;
    Ok(Ok(bind))
}

/// Drops `.`, `..` and doubled slashes from an absolute path, by text alone.
fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            part => kept.push(part),
        }
    }
    format!("/{}", kept.join("/"))
}

pub(super) fn check_target(target: &str, spec: &str) -> Result<(), Error> {
    if !target.starts_with('/') {
        return Err(Error::new(format!(
            "invalid volume specification: '{spec}': invalid mount config: mount path must be absolute"
        )));
    }
    if clean(target) == "/" {
        return Err(Error::new(format!(
            "invalid volume specification: '{spec}': invalid mount config: destination can't be '/'"
        )));
    }
    Ok(())
}

fn check_volume_name(name: &str) -> Result<(), Error> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest && name.len() >= 2 {
        return Ok(());
    }
    Err(Error::new(format!(
        "\"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are \
         allowed. If you intended to pass a host directory, use absolute path"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_binds() {
        let bind = parse_bind("/a:/b:ro,rslave,z").unwrap();
        assert_eq!(bind.source, BindSource::Path("/a".to_owned()));
        assert!(bind.read_only && bind.propagation == "rslave" && bind.mode == "ro,rslave,z");
        let bind = parse_bind("vol:/b:nocopy").unwrap();
        assert!(bind.no_copy && !bind.read_only && bind.source == BindSource::Volume("vol".to_owned()));
        for bad in [
            "",
            "/a",
            ":",
            "/a:",
            ":/b",
            "/a:b",
            "/a:/",
            "/a:/..",
            "/a:/b:x",
            "/a:/b:ro,rw",
            "/a:/b:z,Z",
            "v!:/b",
            "v:/b",
            "/a:/b:",
            "/a:/b:ro:x",
            "/a:/b:nocopy",
            "vol:/b:rslave",
            "a/b:/c",
        ] {
            assert!(parse_bind(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_volume_flags() {
        assert_eq!(parse_volume_flag("/x", "/cwd"), Ok(Err("/x".to_owned())));
        assert_eq!(parse_volume_flag("./d:/x:ro", "/cwd"), Ok(Ok("/cwd/d:/x:ro".to_owned())));
        assert_eq!(parse_volume_flag(".:/x", "/cwd"), Ok(Ok("/cwd:/x".to_owned())));
        assert_eq!(parse_volume_flag("../d:/x", "/a/cwd"), Ok(Ok("/a/d:/x".to_owned())));
        assert_eq!(parse_volume_flag("data:/x", "/cwd"), Ok(Ok("data:/x".to_owned())));
        assert!(parse_volume_flag("x", "/cwd").is_err());
    }
}
