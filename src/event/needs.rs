//! Which parts of a run a view needs: what only serves others is not done.

/// The parts of a run that a view needs beyond control packets, gaps and connections, which
/// every view is given.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// The stamp of every frame, not only of the first that has a time.
    pub frames: bool,
    /// The layers below MQTT, and where each control packet stands in them.
    pub layers: bool,
    /// [`Event::Handshake`](super::Event::Handshake).
    pub handshakes: bool,
    /// Handshakes in the order in which they began; otherwise each as soon as it is settled,
    /// and none waits in memory for those before it.
    pub in_order: bool,
    /// Deliveries on handshakes, wills and stored messages: these need the messages to be
    /// followed.
    pub deliveries: bool,
    /// [`Event::Will`](super::Event::Will), [`Event::Retained`](super::Event::Retained) and
    /// [`Event::Session`](super::Event::Session).
    pub stories: bool,
    /// [`Event::Finding`](super::Event::Finding).
    pub findings: bool,
    /// Of deliveries [`Delivered::steps`](super::Delivered::steps), and those that did not come about
    /// since a subscription was over.
    pub details: bool,
}

impl Needs {
    /// Everything.
    pub const ALL: Self = Self {
        frames: true,
        layers: true,
        handshakes: true,
        in_order: true,
        deliveries: true,
        stories: true,
        findings: true,
        details: true,
    };

    /// Returns whether the analysis must run: decoding alone gives none of these.
    pub const fn analysis(self) -> bool {
        self.handshakes || self.deliveries || self.stories || self.findings
    }

    /// Returns what either of two views needs.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            frames: self.frames || other.frames,
            layers: self.layers || other.layers,
            handshakes: self.handshakes || other.handshakes,
            in_order: self.in_order || other.in_order,
            deliveries: self.deliveries || other.deliveries,
            stories: self.stories || other.stories,
            findings: self.findings || other.findings,
            details: self.details || other.details,
        }
    }
}
