//! `events`.

use serde_json::Value;

use super::text;
use crate::error::{Error, Result};
use crate::render::{Subject, Template, event_time, timestamp};
use crate::stream;
use crate::tree::Call;
use crate::wire::Query;

/// `berth events`.
pub(crate) async fn events(call: Call) -> Result<u8> {
    let flags = &call.flags;
    let template = match flags.text("format") {
        "" => None,
        "json" => Some("{{json .}}"),
        source => Some(source),
    };
    let template = template
        .map(|source| Template::read(source, Subject::Document))
        .transpose()
        .map_err(|e| Error::new(format!("Error parsing format: {e}")).code(64))?;
    let moment = |name: &str| {
        timestamp(flags.text(name))
            .map_err(|reason| Error::new(format!("invalid value for {name:?}: {reason}")))
    };
    let query = Query::from("/events")
        .with_some("since", &moment("since")?)
        .with_some("until", &moment("until")?)
        .with_filters(flags.list("filter"));
    let mut answer = call.client.get_stream(query).await?;
    let mut lines = Documents::default();
    while let Some(bytes) = answer.next().await? {
        for event in lines.push(&bytes)? {
            let line = match &template {
                None => words(&event),
                Some(template) => template.fill(&event)?,
            };
            stream::print_line(&line)?;
        }
    }
    Ok(0)
}

/// `2026-… container start 0123… (image=x, name=y)`.
fn words(event: &Value) -> String {
    let nanos = event["timeNano"].as_i64().unwrap_or_default();
    let nanos = if nanos == 0 { event["time"].as_i64().unwrap_or_default() * 1_000_000_000 } else { nanos };
    let actor = &event["Actor"];
    let mut line = format!(
        "{} {} {} {}",
        event_time(nanos),
        text(event, "Type"),
        text(event, "Action"),
        text(actor, "ID")
    );
    let mut attributes: Vec<String> = actor["Attributes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    attributes.sort();
    if !attributes.is_empty() {
        line += &format!(" ({})", attributes.join(", "));
    }
    line
}

/// Documents one after the other, cut anywhere.
#[derive(Default)]
pub(super) struct Documents {
    held: Vec<u8>,
}

impl Documents {
    /// Takes more bytes and hands out the documents that are whole.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Value>> {
        self.held.extend_from_slice(bytes);
        let mut read = serde_json::Deserializer::from_slice(&self.held).into_iter::<Value>();
        let (mut documents, mut used) = (Vec::new(), 0);
        while let Some(document) = read.next() {
            match document {
                Ok(document) => documents.push(document),
                Err(error) if error.is_eof() => break,
                Err(error) => return Err(Error::new(format!("the daemon's answer is no JSON: {error}"))),
            }
            used = read.byte_offset();
        }
        drop(read);
        self.held.drain(..used);
        Ok(documents)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_come_out_of_any_cut() {
        let whole = b"{\"a\":1}\n{\"b\":\"}{\"} {\"c\":[1]}\r\n";
        for step in 1..whole.len() {
            let mut documents = Documents::default();
            let all: Vec<Value> =
                whole.chunks(step).flat_map(|piece| documents.push(piece).expect("fine")).collect();
            assert_eq!(all, [json!({ "a": 1 }), json!({ "b": "}{" }), json!({ "c": [1] })]);
        }
        assert!(Documents::default().push(b"no").is_err());
    }

    #[test]
    fn events_in_words() {
        let event = json!({ "Type": "container", "Action": "die", "timeNano": 1_136_214_245_000_000_001_i64,
            "Actor": { "ID": "ab", "Attributes": { "name": "x", "exitCode": "0" } } });
        assert!(words(&event).ends_with(" container die ab (exitCode=0, name=x)"), "{}", words(&event));
    }
}
