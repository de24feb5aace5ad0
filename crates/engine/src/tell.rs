//! Events of containers and volumes, with Docker's attributes.

use std::collections::BTreeMap;

use protocol::Exit;
use store::Image;
use types::Reference;

use crate::engine::Inner;
use crate::networks;
use crate::state::{MountRecord, Record};

fn volumes(record: &Record) -> impl Iterator<Item = &MountRecord> {
    record.mounts.iter().filter(|mount| mount.kind == "volume")
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

impl Inner {
    /// Tells that something happened to a container.
    pub(crate) fn tell(&self, record: &Record, action: &str, more: &[(&str, String)]) {
        let mut attributes: BTreeMap<String, String> = record.config.labels.clone();
        attributes.insert("image".to_owned(), record.image_name.clone());
        attributes.insert("name".to_owned(), record.name.clone());
        for (key, value) in more {
            attributes.insert((*key).to_owned(), value.clone());
        }
        self.events.tell("container", action, &record.id, attributes);
    }

    /// Tells that something happened to a volume.
    pub(crate) fn tell_volume(&self, action: &str, name: &str) {
        self.events.tell("volume", action, name, owned(&[("driver", "local")]));
    }

    /// Tells that a container has its place on the network and its volumes.
    pub(crate) fn tell_joined(&self, record: &Record) {
        self.tell_network(record, "connect");
        for mount in volumes(record) {
            let more = [
                ("destination", mount.destination.clone()),
                ("propagation", mount.propagation.clone()),
                ("read/write", (!mount.readonly).to_string()),
            ];
            self.tell_mount(record, "mount", &mount.name, &more);
        }
    }

    /// Tells that a container has given both back.
    pub(crate) fn tell_left(&self, record: &Record) {
        self.tell_network(record, "disconnect");
        for mount in volumes(record) {
            self.tell_mount(record, "unmount", &mount.name, &[]);
        }
    }

    fn tell_network(&self, record: &Record, action: &str) {
        let name = &record.host.network_mode;
        if name.starts_with("container:") {
            return;
        }
        let attributes =
            [("container", record.id.as_str()), ("name", name), ("type", networks::driver_of(name))];
        self.events.tell("network", action, &networks::id_of(name), owned(&attributes));
    }

    fn tell_mount(&self, record: &Record, action: &str, volume: &str, more: &[(&str, String)]) {
        let mut attributes = owned(&[("container", record.id.as_str()), ("driver", "local")]);
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.events.tell("volume", action, volume, attributes);
    }

    /// Tells that something happened to an image.
    pub(crate) fn tell_image(&self, action: &str, image: &Image, name: &str) {
        let mut attributes = image.config.config.as_ref().map(|c| c.labels.clone()).unwrap_or_default();
        attributes.insert("name".to_owned(), name.to_owned());
        self.events.tell("image", action, &image.id.to_string(), attributes);
        if matches!(action, "load" | "import" | "pull" | "tag") {
            self.store.mark_used(&image.id);
            self.arrived.notify_one();
        }
    }

    /// Tells how many bytes a prune freed.
    pub(crate) fn tell_pruned(&self, kind: &'static str, bytes: u64) {
        self.events.tell(kind, "prune", "", owned(&[("reclaimed", &bytes.to_string())]));
    }

    /// Tells that an image was made of a container.
    pub(crate) fn tell_commit(
        &self,
        record: &Record,
        image: &Image,
        name: Option<&Reference>,
        comment: &str,
    ) {
        let reference = name.map(Reference::familiar).unwrap_or_default();
        if name.is_some() {
            self.tell_image("tag", image, &reference);
        }
        let more =
            [("comment", comment.to_owned()), ("imageID", image.id.to_string()), ("imageRef", reference)];
        self.tell(record, "commit", &more);
    }

    /// Tells that a name was pulled.
    pub(crate) fn tell_pulled(&self, name: &Reference, shown: &str) {
        let image = self.store.resolve(&name.to_string()).ok();
        let config = image.as_ref().and_then(|image| image.config.config.as_ref());
        let mut attributes = config.map(|config| config.labels.clone()).unwrap_or_default();
        attributes.insert("name".to_owned(), name.familiar_name());
        self.events.tell("image", "pull", shown, attributes);
    }

    /// Tells that an exec has ended.
    pub(crate) fn tell_exec_end(&self, record: &Record, exec: &str, exit: Option<&Exit>) {
        let code = exit.and_then(|e| e.code).map_or_else(String::new, |c| c.to_string());
        self.tell(record, "exec_die", &[("execID", exec.to_owned()), ("exitCode", code)]);
    }
}
