//! The command line: arguments, typed; the plan, decided; the run.
//!
//! `values`, `messages`, `help` <- `args` <- `views` (the list of views) <- `plan` <- `run` <-
//! `record` <- `mod`. To add a view: its folder in `view`, its option in `args/view.rs`, its line
//! in [`views::VIEWS`].

pub mod args;
pub mod help;
pub mod messages;
pub mod plan;
pub mod record;
pub mod run;
mod values;
pub mod views;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use self::args::{Args, Command, MakeArgs};
use self::plan::{Plan, Surroundings};
use self::run::TROUBLE;
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
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
    };
    if let Some(done) = make(&args.make) {
        return done;
    }
    match args.command {
        Some(Command::Record(record)) => return record::run(*record),
        Some(Command::Help { topic }) => return help(topic),
        None => {}
    }
    match Plan::new(args.read, args.view, &Surroundings::of_process()) {
        Ok(plan) => run::run(&plan),
        Err(message) => {
            messages::error(message);
            TROUBLE.into()
        }
    }
}

/// Writes the JSON Schema, the man page or completions, where they are asked for.
fn make(args: &MakeArgs) -> Option<ExitCode> {
    let mut made = Vec::new();
    if args.json_schema {
        made = format!("{:#}\n", schema::json_schema().as_value()).into_bytes();
    } else if args.generate_man {
        if let Err(error) = man(&mut made) {
            messages::error(error);
            return Some(TROUBLE.into());
        }
    } else if let Some(shell) = args.generate_completions {
        clap_complete::generate(shell, &mut Args::command(), "mqtt-inspect", &mut made);
    } else {
        return None;
    }
    Some(print(&made))
}

/// Prints a topic of the help, or the help itself where none is named.
fn help(topic: Option<help::Topic>) -> ExitCode {
    let text = match topic {
        Some(topic) => topic.text(Args::command()),
        None => Args::command().render_help().to_string(),
    };
    print(text.as_bytes())
}

/// Writes an answer to standard output; a closed pipe is success.
fn print(answer: &[u8]) -> ExitCode {
    match io::stdout().write_all(answer) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            messages::error(error);
            TROUBLE.into()
        }
        _ => ExitCode::SUCCESS,
    }
}

/// The man page: the program's own, and below it that of `record`.
fn man(out: &mut Vec<u8>) -> io::Result<()> {
    let mut command = Args::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(out)?;
    for sub in command.get_subcommands() {
        clap_mangen::Man::new(sub.clone()).render(out)?;
    }
    Ok(())
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
        let mut page = Vec::new();
        man(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains("\\-\\-show\\-secrets"), "{page}");
        assert!(page.contains("\\-\\-list\\-scenarios"), "{page}");
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
