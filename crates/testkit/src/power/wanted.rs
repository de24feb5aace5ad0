//! What must be found on a disk: what was acknowledged, and of what was begun the one or the other.

use std::collections::{BTreeMap, BTreeSet};

use super::disk::{Disk, Operation};

/// For each kind of thing and each name, the values that may be found; an empty value: it may be missing.
#[derive(Clone, Debug, Default, Hash)]
pub struct Wanted(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Wanted {
    /// What must be found after each number of operations, as the marks tell ([`mark`](super::mark())).
    pub(super) fn all(disk: &Disk) -> Vec<Self> {
        let parts = |operation: &Operation| match operation {
            Operation::Mark(mark) => mark.split(' ').map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let marks: Vec<Vec<String>> = disk.operations.iter().map(parts).collect();
        let mut now = Self::default();
        // Before anything was said, nothing is there.
        for mark in marks.iter().filter(|mark| !mark.is_empty()) {
            now.values(&mark[1], &mark[2]).insert(String::new());
        }
        let mut all = vec![now.clone()];
        for (at, mark) in marks.iter().enumerate() {
            if let [verb, kind, name, value] = &mark[..] {
                let values = now.values(kind, name);
                if verb == "done" {
                    values.clear();
                }
                let end = || marks[at + 1..].iter().find(|m| m.get(1..3) == mark.get(1..3)).expect("its end");
                values.insert(if value == "?" { end()[3].clone() } else { value.clone() });
            }
            all.push(now.clone());
        }
        all
    }

    fn values(&mut self, kind: &str, name: &str) -> &mut BTreeSet<String> {
        self.0.entry(kind.to_owned()).or_default().entry(name.to_owned()).or_default()
    }

    /// Every value that something of that kind may have.
    #[must_use]
    pub fn possible(&self, kind: &str) -> BTreeSet<&str> {
        self.0.get(kind).into_iter().flat_map(BTreeMap::values).flatten().map(String::as_str).collect()
    }

    /// Compares what is found under each name of that kind; empty: nothing.
    ///
    /// # Errors
    /// The first one that is another than it may be.
    pub fn check(&self, kind: &str, find: impl Fn(&str) -> String) -> Result<(), String> {
        for (name, may_be) in self.0.get(kind).into_iter().flatten() {
            let found = find(name);
            if !may_be.contains(&found) {
                return Err(format!("{kind} {name} is {found:?}, not {may_be:?}"));
            }
        }
        Ok(())
    }
}
