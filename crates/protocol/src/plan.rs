//! The plan: every act of a container's start as plain data, in order. It prints as text and crosses the
//! protocol unchanged; the same plan is replayed on the host and in a guest.

use prost::{Message, Oneof};

/// Start of a container, decided to the last detail.
#[derive(Clone, PartialEq, Message)]
pub struct Plan {
    /// The container's id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Acts on the host before the clone, each with its undo.
    #[prost(message, repeated, tag = "2")]
    pub prepare: Vec<Step>,
}

/// One act.
#[derive(Clone, PartialEq, Message)]
pub struct Step {
    /// Which.
    #[prost(oneof = "Act", tags = "1")]
    pub act: Option<Act>,
}

/// The acts there are.
#[derive(Clone, PartialEq, Oneof)]
pub enum Act {
    /// Write a cgroup file.
    #[prost(message, tag = "1")]
    Write(Write),
}

/// A value for a cgroup (or other kernel) file.
#[derive(Clone, PartialEq, Message)]
pub struct Write {
    /// Absolute path.
    #[prost(string, tag = "1")]
    pub path: String,
    /// What to write.
    #[prost(string, tag = "2")]
    pub value: String,
    /// The request field that asked for it, for messages. Empty: nobody asked, so a refusal is a warning.
    #[prost(string, tag = "3")]
    pub field: String,
}

/// One more process in a running container.
#[derive(Clone, PartialEq, Message)]
pub struct ExecPlan {
    /// The container's id.
    #[prost(string, tag = "1")]
    pub container: String,
}
