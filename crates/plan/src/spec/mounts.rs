//! Every mount that a request and its image want, in one list.

use std::collections::BTreeMap;

use dockerapi::{Config, HostConfig, Mount};

use super::bind::{self, Bind, Source};
use super::tmpfs;
use crate::Error;

/// What Docker shows as the mode of a volume that was asked for without one.
const VOLUME_MODE: &str = "z";

/// One mount that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What it shows.
    pub what: What,
    /// Where in the container: absolute, cleaned, unique in the list.
    pub destination: String,
    /// Cannot be written.
    pub readonly: bool,
    /// As the request wrote its options.
    pub mode: String,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A file or directory of the host.
    Bind {
        /// Absolute path.
        source: String,
        /// Propagation word; empty for Docker's default.
        propagation: String,
        /// Make a missing directory.
        create: bool,
        /// With the mounts below it.
        recursive: bool,
        /// The mounts below it are not made read-only with it.
        shallow_readonly: bool,
    },
    /// A volume.
    Volume {
        /// Its name; `None`: make one for this container alone.
        name: Option<String>,
        /// Do not fill it with the image's content.
        nocopy: bool,
        /// Labels for a new one.
        labels: BTreeMap<String, String>,
    },
    /// Memory.
    Tmpfs {
        /// Mount options.
        options: Vec<String>,
    },
}

/// The mounts of `host.Binds`, `host.Mounts`, `host.Tmpfs`, then the volumes of the configuration (and of the image, once merged)
/// where nothing else is mounted.
///
/// # Errors
/// Docker's sentences for malformed mounts and doubled mount points; `Unimplemented` for kinds of mounts Berth does not have.
pub fn wishes(config: &Config, host: &HostConfig) -> Result<Vec<Wish>, Error> {
    let mut all: Vec<Wish> = Vec::new();
    for text in &host.binds {
        let bind = Bind::parse(text)?;
        add(&mut all, of_bind(bind))?;
    }
    for mount in &host.mounts {
        add(&mut all, of_mount(mount)?)?;
    }
    for (path, text) in &host.tmpfs {
        let what = What::Tmpfs { options: tmpfs::options(text)? };
        add(&mut all, wish(what, bind::destination(path)?, false, text))?;
    }
    for path in config.volumes.keys() {
        // `-v /path` and `-v path:…` both travel here in old clients.
        let bind = Bind::parse(path)?;
        if !all.iter().any(|w| w.destination == bind.destination) {
            all.push(of_bind(bind));
        }
    }
    Ok(all)
}

fn add(all: &mut Vec<Wish>, wish: Wish) -> Result<(), Error> {
    if all.iter().any(|w| w.destination == wish.destination) {
        return Err(Error::invalid(format!("Duplicate mount point: {}", wish.destination)));
    }
    all.push(wish);
    Ok(())
}

fn wish(what: What, destination: String, readonly: bool, mode: &str) -> Wish {
    Wish { what, destination, readonly, mode: mode.to_owned() }
}

fn of_bind(bind: Bind) -> Wish {
    let Bind { source, destination, mode, readonly, propagation, nocopy } = bind;
    let volume = |name| What::Volume { name, nocopy, labels: BTreeMap::new() };
    let what = match source {
        Source::Path(source) => {
            What::Bind { source, propagation, create: true, recursive: true, shallow_readonly: false }
        }
        Source::Volume(name) => {
            let mode = if mode.is_empty() { VOLUME_MODE.to_owned() } else { mode };
            return Wish { what: volume(Some(name)), destination, readonly, mode };
        }
        Source::Anonymous => volume(None),
    };
    Wish { what, destination, readonly, mode }
}

fn of_mount(mount: &Mount) -> Result<Wish, Error> {
    let invalid =
        |why: &str| Error::invalid(format!("invalid mount config for type \"{}\": {why}", mount.kind));
    if mount.target.is_empty() {
        return Err(invalid("field Target must not be empty"));
    }
    let other_options = [
        ("bind", mount.bind_options.is_some(), "BindOptions"),
        ("volume", mount.volume_options.is_some(), "VolumeOptions"),
        ("tmpfs", mount.tmpfs_options.is_some(), "TmpfsOptions"),
        ("image", mount.image_options.is_some(), "ImageOptions"),
    ];
    if let Some((_, _, field)) = other_options.iter().find(|(kind, set, _)| *set && *kind != mount.kind) {
        return Err(invalid(&format!("field {field} must not be specified")));
    }
    let what = match mount.kind.as_str() {
        "bind" => bind_mount(mount, &invalid)?,
        "volume" => volume_mount(mount)?,
        "tmpfs" => tmpfs_mount(mount, &invalid)?,
        "image" | "npipe" | "cluster" => {
            return Err(Error::unimplemented(format!(
                "mounts of type {:?} are not supported by Berth yet",
                mount.kind
            )));
        }
        _ => return Err(invalid("mount type unknown")),
    };
    let mode = if matches!(what, What::Volume { .. }) { VOLUME_MODE } else { "" };
    let destination = bind::destination(&mount.target);
    let destination = destination.map_err(|e| Error::invalid(bind::in_kind(&mount.kind, &e)))?;
    Ok(wish(what, destination, mount.read_only, mode))
}

