//! `inspect`, for everything that has a document of its own.

use bytes::Bytes;
use types::Kind;

use super::{joined, transfer};
use crate::error::{Error, Result};
use crate::render::{Subject, Template, indent};
use crate::stream;
use crate::tree::Call;
use crate::wire::Query;

/// What can be looked at, in the order in which names are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Container,
    Image,
    Network,
    Volume,
}

const ALL: &[(What, &str)] = &[
    (What::Container, "container"),
    (What::Image, "image"),
    (What::Network, "network"),
    (What::Volume, "volume"),
];

/// `berth inspect`.
pub(crate) async fn any(call: Call) -> Result<u8> {
    let kinds: Vec<What> = match call.flags.given("type") {
        None => ALL.iter().map(|(what, _)| *what).collect(),
        Some(wanted) => match ALL.iter().find(|(_, name)| *name == wanted) {
            Some((what, _)) => vec![*what],
            None => return Err(unknown_type(wanted)),
        },
    };
    look(&call, &kinds).await
}

/// `berth container inspect`.
pub(crate) async fn container(call: Call) -> Result<u8> {
    look(&call, &[What::Container]).await
}

/// `berth image inspect`.
pub(crate) async fn image(call: Call) -> Result<u8> {
    look(&call, &[What::Image]).await
}

/// `berth network inspect`.
pub(crate) async fn network(call: Call) -> Result<u8> {
    look(&call, &[What::Network]).await
}

/// `berth volume inspect`.
pub(crate) async fn volume(call: Call) -> Result<u8> {
    look(&call, &[What::Volume]).await
}

fn unknown_type(wanted: &str) -> Error {
    let names: Vec<String> = ALL.iter().map(|(_, name)| format!("{name:?}")).collect();
    if wanted.is_empty() {
        return Error::new(format!("type is empty: must be one of {}", names.join(", ")));
    }
    Error::new(format!("unknown type: {wanted:?}: must be one of {}", names.join(", ")))
}

async fn look(call: &Call, kinds: &[What]) -> Result<u8> {
    let format = call.flags.text("format");
    let template = match format {
        "" | "json" => None,
        source => {
            Some(Template::read(source, Subject::Document).map_err(|e| Error::new(e.to_string()).code(64))?)
        }
    };
    let (mut errors, mut raw, mut filled) = (Vec::new(), Vec::new(), String::new());
    for name in &call.args {
        match (find(call, kinds, name).await, &template) {
            (Err(error), _) => errors.push(error),
            (Ok(document), None) => raw.push(String::from_utf8_lossy(&document).trim().to_owned()),
            (Ok(document), Some(template)) => match template.fill_text(&document) {
                Ok(text) => filled += &format!("{text}\n"),
                Err(error) => errors.push(error),
            },
        }
    }
    match (&template, format) {
        (Some(_), _) => stream::print(if filled.is_empty() { "\n" } else { &filled })?,
        (None, "json") => stream::print_line(&format!("[{}]", raw.join(",")))?,
        (None, _) => stream::print_line(&indent(&format!("[{}]", raw.join(",")), "    "))?,
    }
    joined(&errors)
}

async fn find(call: &Call, kinds: &[What], name: &str) -> Result<Bytes> {
    if name.is_empty() {
        let kind = match kinds {
            [What::Image] => return Err(Error::new("Error: No such image: ").of(Kind::NotFound)),
            [What::Network] => "network",
            [What::Volume] => "volume",
            _ => "container",
        };
        return Err(Error::new(format!("invalid {kind} name or ID: value is empty")).of(Kind::InvalidInput));
    }
    for what in kinds {
        let pattern = match what {
            What::Container => "/containers/{}/json",
            What::Image => "/images/{}/json",
            What::Network => "/networks/{}",
            What::Volume => "/volumes/{}",
        };
        let mut query = Query::path(pattern, &[name])
            .with_switch("size", *what == What::Container && call.flags.is("size"));
        if *what == What::Image {
            query = query.with_some("platform", &transfer::chosen_platform(call, 49).await?);
        }
        query = query.with_switch("verbose", *what == What::Network && call.flags.is("verbose"));
        match call.client.get_bytes(query).await {
            Err(error)
                if kinds.len() > 1
                    && matches!(error.kind(), Kind::NotFound | Kind::InvalidInput | Kind::Unimplemented) => {}
            other => return other,
        }
    }
    Err(Error::new(format!("Error: No such object: {name}")).of(Kind::NotFound))
}
