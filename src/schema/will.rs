//! A Will Message, from the CONNECT that set it to its end.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with_macros::skip_serializing_none;

use super::connect::WillMessage;
use super::delivery::Deliveries;
use super::session::End;
use super::value::is_false;
use crate::base::Timestamp;
use crate::event::{WillFate, WillSummary};

/// A Will Message and whether it was published.
#[skip_serializing_none]
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Will<'a> {
    /// The TCP connection whose CONNECT set it.
    pub stream: u32,
    /// The client identifier.
    pub client_id: Option<&'a str>,
    /// The CONNECT's frame.
    pub set_frame: u64,
    /// The message.
    #[serde(flatten)]
    pub message: WillMessage<'a>,
    /// How the connection that set it ended.
    pub end: End,
    /// The server was seen to publish it.
    pub published: bool,
    /// The frame in which it was first seen.
    pub frame: Option<u64>,
    /// Why it was not seen: `disconnected`, `refused`, `still_open`, `session_resumed`, `taken_over`,
    /// `delay_running`, `no_subscriber` or `not_seen`.
    pub why: Option<&'static str>,
    /// Equal wills or messages were on their way at the same time: whether it was published is open,
    /// and nothing is concluded.
    #[serde(skip_serializing_if = "is_false")]
    pub ambiguous: bool,
    /// The fate of its copies for each subscriber.
    #[serde(flatten)]
    pub deliveries: Deliveries<'a>,
}

impl<'a> Will<'a> {
    /// The record of a will; `start` is the instant of the run's first frame.
    pub fn new(will: &'a WillSummary, start: Option<Timestamp>) -> Self {
        let (frame, why) = match will.fate {
            WillFate::Published(stamp) => (Some(stamp.number), None),
            WillFate::NotPublished(why) => (None, Some(why.into())),
        };
        Self {
            stream: will.connection.0,
            client_id: will.client_id.as_deref(),
            set_frame: will.set.number,
            message: WillMessage::from(&will.will),
            end: End::from(&will.end),
            published: frame.is_some(),
            frame,
            why,
            ambiguous: will.ambiguous,
            deliveries: Deliveries::new(&will.deliveries, start),
        }
    }
}
