//! `create`: a request becomes a record, a writable layer, volumes and a directory; or nothing at all.

mod check;
pub(crate) mod files;
mod logging;
mod names;
mod ports;
pub(crate) mod prepare;
pub(crate) mod volumes;

pub(crate) use check::restart as check_restart;
pub(crate) use names::new_id;

use std::sync::Arc;

use dockerapi::{ContainerCreate, ContainerCreated};
use oci::image::Platform;
use oci::image::platform::Preference;
use plan::spec::modes::{self, Modes, Network};
use plan::spec::{defaults, limits, merge, mounts};
use store::Image;
use types::{ContainerName, Kind, Reference};

use crate::claims::Claim;
use crate::clock::now_ns;
use crate::engine::{Engine, Inner, blocking};
use crate::state::{Entry, Record};
use crate::{Error, Result, detached, images};

impl Engine {
    /// Makes a container; `name` is optional. Answers its id, and warnings about what this host cannot honour.
    ///
    /// # Errors
    /// A request that is malformed or asks for something Berth does not have; an unknown image; a name in use. Nothing
    /// is left behind.
    pub async fn create(&self, name: Option<&str>, body: ContainerCreate) -> Result<ContainerCreated> {
        self.create_on(name, None, body).await
    }

    /// As `create`, of the image for that platform.
    ///
    /// # Errors
    /// As `create`; `NotFound` also when the image is not here for the platform.
    pub async fn create_on(
        &self,
        name: Option<&str>,
        platform: Option<&str>,
        body: ContainerCreate,
    ) -> Result<ContainerCreated> {
        let (engine, name, platform) = (self.clone(), name.map(str::to_owned), platform.map(str::to_owned));
        detached(async move { engine.create_whole(name.as_deref(), platform.as_deref(), body).await }).await
    }

    async fn create_whole(
        &self,
        name: Option<&str>,
        platform: Option<&str>,
        mut body: ContainerCreate,
    ) -> Result<ContainerCreated> {
        let inner = &self.0;
        modes::contradictions(&body.config, &body.host_config)?;
        let id = new_id()?;
        let (image, _claim) = self.claimed(&id, &body, platform).await?;
        let mut warnings = check_runnable(&image, &body.config.image, platform)?;
        let network = if inner.network.is_some() { "bridge" } else { "none" };
        complete(&mut body, &image, network, &mut warnings);
        warnings.extend(inner.host.discard_weight(&mut body.host_config.resources));
        let checked = check::check(&body, &inner.host)?;
        warnings.extend(checked.warnings);
        if checked.modes.network == Network::Bridge {
            inner.bridge()?;
        }
        let network = ports::read(&body, &checked.modes.network)?;
        warnings.extend(network.warnings);
        let wishes = mounts::wishes(&body.config, &body.host_config)?;
        let log = logging::read(&body.host_config.log_config, &inner.options)?;
        let name = reserve(inner, name, &id)?;
        let record = Record {
            id: id.clone(),
            name: name.clone(),
            created_ns: now_ns(),
            image_id: image.id.to_string(),
            image_name: body.config.image.clone(),
            volatile: body.host_config.auto_remove,
            config: body.config,
            host: body.host_config,
            ports: network.ports,
            ip: network.ip,
            aliases: network.aliases,
            log,
            ..Record::default()
        };
        let record = named(inner, record, &checked.modes)?;
        let engine = self.clone();
        let made = blocking(move || engine.0.make(record, &image, &wishes)).await.and_then(|made| made);
        if made.is_err() {
            inner.table.release(&name);
        }
        let record = made?;
        inner.table.insert(Arc::new(Entry::new(record.clone())));
        inner.tell(&record, "create", &[]);
        Ok(ContainerCreated { id, warnings })
    }

