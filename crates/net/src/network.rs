//! The network as the engine sees it.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use plan::network::{
    Addresses, Element, EndpointRecord, PortRequest, PortTable, Protocol, Published, Ruleset,
};
use rustix::event::EventfdFlags;
use rustix::net::netdevice::name_to_index;
use sys::netlink::{Counters, Family, PortLink, Socket};
use sys::nft::{Flow, Monitor, Ownership};
use types::Kind;

use crate::bridge::{self, Bridge};
use crate::filter::Filter;
use crate::maker::Maker;
use crate::pool::{self, Shared};
use crate::takeover::endpoints;
use crate::{BridgeConfig, Error, Result, probe, reaper, sysctl, watch};

/// How often a claim tries the next address when a foreign link has an endpoint's name.
const ATTEMPTS: usize = 4;
/// How long a claim waits for an address that comes free.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a claim starts from.
enum Place {
    Ready(Endpoint),
    Free(Ipv4Addr),
}

/// A container's place on the network: a namespace that is ready to be joined, and what to remember of it.
#[derive(Debug)]
pub struct Endpoint {
    /// The network namespace. It lives as long as this descriptor or a process in it.
    pub netns: OwnedFd,
    /// What is written down.
    pub record: EndpointRecord,
}

/// What there is to say about the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The bridge's link name.
    pub bridge: String,
    /// The packet filter's table.
    pub table: String,
    /// The subnet.
    pub subnet: Ipv4Net,
    /// The bridge's address.
    pub gateway: Ipv4Addr,
    /// Endpoints that are ready.
    pub ready: usize,
    /// Ports that are published.
    pub published: usize,
    /// Whether opening the network had to switch `net.ipv4.ip_forward` on.
    pub forwarding_switched_on: bool,
    /// What may keep packets from getting through.
    pub warnings: Vec<String>,
}

