//! `record`: from its arguments to the recording, and to the view of it.

use std::io::{self, Write};
use std::process::ExitCode;

use super::args::{ReadArgs, RecordArgs};
use super::messages::{self, TROUBLE};
use super::plan::{Plan, Surroundings};
use crate::record::scenario::{self, SCENARIOS};
use crate::record::script::Script;
use crate::record::{self, Source};

/// Records, then shows the recording. The exit status is the command's where one was run
/// and failed, else that of the view.
///
/// # Errors
/// One line for the user.
pub fn run(args: RecordArgs) -> Result<ExitCode, String> {
    if args.list_scenarios {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    let view = args.view.clone();
    let recorded =
        record::run(&options(args)?, &mut io::stderr()).map_err(|error| error.to_string())?;
    if !view.quiet {
        messages::error(format_args!(
            "{} frames are in {}",
            recorded.frames,
            recorded.path.display()
        ));
    }
    let read = ReadArgs {
        captures: vec![recorded.path.into_os_string()],
        ..ReadArgs::default()
    };
    let plan = Plan::new(read, view, &Surroundings::of_process());
    let shown = plan.and_then(|plan| super::run::run(&plan));
    let shown = shown.unwrap_or_else(messages::failure);
    Ok(match recorded.status {
        Some(status) if status != 0 => u8::try_from(status).unwrap_or(TROUBLE).into(),
        _ => shown,
    })
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
        format: args.file_format,
        force: args.force,
        port: args.port,
        bind: args.bind,
        link: args.link_type,
        capture: args.capture,
        duration: args.duration,
        frames: args.count,
        source,
        seed: args.seed,
        log: !args.view.quiet,
    })
}

/// Lists the scenarios, a line each.
fn list() {
    let lengths = SCENARIOS.iter().map(|scenario| scenario.name.len());
    let longest = lengths.max().unwrap_or(0);
    let mut out = io::stdout().lock();
    for scenario in SCENARIOS {
        let script = scenario.script();
        let about = script.map(|script| script.about).unwrap_or_default();
        if writeln!(out, "{:longest$}  {about}", scenario.name).is_err() {
            break;
        }
    }
}
