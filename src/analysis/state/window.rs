//! Messages above QoS 0 that one end has in flight, and for how long there was no room for more.
//!
//! How many an end may have in flight is seldom in the capture: Receive Maximum (5.0) is an upper
//! limit, and servers have limits of their own. So the window is taken to be as large as it ever
//! was: while as many are in flight, what is to be sent next waits for an acknowledgement. Where one
//! more comes after all, it did not.

use crate::base::{FrameStamp, Span, Timestamp};

/// The messages that one end of a connection has in flight.
#[derive(Debug, Default)]
pub(crate) struct Window {
    in_flight: u32,
    most: u32,
    /// As many as ever are in flight, since then.
    full_since: Option<Timestamp>,
    /// For how long that was so before.
    full: Span,
}

impl Window {
    /// Returns how many messages are in flight.
    pub(crate) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Counts a message that is sent.
    pub(crate) fn send(&mut self, now: FrameStamp) {
        self.in_flight += 1;
        if self.in_flight > self.most {
            // There was room since the last acknowledgement.
            self.most = self.in_flight;
            self.full_since = now.time;
        } else if self.in_flight == self.most && self.full_since.is_none() {
            self.full_since = now.time;
        }
    }

    /// Counts a message that is acknowledged, or not waited for any longer.
    pub(crate) fn settle(&mut self, now: FrameStamp) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight < self.most {
            self.full = self.full_until(now);
            self.full_since = None;
        }
    }

    /// Returns for how long there was no room for more, until now.
    pub(crate) fn full_until(&self, now: FrameStamp) -> Span {
        let open = self.full_since.zip(now.time);
        let open = open.map_or(0, |(since, now)| now.since(since).nanos().max(0));
        Span::from_nanos(self.full.nanos().saturating_add(open))
    }

    /// Returns for how long a message waited that is sent now, and found `before` of
    /// [`Window::full_until`] when it was published.
    pub(crate) fn waited(&self, before: Span) -> Span {
        // What is not over yet kept nothing back.
        let waited = self.full.nanos().saturating_sub(before.nanos());
        Span::from_nanos(waited.max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> FrameStamp {
        FrameStamp {
            time: Some(Timestamp::from_nanos(second * 1_000_000_000)),
            ..FrameStamp::default()
        }
    }

    #[test]
    fn what_waits_for_acknowledgements_waited_while_the_window_was_full() {
        let mut window = Window::default();
        window.send(at(1));
        // Published at 2, sent at 5 after the acknowledgement at 4.
        let before = window.full_until(at(2));
        window.settle(at(4));
        assert_eq!(window.waited(before), Span::from_seconds(2));
        window.send(at(5));
        // One after that, which has waited through both.
        window.settle(at(8));
        assert_eq!(window.waited(before), Span::from_seconds(5));
        assert_eq!(window.in_flight(), 0);
    }

    #[test]
    fn a_window_that_takes_one_more_was_not_full() {
        let mut window = Window::default();
        window.send(at(1));
        let before = window.full_until(at(2));
        assert_eq!(window.waited(before), Span::ZERO);
        window.send(at(3));
        assert_eq!(window.full_until(at(3)), Span::ZERO);
    }
}
