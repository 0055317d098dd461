//! The command line: arguments, typed; the plan, decided.

use std::process::ExitCode;

/// Runs the program on the process's own arguments and streams.
pub fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (mode, files) = args.split_first().unwrap();
    let style = crate::view::Style::default();
    let out = std::io::stdout().lock();
    let mut options = crate::inspect::Options::default();
    let mut view: Box<dyn crate::view::View> = match mode.as_str() {
        "--json" => Box::new(crate::view::json::Json::new(
            out,
            crate::view::json::Form::Document,
            style,
        )),
        "-V" => {
            options.layers = true;
            Box::new(crate::view::detail::Detail::new(out, style))
        }
        "--types" => Box::new(crate::view::stats::Stats::new(
            out,
            vec![crate::view::stats::Section::Types],
            crate::view::stats::Form::Tables { width: None },
        )),
        _ => Box::new(crate::view::table::Table::new(out, style)),
    };
    let outcome = crate::inspect::run(&files, &options, &mut view, &mut |_| {});
    for error in &outcome.unreadable {
        eprintln!("mqtt-inspect: {error}");
    }
    if outcome.unreadable.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    }
}
