//! The registry's life: open, listen, serve, and end on a signal.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use types::Kind;

use crate::check;
use crate::code::Refusal;
use crate::control;
use crate::depot::Sweep;
use crate::error::{Error, Result, chain};
use crate::garbage;
use crate::options::{Command, Options};
use crate::site::Site;
use crate::wire::{HEAD, Listener, serve, serve_metrics};

/// How often files are looked at for changes.
const LOOK: Duration = Duration::from_secs(10);
/// How often abandoned uploads are looked for.
const ROUND: Duration = Duration::from_secs(60);

/// Does what the command line says. A registry serves until SIGTERM or SIGINT; its log goes to standard error.
///
/// # Errors
/// When the options cannot be, the data directory cannot be opened or is another process's, or the address is taken.
pub fn run(command: Command) -> std::result::Result<(), Error> {
    let done = match command {
        Command::Serve(options) => serve_until_signal(&options),
        Command::Collect(asked) => garbage::collect(&asked),
        Command::Check(asked) => check::check(&asked),
    };
    done.map_err(|error| Error::new(error.kind(), chain(&error)))
}

fn serve_until_signal(options: &Options) -> Result<()> {
    options.check()?;
    log_to_stderr(&options.log_level);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(64)
        .thread_keep_alive(Duration::from_secs(2))
        .enable_all()
        .build()
        .map_err(|e| Error::call("cannot start threads", e))?;
    let result = runtime.block_on(live(options));
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}

/// Does something with a directory that no registry serves.
pub(crate) fn alone<T>(work: impl Future<Output = Result<T, Refusal>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::call("cannot start threads", e))?;
    runtime.block_on(work).map_err(|refusal| Error::new(Kind::Internal, refusal.message))
}

fn log_to_stderr(level: &str) {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}

async fn live(options: &Options) -> Result<()> {
    let mut term = catch(SignalKind::terminate())?;
    let mut interrupt = catch(SignalKind::interrupt())?;
    let hangup = catch(SignalKind::hangup())?;
    let site = Arc::new(Site::open(options)?);
    let socket = bind(options.address).await?;
    let address = socket.local_addr().map_err(|e| Error::call("cannot tell the address", e))?;
    tracing::info!(%address, data = %options.data_root.display(), "the registry is up");
    let (end, ended) = watch::channel(false);
    let mut serving = tokio::spawn(serve(
        site.clone(),
        Listener { socket, most: options.max_connections, head: HEAD },
        ended,
    ));
    let mut beside = JoinSet::new();
    start_beside(&mut beside, &site, options).await?;
    beside.spawn(refresh(site.clone(), hangup));
    tokio::select! {
        _ = &mut serving => {}
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the registry ends: requests under way are finished first");
    let _ = end.send(true);
    if tokio::time::timeout(options.stop_timeout, &mut serving).await.is_err() {
        tracing::warn!("some requests were cut off");
        serving.abort();
    }
    beside.shutdown().await;
    Ok(())
}

/// What goes on beside serving, until the end.
async fn start_beside(beside: &mut JoinSet<()>, site: &Arc<Site>, options: &Options) -> Result<()> {
    beside.spawn(control::obey(site.clone(), control::listen(&options.data_root)?));
    beside.spawn(expire(site.clone()));
    if let Some(every) = options.collect_every {
        let sweep = Sweep { grace: options.grace, untagged: options.collect_untagged, dry_run: false };
        beside.spawn(garbage::rounds(site.clone(), every, sweep));
    }
    if let Some(address) = options.metrics {
        beside.spawn(serve_metrics(site.clone(), bind(address).await?));
    }
    Ok(())
}

/// Reads changed files again: soon after they changed, and at once at SIGHUP.
async fn refresh(site: Arc<Site>, mut hangup: Signal) {
    loop {
        let _ = tokio::time::timeout(LOOK, hangup.recv()).await;
        site.refresh();
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| Error::call(format!("cannot listen on {address}"), e))
}

/// Looks for abandoned uploads, for ever.
async fn expire(site: Arc<Site>) {
    loop {
        tokio::time::sleep(ROUND).await;
        let gone = site.uploads.expire();
        if gone > 0 {
            site.metrics.expired(gone);
            tracing::info!(gone, "abandoned uploads were thrown away");
        }
    }
}

fn catch(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|e| Error::new(Kind::Internal, format!("cannot catch signals: {e}")))
}
