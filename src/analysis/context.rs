//! A control packet while it is acted on.

use super::rules::report::{Check, Report};
use super::state::State;
use super::state::link::Link;
use crate::event::PacketEvent;
use crate::mqtt::Sender;

/// A control packet with all that acting on it may read and change.
pub(crate) struct PacketContext<'a> {
    /// The state, without the packet's connection.
    pub(crate) state: &'a mut State,
    /// Where findings and conclusions go.
    pub(crate) report: &'a mut Report,
    /// The packet's connection, taken out of the state.
    pub(crate) link: &'a mut Link,
    /// The packet.
    pub(crate) event: &'a PacketEvent<'a>,
}

impl PacketContext<'_> {
    /// Returns what rules may read, and the report.
    pub(crate) fn check(&mut self) -> Check<'_> {
        Check {
            state: self.state,
            link: self.link,
            event: self.event,
            report: self.report,
        }
    }

    /// Notes on the connection that a rule found the packet to break the protocol.
    pub(crate) fn blame(&mut self) {
        if self.report.take_fault() && self.event.sender == Sender::Client {
            self.link.blame(self.event.stamp);
        }
    }
}
