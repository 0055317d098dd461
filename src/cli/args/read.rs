//! Which captures are read, and how.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::Args as Group;

use crate::base::limits::Limit;
use crate::base::{EndpointPattern, Span};
use crate::cli::values;

/// The captures to read, and how they are decoded.
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

    /// Correct the clock of a capture: tap2.pcap=+0.050 adds 50 ms to its times.
    ///
    /// In seconds, with a sign; for two capture points whose clocks differ. The frames of --merge
    /// are ordered by the corrected times. May be given once for each capture.
    #[arg(long = "clock", value_name = "FILE=SECONDS", value_parser = values::clock)]
    pub clocks: Vec<(String, Span)>,

    /// Stop after so many frames.
    #[arg(short = 'c', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Write there, not to standard output; never over an input file.
    ///
    /// A file that is there already is replaced with --force only, once there is something to write; a
    /// named pipe or a device is written to.
    #[arg(short = 'o', long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Replace the file of -o where there is one already.
    #[arg(long)]
    pub force: bool,

    /// Decode a port as MQTT: tcp.port==1884,mqtt.
    ///
    /// Whatever its traffic looks like. A range of ports: tcp.port==1884-1890,mqtt. Rarely
    /// needed: MQTT is recognised on any port.
    #[arg(short = 'd', long = "decode-as", value_name = "RULE", value_parser = values::decode_as)]
    pub decode_as: Vec<RangeInclusive<u16>>,

    /// Another limit: connections=N, held=256MiB (see help limits).
    ///
    /// For a capture that reaches one, where there is memory to spare. May be given several
    /// times.
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = values::limit)]
    pub limits: Vec<(Limit, usize)>,

    /// Server addresses that are one broker: 192.0.2.1:1883,127.0.0.1:1883.
    ///
    /// A broker that is reached at several addresses: without a port, at every port of the
    /// address. May be given once for each broker. A broker's own host is recognised where a
    /// connection from the host to itself is in the capture.
    #[arg(long = "broker", value_name = "ADDRESS[:PORT],...", value_parser = values::broker)]
    pub brokers: Vec<Vec<EndpointPattern>>,

    /// TLS secrets in the format of SSLKEYLOGFILE, to decrypt with.
    ///
    /// Clients write them where that variable is set. Secrets that a pcapng capture holds need
    /// not be given.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub keylog: Option<PathBuf>,
}
