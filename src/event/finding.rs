//! Findings: what is wrong, odd or worth knowing about the traffic.

use std::sync::Arc;

use strum::IntoStaticStr;

use crate::base::FrameStamp;
use crate::mqtt::Sender;
use crate::stream::ConnectionId;

/// One finding about one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The severity.
    pub level: Level,
    /// Kebab case, stable: `packet-id-in-use`.
    pub rule: &'static str,
    /// Statement numbers as the connection's version of the specification numbers them;
    /// empty for what no statement forbids.
    pub statements: &'static [&'static str],
    /// The frame that it is about.
    pub stamp: FrameStamp,
    /// The numbers of further frames that it rests on, in ascending order.
    pub frames: Vec<u64>,
    /// Who caused it.
    pub by: Cause,
    /// How often it occurred and where, where it stands for several.
    pub repeats: Option<Repeats>,
    /// `None` for findings about the capture as a whole.
    pub connection: Option<ConnectionId>,
    /// The client that it concerns; `None` where that is not known.
    pub client_id: Option<Arc<str>>,
    /// One sentence that a newcomer understands. Text from the capture in it is raw: views
    /// make it safe.
    pub message: String,
}

/// The occurrences that one finding stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Repeats {
    /// The number of occurrences.
    pub count: u64,
    /// The number of the frame of the first.
    pub first_frame: u64,
    /// The number of the frame of the last.
    pub last_frame: u64,
}

/// Who caused a finding.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, IntoStaticStr, PartialEq)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The client, by a packet that it sent or did not send.
    Client,
    /// The server, by a packet that it sent or did not send.
    Server,
    /// The way between them, or how it was captured.
    Network,
    /// The capture does not show it.
    #[default]
    Unknown,
}

impl From<Sender> for Cause {
    fn from(sender: Sender) -> Self {
        match sender {
            Sender::Client => Self::Client,
            Sender::Server => Self::Server,
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Hash, IntoStaticStr, Ord, PartialEq, PartialOrd)]
#[strum(serialize_all = "snake_case")]
pub enum Level {
    /// Worth knowing; nothing is broken.
    Note,
    /// Trouble, though no rule is broken.
    Warning,
    /// The specification is broken.
    Error,
}
