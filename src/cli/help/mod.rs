//! `mqtt-inspect help TOPIC`: what is too long for `--help`, as plain text of 80 columns.

mod fields;
mod filter;
mod limits;
mod rules;
mod wrap;

use clap::{Command, ValueEnum};

use wrap::WIDTH;

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
    /// Returns the text of this topic, which ends in a line end; `command` is the program's.
    pub fn text(self, command: Command) -> String {
        match self {
            Self::Fields => fields::text(),
            Self::Filter => filter::TEXT.to_owned(),
            Self::Limits => limits::text(),
            Self::Options => {
                let mut command = command.term_width(WIDTH);
                command.render_long_help().to_string()
            }
            Self::Rules => rules::text(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::args::Args;

    #[test]
    fn every_topic_keeps_to_its_columns() {
        for topic in Topic::value_variants() {
            let text = topic.text(Args::command());
            assert!(text.ends_with('\n'));
            let wide = text.lines().find(|line| line.chars().count() > WIDTH);
            assert_eq!(wide, None, "{topic:?}");
        }
    }
}
