//! `record`: from its arguments to the recording, and to the view of it.

use std::io::{self, Write};
use std::process::ExitCode;

use super::args::{CaptureBy, FileFormat, LinkType, ReadArgs, RecordArgs};
use super::messages;
use super::plan::{Plan, Surroundings};
use super::run::TROUBLE;
use crate::capture::Format;
use crate::record::frames::LinkLayer;
use crate::record::scenario::{self, SCENARIOS};
use crate::record::script::Script;
use crate::record::{self, CaptureFrom, Source};

/// Records, then shows the recording. The exit status is the command's where one was run
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

/// Returns the arguments as the recorder takes them.
fn options(args: RecordArgs) -> Result<record::RecordOptions, String> {
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
    Ok(record::RecordOptions {
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

/// Lists the scenarios, a line each.
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
