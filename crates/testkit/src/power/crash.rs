//! Which operations a power cut leaves. Data lasts once its file was synced, names once their directory was; of what was not, a
//! disk keeps what it likes: names keep their order within a directory, data keeps none.

use std::collections::{BTreeMap, BTreeSet};

use super::disk::{Disk, Kind, Nodes, Operation};

/// What becomes of operations that were not synced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// All of them last: nothing but the process was killed.
    All,
    /// None does.
    None,
    /// Names do, and content does not: files are empty, or as long as they should be and full of zeros.
    Names { zeros: bool },
    /// Content does, and names do not.
    Data,
    /// A bit of each.
    Random(u64),
}

/// One kind of syncs.
#[derive(Clone, Copy, Debug)]
pub enum Syncs {
    /// `fsync` and `fdatasync` of files.
    Files,
    /// Those of directories.
    Directories,
    /// `syncfs`.
    FileSystem,
}

/// A disk's record with the moment from which on each operation lasts.
pub(super) struct Replay<'a> {
    disk: &'a Disk,
    lasts_from: Vec<usize>,
}

impl<'a> Replay<'a> {
    /// As it was recorded.
    pub(super) fn new(disk: &'a Disk) -> Self {
        Self::with(disk, |_| false)
    }

    /// As if these syncs had not been done: to see that they are needed.
    pub(super) fn without(disk: &'a Disk, syncs: Syncs) -> Self {
        let is_directory = |node: usize| disk.now.0[node].kind == Kind::Directory;
        Self::with(disk, |operation| match (operation, syncs) {
            (Operation::Sync { node, .. }, Syncs::Files) => !is_directory(*node),
            (Operation::Sync { node, .. }, Syncs::Directories) => is_directory(*node),
            (Operation::SyncAll { .. }, Syncs::FileSystem) => true,
            _ => false,
        })
    }

    fn with(disk: &'a Disk, undone: impl Fn(&Operation) -> bool) -> Self {
        let operations = &disk.operations;
        let mut lasts_from = vec![usize::MAX; operations.len()];
        for (at, operation) in operations.iter().enumerate() {
            let began = match operation {
                _ if undone(operation) => continue,
                Operation::SyncAll { began } | Operation::Sync { began, .. } => *began,
                _ => continue,
            };
            for earlier in (0..began).filter(|earlier| covers(operation, &operations[*earlier])) {
                lasts_from[earlier] = lasts_from[earlier].min(at);
            }
        }
        Self { disk, lasts_from }
    }

    /// The last operations before that moment, for people.
    pub(super) fn near(&self, moment: usize) -> String {
        let last = &self.disk.operations[moment.saturating_sub(3)..moment];
        let shown = |operation: &Operation| format!("{operation:?}").chars().take(100).collect::<String>();
        last.iter().map(shown).collect::<Vec<_>>().join("; ")
    }

    /// What is on the disk after the power was cut, when so many operations had been done.
    pub(super) fn state(&self, prefix: usize, fate: Fate) -> Nodes {
        let mut nodes = self.disk.blank();
        let mut dice = Dice::new(fate, prefix);
        let mut cut = BTreeSet::new();
        for (at, operation) in self.disk.operations[..prefix].iter().enumerate() {
            let lasts = self.lasts_from[at] < prefix;
            let directories = directories(operation);
            if directories.is_empty() {
                if lasts {
                    nodes.apply(operation);
                } else {
                    dice.content(operation, &mut nodes);
                }
            } else if lasts || (!directories.iter().any(|d| cut.contains(d)) && dice.keeps_name()) {
                nodes.apply(operation);
            } else {
                cut.extend(directories);
            }
        }
        nodes
    }
}

/// Whether the sync makes the operation last.
fn covers(sync: &Operation, operation: &Operation) -> bool {
    let Operation::Sync { node: synced, all, .. } = sync else { return true };
    match operation {
        Operation::Write { file, .. } | Operation::Length { file, .. } => file == synced,
        Operation::Meta { node, .. } => *all && node == synced,
        _ => directories(operation).contains(synced),
    }
}

/// The directories whose names an operation changes.
fn directories(operation: &Operation) -> Vec<usize> {
    match operation {
        Operation::Link { directory, .. } | Operation::Unlink { directory, .. } => vec![*directory],
        Operation::Rename { from, to, .. } => vec![from.0, to.0],
        _ => Vec::new(),
    }
}

/// Decides, the same way for the same number.
struct Dice {
    fate: Fate,
    state: u64,
    /// Of 64 names, how many are lost.
    loss: u64,
    files: BTreeMap<usize, u64>,
}

impl Dice {
    fn new(fate: Fate, prefix: usize) -> Self {
        let seed = if let Fate::Random(seed) = fate { seed } else { 0 };
        let mut dice =
            Self { fate, state: seed << 32 | prefix as u64 | 1 << 63, loss: 0, files: BTreeMap::new() };
        dice.loss = [0, 1, 4, 16, 40][dice.below(5)];
        dice
    }

    /// Vigna's splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, most: u64) -> usize {
        usize::try_from(self.next() % most).expect("a small number")
    }

    fn keeps_name(&mut self) -> bool {
        match self.fate {
            Fate::All | Fate::Names { .. } => true,
            Fate::None | Fate::Data => false,
            Fate::Random(_) => self.next() % 64 >= self.loss,
        }
    }

    /// Applies an operation on content, or half of it, or not.
    fn content(&mut self, operation: &Operation, nodes: &mut Nodes) {
        match self.fate {
            Fate::All | Fate::Data => nodes.apply(operation),
            Fate::None | Fate::Names { zeros: false } => {}
            Fate::Names { zeros: true } => zeros(operation, nodes),
            Fate::Random(_) => self.random_content(operation, nodes),
        }
    }

    fn random_content(&mut self, operation: &Operation, nodes: &mut Nodes) {
        let (Operation::Write { file: node, .. }
        | Operation::Length { file: node, .. }
        | Operation::Meta { node, .. }) = operation
        else {
            return;
        };
        let roll = self.next();
        match self.files.entry(*node).or_insert(roll % 6) {
            0 | 1 => nodes.apply(operation),
            2 => {}
            3 => zeros(operation, nodes),
            // Some writes, in no order.
            4 if roll & 64 == 0 => nodes.apply(operation),
            4 => {}
            _ => torn(operation, roll, nodes),
        }
    }
}

/// The length without the content.
fn zeros(operation: &Operation, nodes: &mut Nodes) {
    if let Operation::Write { file, offset, data } = operation {
        let length = nodes.length(*file).max(offset + data.len() as u64);
        nodes.apply(&Operation::Length { file: *file, length });
    } else {
        nodes.apply(operation);
    }
}

/// The first sectors of a write.
fn torn(operation: &Operation, roll: u64, nodes: &mut Nodes) {
    if let Operation::Write { file, offset, data } = operation {
        let sectors = data.len().div_ceil(512) as u64;
        let kept = usize::try_from(roll / 64 % (sectors + 1) * 512).expect("a length").min(data.len());
        nodes.apply(&Operation::Write { file: *file, offset: *offset, data: data[..kept].to_vec() });
    } else {
        nodes.apply(operation);
    }
}
