//! What a check found, in sentences.

use types::Digest;

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What is wrong, one clause.
    pub what: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of something that was wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Nobody asked to repair it.
    Left,
    /// It was repaired, in this way.
    Repaired(String),
    /// It could not be repaired, for this reason.
    Unrepaired(String),
}

/// How much was looked at, and what was wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Images.
    pub images: usize,
    /// Blobs, with their bytes.
    pub blobs: usize,
    /// Bytes of blobs.
    pub bytes: u64,
    /// Layers.
    pub layers: usize,
    /// What was wrong, in the order in which it was found.
    pub findings: Vec<Finding>,
}

/// A blob that a repair needs from elsewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    /// Its digest.
    pub digest: Digest,
    /// Its length; 0 when nobody knows it any more.
    pub size: u64,
    /// Whether it is a manifest, which registries keep apart from other blobs.
    pub manifest: bool,
    /// Names of images that have it: where it may be had.
    pub references: Vec<types::Reference>,
}

impl Report {
    /// Whether something is wrong still.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| !matches!(finding.outcome, Outcome::Repaired(_)))
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.outcome {
            Outcome::Left => f.write_str(&self.what),
            Outcome::Repaired(how) => write!(f, "{}: {how}", self.what),
            Outcome::Unrepaired(why) => write!(f, "{}: not repaired: {why}", self.what),
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { images, blobs, layers, findings, .. } = self;
        let bytes = types::print_bytes(self.bytes);
        write!(f, "{images} images, {layers} layers and {blobs} blobs of {bytes} were checked: ")?;
        let repaired =
            findings.iter().filter(|finding| matches!(finding.outcome, Outcome::Repaired(_))).count();
        match (findings.len(), repaired) {
            (0, _) => f.write_str("all is well"),
            (all, repaired) if all == repaired => write!(f, "{all} faults, all repaired"),
            (all, 0) => write!(f, "{all} faults"),
            (all, repaired) => write!(f, "{all} faults, {repaired} repaired"),
        }
    }
}
