//! Arguments of `record`.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args as Group;

use super::view::ViewArgs;
use crate::capture::Format;
use crate::cli::values;
use crate::record::CaptureFrom;
use crate::record::frames::LinkLayer;

/// Source, format and end of a recording, and the view that follows it.
#[derive(Debug, Group)]
pub struct RecordArgs {
    /// The capture to write: pcap where the name ends in .pcap, pcapng otherwise. Without it a
    /// temporary file, which is named at the end.
    ///
    /// Only its owner may read it. It may be a named pipe, which nothing can be shown of at the end.
    /// The temporary file is removed where the recording or its command fails, and with -q, which
    /// names no file.
    #[arg(short = 'o', long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// The port to listen on; 0 picks a free one, which is printed.
    #[arg(long, value_name = "N", default_value_t = 1883)]
    pub port: u16,

    /// Another address than loopback to listen on. Anyone who reaches it may connect.
    #[arg(long, value_name = "ADDRESS")]
    pub bind: Vec<IpAddr>,

    /// Stop after this time: 10s, 500ms, 2m.
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub duration: Option<Duration>,

    /// Stop after so many frames.
    #[arg(short = 'c', value_name = "N")]
    pub count: Option<u64>,

    /// Play clients from the list of scenarios.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["script", "command"])]
    pub scenario: Option<String>,

    /// Play clients of a script of your own.
    #[arg(long, value_name = "FILE", conflicts_with = "command", value_hint = clap::ValueHint::FilePath)]
    pub script: Option<PathBuf>,

    /// Name the scenarios and what each shows.
    #[arg(long)]
    pub list_scenarios: bool,

    /// Where the frames come from: the broker's own sockets, which needs no privilege, or the
    /// kernel's loopback interface.
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub capture: CaptureFrom,

    /// The link layer that the frames are given.
    #[arg(long, value_name = "TYPE", value_enum, default_value_t)]
    pub link_type: LinkLayer,

    /// The format of the file, whatever its name ends in.
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub file_format: Option<Format>,

    /// Where identifiers and sequence numbers come from: the same number, the same file. A
    /// script that names one comes first.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Replace the file of -o where there is one already.
    #[arg(long)]
    pub force: bool,

    /// Run this with MQTT_HOST and MQTT_PORT set, {host} and {port} replaced; end when it
    /// ends.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,

    #[command(flatten)]
    pub view: ViewArgs,
}
