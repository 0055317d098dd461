//! The arguments as the user may give them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args as Group, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::record::RecordArgs;
use super::{help, values};
use crate::base::limits::Limit;
use crate::event::Level;
use crate::view::TimeFormat;
use crate::view::filter::PacketTypes;
use crate::view::flow::Kind as FlowKind;

/// What follows the options.
const AFTER: &str = "Exit status: 0 done; 1 --check found something at or above its level; \
    2 bad usage, or a capture that cannot be read (what could be read is shown first).\n\n\
    A capture that is named `record` or `help` is read as ./record or ./help.";

/// Shows every MQTT control packet of a capture, and what became of each message.
///
/// Without a view option: a table with a row for each control packet, as Wireshark's list has
/// it. Captures are pcap or pcapng, plain or compressed with gzip, zstd or lz4; MQTT is found
/// on any port.
#[derive(Debug, Parser)]
#[command(
    name = "mqtt-inspect",
    version,
    disable_help_subcommand = true,
    disable_version_flag = true,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    max_term_width = 100,
    override_usage = "mqtt-inspect [OPTIONS] <CAPTURE>...\n       \
                      mqtt-inspect record [OPTIONS] [-- COMMAND [ARG]...]\n       \
                      mqtt-inspect help [TOPIC]",
    after_help = AFTER
)]
pub struct Args {
    #[command(flatten)]
    pub make: MakeArgs,
    #[command(flatten)]
    pub read: ReadArgs,
    #[command(flatten)]
    pub view: ViewArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What else the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a broker of its own and records what passes through it, then shows the capture.
    Record(Box<RecordArgs>),
    /// Prints more about a topic; without one, this help.
    Help {
        /// The topic.
        #[arg(value_name = "TOPIC", value_enum)]
        topic: Option<help::Topic>,
    },
}

/// What is read.
#[derive(Debug, Default, Group)]
#[command(next_help_heading = "Reading")]
pub struct ReadArgs {
    /// Captures, read one after another; `-` is standard input.
    #[arg(value_name = "CAPTURE", value_hint = clap::ValueHint::FilePath)]
    pub captures: Vec<OsString>,

    /// A capture, as in tshark.
    #[arg(short = 'r', long = "read-file", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub read: Vec<OsString>,

    /// Several captures as one, their frames in the order of time.
    #[arg(long)]
    pub merge: bool,

    /// Stop after so many frames.
    #[arg(short = 'c', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Write there, not to standard output; never over an input file.
    #[arg(short = 'o', long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Decode a port as MQTT whatever its traffic looks like: tcp.port==1884,mqtt or
    /// tcp.port==1884-1890,mqtt. Rarely needed: MQTT is recognised on any port.
    #[arg(short = 'd', long = "decode-as", value_name = "RULE", value_parser = values::decode_as)]
    pub decode_as: Vec<values::Ports>,

    /// Another limit, where a capture reaches it and there is memory to spare: connections=N,
    /// held=256MiB. `mqtt-inspect help limits` lists them. May be given several times.
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = values::limit)]
    pub limits: Vec<(Limit, usize)>,

    /// TLS secrets, as clients write them where SSLKEYLOGFILE is set: connections that they fit
    /// are decrypted. Secrets that a pcapng capture holds need not be given.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub keylog: Option<PathBuf>,
}

impl ReadArgs {
    /// Of one capture, read whole.
    pub fn of(capture: OsString) -> Self {
        Self {
            captures: vec![capture],
            ..Self::default()
        }
    }
}

/// The heading of the options that narrow and style a view.
const STYLING: &str = "Selecting and styling";

/// What is shown, and how. `record` takes these too, for what it shows at its end.
#[derive(Clone, Debug, Group)]
#[command(next_help_heading = "Views")]
pub struct ViewArgs {
    /// The detail tree of each control packet, CONNECT flags bit by bit.
    #[arg(short = 'V', long, group = "view")]
    pub detail: bool,

    /// With the octets of each control packet.
    #[arg(short = 'x', long, conflicts_with_all = ["flow", "check", "stats", "log", "json", "ndjson"])]
    pub hex: bool,

