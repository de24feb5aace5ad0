//! `store check`: of the store of a running engine, or of a data root that no daemon has open.

use std::io::Read;
use std::path::Path;

use dockerapi::StoreCheck;
use store::{Missing, Outcome, Report, Store};

use crate::engine::{Engine, apart};
use crate::{Error, Result};

impl Engine {
    /// Looks at everything in the store, while it is used; with `repair`, mends what can be mended.
    ///
    /// # Errors
    /// When the check itself cannot be done.
    pub async fn store_check(&self, repair: bool) -> Result<StoreCheck> {
        let store = self.0.store.clone();
        apart(move || check(&store, repair)).await?
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
    check(&Store::open(data_root)?, repair)
}

fn check(store: &Store, repair: bool) -> Result<StoreCheck> {
    let mut fetch = |missing: &Missing| fetch(missing);
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

/// Blobs come from the registries that the image's names tell of.
fn fetch(missing: &Missing) -> std::result::Result<Box<dyn Read>, String> {
    match missing.references.first() {
        Some(name) => Err(format!("load {} again", name.familiar())),
        None => Err("no name tells where to get it".to_owned()),
    }
}
