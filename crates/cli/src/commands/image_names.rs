//! `tag` and `rmi`.

use types::Kind;

use super::{joined, text};
use crate::error::{Error, Result};
use crate::stream::{self, remark};
use crate::tree::Call;
use crate::wire::{Payload, Query};

/// `berth tag`.
pub(crate) async fn tag(call: Call) -> Result<u8> {
    let target: types::Reference = call.args[1].parse().map_err(|e| {
        Error::new(format!("Error parsing reference: {:?} is not a valid repository/tag: {e}", call.args[1]))
    })?;
    let query = Query::path("/images/{}/tag", &[&call.args[0]])
        .with("repo", &target.familiar_name())
        .with("tag", target.tag().unwrap_or("latest"));
    call.client.post(query, Payload::Nothing).await?;
    Ok(0)
}

/// `berth rmi`.
pub(crate) async fn remove(call: Call) -> Result<u8> {
    let force = call.flags.is("force");
    let (mut errors, mut fatal) = (Vec::new(), false);
    for name in &call.args {
        let query = Query::path("/images/{}", &[name])
            .with_switch("force", force)
            .with_switch("noprune", call.flags.is("no-prune"));
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