fn bind_mount(mount: &Mount, invalid: &dyn Fn(&str) -> Error) -> Result<What, Error> {
    if mount.source.is_empty() {
        return Err(invalid("field Source must not be empty"));
    }
    if !mount.source.starts_with('/') {
        return Err(invalid(&format!("invalid mount path: '{}' mount path must be absolute", mount.source)));
    }
    let options = mount.bind_options.clone().unwrap_or_default();
    if !options.propagation.is_empty() && !bind::is_propagation(&options.propagation) {
        return Err(invalid(&format!("invalid propagation mode: {}", options.propagation)));
    }
    Ok(What::Bind {
        source: bind::clean(&mount.source),
        propagation: options.propagation,
        create: options.create_mountpoint,
        recursive: !options.non_recursive,
        shallow_readonly: options.read_only_non_recursive,
    })
}

fn volume_mount(mount: &Mount) -> Result<What, Error> {
    let options = mount.volume_options.clone().unwrap_or_default();
    if !options.subpath.is_empty() {
        return Err(Error::unimplemented("VolumeOptions.Subpath is not supported by Berth yet"));
    }
    let driver = options.driver_config.unwrap_or_default();
    if !matches!(driver.name.as_str(), "" | "local") || !driver.options.is_empty() {
        return Err(Error::unimplemented("volume drivers and their options are not supported by Berth yet"));
    }
    let name = match mount.source.as_str() {
        "" => None,
        name => Some(bind::volume_name(name)?.to_owned()),
    };
    Ok(What::Volume { name, nocopy: options.no_copy, labels: options.labels })
}

fn tmpfs_mount(mount: &Mount, invalid: &dyn Fn(&str) -> Error) -> Result<What, Error> {
    if !mount.source.is_empty() {
        return Err(invalid("field Source must not be specified"));
    }
    let asked = mount.tmpfs_options.clone().unwrap_or_default();
    if asked.size_bytes < 0 {
        return Err(invalid("field TmpfsOptions.SizeBytes must not be negative"));
    }
    let mut words: Vec<String> = Vec::new();
    if mount.read_only {
        words.push("ro".to_owned());
    }
    if asked.mode != 0 {
        words.push(format!("mode={:o}", asked.mode & 0o7777));
    }
    if asked.size_bytes != 0 {
        words.push(format!("size={}", asked.size_bytes));
    }
    for option in &asked.options {
        words.push(option.join("="));
    }
    Ok(What::Tmpfs { options: tmpfs::options(&words.join(","))? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dockerapi::{BindOptions, TmpfsOptions};

    fn list(host: &HostConfig, volumes: &[&str]) -> String {
        let volumes = volumes.iter().map(|v| ((*v).to_owned(), serde_json::Map::new())).collect();
        let config = Config { volumes, ..Config::default() };
        match wishes(&config, host) {
            Ok(all) => all
                .iter()
                .map(|w| {
                    let what = match &w.what {
                        What::Bind { source, create, .. } => {
                            format!("{source}{}", if *create { "+" } else { "" })
                        }
                        What::Volume { name, .. } => name.clone().unwrap_or_else(|| "?".to_owned()),
                        What::Tmpfs { options } => options.join(","),
                    };
                    format!("{what}>{}{}", w.destination, if w.readonly { ":ro" } else { "" })
                })
                .collect::<Vec<_>>()
                .join(" "),
            Err(e) => format!("! {e}"),
        }
    }

    fn mount(kind: &str, source: &str, target: &str) -> Mount {
        Mount {
            kind: kind.to_owned(),
            source: source.to_owned(),
            target: target.to_owned(),
            ..Mount::default()
        }
    }

    #[test]
    fn lists() {
        let binds = |texts: &[&str]| HostConfig {
            binds: texts.iter().map(|&t| t.to_owned()).collect(),
            ..HostConfig::default()
        };
        let mounts = |mounts: Vec<Mount>| HostConfig { mounts, ..HostConfig::default() };
        let tmpfs = Mount {
            tmpfs_options: Some(TmpfsOptions { size_bytes: 9, mode: 0o700, ..TmpfsOptions::default() }),
            ..mount("tmpfs", "", "/t")
        };
        let odd = Mount { bind_options: Some(BindOptions::default()), ..mount("tmpfs", "", "/t") };
        for (host, volumes, expected) in [
            (binds(&["/a:/b:ro", "v1:/c"]), vec!["/c/", "/d"], "/a+>/b:ro v1>/c ?>/d"),
            (binds(&["/a:/b", "/c:/b/"]), vec![], "! Duplicate mount point: /b"),
            (mounts(vec![mount("bind", "/a", "/b"), mount("volume", "", "/v")]), vec![], "/a>/b ?>/v"),
            (mounts(vec![tmpfs]), vec![], "noexec,nosuid,nodev,mode=700,size=9>/t"),
            (
                mounts(vec![odd]),
                vec![],
                "! invalid mount config for type \"tmpfs\": field BindOptions must not be specified",
            ),
            (
                mounts(vec![mount("bind", "", "/b")]),
                vec![],
                "! invalid mount config for type \"bind\": field Source must not be empty",
            ),
            (
                mounts(vec![mount("x", "", "/b")]),
                vec![],
                "! invalid mount config for type \"x\": mount type unknown",
            ),
            (
                mounts(vec![mount("bind", "/a", "b")]),
                vec![],
                "! invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be absolute",
            ),
        ] {
            assert_eq!(list(&host, &volumes), expected);
        }
    }
}
