//! Instants and spans on the capture's own clock.

/// An instant on the capture's own clock, in nanoseconds since the Unix epoch (UTC).
///
/// pcap files store micro- or nanoseconds, pcapng any power of 2 or 10; the capture layer
/// converts once, so no other code needs to know which.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Returns the instant `nanos` nanoseconds after the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Returns the nanoseconds since the Unix epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Returns the span from `earlier` to this instant; negative where the capture's clock went
    /// back, saturating at the ends of the range.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// Returns this instant moved by `span`, saturating.
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// A signed span of time, in nanoseconds: a capture's clock may step back.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Span(i64);

impl Span {
    /// The empty span.
    pub const ZERO: Self = Self(0);

    /// Returns a span of `nanos` nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A span of `seconds` seconds, or the longest one where that is too many.
    pub fn from_seconds(seconds: usize) -> Self {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// Returns the span in nanoseconds.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Returns the span in seconds, for statistics; exact text is made from [`Span::nanos`].
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// The digits of a second that the capture keeps: those are shown, no more, no fewer.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Precision {
    /// Six digits. Coarser clocks are shown with six as well.
    #[default]
    Micro,
    /// Nine digits: any clock finer than a microsecond.
    Nano,
}

impl Precision {
    /// Returns the digits after the decimal point: 6 or 9.
    pub const fn digits(self) -> usize {
        match self {
            Self::Micro => 6,
            Self::Nano => 9,
        }
    }
}
