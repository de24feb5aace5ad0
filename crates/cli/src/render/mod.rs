//! How answers look on a terminal: columns, templates, words for times and sizes.

mod board;
mod json;
mod list;
mod order;
mod ports;
mod tabs;
mod template;
mod words;

pub(crate) use board::{Board, Screen};
pub(crate) use json::indent;
pub(crate) use list::{Layout, List, Row};
pub(crate) use ports::displayed as displayed_ports;
pub(crate) use tabs::columns;
pub(crate) use template::{Subject, Template};
pub(crate) use words::{
    ago, ellipsis, event_time, go_time, human_size, local_time, quoted, rfc3339, short_id, timestamp,
};