    /// The image, kept from removals until the container is in the table.
    async fn claimed(
        &self,
        id: &str,
        body: &ContainerCreate,
        platform: Option<&str>,
    ) -> Result<(Arc<Image>, Claim)> {
        let volumes = named_volumes(body);
        loop {
            let image = self.image_on(&body.config.image, platform, Preference::of).await?;
            let claim = self.0.claims.claim(image.id, id, volumes.clone());
            match claim {
                Some(claim) if self.0.store.images().get(&image.id).is_some() => {
                    self.0.store.mark_used(&image.id);
                    return Ok((image, claim));
                }
                // A removal takes it now, or did so between the two looks.
                Some(_) => {}
                None => self.0.claims.spared(&image.id).await,
            }
        }
    }

    /// The image by this name; the embedded one appears when it is asked for.
    pub(crate) async fn image_for(&self, name: &str) -> Result<Arc<Image>> {
        self.image_on(name, None, Preference::of).await
    }

    /// As `image_for`, for that platform; `strictness`: what else will do for it.
    pub(crate) async fn image_on(
        &self,
        name: &str,
        platform: Option<&str>,
        strictness: fn(&Platform) -> Preference,
    ) -> Result<Arc<Image>> {
        let preference = images::preference(platform, strictness)?;
        if name.is_empty() {
            return Err(Error::invalid("no image was named"));
        }
        match self.0.store.images().resolve_for(name, preference.as_ref()) {
            Err(e) if e.kind() == Kind::NotFound && matches!(name, "hello" | "hello:latest") => {
                let inner = self.0.clone();
                blocking(move || Ok(inner.store.embedded_hello(&inner.options.runtime)?)).await?
            }
            // A text that can be no name is the caller's mistake, and no reason to look for it elsewhere.
            Err(e) if e.kind() == Kind::NotFound => match name.parse::<Reference>() {
                Err(odd) if !name.bytes().all(|b| b.is_ascii_hexdigit()) => {
                    Err(Error::invalid(odd.to_string()))
                }
                _ => Err(e.into()),
            },
            found => Ok(found?),
        }
    }
}

/// The volumes that a request may mean: whatever stands where a name can stand.
fn named_volumes(body: &ContainerCreate) -> Vec<String> {
    let host = &body.host_config;
    let binds = host.binds.iter().filter_map(|bind| bind.split(':').next()).map(str::to_owned);
    binds.chain(host.mounts.iter().map(|mount| mount.source.clone())).collect()
}

/// Only what runs can be a container. Answers warnings.
fn check_runnable(image: &Image, name: &str, platform: Option<&str>) -> Result<Vec<String>> {
    if let Some(kind) = &image.artifact_type {
        return Err(Error::invalid(format!(
            "{name} is an artifact of the type {kind}, not a container image: it cannot be run"
        )));
    }
    let own = image.platform();
    let fits = own.architecture.is_empty() || Preference::host().rank(&own).is_some();
    if fits || platform.is_some_and(|text| !text.is_empty()) {
        return Ok(Vec::new());
    }
    // Docker's words.
    Ok(vec![format!(
        "The requested image's platform ({own}) does not match the detected host platform ({}) and no specific platform was requested",
        Platform::host()
    )])
}

/// What is left open is filled from the image and from Docker's defaults.
fn complete(body: &mut ContainerCreate, image: &Image, default_network: &str, warnings: &mut Vec<String>) {
    if let Some(of_image) = &image.config.config {
        let health = of_image.healthcheck.as_ref().and_then(|h| h.test.first());
        if health.is_some_and(|test| test != "NONE") && body.config.healthcheck.is_none() {
            warnings.push("The image's HEALTHCHECK is not run: Berth has no health checks yet.".to_owned());
        }
        merge::merge(&mut body.config, of_image);
    }
    // ONBUILD is for builds: what the image has of it is not the container's.
    body.config.on_build.clear();
    limits::complete(&mut body.host_config.resources);
    let host = &mut body.host_config;
    for (field, default) in [
        (&mut host.network_mode, default_network),
        (&mut host.ipc_mode, "private"),
        (&mut host.cgroupns_mode, "private"),
        (&mut host.log_config.driver, "json-file"),
        (&mut host.runtime, "berth"),
        (&mut host.restart_policy.name, "no"),
    ] {
        if field.is_empty() || field == "default" {
            default.clone_into(field);
        }
    }
    if host.shm_size == 0 {
        host.shm_size = defaults::SHM_BYTES;
    }
    let is_confined = !host.privileged && host.pid_mode != "host" && host.ipc_mode != "host";
    if !is_confined && !host.security_opt.iter().any(|option| option.starts_with("label")) {
        host.security_opt.push("label=disable".to_owned());
    }
    if !host.privileged {
        let list = |paths: &[&str]| Some(paths.iter().map(|&path| path.to_owned()).collect());
        host.masked_paths = host.masked_paths.take().or_else(|| list(&defaults::MASKED));
        host.readonly_paths = host.readonly_paths.take().or_else(|| list(&defaults::READONLY));
    }
}