/// The default bridge network. Methods may be called from any thread of the host's network namespace.
#[derive(Debug)]
pub struct Network {
    pub(crate) config: BridgeConfig,
    pub(crate) bridge: Bridge,
    pub(crate) forwarding_switched_on: bool,
    pub(crate) shared: Arc<Shared>,
    pub(crate) filter: Arc<Mutex<Filter>>,
    pub(crate) route: Mutex<Socket>,
    /// Ends the watcher, where there is one.
    stop: Option<OwnedFd>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Network {
    /// Makes the bridge and the packet filter's table, or takes over those of an earlier daemon, and starts to fill the
    /// pool. Endpoints and published ports that are there stay until [`Network::reconcile`].
    ///
    /// # Errors
    /// [`Kind::Forbidden`] without `CAP_NET_ADMIN` and `CAP_SYS_ADMIN`, [`Kind::Unimplemented`] when the kernel lacks
    /// something, which the message names, [`Kind::Conflict`] when the subnet or the bridge's name is in use.
    pub fn open(config: BridgeConfig) -> Result<Self> {
        let mut route = open_socket(Family::Route)?;
        let bridge = bridge::open(&mut route, &config)?;
        let ownership = if config.sole_owner { Ownership::Owned } else { Ownership::Shared };
        let mut filter = Filter::open(Ruleset::new(&config.table, &config.bridge, bridge.subnet), ownership)?;
        let forwarding_switched_on = sysctl::enable_forwarding()
            .map_err(|e| Error::call("set net.ipv4.ip_forward", "/proc/sys", e))?;
        let (mut addresses, mut ports) = (Addresses::new(bridge.subnet), PortTable::default());
        addresses.take_this(bridge.gateway);
        let inherited: Vec<_> = endpoints(&mut route, bridge)?.into_iter().map(|(ip, _)| ip).collect();
        for ip in &inherited {
            addresses.take_this(*ip);
        }
        ports.adopt(&filter.elements()?.iter().map(published).collect::<Vec<_>>());
        let shared = Arc::new(Shared::new(addresses, ports, inherited, config.pool_size));
        let maker = Maker::new(bridge, &config.bridge)?;
        let (links, flows) = (open_socket(Family::Route)?, open_socket(Family::Netfilter)?);
        let filter = Arc::new(Mutex::new(filter));
        let (pool_shared, reaper_shared) = (Arc::clone(&shared), Arc::clone(&shared));
        let mut threads = vec![
            spawn("net-pool", move || pool::run(&pool_shared, maker))?,
            spawn("net-reaper", move || reaper::run(&reaper_shared, bridge.index, links, flows))?,
        ];
        let stop = watch(&filter, &mut threads)?;
        let route = Mutex::new(route);
        Ok(Self {
            config,
            bridge,
            forwarding_switched_on,
            shared,
            filter,
            route,
            stop,
            threads: Mutex::new(threads),
        })
    }

    /// An endpoint for a container: from the pool, or made on the spot when that is empty or `hint` asks for an address
    /// that no ready one has.
    ///
    /// # Errors
    /// [`Kind::Exhausted`] when the subnet or the bridge is full, [`Kind::Conflict`] when the address is taken,
    /// [`Kind::InvalidInput`] when it is not of the subnet.
    pub fn claim(&self, id: &str, hint: Option<Ipv4Addr>) -> Result<Endpoint> {
        let mut attempts = ATTEMPTS;
        loop {
            match self.place(id, hint)? {
                Place::Ready(endpoint) => {
                    if name_to_index(&*lock(&self.route), &endpoint.record.host_link).is_ok() {
                        return Ok(endpoint);
                    }
                    // Somebody removed its link.
                    self.bury(endpoint.record.ip);
                }
                Place::Free(ip) => match self.make(ip) {
                    // A foreign link has the name; the next address has another.
                    Err(error) if error.kind() == Kind::Conflict && hint.is_none() && attempts > 1 => {
                        attempts -= 1;
                    }
                    other => return other,
                },
            }
        }
    }

    /// A ready endpoint, or an address for one. Where there is none, those of endpoints that are going are waited for.
    fn place(&self, id: &str, hint: Option<Ipv4Addr>) -> Result<Place> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(endpoint) = self.shared.take_ready(hint) {
                return Ok(Place::Ready(endpoint));
            }
            match self.reserve(id, hint) {
                Err(_) if self.shared.wait_for_address(hint, end) => {}
                other => return other.map(Place::Free),
            }
        }
    }

    /// Makes an endpoint on the spot.
    fn make(&self, ip: Ipv4Addr) -> Result<Endpoint> {
        let made = std::thread::scope(|scope| {
            let make = || Maker::new(self.bridge, &self.config.bridge)?.make(ip);
            // A thread of its own, because making one changes the thread's namespace.
            let thread = std::thread::Builder::new().name("net-claim".to_owned()).spawn_scoped(scope, make);
            let thread = thread.map_err(|e| Error::new(Kind::Exhausted, format!("start a thread: {e}")))?;
            thread.join().unwrap_or_else(|_| Err(Error::new(Kind::Internal, "making an endpoint panicked")))
        });
        made.inspect_err(|_| self.bury(ip))
    }

    /// Publishes ports of the container with this address: all of them in one transaction, or none. The answer has the
    /// requests' order.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when a host port is taken by a container or a socket, in Docker's words;
    /// [`Kind::InvalidInput`] when the host has no such address.
    pub fn publish(&self, id: &str, ip: Ipv4Addr, requests: &[PortRequest]) -> Result<Vec<Published>> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        probe::check_addresses(requests)?;
        let published = self.shared.lock().ports.take(requests, &mut probe::is_free)?;
        let elements: Vec<_> = published.iter().map(|p| Element::new(p, ip)).collect();
        if let Err(error) = lock(&self.filter).add(&elements) {
            self.shared.lock().ports.free(&published);
            return Err(error.of_container(id));
        }
        // Clients that kept sending while nobody listened would stay bound to their old, untranslated flow.
        let udp = published.iter().filter(|p| p.proto == Protocol::Udp);
        self.forget(udp.map(|p| Flow::SentTo(p.proto.number(), p.host_port)).collect());
        Ok(published)
    }

    /// Takes the ports back at once, and the endpoint soon: its address is handed out again when its link is gone.
    ///
    /// # Errors
    /// When the packet filter refuses; the endpoint is taken back all the same.
    pub fn release(&self, record: &EndpointRecord, published: &[Published]) -> Result<()> {
        let elements: Vec<_> = published.iter().map(|p| Element::new(p, record.ip)).collect();
        let removed = if elements.is_empty() { Ok(()) } else { lock(&self.filter).remove(&elements) };
        self.shared.lock().ports.free(published);
        if published.iter().any(|p| p.proto == Protocol::Udp) {
            self.forget(vec![Flow::AnsweredBy(record.ip)]);
        }
        self.bury(record.ip);
        removed
    }

    /// What there is to say about the network.
    #[must_use]
    pub fn info(&self) -> Info {
        let warnings = lock(&self.filter).obstacles(&self.config.bridge);
        let state = self.shared.lock();
        Info {
            bridge: self.config.bridge.clone(),
            table: self.config.table.clone(),
            subnet: self.bridge.subnet,
            gateway: self.bridge.gateway,
            ready: state.ready.len(),
            published: state.ports.count(),
            forwarding_switched_on: self.forwarding_switched_on,
            warnings,
        }
    }

    /// What an endpoint received and sent, seen from the container.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when its link is gone.
    pub fn counters(&self, record: &EndpointRecord) -> Result<Counters> {
        let link = sys::netlink::link(&mut lock(&self.route), PortLink::Name(&record.host_link))
            .map_err(|e| Error::netlink(format!("read counters of {}", record.host_link), "rtnetlink", e))?;
        let host = link.counters;
        Ok(Counters {
            rx_bytes: host.tx_bytes,
            rx_packets: host.tx_packets,
            rx_errors: host.tx_errors,
            rx_dropped: host.tx_dropped,
            tx_bytes: host.rx_bytes,
            tx_packets: host.rx_packets,
            tx_errors: host.rx_errors,
            tx_dropped: host.rx_dropped,
        })
    }

    /// Waits until everything released is gone. Whether that was so within `patience`.
    #[must_use]
    pub fn settle(&self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let mut state = self.shared.lock();
        while !(state.dying.is_empty() && state.flows.is_empty()) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.shared.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// An address for an endpoint that is made on the spot.
    fn reserve(&self, id: &str, hint: Option<Ipv4Addr>) -> Result<Ipv4Addr> {
        let mut state = self.shared.lock();
        let Some(ip) = hint else {
            let full =
                || Error::new(Kind::Exhausted, format!("no free address left in {}", self.bridge.subnet));
            return state.addresses.take().ok_or_else(full);
        };
        if state.addresses.take_this(ip) {
            return Ok(ip);
        }
        if state.addresses.is_taken(ip) {
            return Err(Error::new(Kind::Conflict, format!("address {ip} for {id} is already in use")));
        }
        let message = format!("address {ip} for {id} is not in the subnet {}", self.bridge.subnet);
        Err(Error::new(Kind::InvalidInput, message))
    }

    fn bury(&self, ip: Ipv4Addr) {
        let mut state = self.shared.lock();
        if state.addresses.is_taken(ip) {
            state.bury(ip);
            self.shared.reaper_wakes.notify_one();
        }
    }

    fn forget(&self, flows: Vec<Flow>) {
        if !flows.is_empty() {
            self.shared.lock().flows.extend(flows);
            self.shared.reaper_wakes.notify_one();
        }
    }

    /// Ends the threads; endpoints in the pool vanish with their namespaces.
    pub(crate) fn stop(&self) {
        self.shared.close();
        if let Some(stop) = &self.stop {
            // An event counter takes eight bytes.
            let _ = rustix::io::write(stop, &1_u64.to_ne_bytes());
        }
        let threads: Vec<_> = lock(&self.threads).drain(..).collect();
        threads.into_iter().for_each(|thread| drop(thread.join()));
        self.shared.lock().ready.clear();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a mutex guards; all of it stays usable when a thread panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn open_socket(family: Family) -> Result<Socket> {
    Socket::open(family).map_err(|e| Error::netlink("open netlink socket", "rtnetlink or nfnetlink", e))
}

/// Starts the watcher where the kernel does not guard the table, and returns what ends it.
fn watch(filter: &Arc<Mutex<Filter>>, threads: &mut Vec<JoinHandle<()>>) -> Result<Option<OwnedFd>> {
    if !lock(filter).is_shared() {
        return Ok(None);
    }
    let fail = |e| Error::call("make an event counter", "eventfd", e);
    let stop = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).map_err(fail)?;
    let end = rustix::io::fcntl_dupfd_cloexec(&stop, 0).map_err(fail)?;
    let monitor = Monitor::open().map_err(|e| Error::netlink("watch nf_tables", "nf_tables", e))?;
    let filter = Arc::clone(filter);
    threads.push(spawn("net-watch", move || watch::run(&filter, monitor, &end))?);
    Ok(Some(stop))
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|e| Error::new(Kind::Exhausted, format!("start thread {name}: {e}")))
}

fn published(element: &Element) -> Published {
    Published {
        proto: element.proto,
        host_ip: element.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED),
        host_port: element.host_port,
        container_port: element.port,
    }
}
