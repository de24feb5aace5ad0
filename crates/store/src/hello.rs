//! The embedded image `hello`: one layer with one static program. The same program gives the same image.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use layer::{Entry, EntryKind, Writer};
use oci::image::{ContainerConfig, History, ImageConfig};
use types::Reference;

use crate::Store;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::import::one_layer;
use crate::load::Proof;

/// When this version of it was made: a fixed time, so that the same program gives the same image, and one that `images` can
/// show to people.
const MADE: &str = "2026-11-25T00:00:00Z";

impl Store {
    /// The image `hello:latest` with a copy of that static program as `/hello`, made if it is not there yet.
    ///
    /// # Errors
    /// When the program cannot be read or the image not be stored.
    pub fn embedded_hello(&self, program: &Path) -> Result<Arc<Image>> {
        let session = self.0.ingest.session()?;
        let mut tar = Vec::new();
        write_layer(program, &mut tar)
            .map_err(|e| Error::call(format!("cannot read {}", program.display()), e))?;
        let layer = session.spool(&mut tar.as_slice(), &mut self.space())?;
        let config = ImageConfig {
            created: Some(MADE.into()),
            os: "linux".into(),
            architecture: if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }.into(),
            config: Some(ContainerConfig {
                entrypoint: Some(vec!["/hello".into(), "hello".into()]),
                env: vec!["PATH=/".into()],
                working_dir: "/".into(),
                ..ContainerConfig::default()
            }),
            ..ImageConfig::default()
        };
        let history = History {
            created: Some(MADE.into()),
            created_by: "embedded in berth".into(),
            ..History::default()
        };
        let name: Reference = "hello:latest".parse().map_err(|e| Error::invalid(format!("hello: {e}")))?;
        // It is not compressed, so its digest is its diffID.
        let diff_id = layer.digest;
        let proposal = one_layer(config, history, (layer, diff_id), Some(&name))?;
        if let Some(known) = self.images().named(&name).filter(|known| known.id == proposal.parts[0].id) {
            return Ok(Arc::clone(known));
        }
        let images = self.admit(&session, &[proposal], Proof::default(), &mut |_| ())?;
        images.into_iter().next().ok_or_else(|| Error::corrupt("the embedded image disappeared"))
    }
}

fn write_layer(program: &Path, tar: &mut Vec<u8>) -> std::io::Result<()> {
    let mut file = File::open(program)?;
    let size = file.metadata()?.len();
    let mut writer = Writer::new(tar);
    writer.append(&Entry::directory(""), &mut std::io::empty())?;
    // Mount points that every container wants: the runtime need not make them in the writable layer.
    for dir in ["dev", "etc", "proc", "sys"] {
        writer.append(&Entry::directory(dir), &mut std::io::empty())?;
    }
    writer.append(&Entry::new("tmp", EntryKind::Directory, 0o1777), &mut std::io::empty())?;
    writer.append(&Entry { mode: 0o755, ..Entry::file("hello", size) }, &mut file)?;
    writer.finish()?;
    Ok(())
}
