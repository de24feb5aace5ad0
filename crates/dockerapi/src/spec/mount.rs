//! `--mount type=…,source=…,target=…,…`: one line of CSV.

use super::bind::check_target;
use crate::filters::parse_bool;
use crate::{Error, Mount, MountDriver};

/// Reads one `--mount` value.
///
/// # Errors
/// Names the field that is unknown, doubled in meaning, missing, or not of the mount's type.
pub fn parse_mount(text: &str) -> Result<Mount, Error> {
    let mut mount = Mount { kind: "volume".to_owned(), ..Mount::default() };
    for field in
        split_csv(text).ok_or_else(|| Error::new(format!("invalid mount {text:?}: a quote is not closed")))?
    {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field.as_str(), None),
        };
        read_field(&mut mount, &key.to_lowercase(), value, &field)?;
    }
    check(&mount, text)?;
    Ok(mount)
}

fn read_field(mount: &mut Mount, key: &str, value: Option<&str>, field: &str) -> Result<(), Error> {
    if let Some(switch) = switch(mount, key) {
        *switch = match value {
            None => true,
            Some(value) => {
                parse_bool(value).ok_or_else(|| Error::new(format!("invalid value for {key}: {value}")))?
            }
        };
        return Ok(());
    }
    let value =
        value.ok_or_else(|| Error::new(format!("invalid field '{field}' must be a key=value pair")))?;
    let owned = value.to_owned();
    match key {
        "type" => mount.kind = value.to_lowercase(),
        "source" | "src" => mount.source = owned,
        "target" | "dst" | "destination" => mount.target = owned,
        "consistency" => mount.consistency = owned,
        "bind-propagation" => mount.bind_options.get_or_insert_default().propagation = owned,
        "bind-recursive" => return read_recursive(mount, value),
        "volume-subpath" => mount.volume_options.get_or_insert_default().subpath = owned,
        "volume-label" => {
            let (key, value) = pair(value);
            mount.volume_options.get_or_insert_default().labels.insert(key, value);
        }
        "volume-driver" => volume_driver(mount).name = owned,
        "volume-opt" => {
            let (key, value) = pair(value);
            volume_driver(mount).options.insert(key, value);
        }
        "image-subpath" => mount.image_options.get_or_insert_default().subpath = owned,
        "tmpfs-size" => {
            let bytes = types::parse_bytes(value).map_err(|_| invalid(key, value))?;
            mount.tmpfs_options.get_or_insert_default().size_bytes = bytes as i64;
        }
        "tmpfs-mode" => {
            let mode = u32::from_str_radix(value, 8).map_err(|_| invalid(key, value))?;
            mount.tmpfs_options.get_or_insert_default().mode = mode;
        }
        _ => return Err(Error::new(format!("unexpected key '{key}' in '{field}'"))),
    }
    Ok(())
}

/// The fields that may stand without a value.
fn switch<'a>(mount: &'a mut Mount, key: &str) -> Option<&'a mut bool> {
    match key {
        "readonly" | "ro" => Some(&mut mount.read_only),
        "volume-nocopy" => Some(&mut mount.volume_options.get_or_insert_default().no_copy),
        "bind-nonrecursive" => Some(&mut mount.bind_options.get_or_insert_default().non_recursive),
        "bind-create-src" => Some(&mut mount.bind_options.get_or_insert_default().create_mountpoint),
        _ => None,
    }
}

fn read_recursive(mount: &mut Mount, value: &str) -> Result<(), Error> {
    let options = mount.bind_options.get_or_insert_default();
    match value {
        "enabled" => {}
        "disabled" => options.non_recursive = true,
        "writable" => options.read_only_non_recursive = true,
        "readonly" => options.read_only_force_recursive = true,
        _ => return Err(invalid("bind-recursive", value)),
    }
    Ok(())
}

fn volume_driver(mount: &mut Mount) -> &mut MountDriver {
    mount.volume_options.get_or_insert_default().driver_config.get_or_insert_default()
}

fn invalid(key: &str, value: &str) -> Error {
    Error::new(format!("invalid value for {key}: {value}"))
}

fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

fn check(mount: &Mount, text: &str) -> Result<(), Error> {
    let fail = |why: &str| Err(Error::new(format!("invalid mount {text:?}: {why}")));
    if !matches!(mount.kind.as_str(), "bind" | "volume" | "tmpfs" | "image" | "npipe" | "cluster") {
        return Err(Error::new(format!("mount type unknown: \"{}\"", mount.kind)));
    }
    if mount.target.is_empty() {
        return Err(Error::new("target is required"));
    }
    check_target(&mount.target, text)?;
    if mount.bind_options.is_some() && mount.kind != "bind" {
        return fail(&format!("cannot mix 'bind-*' options with mount type '{}'", mount.kind));
    }
    if mount.volume_options.is_some() && mount.kind != "volume" {
        return fail(&format!("cannot mix 'volume-*' options with mount type '{}'", mount.kind));
    }
    if mount.tmpfs_options.is_some() && mount.kind != "tmpfs" {
        return fail(&format!("cannot mix 'tmpfs-*' options with mount type '{}'", mount.kind));
    }
    match mount.kind.as_str() {
        "bind" if mount.source.is_empty() => fail("a bind needs a source"),
        "bind" if !mount.source.starts_with('/') => fail("mount path must be absolute"),
        "tmpfs" if !mount.source.is_empty() => fail("a tmpfs has no source"),
        _ => Ok(()),
    }
}

/// Splits a line of CSV; `None` when a quote is not closed.
fn split_csv(line: &str) -> Option<Vec<String>> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    (!quoted).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mounts() {
        let mount = parse_mount("type=bind,src=/a,dst=/b,readonly,bind-propagation=rslave").unwrap();
        assert_eq!((mount.kind.as_str(), mount.source.as_str(), mount.target.as_str()), ("bind", "/a", "/b"));
        assert!(mount.read_only);
        assert_eq!(mount.bind_options.unwrap().propagation, "rslave");
        let mount = parse_mount("source=v,target=/b,ro=false,volume-nocopy,\"volume-opt=o=a,b\"").unwrap();
        assert_eq!(mount.kind, "volume");
        let options = mount.volume_options.unwrap();
        assert!(options.no_copy);
        assert_eq!(options.driver_config.unwrap().options["o"], "a,b");
        let mount = parse_mount("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1777").unwrap();
        assert_eq!(mount.tmpfs_options.map(|o| (o.size_bytes, o.mode)), Some((64 << 20, 0o1777)));
    }

    #[test]
    fn refuses_bad_mounts() {
        for bad in [
            "",
            "type=bind",
            "type=bind,target=/b",
            "type=bind,src=a,target=/b",
            "type=what,target=/b",
            "target=b",
            "target=/",
            "target=/b,nope=1",
            "target=/b,nope",
            "target=/b,readonly=maybe",
            "type=tmpfs,source=/a,target=/b",
            "type=tmpfs,target=/b,tmpfs-size=x",
            "type=tmpfs,target=/b,tmpfs-mode=9",
            "type=volume,target=/b,bind-propagation=shared",
            "type=bind,src=/a,target=/b,bind-recursive=perhaps",
            "\"target=/b",
        ] {
            assert!(parse_mount(bad).is_err(), "{bad}");
        }
    }
}
