//! `GET /events`: documents one after the other until the client has enough.

use engine::EventOptions;
use hyper::Response;

use super::Context;
use super::logs::moment;
use crate::error::Result;
use crate::wire::answer::{Answer, json_line, pieces};

/// Versions below 1.52 get `application/json`, although it is a sequence.
pub(super) async fn listen(context: Context) -> Result<Response<Answer>> {
    let query = &context.query;
    let options = EventOptions {
        since_ns: query
            .text("since")
            .map(|_| moment(query, "since").map(Option::unwrap_or_default))
            .transpose()?,
        until_ns: moment(query, "until")?,
        filters: dockerapi::Filters::parse(query.get("filters").unwrap_or_default())?,
    };
    let mut events = context.engine.events(options)?;
    let (output, response) = pieces("application/json");
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                next = events.next() => next,
                () = output.closed() => return,
            };
            let Some(event) = next else { return };
            let event = dockerapi::Event::new(
                event.kind,
                &event.action,
                &event.id,
                event.attributes.clone(),
                event.time_ns,
            );
            let Ok(line) = json_line(&event) else { return };
            if output.send(line).await.is_err() {
                return;
            }
        }
    });
    Ok(response)
}
