//! The tables of `--stats`, which may be asked for one by one.

/// One table of the statistics.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Section {
    /// Control packets by type and sender.
    Types,
    /// PUBLISH packets by topic.
    Topics,
    /// Sessions.
    Clients,
    /// Handshakes by kind, and their round trips.
    Handshakes,
    /// From publisher to subscriber, by topic.
    Latency,
    /// How connections ended.
    Connections,
}

impl Section {
    /// Every section with the word that asks for it, in the order of the tables.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("types", Self::Types),
        ("topics", Self::Topics),
        ("clients", Self::Clients),
        ("handshakes", Self::Handshakes),
        ("latency", Self::Latency),
        ("connections", Self::Connections),
    ];
}
