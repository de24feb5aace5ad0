//! The mounts of a new container: volumes found or made, host directories checked.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use plan::spec::mounts::{What, Wish};
use store::{Store, VolumeOptions};
use types::Rootfs;

use crate::state::MountRecord;
use crate::{Error, Result};

/// The mounts, and the volumes that were made for them.
#[derive(Debug, Default)]
pub(crate) struct Mounted {
    pub(crate) mounts: Vec<MountRecord>,
    pub(crate) made: Vec<String>,
}

/// Looks up every wish. On failure the anonymous volumes that were made are removed again. Blocks.
pub(crate) fn prepare(store: &Store, container: &str, wishes: &[Wish], rootfs: &Rootfs) -> Result<Mounted> {
    let mut mounted = Mounted::default();
    for wish in wishes {
        match one(store, (container, wish), rootfs, &mut mounted.made) {
            Ok(mount) => mounted.mounts.push(mount),
            Err(error) => {
                discard(store, &mounted.mounts);
                return Err(error);
            }
        }
    }
    Ok(mounted)
}

/// Removes the anonymous volumes among these mounts; answers those that went.
pub(crate) fn discard(store: &Store, mounts: &[MountRecord]) -> Vec<String> {
    let mut gone = Vec::new();
    for mount in mounts.iter().filter(|m| m.anonymous) {
        match store.volumes().remove(&mount.name, true, &|_| Vec::new()) {
            Ok(_) => gone.push(mount.name.clone()),
            Err(error) => {
                tracing::warn!(volume = %mount.name, %error, "an anonymous volume could not be removed");
            }
        }
    }
    gone
}

fn one(
    store: &Store,
    (container, wish): (&str, &Wish),
    rootfs: &Rootfs,
    made: &mut Vec<String>,
) -> Result<MountRecord> {
    let mut mount = MountRecord {
        destination: wish.destination.clone(),
        mode: wish.mode.clone(),
        readonly: wish.readonly,
        ..MountRecord::default()
    };
    match &wish.what {
        What::Bind { source, propagation, create, recursive, shallow_readonly } => {
            check_source(source, *create)?;
            mount.kind = "bind".to_owned();
            mount.source.clone_from(source);
            mount.propagation =
                if propagation.is_empty() { "rprivate".to_owned() } else { propagation.clone() };
            mount.options =
                vec![if *recursive { "rbind" } else { "bind" }.to_owned(), mount.propagation.clone()];
            if wish.readonly {
                mount.options.push(if *shallow_readonly { "ro" } else { "rro" }.to_owned());
            }
        }
        What::Volume { name, nocopy, labels } => {
            let options = VolumeOptions {
                name: name.clone().unwrap_or_default(),
                labels: labels.clone(),
                container: container.to_owned(),
                ..VolumeOptions::default()
            };
            let (volume, is_new) = store.volumes().create(options)?;
            mount.kind = "volume".to_owned();
            mount.anonymous = name.is_none();
            mount.name = volume.name;
            mount.source = text(&volume.path)?;
            mount.options = vec!["rbind".to_owned(), "rprivate".to_owned()];
            if wish.readonly {
                mount.options.push("ro".to_owned());
            }
            if !nocopy && let Err(error) = store.volumes().copy_up(&mount.name, rootfs, &wish.destination) {
                discard(store, std::slice::from_ref(&mount));
                return Err(error.into());
            }
            if is_new {
                made.push(mount.name.clone());
            }
        }
        What::Tmpfs { options } => {
            mount.kind = "tmpfs".to_owned();
            mount.options.clone_from(options);
        }
    }
    Ok(mount)
}

fn check_source(source: &str, create: bool) -> Result<()> {
    let path = Path::new(source);
    if path.exists() {
        return Ok(());
    }
    if !create {
        return Err(Error::invalid(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {source}"
        )));
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|e| Error::io(&format!("error while creating mount source path '{source}'"), e))
}

fn text(path: &Path) -> Result<String> {
    let text = path.to_str();
    text.map(str::to_owned).ok_or_else(|| Error::invalid(format!("{} is not UTF-8", path.display())))
}
