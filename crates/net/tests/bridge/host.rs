//! A host of one's own: a network namespace that one test's thread lives in, and neighbours of it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use net::{BridgeConfig, Endpoint, Network, PortRequest, Protocol};

/// The neighbour's address, and the host's towards it.
pub(crate) const NEIGHBOUR: &str = "203.0.113.2";
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
pub(crate) const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
const PATIENCE: Duration = Duration::from_millis(700);

/// Runs a test on a fresh host, on a thread of its own.
pub(crate) fn on_fresh_host(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| match sys::netlink::namespace::enter_new() {
            Ok(()) => {
                // The first namespace's own switch is handed on to new ones.
                run("ip link set lo up; echo 0 >/proc/sys/net/ipv4/ip_forward");
                test();
            }
            Err(errno) => eprintln!("skipped: cannot make a network namespace ({errno}); run as root"),
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// A network with a small pool that is full.
pub(crate) fn network() -> Network {
    let network = open(4);
    fill(&network, 4);
    network
}

/// Waits until so many endpoints are ready.
pub(crate) fn fill(network: &Network, count: usize) {
    let since = Instant::now();
    while network.info().ready < count && since.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A network with a pool of this size.
pub(crate) fn open(pool_size: usize) -> Network {
    let subnet = Some("172.30.0.0/16".parse().expect("a subnet"));
    Network::open(BridgeConfig { pool_size, subnet, ..BridgeConfig::default() })
        .unwrap_or_else(|e| panic!("{}", chain(&e)))
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |e| e.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Runs a command in the calling thread's namespace and returns what it printed.
pub(crate) fn run(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().expect("sh is there");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs something in another namespace, on a thread of its own.
pub(crate) fn inside<T: Send>(namespace: impl AsFd + Sync, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            sys::netlink::namespace::enter(namespace.as_fd()).expect("enter namespace");
            act()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A neighbour on a wire: 203.0.113.2 beside the host's 203.0.113.1, whose default route is the host.
pub(crate) fn neighbour() -> OwnedFd {
    let home = sys::netlink::namespace::current().expect("this namespace");
    let far = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            sys::netlink::namespace::enter_new().expect("a namespace");
            let far = sys::netlink::namespace::current().expect("that namespace");
            let id = rustix::thread::gettid().as_raw_nonzero();
            inside(&home, || run(&format!("ip link add wan type veth peer name eth0 netns {id}")));
            let route = format!("ip route add default via {HOST}");
            run(&format!(
                "ip link set lo up; ip link set eth0 up; ip addr add {NEIGHBOUR}/24 dev eth0; {route}"
            ));
            far
        });
        thread.join().expect("the neighbour")
    });
    run(&format!("ip link set wan up; ip addr add {HOST}/24 dev wan"));
    far
}

/// Answers TCP and UDP on a port of the endpoint with `name` and who asked, until the test ends.
pub(crate) fn serve(endpoint: &Endpoint, port: u16, name: &'static str) {
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    let (tcp, udp) = inside(&endpoint.netns, || {
        (TcpListener::bind(any).expect("listen"), UdpSocket::bind(any).expect("bind"))
    });
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            let who = stream.peer_addr().map(|a| a.ip().to_string()).unwrap_or_default();
            let _ = write!(stream, "{name} {who}");
        }
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, who)) = udp.recv_from(&mut buffer) {
            let _ = udp.send_to(format!("{name} {}", who.ip()).as_bytes(), who);
        }
    });
}

/// What a server at this address says, from the calling thread's namespace; nothing when it cannot be reached.
pub(crate) fn ask(proto: Protocol, ip: Ipv4Addr, port: u16) -> Option<String> {
    let address = SocketAddrV4::new(ip, port);
    let answer = match proto {
        Protocol::Udp => ask_udp(address),
        _ => ask_tcp(address),
    };
    match answer {
        Ok(text) => Some(text),
        Err(error) => {
            let usual = [ErrorKind::ConnectionRefused, ErrorKind::TimedOut, ErrorKind::WouldBlock];
            let odd = [ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable, ErrorKind::ConnectionReset];
            assert!(usual.contains(&error.kind()) || odd.contains(&error.kind()), "{address}: {error}");
            None
        }
    }
}

fn ask_tcp(address: SocketAddrV4) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address.into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn ask_udp(address: SocketAddrV4) -> std::io::Result<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(b"?")?;
    let mut buffer = [0; 64];
    let read = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..read]).into_owned())
}

/// A request for `host_ip:host_port` → `container_port`.
pub(crate) fn port(proto: Protocol, host_ip: Ipv4Addr, host_port: u16, container_port: u16) -> PortRequest {
    PortRequest { proto, host_ip, host_port, host_port_last: 0, container_port }
}

/// The same for TCP and UDP.
pub(crate) fn both(host_ip: Ipv4Addr, host_port: u16, container_port: u16) -> [PortRequest; 2] {
    [Protocol::Tcp, Protocol::Udp].map(|proto| port(proto, host_ip, host_port, container_port))
}
