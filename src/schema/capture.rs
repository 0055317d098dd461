//! The captures of a run.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with_macros::skip_serializing_none;

use super::accounting::Accounting;
use super::value::{Instant, SCHEMA, is_zero};
use crate::event::{self, SkippedFrames, Totals};

/// The captures of a run and what became of them.
#[skip_serializing_none]
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Capture<'a> {
    /// The version of the data model, in NDJSON; a document has it in its first member.
    pub schema: Option<&'static str>,
    /// The inputs as the user named them.
    pub files: &'a [String],
    /// Frames read.
    pub frames: u64,
    /// Control packets reported, malformed ones included.
    pub packets: u64,
    /// The instant of the first frame, UTC.
    pub first_time: Option<Instant>,
    /// The instant of the last frame, UTC.
    pub last_time: Option<Instant>,
    /// Frames that the snapshot length cut.
    #[serde(skip_serializing_if = "is_zero")]
    pub cut_frames: u64,
    /// Frames without TCP by reason, most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped<'a>>,
    /// Where every frame and every byte went.
    pub accounting: Option<Accounting>,
}

impl<'a> From<&'a Totals> for Capture<'a> {
    fn from(totals: &'a Totals) -> Self {
        let instant = |time| Instant::new(time, totals.precision);
        let accounting = &totals.accounting;
        Self {
            schema: None,
            files: &totals.files,
            frames: totals.frames,
            packets: totals.packets,
            first_time: totals.first_time.map(instant),
            last_time: totals.last_time.map(instant),
            cut_frames: totals.cut_frames,
            skipped: totals.skipped.iter().map(Skipped::from).collect(),
            accounting: (*accounting != event::Accounting::default())
                .then(|| Accounting::from(accounting)),
        }
    }
}

impl Capture<'_> {
    /// Returns the record as a line of its own, which names the data model.
    pub fn with_schema(self) -> Self {
        Self {
            schema: Some(SCHEMA),
            ..self
        }
    }
}

/// Frames that held no TCP segment, for one reason.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Skipped<'a> {
    /// The reason's name, stable, in kebab case.
    pub reason: &'a str,
    /// The reason in words: `unsupported link type 105 (IEEE 802.11)`.
    pub message: &'a str,
    /// How many frames.
    pub frames: u64,
}

impl<'a> From<&'a SkippedFrames> for Skipped<'a> {
    fn from(skipped: &'a SkippedFrames) -> Self {
        Self {
            reason: skipped.reason,
            message: &skipped.message,
            frames: skipped.frames,
        }
    }
}
