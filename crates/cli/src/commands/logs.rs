//! `logs`.

use super::text;
use crate::error::{Error, Result};
use crate::render::timestamp;
use crate::stream::{Demux, Source, deliver};
use crate::tree::Call;
use crate::wire::Query;

/// `berth logs`.
pub(crate) async fn logs(call: Call) -> Result<u8> {
    let flags = &call.flags;
    let moment = |name: &str| {
        timestamp(flags.text(name))
            .map_err(|reason| Error::new(format!("invalid value for {name:?}: {reason}")))
    };
    let (since, until) = (moment("since")?, moment("until")?);
    let container = call.client.get(Query::path("/containers/{}/json", &[&call.args[0]])).await?;
    let tail = flags.text("tail");
    let query = Query::path("/containers/{}/logs", &[text(&container, "Id")])
        .with_switch("details", flags.is("details"))
        .with_switch("follow", flags.is("follow"))
        .with_some("since", &since)
        .with("stdout", "1")
        .with("stderr", "1")
        .with("tail", if tail.is_empty() { "all" } else { tail })
        .with_switch("timestamps", flags.is("timestamps"))
        .with_some("until", &until);
    let mut answer = call.client.get_stream(query).await?;
    let raw = container["Config"]["Tty"] == true;
    let mut demux = Demux::default();
    while let Some(bytes) = answer.next().await? {
        if raw {
            deliver(Source::Stdout, &bytes)?;
        } else {
            demux.push(&bytes, &mut deliver)?;
        }
    }
    Ok(0)
}
