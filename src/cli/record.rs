//! `record`: its arguments, and where it begins.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args as Group, ValueEnum};

use super::args::{ReadArgs, ViewArgs};
use super::plan::{Plan, Surroundings};
use super::run::TROUBLE;
use super::{messages, values};
use crate::capture::Format;
use crate::record::frames::LinkLayer;
use crate::record::scenario::{self, SCENARIOS};
use crate::record::script::Script;
use crate::record::{self, CaptureFrom, Source};

/// Arguments of `record`.
#[derive(Debug, Group)]
pub struct RecordArgs {
    /// The capture to write: pcap where the name ends in .pcap, pcapng otherwise. Without it a
    /// temporary file, which is named at the end.
    #[arg(short = 'o', long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// The port to listen on; 0 picks a free one and says which.
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

    /// Play clients as a script of your own says.
    #[arg(long, value_name = "FILE", conflicts_with = "command", value_hint = clap::ValueHint::FilePath)]
    pub script: Option<PathBuf>,

    /// Name the scenarios and what each shows.
    #[arg(long)]
    pub list_scenarios: bool,

    /// Where the frames come from: the broker's own sockets, which needs no privilege, or the
    /// kernel's loopback interface.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = CaptureBy::Tee)]
    pub capture: CaptureBy,

    /// The link layer that the frames are given.
    #[arg(long, value_name = "TYPE", value_enum, default_value_t = LinkType::Ethernet)]
    pub link_type: LinkType,

    /// The format of the file, whatever its name says.
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub file_format: Option<FileFormat>,

    /// Where identifiers and sequence numbers come from: the same number, the same file. A
    /// script that names one comes first.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Write over an existing file.
    #[arg(long)]
    pub force: bool,

    /// Run this with MQTT_HOST and MQTT_PORT set, {host} and {port} replaced; end when it
    /// ends.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,

    #[command(flatten)]
    pub view: ViewArgs,
}

/// Where recorded frames come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum CaptureBy {
    Tee,
    Kernel,
}

/// The link layer of recorded frames.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LinkType {
    Ethernet,
    Sll,
    Sll2,
    Raw,
}

/// The format of the file that is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum FileFormat {
    Pcap,
    Pcapng,
}

/// Records, then shows what was recorded. The exit status is the command's where one was run
/// and failed, else that of the view.
pub fn run(args: RecordArgs) -> ExitCode {
    if args.list_scenarios {
        return list();
    }
    let view = args.view.clone();
    let options = match options(args) {
        Ok(options) => options,
        Err(message) => {
            messages::error(message);
            return TROUBLE.into();
        }
    };
    let recorded = match record::run(&options, &mut io::stderr()) {
        Ok(recorded) => recorded,
        Err(error) => {
            messages::error(error);
            return TROUBLE.into();
        }
    };
    if !view.quiet {
        messages::error(format_args!(
            "{} frames are in {}",
            recorded.frames,
            recorded.path.display()
        ));
    }
    let read = ReadArgs::of(recorded.path.into_os_string());
    let shown = match Plan::new(read, view, &Surroundings::of_process()) {
        Ok(plan) => super::run::run(&plan),
        Err(message) => {
            messages::error(message);
            TROUBLE.into()
        }
    };
    match recorded.status {
        Some(status) if status != 0 => ExitCode::from(u8::try_from(status).unwrap_or(TROUBLE)),
        _ => shown,
    }
}

/// The arguments as the recorder takes them.
fn options(args: RecordArgs) -> Result<record::Options, String> {
    let source = match (args.scenario, args.script) {
        (Some(name), _) => {
            let scenario = scenario::find(&name).ok_or_else(|| {
                format!("there is no scenario {name}; --list-scenarios names them all")
            })?;
            Source::Script(Box::new(
                scenario.script().map_err(|error| error.to_string())?,
            ))
        }
        (None, Some(path)) => {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
            let script =
                Script::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            Source::Script(Box::new(script))
        }
        (None, None) if args.command.is_empty() => Source::Anybody,
        (None, None) => Source::Command(args.command),
    };
    Ok(record::Options {
        output: args.output,
        format: args.file_format.map(|format| match format {
            FileFormat::Pcap => Format::Pcap,
            FileFormat::Pcapng => Format::PcapNg,
        }),
        force: args.force,
        port: args.port,
        bind: args.bind,
        link: match args.link_type {
            LinkType::Ethernet => LinkLayer::Ethernet,
            LinkType::Sll => LinkLayer::LinuxCooked,
            LinkType::Sll2 => LinkLayer::LinuxCooked2,
            LinkType::Raw => LinkLayer::Raw,
        },
        capture: match args.capture {
            CaptureBy::Tee => CaptureFrom::Tee,
            CaptureBy::Kernel => CaptureFrom::Kernel,
        },
        duration: args.duration,
        frames: args.count,
        source,
        seed: args.seed,
        log: !args.view.quiet,
    })
}

/// Names the scenarios, a line each.
fn list() -> ExitCode {
    let longest = SCENARIOS
        .iter()
        .map(|scenario| scenario.name.len())
        .max()
        .unwrap_or(0);
    let mut out = io::stdout().lock();
    for scenario in SCENARIOS {
        let about = scenario
            .script()
            .map(|script| script.about)
            .unwrap_or_default();
        if writeln!(out, "{:longest$}  {about}", scenario.name).is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}
