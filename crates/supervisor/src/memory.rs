//! Containers that run out of memory.

use protocol::{Empty, Happening, Plan};
use runtime::MemoryWatch;

use crate::clock;
use crate::poll::{Ready, Token};
use crate::stdio::park;
use crate::supervisor::Supervisor;

/// The kernel (v1) tells before it kills; the kill is looked for once more after this.
const SECOND_LOOK_NS: i64 = 20_000_000;

impl Supervisor {
    /// Keeps the watch with the process.
    pub(crate) fn watch_memory(&mut self, slot: usize, memory: Option<MemoryWatch>) {
        if let Some(process) = self.entry(slot).and_then(|entry| entry.process.as_mut()) {
            process.memory = memory.map(|watch| watch.map(park));
        }
    }

    /// Waits for it.
    pub(crate) fn poll_memory(&self, slot: usize) {
        let Some(entry) = self.entries.get(slot).and_then(Option::as_ref) else { return };
        let Some(memory) = entry.process.as_ref().and_then(|process| process.memory.as_ref()) else { return };
        let ready = match memory {
            MemoryWatch::Counter(_) => Ready::IN,
            MemoryWatch::Events(_) => Ready::PRI,
        };
        let _ = self.poll.add(memory.fd(), Token::Memory(slot), ready);
    }

    /// Memory has run out, or the cgroup is gone.
    pub(crate) fn memory_ready(&mut self, slot: usize) {
        let Some(process) = self.entry(slot).and_then(|entry| entry.process.as_ref()) else { return };
        if let Some(memory) = &process.memory {
            memory.clear();
        }
        self.look_at_memory(slot, true);
    }

    /// Tells of a kill. When there was none yet, `again` has it looked for once more.
    pub(crate) fn look_at_memory(&mut self, slot: usize, again: bool) {
        let Some(entry) = self.entry(slot) else { return };
        let before = entry.record.oom_kills;
        entry.memory_low = false;
        let container = entry.container().to_owned();
        let Ok(plan) = self.root.plan(&container) else { return };
        if self.count_oom_kills(slot, &plan) > before || !again {
            return;
        }
        if let Some(entry) = self.entry(slot).filter(|entry| entry.due_ns.is_none()) {
            entry.memory_low = true;
            self.set_due(slot, Some(clock::boot_ns() + SECOND_LOOK_NS));
        }
    }

    /// How many processes of this life the kernel has killed; new ones are told.
    pub(crate) fn count_oom_kills(&mut self, slot: usize, plan: &Plan) -> u64 {
        let kills = runtime::oom_kills(plan).unwrap_or(0);
        let Some(entry) = self.entry(slot) else { return kills };
        if kills > entry.record.oom_kills {
            entry.record.oom_kills = kills;
            self.emit(slot, Happening::OutOfMemory(Empty {}));
        }
        kills
    }
}
