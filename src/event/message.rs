//! An application message as the analysis keeps it.

use std::sync::Arc;

use crate::mqtt::QoS;

/// An application message, reduced to what conclusions about it need.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// The topic name, an alias resolved; `None` where the alias was set before the capture.
    pub topic: Option<Arc<str>>,
    /// The QoS.
    pub qos: QoS,
    /// RETAIN as the sender set it.
    pub retain: bool,
    /// The beginning of the payload, and its length.
    pub payload: Payload,
}

/// The beginning of a payload and its length.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Payload {
    /// In bytes.
    pub length: u64,
    /// In place: every PUBLISH has one. Zeros behind a payload that is shorter.
    head: [u8; Self::KEPT],
    /// Bytes of `head` that are the payload's.
    kept: u8,
}

impl Payload {
    /// Enough to recognise a message by in a diagram.
    pub const KEPT: usize = 48;

    /// Returns the length of a payload and a copy of its head.
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_cut(bytes, 0)
    }

    /// Returns the same of a payload whose last `missing` bytes were not captured.
    pub fn of_cut(bytes: &[u8], missing: u64) -> Self {
        let mut head = [0; Self::KEPT];
        for (kept, byte) in head.iter_mut().zip(bytes) {
            *kept = *byte;
        }
        Self {
            length: bytes.len() as u64 + missing,
            head,
            kept: bytes.len().min(Self::KEPT) as u8,
        }
    }

    /// Returns at most [`Payload::KEPT`] bytes from the start.
    pub fn head(&self) -> &[u8] {
        self.head
            .get(..usize::from(self.kept))
            .unwrap_or(&self.head)
    }

    /// The head as text, where it is well-formed UTF-8 up to a character cut at its end.
    pub fn text(&self) -> Option<&str> {
        match std::str::from_utf8(self.head()) {
            Ok(text) => Some(text),
            Err(error) if error.error_len().is_none() && self.is_cut() => {
                let (whole, _) = self.head.split_at_checked(error.valid_up_to())?;
                std::str::from_utf8(whole).ok()
            }
            Err(_) => None,
        }
    }

    /// Returns whether the payload goes on behind the head.
    pub fn is_cut(&self) -> bool {
        self.length > u64::from(self.kept)
    }
}
