//! `mqtt-inspect help TOPIC`: what is too long for `--help`, as plain text of 80 columns.

mod fields;
mod filter;
mod limits;
mod rules;

use clap::{CommandFactory, ValueEnum};

use super::args::Args;

/// A topic of `mqtt-inspect help`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Topic {
    /// The fields of frames and control packets, with Wireshark's names and types.
    Fields,
    /// Selecting packets: --topic, --client, --type.
    Filter,
    /// How much is kept of a capture, and of a client of `record`.
    Limits,
    /// Every option in full.
    Options,
    /// The rules of findings, with their levels and statements.
    Rules,
}

impl Topic {
    /// Returns the text of this topic, which ends in a line end.
    pub fn text(self) -> String {
        match self {
            Self::Fields => fields::text(),
            Self::Filter => filter::TEXT.to_owned(),
            Self::Limits => limits::text(),
            Self::Options => options(),
            Self::Rules => rules::text(),
        }
    }
}

/// Every option with all that there is to say about it, as the man page has it.
fn options() -> String {
    let mut command = Args::command().term_width(WIDTH);
    command.render_long_help().to_string()
}

/// Columns of a line, as many as the smallest terminal has.
const WIDTH: usize = 80;

/// Appends `text` in lines of at most [`WIDTH`] columns that begin with `indent` blanks. A word
/// is never cut.
fn push_wrapped(out: &mut String, indent: usize, text: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.len() > WIDTH {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_keeps_to_its_columns() {
        for topic in Topic::value_variants() {
            let text = topic.text();
            assert!(text.ends_with('\n'));
            let wide = text.lines().find(|line| line.chars().count() > WIDTH);
            assert_eq!(wide, None, "{topic:?}");
        }
    }
}
