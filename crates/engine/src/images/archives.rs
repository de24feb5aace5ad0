//! Images as archives: load, save, import.

use std::io::{Read, Write};

use dockerapi::{Progress, ProgressDetail};
use store::ImportConfig;

use super::{new_name, preferences};
use crate::engine::{Engine, apart};
use crate::{Error, Result};

/// An import.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// The new image's name.
    pub reference: Option<String>,
    /// Dockerfile instructions for its configuration.
    pub changes: Vec<String>,
    /// What its history says.
    pub message: String,
    /// `os/architecture`; this machine's when empty.
    pub platform: String,
}

impl Engine {
    /// Loads every image of an archive; all or none. With platforms, of each image only what is for them.
    ///
    /// # Errors
    /// An archive that is malformed, hostile, does not fit on the disk, or has nothing for one of the platforms.
    pub async fn image_load(
        &self,
        mut input: impl Read + Send + 'static,
        platforms: Vec<String>,
        mut tell: impl FnMut(Progress) + Send + 'static,
    ) -> Result<()> {
        let platforms = preferences(&platforms)?;
        let engine = self.clone();
        apart(move || {
            let loaded = engine.0.store.load_for(&mut input, &platforms, &mut |progress| {
                if let Some(progress) = shown(progress) {
                    tell(progress);
                }
            })?;
            let mut told = Vec::new();
            for one in loaded {
                let line = match &one.reference {
                    Some(name) => format!("Loaded image: {}\n", name.familiar()),
                    None => format!("Loaded image ID: {}\n", one.image.id),
                };
                if !told.contains(&one.image.id) {
                    engine.0.tell_image("load", &one.image, &one.image.id.to_string());
                    told.push(one.image.id);
                }
                tell(Progress::stream(line));
            }
            Ok(())
        })
        .await?
    }

    /// Makes an image of a root file system's archive; answers its id.
    ///
    /// # Errors
    /// A name or archive that is malformed.
    pub async fn image_import(
        &self,
        mut input: impl Read + Send + 'static,
        import: Import,
    ) -> Result<String> {
        let reference = import
            .reference
            .as_deref()
            .map(|text| new_name(text, "cannot import digest reference"))
            .transpose()?;
        let config =
            ImportConfig { changes: import.changes, message: import.message, platform: import.platform };
        let (engine, asked) = (self.clone(), import.reference.unwrap_or_default());
        apart(move || {
            let image = engine.0.store.import(&mut input, reference.as_ref(), &config)?;
            let id = image.id.to_string();
            if let Some(reference) = &reference {
                // Docker tells the name as it was written: without a tag when none was.
                let is_tagged = asked.rsplit('/').next().is_some_and(|last| last.contains(':'));
                let name = if is_tagged { reference.familiar() } else { reference.familiar_name() };
                engine.0.tell_image("tag", &image, &name);
            }
            engine.0.tell_image("import", &image, &id);
            Ok(id)
        })
        .await?
    }

    /// Writes an archive of these images, which `image_load` and others' load take. With platforms, of each index only what is for them.
    ///
    /// # Errors
    /// `NotFound` before anything is written; else when the output fails.
    pub async fn image_save(
        &self,
        names: Vec<String>,
        platforms: Vec<String>,
        mut output: impl Write + Send + 'static,
    ) -> Result<()> {
        let platforms = preferences(&platforms)?;
        let engine = self.clone();
        apart(move || {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            engine.0.store.save_for(&names, &platforms, &mut output)?;
            output.flush().map_err(|e| Error::io("cannot write the archive", e))
        })
        .await?
    }
}

/// What people see of a load's progress.
fn shown(progress: store::Progress) -> Option<Progress> {
    let (layer, status, bytes) = match progress {
        store::Progress::Unpacking { layer, bytes } => (layer, "Loading layer", Some(bytes)),
        store::Progress::Unpacked { layer } => (layer, "Load complete", None),
        store::Progress::Receiving { .. } | store::Progress::Present { .. } => return None,
    };
    let current = i64::try_from(bytes.unwrap_or(0)).unwrap_or(i64::MAX);
    Some(Progress {
        status: status.to_owned(),
        id: layer.short(),
        detail: Some(ProgressDetail { current, total: 0 }),
        ..Progress::default()
    })
}
