//! `store check`: everything that was promised is looked at again. Blobs against their digests, layers against what their blobs
//! unpack to, names, records, and what belongs to nobody. A repair unpacks anew, or asks for a blob from elsewhere.

mod compare;
mod mounted;
mod repair;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use types::{Digest, Reference};

use crate::Store;
use crate::error::{Error, Result};
use crate::image::{Image, Target, read_index};
use crate::stream::Hasher;

pub use report::{Finding, Missing, Outcome, Report};

/// Gets a blob from elsewhere, or says in a clause why it cannot. What it gives is checked.
pub type Fetch<'a> = dyn FnMut(&Missing) -> std::result::Result<Box<dyn Read>, String> + 'a;

/// Differences of one layer that are told one by one.
const TOLD: usize = 3;

/// A check that goes on.
struct Check<'a, 'f> {
    store: &'a Store,
    fetch: Option<&'a mut Fetch<'f>>,
    report: Report,
    /// Blobs that are not what they should be, and stay so.
    broken: BTreeSet<Digest>,
}

/// A blob and who needs it.
#[derive(Default)]
struct Needed {
    references: Vec<Reference>,
    names: BTreeSet<String>,
    manifest: bool,
    size: u64,
    document: Option<Vec<u8>>,
}

impl Store {
    /// Looks at everything. With `fetch`, repairs what can be repaired. Loads and removals may go on beside it.
    ///
    /// # Errors
    /// When the check itself cannot be done: no room to unpack a layer, files that cannot be read.
    pub fn check(&self, fetch: Option<&mut Fetch<'_>>) -> Result<Report> {
        let list = self.images();
        let targets: Vec<_> = list.targets().cloned().collect();
        let images: Vec<_> = targets.iter().flat_map(|target| target.images()).cloned().collect();
        let content = images.iter().flat_map(|image| image.content().chain(image.layers.iter().copied()));
        let documents = targets.iter().flat_map(|target| target.documents());
        let _pinned = self.pin(content.chain(documents).collect());
        let mut check = Check { store: self, fetch, report: Report::default(), broken: BTreeSet::new() };
        check.report.images = list.len();
        check.records();
        check.blobs(&targets)?;
        check.layers(&images)?;
        check.snapshots();
        check.names()?;
        check.orphans()?;
        Ok(check.report)
    }
}

impl Check<'_, '_> {
    fn repairs(&self) -> bool {
        self.fetch.is_some()
    }

    /// Notes a fault, and what came of the attempt to repair it.
    fn fault(&mut self, what: String, repair: impl FnOnce(&mut Self) -> std::result::Result<String, String>) {
        let outcome = match self.repairs().then(|| repair(self)) {
            None => Outcome::Left,
            Some(Ok(how)) => Outcome::Repaired(how),
            Some(Err(why)) => Outcome::Unrepaired(why),
        };
        self.report.findings.push(Finding { what, outcome });
    }

    fn records(&mut self) {
        if let Err(e) = self.store.records().verify() {
            self.fault(told(&e), |_| Err("open the store anew: that keeps what can be read of it".into()));
        }
    }

    /// Each document and blob, once.
    fn blobs(&mut self, targets: &[Arc<Target>]) -> Result<()> {
        let mut all = needed(targets);
        for (digest, size) in self.sizes(targets) {
            if let Some(needed) = all.get_mut(&digest) {
                needed.size = size;
            }
        }
        for (digest, needed) in all {
            self.report.blobs += 1;
            let size = self.store.0.blobs.size(&digest);
            self.report.bytes += size.unwrap_or(0);
            let Some(what) = self.blob_fault(&digest)? else { continue };
            self.broken.insert(digest);
            let missing = Missing {
                digest,
                size: needed.size,
                manifest: needed.manifest,
                references: needed.references,
            };
            self.fault(format!("blob {digest} of {} {what}", list(&needed.names)), |check| {
                check.refill(&missing, needed.document.as_deref())
            });
        }
        Ok(())
    }

    /// How long blobs should be, as far as manifests tell that are whole.
    fn sizes(&self, targets: &[Arc<Target>]) -> Vec<(Digest, u64)> {
        let most = self.store.0.options.document_bytes;
        let manifests = targets.iter().flat_map(|target| target.images()).filter_map(|image| {
            let bytes = self.store.0.blobs.document(&image.manifest, most).ok()?;
            serde_json::from_slice::<oci::image::Manifest>(&bytes).ok()
        });
        let descriptors = manifests.flat_map(|manifest| manifest.layers.into_iter().chain([manifest.config]));
        let sized = |d: oci::image::Descriptor| Some((d.digest.parse().ok()?, u64::try_from(d.size).ok()?));
        descriptors.filter_map(sized).collect()
    }

