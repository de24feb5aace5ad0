//! Events: numbered, told to subscribers, kept until acknowledged.

use protocol::{Event, Happening, Tell};

use crate::client::Role;
use crate::clock;
use crate::record::Phase;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// Something happened to this slot's container or exec.
    pub(crate) fn emit(&mut self, slot: usize, what: Happening) {
        let number = match self.ledger.number_event() {
            Ok(number) => number,
            Err(errno) => return complain!("number an event: {errno}"),
        };
        let Some(entry) = self.entry(slot) else { return };
        let target = Some(entry.target());
        let event = Event { number, target, at_ns: clock::wall_ns(), what: Some(what) };
        entry.record.push_event(event.clone());
        self.unacknowledged.insert(number, slot);
        self.save(slot);
        for client in self.subscribers() {
            self.tell(client, 0, Tell::Event(event.clone()));
        }
    }

    /// Connections that get events.
    pub(crate) fn subscribers(&self) -> Vec<u64> {
        let subscribed = |role: &Role| *role == Role::Control { subscribed: true };
        self.clients
            .iter()
            .filter(|(_, client)| subscribed(&client.role))
            .map(|(number, _)| *number)
            .collect()
    }

    /// Sends a client everything that was not acknowledged, in order.
    pub(crate) fn tell_unacknowledged(&mut self, client: u64) {
        let kept: Vec<Event> = self
            .unacknowledged
            .iter()
            .filter_map(|(number, slot)| {
                let entry = self.entries.get(*slot)?.as_ref()?;
                entry.record.events.iter().find(|event| event.number == *number).cloned()
            })
            .collect();
        for event in kept {
            self.tell(client, 0, Tell::Event(event));
        }
    }

    /// Forgets events up to this number; with them execs that have ended.
    pub(crate) fn acknowledge(&mut self, number: u64) {
        let later = self.unacknowledged.split_off(&number.saturating_add(1));
        let mut slots: Vec<usize> =
            std::mem::replace(&mut self.unacknowledged, later).into_values().collect();
        slots.sort_unstable();
        slots.dedup();
        for slot in slots {
            let Some(entry) = self.entry(slot) else { continue };
            entry.record.events.retain(|event| event.number > number);
            let over = entry.record.is_exec() && entry.phase() == Phase::Exited;
            if over && entry.record.events.is_empty() {
                self.forget(slot);
            } else {
                self.save(slot);
            }
        }
    }
}
