//! Packet identifiers, handed out one after the other.

use crate::mqtt::PacketIdentifier;

/// The packet identifiers that one end of a session assigns: 1 to 65,535, then 1 again.
#[derive(Clone, Copy, Debug, Default)]
pub struct PacketIdentifiers {
    last: u16,
}

impl PacketIdentifiers {
    /// Takes the next one that is not in use ([MQTT-2.2.1-4]); `None` when all 65,535 are.
    pub fn take(&mut self, in_use: impl Fn(PacketIdentifier) -> bool) -> Option<PacketIdentifier> {
        (0..u16::MAX).find_map(|_| {
            self.last = self.last.checked_add(1).unwrap_or(1);
            PacketIdentifier::new(self.last).filter(|&id| !in_use(id))
        })
    }
}
