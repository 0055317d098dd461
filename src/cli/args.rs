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

/// The text behind the options of `--help`, which is one screen: most of what is asked for is in
/// one of the examples.
const AFTER: &str = "\
Examples:
  mqtt-inspect capture.pcapng                     the packet table
  mqtt-inspect -V --type CONNECT capture.pcapng   every field of each CONNECT
  mqtt-inspect --flow qos2 capture.pcapng         a ladder of each QoS 2 message
  mqtt-inspect --check=error capture.pcapng       status 1 where something is wrong
  mqtt-inspect --stats --topic 'plant/#' *.pcap   counts and rates of these topics
  mqtt-inspect --ndjson capture.pcapng | jq .     for scripts
  tcpdump -i any -U -w - | mqtt-inspect -         live, from a pipe
  mqtt-inspect record --scenario qos2 --flow qos2 a broker of its own, recorded

Exit status: 0 done; 1 --check found something at or above its level; 2 bad usage,
or a capture that cannot be read (what could be read is shown first).
A capture named `record` or `help` is read as ./record or ./help.
More: mqtt-inspect help options|fields|filter|limits|rules";

/// Shows every MQTT control packet of a capture, and what became of each message.
///
/// Without a view option: a table with a row for each control packet, as Wireshark's list has
/// it. Captures are pcap or pcapng, plain or compressed with gzip, zstd or lz4; MQTT is found
/// on any port.
#[derive(Debug, Parser)]
#[command(
    name = "mqtt-inspect",
    version,
    disable_help_flag = true,
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

    /// A capture, as with tshark.
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

    /// Decode a port as MQTT: tcp.port==1884,mqtt.
    ///
    /// Whatever its traffic looks like. A range of ports: tcp.port==1884-1890,mqtt. Rarely
    /// needed: MQTT is recognised on any port.
    #[arg(short = 'd', long = "decode-as", value_name = "RULE", value_parser = values::decode_as)]
    pub decode_as: Vec<values::Ports>,

    /// Another limit: connections=N, held=256MiB (see help limits).
    ///
    /// For a capture that reaches one, where there is memory to spare. May be given several
    /// times.
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = values::limit)]
    pub limits: Vec<(Limit, usize)>,

    /// TLS secrets in the format of SSLKEYLOGFILE, to decrypt with.
    ///
    /// Clients write them where that variable is set. Secrets that a pcapng capture holds need
    /// not be given.
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
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text,
          conflicts_with = "json_form", requires_ifs = [("mermaid", "flow"), ("svg", "flow")])]
    pub format: Format,

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
    pub types: Vec<crate::mqtt::PacketType>,

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

    // Written out because both are the short help; `help options` prints the long one.
    /// Print this help.
    #[arg(short = 'h', long, global = true, action = ArgAction::HelpShort)]
    pub help: Option<bool>,

    /// Write the JSON Schema of all that --json and --ndjson write to standard output.
    #[arg(long, exclusive = true)]
    pub json_schema: bool,

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
