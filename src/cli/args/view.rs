//! Which view is shown, and how it looks.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args as Group, ValueEnum};

use crate::cli::values;
use crate::event::Level;
use crate::mqtt::PacketType;
use crate::view::TimeFormat;
use crate::view::flow::FlowKind;

/// The heading of the options that narrow and style a view.
const STYLING: &str = "Selecting and styling";

/// The view and its look. `record` takes these too, for the view at its end.
#[derive(Clone, Debug, Group)]
#[command(next_help_heading = "Views")]
pub struct ViewArgs {
    /// The detail tree of each control packet, CONNECT flags bit by bit.
    #[arg(short = 'V', long, group = "view")]
    pub detail: bool,

    /// With the octets of each control packet.
    #[arg(short = 'x', long, conflicts_with_all = ["flow", "check", "stats", "log", "json", "ndjson"])]
    pub hex: bool,

    /// Ladder diagrams of these kinds; a comma joins several.
    ///
    /// Of handshakes, wills and retained messages.
    #[arg(long, value_name = "KIND", group = "view", value_delimiter = ',',
          value_parser = words(&FlowKind::NAMES))]
    pub flow: Vec<FlowKind>,

    /// Findings; the exit status is 1 from this level on (default: warning).
    ///
    /// A finding is something wrong (error), odd (warning) or worth knowing (note).
    #[arg(long, value_name = "LEVEL", group = "view", num_args = 0..=1, require_equals = true,
          default_missing_value = "warning", value_parser = words(&LEVELS))]
    pub check: Option<Level>,

    /// Summary tables; only these: types,topics,clients,handshakes,latency,connections.
    #[arg(long, value_name = "SECTION", group = "view", num_args = 0..=1, require_equals = true,
          default_missing_value = "all", value_parser = values::sections)]
    pub stats: Option<values::Sections>,

    /// The log that mosquitto -v would have written.
    #[arg(long, group = "view", conflicts_with_all = ["json", "ndjson"])]
    pub log: bool,

    /// One JSON document, for the table or for the chosen view.
    #[arg(long, group = "json_form")]
    pub json: bool,

    /// The same records, one a line, streamed.
    #[arg(long, group = "json_form")]
    pub ndjson: bool,

    /// How --flow draws.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = DiagramFormat::Text,
          conflicts_with = "json_form", requires_ifs = [("mermaid", "flow"), ("svg", "flow")])]
    pub format: DiagramFormat,

    /// Ladders without box characters.
    #[arg(long, hide_short_help = true)]
    pub ascii: bool,

    /// The time column, by tshark's letters: r, a, ad, d, dd, e, u, ud.
    ///
    /// Relative, absolute (a, ad with the date), delta (d; dd since the row before), epoch, UTC
    /// (u, ud with the date).
    #[arg(help_heading = STYLING, short = 't', value_name = "FORMAT", default_value = "r",
          hide_default_value = true, hide_possible_values = true,
          value_parser = words(&TIMES))]
    pub time: TimeFormat,

    /// Only packets with a topic that this filter takes (`sensor/+/state`).
    ///
    /// And the packets that acknowledge them.
    #[arg(help_heading = STYLING, long, value_name = "FILTER", value_parser = values::topic_filter)]
    pub topic: Option<String>,

    /// Only the connections of this client identifier.
    #[arg(help_heading = STYLING, long, value_name = "ID")]
    pub client: Option<String>,

    /// Only these packet types: PUBLISH,PUBACK.
    ///
    /// Or the words of the Info column, or the types' numbers.
    #[arg(help_heading = STYLING, long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = values::packet_type)]
    pub types: Vec<PacketType>,

    /// Colour; auto: on a terminal, and NO_COLOR is honoured.
    #[arg(help_heading = STYLING, long, value_name = "WHEN", value_enum,
          default_value_t = When::Auto, hide_default_value = true)]
    pub color: When,

    /// Columns that a line may take.
    ///
    /// Without it those of the terminal, otherwise as many as a row needs.
    #[arg(help_heading = STYLING, long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(20..))]
    pub width: Option<u16>,

    /// Passwords and other secrets in clear, not only their length.
    #[arg(help_heading = STYLING, long)]
    pub show_secrets: bool,

    /// Less on standard error: only errors.
    #[arg(help_heading = STYLING, short = 'q', long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// More on standard error: what became of every frame.
    #[arg(help_heading = STYLING, short = 'v', long, action = ArgAction::Count)]
    pub verbose: u8,

    /// A progress bar on standard error, for long files and on a terminal only.
    #[arg(help_heading = STYLING, long, value_name = "WHEN", value_enum,
          default_value_t = Progress::Auto, hide_short_help = true)]
    pub progress: Progress,
}

/// How `--flow` draws its ladders.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum DiagramFormat {
    /// For a terminal.
    Text,
    /// A Mermaid sequence diagram.
    Mermaid,
    /// A picture.
    Svg,
}

/// When there is colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Also into files and pipes.
    Always,
    /// Not at all.
    Never,
}

/// When there is a progress bar.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Progress {
    /// On a terminal, for long files.
    Auto,
    /// Not at all.
    Never,
}

/// The letters of `-t`.
const TIMES: [(&str, TimeFormat); 8] = [
    ("r", TimeFormat::Relative),
    ("a", TimeFormat::Absolute),
    ("ad", TimeFormat::AbsoluteDate),
    ("d", TimeFormat::Delta),
    ("dd", TimeFormat::DeltaDisplayed),
    ("e", TimeFormat::Epoch),
    ("u", TimeFormat::Utc),
    ("ud", TimeFormat::UtcDate),
];

/// The levels of `--check`.
const LEVELS: [(&str, Level); 3] = [
    ("error", Level::Error),
    ("warning", Level::Warning),
    ("note", Level::Note),
];

/// Returns a parser of the words in a table of words and their values.
fn words<T, const N: usize>(
    table: &'static [(&'static str, T); N],
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(table.iter().map(|(word, _)| *word)).try_map(|given| {
        table
            .iter()
            .find(|(word, _)| *word == given)
            .map(|&(_, value)| value)
            .ok_or("not a known word")
    })
}
