//! `store check`: of the store of a running engine, or of a data root that no daemon has open.

use std::io::Read;
use std::path::Path;

use dockerapi::StoreCheck;
use registry::{Blob, Client, Credentials};
use store::{Missing, Outcome, Report, Store};
use tokio::runtime::Handle;

use crate::engine::{Engine, apart};
use crate::{Error, Registries, Result};

impl Engine {
    /// Looks at everything in the store, while it is used; with `repair`, mends what can be mended.
    ///
    /// # Errors
    /// When the check itself cannot be done.
    pub async fn store_check(&self, repair: bool) -> Result<StoreCheck> {
        let (store, client, handle) = (self.0.store.clone(), self.0.registry.clone(), Handle::current());
        apart(move || check(&store, repair, &client, &handle)).await?
    }
}

/// The same for a data root that no daemon has open. Opening it mends what a daemon's start would.
///
/// # Errors
/// `NotFound` when there is no data root, `Conflict` when a daemon has it open; else when the check cannot be done.
pub fn check_store(data_root: &Path, repair: bool) -> Result<StoreCheck> {
    if !data_root.is_dir() {
        let what = format!("there is no data root at {}", data_root.display());
        return Err(Error::new(types::Kind::NotFound, what));
    }
    let store = Store::open(data_root)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|e| Error::io("cannot start threads", e))?;
    check(&store, repair, &Registries::default().client()?, runtime.handle())
}

fn check(store: &Store, repair: bool, client: &Client, handle: &Handle) -> Result<StoreCheck> {
    let mut fetch = |missing: &Missing| fetch(missing, client, handle);
    let report = if repair { store.check(Some(&mut fetch)) } else { store.check(None) }?;
    let mended = |finding: &&store::Finding| matches!(finding.outcome, Outcome::Repaired(_));
    let Report { findings, .. } = &report;
    Ok(StoreCheck {
        opened: store.warnings().to_vec(),
        findings: findings.iter().map(ToString::to_string).collect(),
        repaired: findings.iter().filter(mended).count() as u64,
        damaged: report.is_damaged(),
        summary: report.to_string(),
    })
}

/// Asks the registries that the image's names tell of, one after the other, as somebody without an account.
fn fetch(missing: &Missing, client: &Client, handle: &Handle) -> std::result::Result<Box<dyn Read>, String> {
    let mut why = "no name tells where to get it".to_owned();
    for name in &missing.references {
        let repository = client.repository(name, Credentials::default());
        let got = handle.block_on(async {
            if missing.manifest {
                let manifest = repository.manifest(&registry::Target::Digest(missing.digest)).await?;
                return Ok::<Box<dyn Read>, registry::Error>(Box::new(std::io::Cursor::new(manifest.bytes)));
            }
            let blob = repository.blob(&missing.digest, missing.size, 0).await?;
            Ok(Box::new(Pulled { blob, handle: handle.clone(), piece: bytes::Bytes::new() }))
        });
        match got {
            Ok(input) => return Ok(input),
            Err(error) => why = format!("{} cannot be pulled again: {error}", name.familiar()),
        }
    }
    Err(why)
}

/// A blob that is on its way, for those who read and wait.
struct Pulled {
    blob: Blob,
    handle: Handle,
    piece: bytes::Bytes,
}

impl Read for Pulled {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.piece.is_empty() {
            let next = self.handle.block_on(self.blob.chunk()).map_err(std::io::Error::other)?;
            self.piece = next.unwrap_or_default();
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}
