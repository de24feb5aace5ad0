//! The daemon's life: bind, take the pid file, open the engine, serve, and end on a signal.

use std::time::Duration;

use engine::Engine;
use tokio::signal::unix::{Signal, SignalKind, signal};
use types::Kind;

use super::file;
use super::listen::{self, Address};
use super::options::DaemonOptions;
use super::pidfile::PidFile;
use crate::error::{Error, Result};
use crate::wire::{Bound, serve};

/// Serves until SIGTERM or SIGINT; SIGHUP changes nothing. Containers go on afterwards, unless the daemon is
/// temporary. Logs go to standard error.
///
/// # Errors
/// When this process is not root, another daemon has the roots or the socket, or the engine cannot be opened. Nothing
/// is left behind then.
pub fn run(mut options: DaemonOptions) -> std::result::Result<(), Error> {
    file::merge(&mut options)?;
    options.check()?;
    let addresses = addresses(&options.hosts)?;
    if !rustix::process::geteuid().is_root() {
        return Err(Error::new(Kind::Forbidden, "the daemon needs root: run it with sudo"));
    }
    log_to_stderr(&options.log_level);
    let _pidfile = PidFile::take(&options.pidfile())?;
    let sockets = bind(&addresses, options.group.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(64)
        .thread_keep_alive(Duration::from_secs(2))
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Exhausted, format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(live(&options, sockets, &addresses));
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}

fn log_to_stderr(level: &str) {
    let level = if level == "fatal" { "error" } else { level };
    let _ = tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}

fn addresses(hosts: &[String]) -> Result<Vec<Address>> {
    if hosts.is_empty() {
        return listen::parse("unix://").map(|address| vec![address]);
    }
    hosts.iter().map(|host| listen::parse(host)).collect()
}

/// Binds all or none.
fn bind(addresses: &[Address], group: Option<&str>) -> Result<Vec<Bound>> {
    let mut sockets = Vec::new();
    for (done, address) in addresses.iter().enumerate() {
        match address.bind(group) {
            Ok(socket) => sockets.push(socket),
            Err(error) => {
                addresses[..done].iter().for_each(Address::forget);
                return Err(error);
            }
        }
    }
    Ok(sockets)
}

/// Clients that come while the engine is opened wait in the sockets' backlog.
async fn live(options: &DaemonOptions, sockets: Vec<Bound>, addresses: &[Address]) -> Result<()> {
    let served = serve_until_signal(options, sockets, addresses).await;
    for address in addresses {
        address.forget();
    }
    let engine = served?;
    if options.temporary {
        engine.tear_down().await?;
    }
    tracing::info!("the daemon ends");
    Ok(())
}

async fn serve_until_signal(
    options: &DaemonOptions,
    sockets: Vec<Bound>,
    addresses: &[Address],
) -> Result<Engine> {
    let mut term = catch(SignalKind::terminate())?;
    let mut interrupt = catch(SignalKind::interrupt())?;
    let _hangup = catch(SignalKind::hangup())?;
    let engine = Engine::open(options.engine()?).await?;
    tracing::info!(listening = ?addresses, "the daemon is up");
    tokio::select! {
        result = serve(sockets, engine.clone()) => result?,
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(engine)
}

fn catch(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|error| Error::new(Kind::Internal, format!("cannot catch signals: {error}")))
}
