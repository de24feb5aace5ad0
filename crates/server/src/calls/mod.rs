//! The calls, one file per noun: parameters and documents in, one call of the engine, the answer out.

mod absent;
mod archives;
mod attach;
mod commit;
mod containers;
mod events;
mod execs;
mod images;
mod logs;
mod networks;
mod prune;
mod registries;
mod relay;
mod shape;
mod stats;
mod system;
mod table;
mod transfers;
mod volumes;

use std::convert::Infallible;
use std::sync::Arc;

use engine::Engine;
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::sync::oneshot;

use crate::error::Result;
use crate::wire::answer::Answer;
use crate::wire::query::Query;
use crate::wire::version::Version;

pub(crate) use table::{Call, TABLE};

/// One request, taken apart.
pub(crate) struct Context {
    pub(crate) engine: Arc<Engine>,
    pub(crate) version: Version,
    /// The name in the path.
    pub(crate) name: String,
    pub(crate) query: Query,
    pub(crate) request: Request<Incoming>,
    pub(crate) gone: Gone,
}

/// Ends when the client goes away before the head of its answer.
pub(crate) type Gone = oneshot::Receiver<Infallible>;

/// Makes the call.
pub(crate) async fn dispatch(call: Call, context: Context) -> Result<Response<Answer>> {
    match call {
        Call::Ping => Ok(system::ping(&context)),
        Call::Version => system::version(context).await,
        Call::Info => system::info(context).await,
        Call::DiskUsage => system::disk_usage(context).await,
        Call::StoreCheck => system::store_check(context).await,
        Call::Events => events::listen(context).await,
        Call::ContainerList => containers::list(context).await,
        Call::ContainerCreate => containers::create(context).await,
        Call::ContainerInspect => containers::inspect(context).await,
        Call::ContainerStart => containers::start(context).await,
        Call::ContainerStop => containers::stop(context).await,
        Call::ContainerRestart => containers::restart(context).await,
        Call::ContainerKill => containers::kill(context).await,
        Call::ContainerPause => containers::pause(context).await,
        Call::ContainerUnpause => containers::unpause(context).await,
        Call::ContainerWait => containers::wait(context).await,
        Call::ContainerRename => containers::rename(context).await,
        Call::ContainerUpdate => containers::update(context).await,
        Call::ContainerResize => containers::resize(context).await,
        Call::ContainerTop => containers::top(context).await,
        Call::ContainerRemove => containers::remove(context).await,
        Call::ContainerChanges => commit::changes(context).await,
        Call::ContainerExport => archives::export(context).await,
        Call::ContainerCommit => commit::commit(context).await,
        Call::ContainerAttach => attach::attach(context).await,
        Call::ContainerLogs => logs::stream(context).await,
        Call::ContainerStats => stats::stream(context).await,
        Call::ExecCreate => execs::create(context).await,
        Call::ExecStart => execs::start(context).await,
        Call::ExecResize => execs::resize(context).await,
        Call::ExecInspect => execs::inspect(context).await,
        Call::ImageList => images::list(context).await,
        Call::ImageInspect => images::inspect(context).await,
        Call::ImageHistory => images::history(context).await,
        Call::ImageTag => images::tag(context).await,
        Call::ImageRemove => images::remove(context).await,
        Call::ImageLoad => images::load(context).await,
        Call::ImageCreate => images::create(context).await,
        Call::ImageGet => archives::get(context).await,
        Call::ImagePin => prune::pin(context, true).await,
        Call::ImageUnpin => prune::pin(context, false).await,
        Call::Collect => prune::collect(context).await,
        Call::ContainerPrune => prune::containers(context).await,
        Call::ImagePrune => prune::images(context).await,
        Call::VolumePrune => prune::volumes(context).await,
        Call::NetworkPrune => prune::networks(context).await,
        Call::BuildCachePrune => prune::build_cache(context).await,
        Call::ImageSearch => registries::search(context).await,
        Call::Distribution => registries::look(context).await,
        Call::ImagePush => transfers::push(context).await,
        Call::Login => registries::login(context).await,
        Call::NetworkList => networks::list(context).await,
        Call::NetworkInspect => networks::inspect(context).await,
        Call::VolumeList => volumes::list(context).await,
        Call::VolumeInspect => volumes::inspect(context).await,
        Call::VolumeCreate => volumes::create(context).await,
        Call::VolumeRemove => volumes::remove(context).await,
        Call::Plugins => Ok(absent::no_plugins()),
        Call::Swarm => Err(absent::refuse(context, absent::swarm()).await),
        Call::NoPlugin => Err(absent::no_plugin()),
        Call::Absent(what) => Err(absent::refuse(context, absent::not_there(what)).await),
    }
}
