//! `tag` and `rmi`.

use types::Kind;

use super::{joined, text, transfer};
use crate::error::{Error, Result};
use crate::stream::{self, remark};
use crate::tree::Call;
use crate::wire::{Payload, Query};

/// `berth tag`.
pub(crate) async fn tag(call: Call) -> Result<u8> {
    let parsed = |text: &String| {
        text.parse::<types::Reference>().map_err(|e| {
            Error::new(format!("Error parsing reference: {text:?} is not a valid repository/tag: {e}"))
        })
    };
    let target = parsed(&call.args[1])?;
    if target.digest().is_some() {
        return Err(Error::new("refusing to create a tag with a digest reference"));
    }
    if call.args[0].is_empty() {
        parsed(&call.args[0])?;
    }
    let query = Query::path("/images/{}/tag", &[&call.args[0]])
        .with("repo", &target.familiar_name())
        .with("tag", target.tag().unwrap_or("latest"));
    call.client.post(query, Payload::Nothing).await?;
    Ok(0)
}

/// `berth rmi`.
pub(crate) async fn remove(call: Call) -> Result<u8> {
    let force = call.flags.is("force");
    let platforms = transfer::platforms(&call, 50).await?;
    let (mut errors, mut fatal) = (Vec::new(), false);
    for name in &call.args {
        let mut query = Query::path("/images/{}", &[name])
            .with_switch("force", force)
            .with_switch("noprune", call.flags.is("no-prune"));
        for platform in &platforms {
            query = query.with("platforms", platform);
        }
        match call.client.delete(query).await {
            Ok(answer) => {
                for removed in answer.as_array().into_iter().flatten() {
                    let deleted = text(removed, "Deleted");
                    let line = match deleted {
                        "" => format!("Untagged: {}", text(removed, "Untagged")),
                        id => format!("Deleted: {id}"),
                    };
                    stream::print_line(&line)?;
                }
            }
            Err(error) => {
                fatal |= error.kind() != Kind::NotFound;
                errors.push(error);
            }
        }
    }
    // With --force, images that are not there are told, but are no failure.
    if force && !fatal {
        errors.iter().for_each(|error| remark(&error.to_string()));
        return Ok(0);
    }
    joined(&errors)
}
