//! The arguments as the user may give them.
//!
//! `read` (captures), `view` (what is shown) <- `record` <- `mod` (the program). The first
//! paragraph of a comment on an argument is its line in `--help`, all of it stands in the man
//! page and in `help options`.

mod read;
mod record;
mod view;

use std::path::PathBuf;

use clap::{ArgAction, Args as Group, Parser, Subcommand};
use clap_complete::Shell;

use super::help;

pub use read::ReadArgs;
pub use record::RecordArgs;
pub use view::{DiagramFormat, Progress, ViewArgs, When};

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

/// The program's other commands.
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

/// Arguments about the program itself.
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

    /// Write the man pages, a file each, into a folder; without one, the program's own page to
    /// standard output.
    #[arg(long, hide = true, exclusive = true, value_name = "FOLDER", num_args = 0..=1,
          value_hint = clap::ValueHint::DirPath)]
    pub generate_man: Option<Option<PathBuf>>,

    /// Write a shell's completions to standard output.
    #[arg(long, hide = true, exclusive = true, value_name = "SHELL", value_enum)]
    pub generate_completions: Option<Shell>,
}
