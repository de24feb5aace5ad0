//! Events of containers and volumes, with Docker's attributes.

use std::collections::BTreeMap;

use protocol::Exit;

use crate::engine::Inner;
use crate::state::Record;

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
        let attributes = BTreeMap::from([("driver".to_owned(), "local".to_owned())]);
        self.events.tell("volume", action, name, attributes);
    }

    /// Tells that something happened to an image.
    pub(crate) fn tell_image(&self, action: &str, id: &str, name: &str) {
        let attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        self.events.tell("image", action, id, attributes);
    }

    /// Tells that an exec has ended.
    pub(crate) fn tell_exec_end(&self, record: &Record, exec: &str, exit: Option<&Exit>) {
        let code = exit.and_then(|e| e.code).map_or_else(String::new, |c| c.to_string());
        self.tell(record, "exec_die", &[("execID", exec.to_owned()), ("exitCode", code)]);
    }
}