    /// What is wrong with a blob.
    fn blob_fault(&self, digest: &Digest) -> Result<Option<String>> {
        let file = match self.store.0.blobs.open_blob(digest) {
            Ok(file) => file,
            Err(e) if e.kind() == types::Kind::NotFound => return Ok(Some("is missing".into())),
            Err(e) => return Err(e),
        };
        let found = hash(file).map_err(|e| Error::call(format!("cannot read blob {digest}"), e))?;
        Ok((found != *digest).then(|| format!("is damaged: its content has the digest {found}")))
    }

    /// Each layer against its blob, once.
    fn layers(&mut self, images: &[Arc<Image>]) -> Result<()> {
        let mut seen: BTreeMap<Digest, (Digest, BTreeSet<String>)> = BTreeMap::new();
        for image in images {
            for (layer, blob) in image.layers.iter().zip(image.layer_blobs()) {
                let entry = seen.entry(*layer).or_insert_with(|| (*blob, BTreeSet::new()));
                entry.1.insert(name_of(image));
                // Any blob of the layer will do, as long as it is whole.
                if self.broken.contains(&entry.0) {
                    entry.0 = *blob;
                }
            }
        }
        for (layer, (blob, names)) in seen {
            self.report.layers += 1;
            self.layer(&layer, &blob, &list(&names))?;
        }
        Ok(())
    }

    fn snapshots(&mut self) {
        for name in self.store.snapshots() {
            if let Err(e) = self.store.snapshot(&name, true) {
                let what = format!("the root of container {name} cannot be used: {}", told(&e));
                self.fault(what, |_| Err("load or pull its image".into()));
            }
        }
    }

    /// index.json must say what the list in memory says.
    fn names(&mut self) -> Result<()> {
        let change = self.store.change();
        let path = self.store.root().join("index.json");
        let images = self.store.images();
        let written = read_index(&path);
        let same = written.as_ref().is_ok_and(|index| {
            let names = index.iter().flatten().map(|(digest, naming)| {
                let mut names = naming.references.clone();
                names.sort();
                (*digest, names)
            });
            let held: BTreeMap<_, _> =
                images.targets().map(|target| (target.digest, target.references.clone())).collect();
            names.collect::<BTreeMap<_, _>>() == held
        });
        if !same {
            let store = self.store.clone();
            self.fault("index.json is not what it should be".into(), |_| {
                store.publish(&change, (*images).clone()).map_err(|e| told(&e))?;
                Ok("written again".into())
            });
        }
        Ok(())
    }

    /// What belongs to nobody. Where images were lost, it may be theirs.
    fn orphans(&mut self) -> Result<()> {
        let store = self.store.clone();
        let change = store.change();
        let strays = store.strays(&change)?;
        if strays.is_empty() {
            return Ok(());
        }
        let what = format!("{} belong to no image: {}", count(strays.len(), "thing"), some(&strays));
        self.fault(what, |_| {
            let trash = store.sweep(&change).map_err(|e| told(&e))?;
            drop(change);
            drop(trash);
            Ok("removed".into())
        });
        Ok(())
    }
}

fn needed(targets: &[Arc<Target>]) -> BTreeMap<Digest, Needed> {
    let mut all: BTreeMap<Digest, Needed> = BTreeMap::new();
    for target in targets {
        let name = target.references.first().map_or_else(|| target.digest.to_string(), Reference::familiar);
        let mut need = |digest: Digest, manifest: bool| {
            let needed = all.entry(digest).or_default();
            needed.references.extend(target.references.iter().cloned());
            needed.names.insert(name.clone());
            needed.manifest |= manifest;
        };
        target.documents().for_each(|digest| need(digest, true));
        for image in target.images() {
            image.content().for_each(|digest| need(digest, digest == image.manifest));
        }
    }
    for image in targets.iter().flat_map(|target| target.images()) {
        if let Some(needed) = all.get_mut(&image.config_blob) {
            needed.document = Some(image.raw_config.to_vec());
        }
    }
    all
}

fn name_of(image: &Image) -> String {
    image.references.first().map_or_else(|| image.id.to_string(), Reference::familiar)
}

fn list(names: &BTreeSet<String>) -> String {
    some(&names.iter().cloned().collect::<Vec<_>>())
}

/// The first few, and how many there are besides.
fn some(clauses: &[String]) -> String {
    let shown = clauses[..clauses.len().min(TOLD)].join(", ");
    match clauses.len().saturating_sub(TOLD) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// An error with all its causes.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn hash(mut file: File) -> std::io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut chunk = vec![0; 256 << 10];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&chunk[..count]),
        }
    }
}