    /// Ladder diagrams of handshakes, wills and retained messages; a comma joins several
    /// kinds.
    #[arg(long, value_name = "KIND", group = "view", value_delimiter = ',',
          value_parser = words(&FlowKind::NAMES))]
    pub flow: Vec<FlowKind>,

    /// What is wrong, odd or worth knowing; the level from which the exit status is 1.
    #[arg(long, value_name = "LEVEL", group = "view", num_args = 0..=1, require_equals = true,
          default_missing_value = "warning", value_parser = words(&LEVELS))]
    pub check: Option<Level>,

    /// Summary tables: packet types, topics, clients, handshakes, latencies, connections; or
    /// only those named.
    #[arg(long, value_name = "SECTION", group = "view", num_args = 0..=1, require_equals = true,
          default_missing_value = "all", value_parser = values::sections)]
    pub stats: Option<values::Sections>,

    /// The capture told as mosquitto's -v log would have told it.
    #[arg(long, group = "view", conflicts_with_all = ["json", "ndjson"])]
    pub log: bool,

    /// One JSON document, for the table or for the chosen view.
    #[arg(long, group = "json_form")]
    pub json: bool,

    /// The same records, one a line, streamed.
    #[arg(long, group = "json_form")]
    pub ndjson: bool,

    /// How --flow draws.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text,
          conflicts_with = "json_form", requires_ifs = [("mermaid", "flow"), ("svg", "flow")])]
    pub format: Format,

    /// Ladders without box characters.
    #[arg(long)]
    pub ascii: bool,

    /// The time column, by tshark's letters: relative, absolute (a, ad with the date), delta
    /// (d; dd since the row before), epoch, UTC (u, ud with the date).
    #[arg(help_heading = STYLING, short = 't', value_name = "FORMAT", default_value = "r", hide_default_value = true,
          value_parser = words(&TIMES))]
    pub time: TimeFormat,

    /// Only packets that carry a topic this filter takes (`sensor/+/state`, `a/#`), and what
    /// acknowledges them.
    #[arg(help_heading = STYLING, long, value_name = "FILTER", value_parser = values::topic_filter)]
    pub topic: Option<String>,

    /// Only the connections of this client identifier.
    #[arg(help_heading = STYLING, long, value_name = "ID")]
    pub client: Option<String>,

    /// Only these packet types: PUBLISH,PUBACK or the words of the Info column.
    #[arg(help_heading = STYLING, long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = values::packet_type)]
    pub types: Vec<crate::mqtt::PacketType>,

    /// Colour: on a terminal only, always, or never. NO_COLOR is honoured by auto.
    #[arg(help_heading = STYLING, long, value_name = "WHEN", value_enum, default_value_t = When::Auto)]
    pub color: When,

    /// Columns that a line may take: that of the terminal, otherwise as many as a row needs.
    #[arg(help_heading = STYLING, long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(20..))]
    pub width: Option<u16>,

    /// Passwords in clear; otherwise only their length is shown.
    #[arg(help_heading = STYLING, long)]
    pub show_secrets: bool,

    /// Say less on standard error: only what is wrong.
    #[arg(help_heading = STYLING, short = 'q', long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more on standard error: what was read, and what became of every frame.
    #[arg(help_heading = STYLING, short = 'v', long, action = ArgAction::Count)]
    pub verbose: u8,

    /// A progress bar on standard error, for long files and on a terminal only.
    #[arg(help_heading = STYLING, long, value_name = "WHEN", value_enum, default_value_t = Progress::Auto)]
    pub progress: Progress,
}

impl ViewArgs {
    /// The packet types asked for, if any.
    pub fn packet_types(&self) -> Option<PacketTypes> {
        (!self.types.is_empty()).then(|| {
            self.types
                .iter()
                .fold(PacketTypes::default(), |types, &one| types.with(one))
        })
    }
}

/// What the program writes about itself.
#[derive(Debug, Group)]
pub struct MakeArgs {
    // Written out because -V is the detail tree, as in tshark.
    /// Print the version.
    #[arg(long, action = ArgAction::Version)]
    pub version: Option<bool>,

    /// Write the man page to standard output.
    #[arg(long, hide = true, exclusive = true)]
    pub generate_man: bool,

    /// Write a shell's completions to standard output.
    #[arg(long, hide = true, exclusive = true, value_name = "SHELL", value_enum)]
    pub generate_completions: Option<Shell>,
}

/// How ladders are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    Text,
    Mermaid,
    Svg,
}

/// When there is colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}

/// When there is a progress bar.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Progress {
    Auto,
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

const LEVELS: [(&str, Level); 3] = [
    ("error", Level::Error),
    ("warning", Level::Warning),
    ("note", Level::Note),
];

/// A parser of the words in a table of words and their values.
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
