//! How text views look.

use super::clock::TimeFormat;

/// The look of a text view, decided once by the command line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Style {
    /// The form of the time column.
    pub time: TimeFormat,
    /// SGR colours: everything is legible without them.
    pub colour: bool,
    /// In columns of the terminal; `None` lets a row be as long as it must.
    pub width: Option<usize>,
    /// Passwords and other secrets in clear, not only their length.
    pub secrets: bool,
    /// The bytes of each control packet after it.
    pub hex: bool,
}
