//! The command line: arguments, typed; the plan, decided; the run.
//!
//! `closed` <- `values`, `messages`, `help` <- `args` <- `views` (the list of views) <- `plan` <- `run` <-
//! `record` <- `mod`. To add a view: its folder in `view`, its option in `args/view.rs`, its line
//! in `views`.

pub mod args;
mod closed;
pub mod help;
pub mod messages;
pub mod plan;
pub mod record;
pub mod run;
mod values;
pub mod views;

use std::fs;
use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use self::args::{Args, Command, MakeArgs};
use self::messages::TROUBLE;
use self::plan::{Plan, Surroundings};
use crate::schema;

/// Runs the program on the process's own arguments and streams.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help goes to standard output, usage to standard error; a closed pipe is no
            // trouble.
            if error.use_stderr() {
                messages::usage(&error.to_string());
                return TROUBLE.into();
            }
            return show_help(&error).unwrap_or_else(messages::failure);
        }
    };
    carry_out(args).unwrap_or_else(messages::failure)
}

/// Does what the arguments ask for.
///
/// # Errors
/// One line for the user.
fn carry_out(args: Args) -> Result<ExitCode, String> {
    if let Some(made) = make(&args.make)? {
        return messages::print(&made);
    }
    match args.command {
        Some(Command::Record(record)) => record::run(*record),
        Some(Command::Help { topic }) => {
            let text = match topic {
                Some(topic) => topic.text(Args::command()),
                None => Args::command().render_help().to_string(),
            };
            messages::print(text.as_bytes())
        }
        None => run::run(&Plan::new(
            args.read,
            args.view,
            &Surroundings::of_process(),
        )?),
    }
}

/// Returns the JSON Schema, the man page or completions, where they are asked for. Man pages for a
/// folder are written into it, which is made where it does not exist.
fn make(args: &MakeArgs) -> Result<Option<Vec<u8>>, String> {
    let mut made = Vec::new();
    if args.json_schema {
        made = format!("{:#}\n", schema::json_schema().as_value()).into_bytes();
    } else if let Some(folder) = &args.generate_man {
        let pages = man();
        match folder {
            Some(folder) => fs::create_dir_all(folder)
                .and_then(|()| {
                    (pages.iter()).try_for_each(|(name, page)| fs::write(folder.join(name), page))
                })
                .map_err(|error| format!("{}: {error}", folder.display()))?,
            None => made.extend(pages.into_iter().take(1).flat_map(|(_, page)| page)),
        }
    } else if let Some(shell) = args.generate_completions {
        clap_complete::generate(shell, &mut Args::command(), "mqtt-inspect", &mut made);
    } else {
        return Ok(None);
    }
    Ok(Some(made))
}

/// Shows help or version on standard output, with the colours of `clap` on a terminal.
///
/// # Errors
/// The answer is lost: one line for the user.
fn show_help(error: &clap::Error) -> Result<ExitCode, String> {
    // An error if standard output is closed.
    messages::print(b"")?;
    match error.print() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: cannot be written: {error}"))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Returns the man pages by file name: the program's own first, then those of its commands.
fn man() -> Vec<(String, Vec<u8>)> {
    let mut command = Args::command();
    command.build();
    let pages = std::iter::once(&command).chain(command.get_subcommands());
    pages
        .map(|command| {
            let name = command
                .get_display_name()
                .unwrap_or_else(|| command.get_name());
            let mut page = Vec::new();
            // Writing to memory does not fail.
            let _ = clap_mangen::Man::new(command.clone()).render(&mut page);
            (format!("{name}.1"), page)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_hold_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn help_is_one_screen_for_the_program_and_for_record() {
        let mut command = Args::command();
        command.build();
        let record = command.find_subcommand("record").unwrap().clone();
        for command in [command, record] {
            let help = command.term_width(100).render_help().to_string();
            assert!(help.lines().count() <= 75, "{help}");
        }
    }

    #[test]
    fn man_page_and_completions_come_from_the_arguments() {
        let pages = man();
        let page = |name: &str| {
            let (_, page) = pages.iter().find(|(one, _)| one == name).unwrap();
            String::from_utf8(page.clone()).unwrap()
        };
        let (own, record) = (page("mqtt-inspect.1"), page("mqtt-inspect-record.1"));
        assert!(own.contains("\\-\\-show\\-secrets"), "{own}");
        assert!(record.contains("\\-\\-list\\-scenarios"), "{record}");
        let mut made = Vec::new();
        clap_complete::generate(
            clap_complete::Shell::Bash,
            &mut Args::command(),
            "mqtt-inspect",
            &mut made,
        );
        assert!(String::from_utf8(made).unwrap().contains("--ndjson"));
    }
}
