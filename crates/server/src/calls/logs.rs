//! `GET /containers/{id}/logs`.

use dockerapi::time;
use engine::LogOptions;
use hyper::Response;

use super::Context;
use crate::error::{Error, Result};
use crate::wire::answer::{Answer, pieces};
use crate::wire::mux::{Framing, MULTIPLEXED, RAW};
use crate::wire::query::Query;

/// Every parameter is judged before the first byte goes out.
pub(super) async fn stream(context: Context) -> Result<Response<Answer>> {
    let options = options(&context.query)?;
    let mut entries = context.engine.logs(&context.name, options).await?;
    let framing = Framing::of(entries.tty);
    let content_type = if framing == Framing::Mux && context.version.has(42) { MULTIPLEXED } else { RAW };
    let (output, response) = pieces(content_type);
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                next = entries.next() => next,
                () = output.closed() => return,
            };
            let Some((stream, chunk)) = next else { return };
            if output.send(framing.wrap(stream, chunk)).await.is_err() {
                return;
            }
        }
    });
    Ok(response)
}

fn options(query: &Query) -> Result<LogOptions> {
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        return Err(Error::invalid("Bad parameters: you must choose at least one stream"));
    }
    Ok(LogOptions {
        follow: query.flag("follow"),
        stdout,
        stderr,
        since_ns: moment(query, "since")?,
        until_ns: moment(query, "until")?,
        timestamps: query.flag("timestamps"),
        // dockerd takes whatever is no number for "all".
        tail: query.text("tail").and_then(|tail| tail.parse().ok()),
        details: query.flag("details"),
    })
}

/// Unix seconds with an optional fraction. 0 is no limit.
pub(super) fn moment(query: &Query, key: &str) -> Result<Option<i64>> {
    let Some(text) = query.text(key) else { return Ok(None) };
    match time::parse_unix(text) {
        Some(0) => Ok(None),
        Some(ns) => Ok(Some(ns)),
        None => Err(Error::invalid(format!("invalid value {text:?} for {key}: want unix seconds"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_options() {
        let read = |text: &str| options(&Query::parse(text).unwrap());
        let options = read("stdout=1&follow=1&tail=10&since=1.5&until=0&timestamps=true").unwrap();
        assert!(options.stdout && !options.stderr && options.follow && options.timestamps);
        assert_eq!((options.tail, options.since_ns, options.until_ns), (Some(10), Some(1_500_000_000), None));
        assert_eq!(read("stderr=1&tail=all").unwrap().tail, None);
        assert_eq!(read("").unwrap_err().to_string(), "Bad parameters: you must choose at least one stream");
        assert!(read("stdout=1&since=yesterday").is_err());
    }
}
