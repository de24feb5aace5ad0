//! `--mount`: comma-separated `key=value`, each kind of mount with options of its own.

use serde_json::{Map, Value, json};

/// Reads one description into the API's mount document.
pub(crate) fn mount(text: &str) -> Result<Value, String> {
    let mut draft = Draft::default();
    for field in super::fields(text)? {
        match field.split_once('=') {
            Some((key, value)) => draft.set(&key.to_lowercase(), value, &field)?,
            None => draft.switch(&field.to_lowercase(), &field)?,
        }
    }
    draft.finish()
}

#[derive(Default)]
struct Draft {
    kind: Option<String>,
    source: String,
    target: String,
    read_only: bool,
    consistency: String,
    options: [Map<String, Value>; 4],
}

/// Which group of options a key belongs to; also the index in [`Draft::options`].
#[derive(Clone, Copy)]
enum Group {
    Bind,
    Volume,
    Tmpfs,
    Image,
}

impl Draft {
    fn switch(&mut self, key: &str, field: &str) -> Result<(), String> {
        match key {
            "readonly" | "ro" => self.read_only = true,
            "volume-nocopy" => self.put(Group::Volume, "NoCopy", true),
            "bind-nonrecursive" => self.put(Group::Bind, "NonRecursive", true),
            _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str, field: &str) -> Result<(), String> {
        let invalid = || format!("invalid value for {key}: {value}");
        let truth = || crate::flags::check::truth(value).map_err(|_| invalid());
        match key {
            "type" => self.kind = Some(value.to_lowercase()),
            "source" | "src" => self.source = super::absolute(value),
            "target" | "dst" | "destination" => value.clone_into(&mut self.target),
            "readonly" | "ro" => self.read_only = truth()?,
            "consistency" => self.consistency = value.to_lowercase(),
            "bind-propagation" => self.put(Group::Bind, "Propagation", value.to_lowercase()),
            "bind-nonrecursive" => self.put(Group::Bind, "NonRecursive", truth()?),
            "bind-recursive" => self.recursive(value)?,
            "volume-subpath" => self.put(Group::Volume, "Subpath", value),
            "volume-nocopy" => self.put(Group::Volume, "NoCopy", truth()?),
            "volume-label" => self.pair(&["Labels"], value),
            "volume-driver" => self.driver("Name", value),
            "volume-opt" => self.pair(&["DriverConfig", "Options"], value),
            "image-subpath" => self.put(Group::Image, "Subpath", value),
            "tmpfs-size" => {
                self.put(Group::Tmpfs, "SizeBytes", types::parse_bytes(value).map_err(|_| invalid())?)
            }
            "tmpfs-mode" => {
                self.put(Group::Tmpfs, "Mode", u32::from_str_radix(value, 8).map_err(|_| invalid())?);
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
        Ok(())
    }

    fn recursive(&mut self, value: &str) -> Result<(), String> {
        match value {
            "enabled" => {}
            "disabled" => self.put(Group::Bind, "NonRecursive", true),
            "writable" => self.put(Group::Bind, "ReadOnlyNonRecursive", true),
            "readonly" => self.put(Group::Bind, "ReadOnlyForceRecursive", true),
            _ => {
                return Err(format!(
                    "invalid value for bind-recursive: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                ));
            }
        }
        Ok(())
    }

    fn put(&mut self, group: Group, name: &str, value: impl Into<Value>) {
        if matches!(group, Group::Volume) {
            self.volume();
        }
        self.options[group as usize].insert(name.to_owned(), value.into());
    }

    /// Volume options always have a driver, as Docker's client sends them.
    fn volume(&mut self) -> &mut Map<String, Value> {
        let volume = &mut self.options[Group::Volume as usize];
        volume.entry("DriverConfig").or_insert_with(|| json!({}));
        volume
    }

    fn driver(&mut self, name: &str, value: &str) {
        if let Some(driver) = self.volume().get_mut("DriverConfig") {
            driver[name] = value.into();
        }
    }

    fn pair(&mut self, path: &[&str], text: &str) {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let mut map = self.volume();
        for name in path {
            let entry = map.entry((*name).to_owned()).or_insert_with(|| json!({}));
            let Value::Object(inner) = entry else { return };
            map = inner;
        }
        if !key.is_empty() {
            map.insert(key.to_owned(), value.into());
        }
    }

    fn finish(self) -> Result<Value, String> {
        let kind = self.kind.unwrap_or_else(|| "volume".to_owned());
        if kind.is_empty() {
            return Err("type is required".to_owned());
        }
        if self.target.is_empty() {
            return Err("target is required".to_owned());
        }
        let names = [
            ("bind", "BindOptions"),
            ("volume", "VolumeOptions"),
            ("tmpfs", "TmpfsOptions"),
            ("image", "ImageOptions"),
        ];
        let flagged = |name: &str| self.options[0].get(name).is_some_and(|v| v == true);
        if (flagged("ReadOnlyNonRecursive") || flagged("ReadOnlyForceRecursive")) && !self.read_only {
            let which = if flagged("ReadOnlyNonRecursive") { "writable" } else { "readonly" };
            return Err(format!(
                "option 'bind-recursive={which}' requires 'readonly' to be specified in conjunction"
            ));
        }
        if flagged("ReadOnlyForceRecursive")
            && self.options[0].get("Propagation").is_none_or(|p| p != "rprivate")
        {
            return Err("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction".to_owned());
        }
        let mut mount = json!({ "Type": kind, "Target": self.target });
        for ((owner, field), options) in names.into_iter().zip(self.options) {
            if options.is_empty() {
                continue;
            }
            if owner != kind {
                return Err(format!("cannot mix '{owner}-*' options with mount type '{kind}'"));
            }
            mount[field] = Value::Object(options);
        }
        if !self.source.is_empty() {
            mount["Source"] = self.source.into();
        }
        if self.read_only {
            mount["ReadOnly"] = true.into();
        }
        if !self.consistency.is_empty() {
            mount["Consistency"] = self.consistency.into();
        }
        Ok(mount)
    }
}
