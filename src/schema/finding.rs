//! A finding of `--check`.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with_macros::skip_serializing_none;

use crate::event;

/// Something wrong, odd or worth knowing about the traffic.
#[skip_serializing_none]
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Finding<'a> {
    /// `error` (the specification is broken), `warning` (trouble, though no rule is broken) or
    /// `note`.
    #[schemars(extend("enum" = ["error", "warning", "note"]))]
    pub level: &'static str,
    /// The rule's name, stable, in kebab case: `packet-id-in-use`.
    pub rule: &'static str,
    /// The statements of the connection's version that are broken; empty for what none forbids.
    pub statements: &'static [&'static str],
    /// Who caused it: `client`, `server`, `network` (the way between them, or how it was
    /// captured) or `unknown`.
    #[schemars(extend("enum" = ["client", "server", "network", "unknown"]))]
    pub by: &'static str,
    /// The frame in which it shows.
    pub frame: u64,
    /// Further frames that it rests on, in ascending order.
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    pub frames: &'a [u64],
    /// The TCP connection; absent for findings about the capture as a whole.
    pub stream: Option<u32>,
    /// The client identifier of that connection.
    pub client_id: Option<&'a str>,
    /// One sentence that a newcomer understands.
    pub message: &'a str,
    /// The number of occurrences that this finding stands for; absent where it is one.
    pub count: Option<u64>,
    /// The frame of the first of them.
    pub first_frame: Option<u64>,
    /// The frame of the last of them.
    pub last_frame: Option<u64>,
}

impl<'a> From<&'a event::Finding> for Finding<'a> {
    fn from(finding: &'a event::Finding) -> Self {
        Self {
            level: finding.level.into(),
            rule: finding.rule,
            statements: finding.statements,
            by: finding.by.into(),
            frame: finding.stamp.number,
            frames: &finding.frames,
            stream: finding.connection.map(|connection| connection.0),
            client_id: finding.client_id.as_deref(),
            message: &finding.message,
            count: finding.repeats.map(|repeats| repeats.count),
            first_frame: finding.repeats.map(|repeats| repeats.first_frame),
            last_frame: finding.repeats.map(|repeats| repeats.last_frame),
        }
    }
}
