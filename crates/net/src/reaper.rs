//! Removing what released endpoints leave behind, off the way of whoever releases them.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use rustix::net::netdevice::name_to_index;
use sys::netlink::{Batch, PortLink, Socket};

use crate::pool::{Dying, Shared};

/// How often it is looked whether links have vanished.
const PERIOD: Duration = Duration::from_millis(20);

/// Works until the network closes. What is left then is found by the next daemon.
pub(crate) fn run(shared: &Shared, bridge: u32, mut route: Socket, mut netfilter: Socket) {
    let mut state = shared.lock();
    loop {
        while state.dying.is_empty() && state.flows.is_empty() && !state.closing {
            shared.settled.notify_all();
            state = shared.reaper_wakes.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closing {
            shared.settled.notify_all();
            return;
        }
        let (flows, dying) = (std::mem::take(&mut state.flows), state.dying.clone());
        drop(state);
        if !flows.is_empty() {
            // Without connection tracking by netlink, old UDP flows end by their own timeout.
            let _ = sys::nft::forget_flows(&mut netfilter, &flows);
        }
        let gone: Vec<Dying> = dying.into_iter().filter(|dying| is_gone(&mut route, dying)).collect();
        forget_neighbours(&mut route, bridge, &gone);
        state = shared.lock();
        for dead in &gone {
            state.dying.retain(|dying| dying.ip != dead.ip);
            state.addresses.free(dead.ip);
        }
        if !gone.is_empty() {
            shared.pool_wakes.notify_one();
            shared.settled.notify_all();
        }
        if !state.dying.is_empty() && !state.closing {
            let waited = shared.reaper_wakes.wait_timeout(state, PERIOD);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Whether the link has vanished, by itself or, past its deadline, by hand.
fn is_gone(route: &mut Socket, dying: &Dying) -> bool {
    if name_to_index(&*route, &dying.link).is_err() {
        return true;
    }
    if Instant::now() < dying.deadline {
        return false;
    }
    let mut batch = Batch::new();
    sys::netlink::remove_link(&mut batch, PortLink::Name(&dying.link));
    // A refusal leaves the link there; it is tried again next time.
    route.apply(batch).is_ok()
}

/// The bridge knew their MAC addresses for good. Those that are gone already do not matter.
fn forget_neighbours(route: &mut Socket, bridge: u32, gone: &[Dying]) {
    let mut batch = Batch::new();
    for dead in gone {
        sys::netlink::remove_neighbour(&mut batch, bridge, dead.ip);
    }
    let _ = route.send(batch);
}
