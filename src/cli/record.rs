//! `record`: from its arguments to the recording, and to the view of it.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::args::{ReadArgs, RecordArgs, ViewArgs};
use super::messages::{self, TROUBLE};
use super::plan::{Plan, Surroundings, protected};
use super::views::{self, ViewKind};
use crate::record::scenario::{self, SCENARIOS, Scenario};
use crate::record::script::Script;
use crate::record::signals::Ending;
use crate::record::{self, Recorded, Source};

/// Records, then shows the recording. The exit status is the command's where one was run
/// and failed, else that of the view.
///
/// # Errors
/// One line for the user.
pub fn run(args: RecordArgs) -> Result<ExitCode, String> {
    if args.list_scenarios {
        return messages::print(list().as_bytes());
    }
    let view = args.view.clone();
    let options = options(args)?;
    refuse_view_of_pipe(options.output.as_deref(), &view)?;
    let ending = Ending::by_signals(&options.stop);
    let recorded = record::run(&options, &mut io::stderr()).map_err(|error| error.to_string())?;
    // From now on a signal ends the process, as it does where captures are read.
    drop(ending);
    let failed = recorded.status.filter(|&status| status != 0);
    // A capture that no name was given for goes where it is of no use, or its name is not shown.
    let goes = recorded.temporary && (failed.is_some() || view.quiet);
    let is_file = recorded.path.is_file();
    if !view.quiet {
        let frames = messages::counted(recorded.frames, "frame");
        let path = recorded.path.display();
        messages::error(match (goes, is_file, recorded.frames) {
            (true, ..) => format!("{frames} recorded; -o FILE keeps them where the command fails"),
            (_, false, _) => format!("{frames} went through {path}: nothing can be shown of them"),
            (_, _, 1) => format!("{frames} is in {path}"),
            _ => format!("{frames} are in {path}"),
        });
    }
    let shown = if is_file {
        show(&recorded, view).unwrap_or_else(messages::failure)
    } else {
        // What went through a pipe or into a device cannot be read again.
        ExitCode::SUCCESS
    };
    if goes {
        recorded.remove_temporary();
    }
    Ok(match failed {
        Some(status) => u8::try_from(status).unwrap_or(TROUBLE).into(),
        None => shown,
    })
}

/// Refuses a view that was asked for where the capture goes through a named pipe or into a device: its
/// answer would be lost.
///
/// # Errors
/// One line for the user.
fn refuse_view_of_pipe(output: Option<&Path>, view: &ViewArgs) -> Result<(), String> {
    let asked = ViewKind::of(view) != ViewKind::Table || views::json_form(view).is_some();
    match output {
        Some(path) if asked && path.exists() && !path.is_file() && !path.is_dir() => Err(format!(
            "{}: this is no file, and nothing can be shown of it at the end; leave out the view",
            path.display()
        )),
        _ => Ok(()),
    }
}

/// Shows the recording.
///
/// # Errors
/// One line for the user.
fn show(recorded: &Recorded, view: ViewArgs) -> Result<ExitCode, String> {
    let read = ReadArgs {
        captures: vec![recorded.path.clone().into_os_string()],
        ..ReadArgs::default()
    };
    let plan = Plan::new(read, view, &Surroundings::of_process())?;
    super::run::run(&plan)
}

/// Returns the arguments as the recorder takes them.
fn options(args: RecordArgs) -> Result<record::RecordOptions, String> {
    if args.output.as_deref() == Some(Path::new("-")) {
        return Err(
            "-o -: standard output is for the view; name a file or a named pipe".to_owned(),
        );
    }
    let inputs = protected(&[], args.script.as_deref());
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
        inputs,
        port: args.port,
        bind: args.bind,
        link: args.link_type,
        capture: args.capture,
        duration: args.duration,
        frames: args.count,
        source,
        seed: args.seed,
        log: !args.view.quiet,
        stop: Arc::default(),
    })
}

/// Lists the scenarios, a line each.
fn list() -> String {
    let lengths = SCENARIOS.iter().map(|scenario| scenario.name.len());
    let longest = lengths.max().unwrap_or(0);
    let line = |scenario: &Scenario| {
        let about = scenario.script().map(|script| script.about);
        format!(
            "{:longest$}  {}\n",
            scenario.name,
            about.unwrap_or_default()
        )
    };
    SCENARIOS.iter().map(line).collect()
}
