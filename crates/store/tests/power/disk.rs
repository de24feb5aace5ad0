//! A file system as a list of operations: what a machine would find after a power cut is some of them, applied to nothing.

use std::collections::BTreeMap;
use std::path::Path;

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink(Vec<u8>),
    /// Overlayfs' mark.
    Whiteout,
}

/// A change beside content and names.
#[derive(Clone, Debug)]
pub(crate) enum Meta {
    Mode(u64),
    Owner(Option<u32>, Option<u32>),
    Time((i64, i64)),
    Attribute(Vec<u8>, Vec<u8>),
}

/// One thing that was done. Nodes are numbers; 0 is the directory in which the data root lies.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
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
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) mode: u64,
    pub(crate) owner: (u32, u32),
    pub(crate) time: (i64, i64),
    pub(crate) attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) data: Vec<u8>,
    pub(crate) entries: BTreeMap<String, usize>,
}

/// All nodes after some operations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Nodes(pub(crate) Vec<Node>);

/// What was done, and what came of all of it.
pub(crate) struct Disk {
    /// Every node as it was made: with its first mode, which comes with its name.
    born: Nodes,
    pub(crate) operations: Vec<Operation>,
    pub(crate) now: Nodes,
}

impl Disk {
    /// With nothing on it.
    pub(crate) fn new() -> Self {
        Self::on(Nodes(vec![Node::new(Kind::Directory, 0o700)]))
    }

    /// With that on it, and safely so.
    pub(crate) fn on(start: Nodes) -> Self {
        Self { operations: Vec::new(), now: start.clone(), born: start }
    }

    pub(crate) fn new_node(&mut self, kind: Kind, mode: u64) -> usize {
        let node = Node::new(kind, mode);
        self.born.0.push(node.clone());
        self.now.0.push(node);
        self.now.0.len() - 1
    }

    pub(crate) fn push(&mut self, operation: Operation) {
        self.now.apply(&operation);
        self.operations.push(operation);
    }

    /// Every node, with nothing done to it.
    pub(crate) fn blank(&self) -> Nodes {
        self.born.clone()
    }
}

impl Nodes {
    pub(crate) fn length(&self, file: usize) -> u64 {
        self.0[file].data.len() as u64
    }

    pub(crate) fn find(&self, path: &Path) -> Option<usize> {
        path.iter().try_fold(0, |at, name| self.0[at].entries.get(name.to_str()?).copied())
    }

    pub(crate) fn apply(&mut self, operation: &Operation) {
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
            time: (0, 0),
            attributes: BTreeMap::new(),
            data: Vec::new(),
            entries: BTreeMap::new(),
        }
    }

    fn dress(&mut self, meta: &Meta) {
        match meta {
            Meta::Mode(mode) => self.mode = *mode,
            Meta::Owner(uid, gid) => self.owner = (uid.unwrap_or(self.owner.0), gid.unwrap_or(self.owner.1)),
            Meta::Time(time) => self.time = *time,
            Meta::Attribute(name, value) => {
                self.attributes.insert(name.clone(), value.clone());
            }
        }
    }
}
