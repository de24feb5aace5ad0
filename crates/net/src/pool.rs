//! Endpoints that are ready before anybody asks: one thread makes them, off the way of a start.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use plan::network::{Addresses, PortTable};
use sys::nft::Flow;

use crate::Endpoint;
use crate::maker::Maker;

/// How long the pool rests after it failed to make an endpoint.
const REST_AFTER_FAULT: Duration = Duration::from_secs(1);

/// How long a claim that waits for an address goes without looking.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What the network's threads and callers share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// The pool's thread has something to look at.
    pub(crate) pool_wakes: Condvar,
    /// The reaper's thread has something to look at.
    pub(crate) reaper_wakes: Condvar,
    /// An endpoint was made or is gone, or the reaper has nothing left to do.
    pub(crate) settled: Condvar,
    pool_size: usize,
}

/// Who has which address and port, and what is to be made and removed.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) addresses: Addresses,
    pub(crate) ports: PortTable,
    pub(crate) ready: VecDeque<Endpoint>,
    /// The address of the endpoint that the pool is making.
    making: Option<Ipv4Addr>,
    /// Endpoints that are to vanish; their addresses stay taken until they have.
    pub(crate) dying: Vec<Dying>,
    /// Connections to forget.
    pub(crate) flows: Vec<Flow>,
    /// Addresses of endpoints that an earlier daemon made and no record has claimed yet.
    pub(crate) inherited: Vec<Ipv4Addr>,
    pub(crate) closing: bool,
    filling: bool,
    fault: Option<Instant>,
}

/// The host's end of an endpoint that is to vanish.
#[derive(Clone, Debug)]
pub(crate) struct Dying {
    pub(crate) link: String,
    pub(crate) ip: Ipv4Addr,
    /// From when on it is removed by hand; before that its namespace may take it away.
    pub(crate) deadline: Instant,
}

impl Shared {
    pub(crate) fn new(
        addresses: Addresses,
        ports: PortTable,
        inherited: Vec<Ipv4Addr>,
        pool_size: usize,
    ) -> Self {
        let state = State {
            addresses,
            ports,
            ready: VecDeque::new(),
            making: None,
            dying: Vec::new(),
            flows: Vec::new(),
            inherited,
            closing: false,
            filling: true,
            fault: None,
        };
        let (pool_wakes, reaper_wakes, settled) = Default::default();
        Self { state: Mutex::new(state), pool_wakes, reaper_wakes, settled, pool_size }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends both threads' work.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.pool_wakes.notify_all();
        self.reaper_wakes.notify_all();
    }

    /// The oldest ready endpoint, or the one with this address.
    pub(crate) fn take_ready(&self, wanted: Option<Ipv4Addr>) -> Option<Endpoint> {
        let mut state = self.lock();
        let index = match wanted {
            None => 0,
            Some(ip) => state.ready.iter().position(|endpoint| endpoint.record.ip == ip)?,
        };
        let taken = state.ready.remove(index);
        if state.ready.len() <= self.pool_size / 2 {
            self.pool_wakes.notify_one();
        }
        taken
    }

    /// Waits a moment when an address, or the wanted one, may come free: its endpoint is going, or being made. False when there is
    /// nothing to wait for, or no time left.
    pub(crate) fn wait_for_address(&self, wanted: Option<Ipv4Addr>, end: Instant) -> bool {
        let state = self.lock();
        let fits = |ip: Ipv4Addr| wanted.is_none_or(|wanted| wanted == ip);
        let comes = state.dying.iter().any(|dying| fits(dying.ip)) || state.making.is_some_and(fits);
        let left = end.saturating_duration_since(Instant::now());
        if !comes || left.is_zero() {
            return false;
        }
        // What came between the look and the wait is seen after this.
        drop(self.settled.wait_timeout(state, left.min(LOOK_AGAIN)));
        true
    }

    /// Waits until an endpoint is to be made; nothing when the network closes. The pool is refilled only once it is half
    /// empty: a single start meets no work of the pool.
    fn next(&self) -> Option<Ipv4Addr> {
        let mut state = self.lock();
        loop {
            if state.closing {
                return None;
            }
            let count = state.ready.len();
            state.filling = count < self.pool_size && (state.filling || count <= self.pool_size / 2);
            let rest = state.fault.map(|since| REST_AFTER_FAULT.saturating_sub(since.elapsed()));
            if rest.is_none_or(|rest| rest.is_zero()) && state.filling {
                state.fault = None;
                match state.addresses.take() {
                    Some(ip) => {
                        state.making = Some(ip);
                        return Some(ip);
                    }
                    None => state.fault = Some(Instant::now()),
                }
                continue;
            }
            state = match rest.filter(|_| state.filling) {
                Some(rest) => {
                    let waited = self.pool_wakes.wait_timeout(state, rest);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.pool_wakes.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// Keeps the pool filled until the network closes. A failure is not reported here: the claim that finds the pool empty
/// makes its own endpoint and gets the error.
pub(crate) fn run(shared: &Shared, mut maker: Maker) {
    while let Some(ip) = shared.next() {
        let made = maker.make(ip);
        let mut state = shared.lock();
        state.making = None;
        match made {
            Ok(endpoint) => state.ready.push_back(endpoint),
            Err(_) => {
                state.fault = Some(Instant::now());
                state.bury(ip);
                shared.reaper_wakes.notify_one();
            }
        }
        shared.settled.notify_all();
    }
}

impl State {
    /// Hands the endpoint with this address to the reaper.
    pub(crate) fn bury(&mut self, ip: Ipv4Addr) {
        self.bury_after(ip, GRACE);
    }

    /// The same, removed by hand after `grace`.
    pub(crate) fn bury_after(&mut self, ip: Ipv4Addr, grace: Duration) {
        let link = plan::network::link_name(ip);
        self.dying.push(Dying { link, ip, deadline: Instant::now() + grace });
    }
}

/// How long a namespace may take its end of the veth pair, and with it ours, away by itself: the kernel does that for
/// many namespaces at once, which is cheaper than a removal each.
const GRACE: Duration = Duration::from_millis(300);
