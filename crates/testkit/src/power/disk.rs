//! A file system as a list of operations: what a machine would find after a power cut is some of them, applied to nothing.

use std::collections::BTreeMap;
use std::path::Path;

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink(Vec<u8>),
    /// Overlayfs' mark.
    Whiteout,
}

/// A change beside content and names.
#[derive(Clone, Debug)]
pub(super) enum Meta {
    Mode(u64),
    Owner(Option<u32>, Option<u32>),
    Time((i64, i64)),
    Attribute(Vec<u8>, Vec<u8>),
}

/// One thing that was done. Nodes are numbers; 0 is the directory in which the data root lies.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Link {
        directory: usize,
        name: String,
        node: usize,
    },
    Unlink {
        directory: usize,
        name: String,
    },
    Rename {
        node: usize,
        from: (usize, String),
        to: (usize, String),
    },
    Write {
        file: usize,
        offset: u64,
        data: Vec<u8>,
    },
    Length {
        file: usize,
        length: u64,
    },
    Meta {
        node: usize,
        meta: Meta,
    },
    /// Whatever was done to the node before operation `began` lasts; `all`: its mode and owner, too.
    Sync {
        node: usize,
        began: usize,
        all: bool,
    },
    SyncAll {
        began: usize,
    },
    /// The driver says how far it is.
    Mark(String),
}

/// A node as it is after some operations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) mode: u64,
    pub(super) owner: (u32, u32),
    /// Where nobody said, it is the present.
    pub(super) time: Option<(i64, i64)>,
    pub(super) attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) data: Vec<u8>,
    pub(super) entries: BTreeMap<String, usize>,
}

/// All nodes after some operations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Nodes(pub(super) Vec<Node>);

/// What was done, and what came of all of it.
pub(super) struct Disk {
    /// Every node as it was made: with its first mode, which comes with its name.
    born: Nodes,
    pub(super) operations: Vec<Operation>,
    pub(super) now: Nodes,
}

impl Default for Disk {
    /// With nothing on it.
    fn default() -> Self {
        Self::on(Nodes(vec![Node::new(Kind::Directory, 0o700)]))
    }
}

impl Disk {
    /// With that on it, and safely so.
    pub(super) fn on(start: Nodes) -> Self {
        Self { operations: Vec::new(), now: start.clone(), born: start }
    }

    /// How many operations were done.
    pub(super) fn moments(&self) -> usize {
        self.operations.len()
    }

    pub(super) fn new_node(&mut self, kind: Kind, mode: u64) -> usize {
        let node = Node::new(kind, mode);
        self.born.0.push(node.clone());
        self.now.0.push(node);
        self.now.0.len() - 1
    }

    pub(super) fn push(&mut self, operation: Operation) {
        self.now.apply(&operation);
        self.operations.push(operation);
    }

    /// Every node, with nothing done to it.
    pub(super) fn blank(&self) -> Nodes {
        self.born.clone()
    }
}

impl Nodes {
    pub(super) fn length(&self, file: usize) -> u64 {
        self.0[file].data.len() as u64
    }

    pub(super) fn find(&self, path: &Path) -> Option<usize> {
        path.iter().try_fold(0, |at, name| self.0[at].entries.get(name.to_str()?).copied())
    }

    pub(super) fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Link { directory, name, node } => {
                self.0[*directory].entries.insert(name.clone(), *node);
            }
            Operation::Unlink { directory, name } => {
                self.0[*directory].entries.remove(name);
            }
            Operation::Rename { node, from, to } => {
                // Its old name may be one that was not written down in time.
                if self.0[from.0].entries.get(&from.1) == Some(node) {
                    self.0[from.0].entries.remove(&from.1);
                }
                self.0[to.0].entries.insert(to.1.clone(), *node);
            }
            Operation::Write { file, offset, data } => {
                let start = usize::try_from(*offset).expect("an offset");
                let content = &mut self.0[*file].data;
                content.resize(content.len().max(start + data.len()), 0);
                content[start..start + data.len()].copy_from_slice(data);
            }
            Operation::Length { file, length } => {
                self.0[*file].data.resize(usize::try_from(*length).expect("a length"), 0);
            }
            Operation::Meta { node, meta } => self.0[*node].dress(meta),
            Operation::Sync { .. } | Operation::SyncAll { .. } | Operation::Mark(_) => {}
        }
    }
}

impl Node {
    fn new(kind: Kind, mode: u64) -> Self {
        Self {
            kind,
            mode,
            owner: (0, 0),
            time: None,
            attributes: BTreeMap::new(),
            data: Vec::new(),
            entries: BTreeMap::new(),
        }
    }

    fn dress(&mut self, meta: &Meta) {
        match meta {
            Meta::Mode(mode) => self.mode = *mode,
            Meta::Owner(uid, gid) => self.owner = (uid.unwrap_or(self.owner.0), gid.unwrap_or(self.owner.1)),
            Meta::Time(time) => self.time = Some(*time),
            Meta::Attribute(name, value) => {
                self.attributes.insert(name.clone(), value.clone());
            }
        }
    }
}
