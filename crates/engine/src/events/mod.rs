//! What happened, told to whoever listens, and the last of it remembered.

mod select;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};

use dockerapi::Filters;

use crate::Result;
use crate::clock::now_ns;

/// So many past events can be asked for.
const REMEMBERED: usize = 256;
/// A listener that falls further behind loses events.
const BACKLOG: usize = 4096;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `container`, `image`, `volume`, `network`.
    pub kind: &'static str,
    /// What happened to it: `start`, `die`, `exec_create: ls`, ….
    pub action: String,
    /// Whom it happened to: an id, or a name where things have no id.
    pub id: String,
    /// Labels, names, exit codes.
    pub attributes: BTreeMap<String, String>,
    /// When, nanoseconds since the epoch.
    pub time_ns: i64,
}

/// Which events are wanted.
#[derive(Debug, Clone, Default)]
pub struct EventOptions {
    /// Also remembered ones from this time on, nanoseconds since the epoch.
    pub since_ns: Option<i64>,
    /// End at this time.
    pub until_ns: Option<i64>,
    /// Only these.
    pub filters: Filters,
}

/// Where events are told and listened to.
#[derive(Debug)]
pub(crate) struct Events {
    past: Mutex<VecDeque<Arc<Event>>>,
    sender: broadcast::Sender<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { past: Mutex::default(), sender: broadcast::channel(BACKLOG).0 }
    }
}

impl Events {
    /// Tells an event. Events are seen by everyone in the order of these calls.
    pub(crate) fn tell(
        &self,
        kind: &'static str,
        action: &str,
        id: &str,
        attributes: BTreeMap<String, String>,
    ) {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let action = action.to_owned();
        let event = Arc::new(Event { kind, action, id: id.to_owned(), attributes, time_ns: now_ns() });
        if past.len() == REMEMBERED {
            past.pop_front();
        }
        past.push_back(event.clone());
        let _ = self.sender.send(event);
    }

    /// How many listen now.
    pub(crate) fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Listens: first the remembered events that are wanted, then new ones, none missed or doubled in between.
    pub(crate) fn listen(&self, options: EventOptions) -> Result<EventStream> {
        select::check(&options.filters)?;
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.sender.subscribe();
        let wanted = |e: &&Arc<Event>| options.since_ns.is_some_and(|since| e.time_ns >= since);
        let queued = past.iter().filter(wanted).cloned().collect();
        drop(past);
        Ok(EventStream { queued, receiver, options })
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct EventStream {
    queued: VecDeque<Arc<Event>>,
    receiver: broadcast::Receiver<Arc<Event>>,
    options: EventOptions,
}

impl EventStream {
    /// The next wanted event; `None` when `until` has passed.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            let event = match self.queued.pop_front() {
                Some(event) => event,
                None => self.receive().await?,
            };
            if self.options.until_ns.is_some_and(|until| event.time_ns > until) {
                return None;
            }
            if select::wants(&self.options.filters, &event) {
                return Some(event);
            }
        }
    }

    async fn receive(&mut self) -> Option<Arc<Event>> {
        loop {
            let received = match self.options.until_ns {
                None => self.receiver.recv().await,
                Some(until) => {
                    // What was told before `until` may still be in the channel: look there first.
                    let left =
                        Duration::from_nanos(u64::try_from(until.saturating_sub(now_ns())).unwrap_or(0));
                    tokio::time::timeout(left, self.receiver.recv()).await.ok()?
                }
            };
            match received {
                Ok(event) => return Some(event),
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(lost)) => {
                    tracing::warn!(lost, "a listener for events was too slow and lost some");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn filters(pairs: &[(&str, &str)]) -> Filters {
        let mut filters = Filters::default();
        for (key, value) in pairs {
            filters.add(key, value);
        }
        filters
    }

    #[tokio::test]
    async fn past_then_present_in_order() {
        let events = Events::default();
        for n in 0..300 {
            events.tell("container", "start", &n.to_string(), BTreeMap::new());
        }
        let all = EventOptions { since_ns: Some(0), ..EventOptions::default() };
        let mut stream = events.listen(all).expect("listen");
        events.tell("container", "die", "x", BTreeMap::new());
        for n in 44..300 {
            assert_eq!(stream.next().await.map(|e| e.id.clone()), Some(n.to_string()));
        }
        assert_eq!(stream.next().await.map(|e| e.action.clone()), Some("die".to_owned()));
        let now = EventOptions { since_ns: Some(0), until_ns: Some(now_ns()), filters: Filters::default() };
        let mut ended = events.listen(now).expect("listen");
        let mut count = 0;
        while ended.next().await.is_some() {
            count += 1;
        }
        assert_eq!(count, 256);
    }

    #[tokio::test]
    async fn filters_choose() {
        let events = Events::default();
        events.tell(
            "container",
            "exec_start: ls",
            "abc",
            attributes(&[("name", "web"), ("image", "busybox:1"), ("a", "1")]),
        );
        events.tell("volume", "create", "v", BTreeMap::new());
        let count = async |pairs: &[(&str, &str)]| {
            let options =
                EventOptions { since_ns: Some(0), until_ns: Some(now_ns()), filters: filters(pairs) };
            let mut stream = events.listen(options).expect("listen");
            let mut n = 0;
            while stream.next().await.is_some() {
                n += 1;
            }
            n
        };
        for (pairs, expected) in [
            (vec![], 2),
            (vec![("type", "container")], 1),
            (vec![("type", "container"), ("type", "volume")], 2),
            (vec![("event", "exec_start")], 1),
            (vec![("container", "web")], 1),
            (vec![("container", "ab")], 1),
            (vec![("container", "b")], 0),
            (vec![("image", "busybox")], 1),
            (vec![("image", "busybox:1")], 1),
            (vec![("label", "a=1")], 1),
            (vec![("label", "a=2")], 0),
            (vec![("volume", "v")], 1),
            (vec![("scope", "local")], 2),
        ] {
            assert_eq!(count(&pairs).await, expected, "{pairs:?}");
        }
        let odd = EventOptions { filters: filters(&[("odd", "1")]), ..EventOptions::default() };
        assert!(events.listen(odd).is_err());
    }
}
