//! The time for the broker and its capture: starts at the wall clock, never goes back.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::base::{Span, Timestamp};

/// Wall time at the start, and a monotonic clock from there.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    wall: Timestamp,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: Instant::now(),
            wall: Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)),
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.wall.plus(Span::from_nanos(passed))
    }
}
