//! A stored message of one topic, from the PUBLISH that stored it to its replacement.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with_macros::skip_serializing_none;

use super::delivery::Deliveries;
use super::payload::Payload;
use crate::base::Timestamp;
use crate::event::{RetainedEnd, RetainedSummary};

/// A retained message (MQTT 5.0 §3.3.1.3) and the copies of it that new subscriptions brought.
#[skip_serializing_none]
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Retained<'a> {
    /// The topic name; absent where an alias set before the capture stands for it.
    pub topic: Option<&'a str>,
    /// The payload.
    pub payload: Payload<'a>,
    /// The frame that stored it; absent where that was before the capture.
    pub stored_frame: Option<u64>,
    /// The TCP connection of the client that stored it.
    pub stream: Option<u32>,
    /// The client identifier of that client.
    pub client_id: Option<&'a str>,
    /// It was a Will Message with Will Retain.
    pub will: Option<bool>,
    /// `replaced` or `cleared` by another PUBLISH, `kept` to the capture's end, or `table_full`.
    pub ended_by: &'static str,
    /// The frame of that other PUBLISH.
    pub ended_frame: Option<u64>,
    /// The stored copies that subscribers were sent; live copies stand on the handshake.
    #[serde(flatten)]
    pub deliveries: Deliveries<'a>,
}

impl<'a> Retained<'a> {
    /// The record of a stored message; `start` is the instant of the run's first frame.
    pub fn new(retained: &'a RetainedSummary, start: Option<Timestamp>) -> Self {
        let stored = retained.stored.as_ref();
        let end = match retained.end {
            RetainedEnd::Replaced(stamp) | RetainedEnd::Cleared(stamp) => Some(stamp),
            RetainedEnd::Kept | RetainedEnd::TableFull => None,
        };
        Self {
            topic: retained.message.topic.as_deref(),
            payload: Payload::from(&retained.message.payload),
            stored_frame: stored.map(|stored| stored.stamp.number),
            stream: stored.map(|stored| stored.connection.0),
            client_id: stored.and_then(|stored| stored.client_id.as_deref()),
            will: stored.map(|stored| stored.will),
            ended_by: retained.end.into(),
            ended_frame: end.map(|stamp| stamp.number),
            deliveries: Deliveries::new(&retained.deliveries, start),
        }
    }
}