fn reserve(inner: &Inner, name: Option<&str>, id: &str) -> Result<String> {
    match name {
        None | Some("") => names::reserve_any(&inner.table, id),
        Some(name) => {
            let name: ContainerName = name.parse().map_err(|e: types::IdError| {
                let text = e.to_string();
                Error::invalid(format!("{}{}", text[..1].to_uppercase(), &text[1..]))
            })?;
            inner.table.reserve(name.as_str(), id)?;
            Ok(name.as_str().to_owned())
        }
    }
}

/// Gives the container a host name, and looks up the containers it wants to share namespaces with.
fn named(inner: &Inner, mut record: Record, modes: &Modes) -> Result<Record> {
    let found = (|| -> Result<Option<Arc<Record>>> {
        if let Some(who) = &modes.pid_of {
            inner.find(who)?;
        }
        Ok(match &modes.network {
            Network::Container(who) => Some(inner.find(who)?.record()),
            _ => None,
        })
    })();
    let other = found.inspect_err(|_| inner.table.release(&record.name))?;
    // Names change, ids do not.
    if let Some(other) = &other {
        record.host.network_mode = format!("container:{}", other.id);
    }
    let of_other = other.map(|other| other.config.hostname.clone());
    if modes.host_uts {
        record.config.hostname.clone_from(&inner.host.hostname);
    } else if record.config.hostname.is_empty() {
        record.config.hostname = match (of_other, &modes.network) {
            (Some(name), _) => name,
            (None, Network::Host) => inner.host.hostname.clone(),
            _ => record.id[..12].to_owned(),
        };
    }
    Ok(record)
}

impl Inner {
    /// Makes the container's parts on disk and writes its record; on failure takes all of them back. Blocks.
    fn make(&self, mut record: Record, image: &Image, wishes: &[mounts::Wish]) -> Result<Record> {
        let directory = self.directory(&record.id);
        let mut undo = Undo { inner: self, id: record.id.clone(), mounts: Vec::new(), done: false };
        let rootfs = self.store.prepare(&record.id, image, record.volatile)?;
        std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
            .create(&directory)
            .map_err(|e| Error::io("cannot make the container's directory", e))?;
        let mounted = volumes::prepare(&self.store, &record.id, wishes, &rootfs)?;
        undo.mounts.clone_from(&mounted.mounts);
        for name in &mounted.made {
            self.tell_volume("create", name);
        }
        record.mounts = mounted.mounts;
        self.save(&record)?;
        undo.done = true;
        Ok(record)
    }
}

/// Takes a half-made container back, unless told that it is whole.
struct Undo<'a> {
    inner: &'a Inner,
    id: String,
    mounts: Vec<crate::state::MountRecord>,
    done: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        volumes::discard(&self.inner.store, &self.mounts);
        let _ = std::fs::remove_dir_all(self.inner.directory(&self.id));
        if self.inner.store.snapshots().contains(&self.id)
            && let Err(error) = self.inner.store.discard(&self.id)
        {
            tracing::warn!(container = %self.id, %error, "a half-made container's layer could not be removed");
        }
    }
}
