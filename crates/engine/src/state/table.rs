//! All containers. Readers get immutable records at once; the locks in here are held for map lookups, never for work.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::{Mutex, watch};

use super::{Phase, Record};
use crate::{Error, Result};

/// One container: its present record, and what changes of it wait on.
#[derive(Debug)]
pub(crate) struct Entry {
    record: RwLock<Arc<Record>>,
    /// Held by whoever changes the container for a person: start, stop, remove, update, ….
    pub(crate) change: Mutex<()>,
    /// Held from before the supervisor is asked to start until that is recorded, so that news of a very short life are
    /// not handled before its beginning.
    pub(crate) starting: Mutex<()>,
    phase: watch::Sender<Phase>,
}

impl Entry {
    pub(crate) fn new(record: Record) -> Self {
        let (phase, _) = watch::channel(Phase::of(&record.state));
        let record = RwLock::new(Arc::new(record));
        Self { record, change: Mutex::default(), starting: Mutex::default(), phase }
    }

    /// The record as it is now.
    pub(crate) fn record(&self) -> Arc<Record> {
        read(&self.record).clone()
    }

    /// Replaces the record by a changed copy and returns it. What waits on the container's phase is told.
    pub(crate) fn modify(&self, change: impl FnOnce(&mut Record)) -> Arc<Record> {
        let mut place = write(&self.record);
        let mut record = Record::clone(&place);
        change(&mut record);
        let was_live = place.state.is_live();
        *place = Arc::new(record);
        let now = place.clone();
        drop(place);
        self.phase.send_modify(|phase| {
            phase.live = now.state.is_live();
            phase.exit_code = now.state.exit_code;
            if was_live && !phase.live {
                phase.exits += 1;
            }
        });
        now
    }

    /// Tells waiters that a start failed: for them the container has ended.
    pub(crate) fn set_failed(&self) {
        self.phase.send_modify(|phase| phase.exits += 1);
    }

    /// Tells waiters that the container is gone.
    pub(crate) fn set_removed(&self) {
        self.phase.send_modify(|phase| {
            phase.live = false;
            phase.removed = true;
        });
    }

    /// Follows the container's life.
    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }
}

#[derive(Debug, Default)]
struct Maps {
    by_id: HashMap<String, Arc<Entry>>,
    /// Names given or reserved, to ids.
    names: HashMap<String, String>,
}

/// The table of all containers.
#[derive(Debug, Default)]
pub(crate) struct Table(RwLock<Maps>);

impl Table {
    /// Every container, newest first.
    pub(crate) fn all(&self) -> Vec<Arc<Record>> {
        let mut all: Vec<_> = read(&self.0).by_id.values().map(|e| e.record()).collect();
        all.sort_by(|a, b| b.created_ns.cmp(&a.created_ns).then_with(|| a.id.cmp(&b.id)));
        all
    }

    /// Every container's entry.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        read(&self.0).by_id.values().cloned().collect()
    }

    /// The container with exactly this id.
    pub(crate) fn by_id(&self, id: &str) -> Option<Arc<Entry>> {
        read(&self.0).by_id.get(id).cloned()
    }

    /// The container that a person means: a whole id, a name, or the start of one id.
    pub(crate) fn find(&self, who: &str) -> Result<Arc<Entry>> {
        let maps = read(&self.0);
        let name = who.strip_prefix('/').unwrap_or(who);
        if name.is_empty() {
            return Err(Error::invalid("no container was named"));
        }
        let exact = maps.by_id.get(who).or_else(|| maps.names.get(name).and_then(|id| maps.by_id.get(id)));
        if let Some(entry) = exact {
            return Ok(entry.clone());
        }
        let mut matches = maps.by_id.iter().filter(|(id, _)| id.starts_with(who));
        match (matches.next(), matches.next()) {
            (Some((_, entry)), None) => Ok(entry.clone()),
            (None, _) => Err(Error::no_container(who)),
            _ => Err(Error::invalid(format!("multiple IDs found with provided prefix: {who}"))),
        }
    }

    /// Takes a name for an id; refused when another container has it.
    pub(crate) fn reserve(&self, name: &str, id: &str) -> Result<()> {
        let mut maps = write(&self.0);
        match maps.names.get(name) {
            Some(owner) if owner != id => Err(Error::conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{owner}\". You have to remove \
                 (or rename) that container to be able to reuse that name."
            ))),
            _ => {
                maps.names.insert(name.to_owned(), id.to_owned());
                Ok(())
            }
        }
    }

    /// Gives a name back.
    pub(crate) fn release(&self, name: &str) {
        write(&self.0).names.remove(name);
    }

    /// Adds a container, with its name.
    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        let record = entry.record();
        let mut maps = write(&self.0);
        maps.names.insert(record.name.clone(), record.id.clone());
        maps.by_id.insert(record.id.clone(), entry);
    }

    /// Forgets a container and its name.
    pub(crate) fn remove(&self, id: &str) {
        let mut maps = write(&self.0);
        if let Some(entry) = maps.by_id.remove(id) {
            maps.names.remove(&entry.record().name);
        }
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(containers: &[(&str, &str)]) -> Table {
        let table = Table::default();
        for (id, name) in containers {
            let record = Record { id: (*id).to_owned(), name: (*name).to_owned(), ..Record::default() };
            table.insert(Arc::new(Entry::new(record)));
        }
        table
    }

    #[test]
    fn names_ids_and_prefixes() {
        let table = table(&[("abc1", "web"), ("abd2", "abc"), ("f00d", "abd2")]);
        let find = |who: &str| table.find(who).map(|e| e.record().id.clone()).map_err(|e| e.to_string());
        assert_eq!(find("abc1"), Ok("abc1".to_owned()));
        assert_eq!(find("/web"), Ok("abc1".to_owned()));
        assert_eq!(find("abc"), Ok("abd2".to_owned()), "a name goes before a prefix");
        assert_eq!(find("abd2"), Ok("abd2".to_owned()), "an id goes before a name");
        assert_eq!(find("f"), Ok("f00d".to_owned()));
        assert_eq!(find("ab"), Err("multiple IDs found with provided prefix: ab".to_owned()));
        assert_eq!(find("x"), Err("No such container: x".to_owned()));
        let taken = table.reserve("web", "new").map_err(|e| e.to_string());
        assert!(
            taken.is_err_and(|e| e.starts_with("Conflict. The container name \"/web\" is already in use"))
        );
        table.remove("abc1");
        assert!(table.reserve("web", "new").is_ok() && find("web").is_err());
    }
}
