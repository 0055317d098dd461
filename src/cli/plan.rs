//! The plan: what a run does, decided once from the arguments and the surroundings.

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use super::args::{Progress, ReadArgs, ViewArgs, When};
use super::messages;
use super::views;
use crate::base::Span;
use crate::base::limits::{Limit, Limits};
use crate::capture::{OutputOptions, is_same};
use crate::carrier::tls::KeyLog;
use crate::view::{Style, View};
use crate::{connection, inspect};

/// Everything that decides what a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Files, named pipes, or `-` for standard input, in the order given.
    pub inputs: Vec<OsString>,
    pub reading: inspect::Options,
    /// `None` is standard output.
    pub output: Option<OutputOptions>,
    /// The view and the reports beside it, as they were asked for.
    pub view: ViewArgs,
    /// How text looks.
    pub style: Style,
    /// A progress bar on standard error, where the captures are long.
    pub progress: bool,
}

/// The program's surroundings: asked once, so that a plan depends on nothing else.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Columns of the terminal that standard output is; `None` where it is none.
    pub terminal: Option<usize>,
    /// Standard error is a terminal.
    pub messages_on_terminal: bool,
    /// `NO_COLOR` is set and not empty, or the terminal knows no colour.
    pub no_color: bool,
    /// `COLUMNS`, where it is a number.
    pub columns: Option<usize>,
    /// The locale knows only ASCII.
    pub ascii: bool,
}

/// Columns of a terminal whose width is not known.
const USUAL_WIDTH: usize = 80;

/// Columns below which nothing can be laid out.
const LEAST_WIDTH: usize = 20;

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = set("LC_ALL")
            .or_else(|| set("LC_CTYPE"))
            .or_else(|| set("LANG"));
        let columns = set("COLUMNS").and_then(|text| text.parse().ok());
        let measured = || {
            let size = terminal_size::terminal_size_of(io::stdout());
            size.map(|(columns, _)| usize::from(columns.0))
                .filter(|&columns| columns > 0)
        };
        Self {
            terminal: io::stdout()
                .is_terminal()
                .then(|| measured().or(columns).unwrap_or(USUAL_WIDTH)),
            messages_on_terminal: io::stderr().is_terminal(),
            no_color: set("NO_COLOR").is_some() || set("TERM").as_deref() == Some("dumb"),
            columns,
            ascii: locale.is_some_and(|locale| is_ascii(&locale)),
        }
    }
}

/// Returns whether a locale's characters are ASCII, by its name: `C`, `POSIX`, `en_US.ASCII`.
fn is_ascii(locale: &str) -> bool {
    match locale.split_once('.') {
        None => matches!(locale, "C" | "POSIX"),
        Some((_, codeset)) => {
            let codeset = codeset.to_ascii_lowercase();
            codeset.starts_with("ascii") || codeset.starts_with("ansi_x3.4")
        }
    }
}

/// Decides how text looks on `terminal`, which is `None` where the answer does not go to one.
fn style(args: &ViewArgs, around: &Surroundings, terminal: Option<usize>) -> Style {
    let width = args.width.map(usize::from);
    let width = width.or(terminal).or(around.columns);
    Style {
        time: args.time,
        colour: match args.color {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal.is_some() && !around.no_color,
        },
        width: width.map(|columns| columns.max(LEAST_WIDTH)),
        secrets: args.show_secrets,
        hex: args.hex,
    }
}

impl Plan {
    /// Decides; refuses what would do harm.
    ///
    /// # Errors
    /// One line for the user.
    pub fn new(read: ReadArgs, mut view: ViewArgs, around: &Surroundings) -> Result<Self, String> {
        let mut inputs = read.captures;
        inputs.extend(read.read);
        if inputs.is_empty() {
            return Err(
                "no capture was named; try mqtt-inspect FILE, or --help for more".to_owned(),
            );
        }
        if inputs.iter().filter(|input| *input == "-").count() > 1 {
            return Err("standard input (-) can be read only once".to_owned());
        }
        let output = read.output.filter(|path| path.as_os_str() != "-");
        let output = output.map(|path| OutputOptions {
            path,
            force: read.force,
            private: false,
            inputs: protected(&inputs, read.keylog.as_deref()),
        });
        if let Some(output) = &output {
            output.check().map_err(|error| error.to_string())?;
        }
        let clocks = clocks(read.clocks, &inputs)?;
        let secrets = read.keylog.as_deref().map(secrets).transpose()?;
        let limits = limits(&read.limits);
        let terminal = around.terminal.filter(|_| output.is_none());
        view.ascii |= around.ascii;
        Ok(Self {
            inputs,
            reading: inspect::Options {
                frames: read.count,
                merge: read.merge,
                clocks,
                decoding: connection::DecodingOptions {
                    decode_as: read.decode_as.into_iter().flatten().collect(),
                    secrets: secrets.unwrap_or_default(),
                    ..connection::DecodingOptions::default()
                },
                limits,
                brokers: read.brokers,
            },
            output,
            style: style(&view, around, terminal),
            // Rows that run over a terminal leave no place for a bar.
            progress: view.progress == Progress::Auto
                && around.messages_on_terminal
                && terminal.is_none()
                && !view.quiet,
            view,
        })
    }

    /// Opens the view, which writes to `writer`.
    pub fn open(&self, writer: Box<dyn Write>) -> Box<dyn View> {
        views::open(&self.view, self.style, &self.reading.limits, writer)
    }
}

/// Returns the limits of a run, where `changed` are those that the user chose.
fn limits(changed: &[(Limit, usize)]) -> Limits {
    let mut limits = Limits::default();
    for &(limit, value) in changed {
        limits.set(limit, value);
        // One table, whose default is smaller where the analysis runs: a user means both.
        if limit == Limit::Connections {
            limits.analysed_connections = value;
        }
    }
    limits
}

/// Returns the inputs whose clocks the user corrects.
fn clocks(
    given: Vec<(String, Span)>,
    inputs: &[OsString],
) -> Result<Vec<(OsString, Span)>, String> {
    let mut clocks: Vec<(OsString, Span)> = Vec::new();
    for (name, shift) in given {
        let same = |input: &&OsString| **input == *name || is_same(Path::new(&name), input);
        let input = inputs.iter().find(same);
        let input = input.ok_or_else(|| {
            format!(
                "--clock {name}: this is none of the captures to read; name one as it stands there"
            )
        })?;
        if clocks.iter().any(|(other, _)| other == input) {
            return Err(format!("--clock {name}: its clock is corrected twice"));
        }
        clocks.push((input.clone(), shift));
    }
    Ok(clocks)
}

/// Octets of a key log that are read: of more than a million connections.
const KEYLOG_CAP: u64 = 256 << 20;

/// Cuts a key log behind its last line within the first `most` octets. Returns whether it was longer.
fn cut_key_log(text: &mut Vec<u8>, most: u64) -> bool {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if text.len() <= most {
        return false;
    }
    text.truncate(most);
    let lines = text.iter().rposition(|byte| *byte == b'\n');
    text.truncate(lines.map_or(0, |end| end + 1));
    true
}

/// Reads the file of secrets at `path`, which must hold one.
fn secrets(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let mut text = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(KEYLOG_CAP + 1).read_to_end(&mut text))
        .map_err(|error| format!("--keylog {shown}: {error}"))?;
    if cut_key_log(&mut text, KEYLOG_CAP) {
        messages::error(format_args!(
            "--keylog {shown}: only the secrets in its first {} MiB are read",
            KEYLOG_CAP >> 20
        ));
    }
    if KeyLog::default().learn(&text) == 0 {
        return Err(format!(
            "--keylog {shown}: no TLS secret stands there; a line is, for example, \
             CLIENT_RANDOM with two hexadecimal numbers (SSLKEYLOGFILE)"
        ));
    }
    Ok(text)
}

/// Returns the files that are read, which no output may be. `other` is always a file, whatever its
/// name; among the inputs `-` is standard input.
pub(super) fn protected(inputs: &[OsString], other: Option<&Path>) -> Vec<OsString> {
    let other = other.map(|path| Path::new(".").join(path).into_os_string());
    inputs.iter().cloned().chain(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Args, DiagramFormat};
    use crate::cli::views::{ViewKind, json_form};
    use crate::event::{Level, Needs};
    use crate::view::flow::FlowKind;
    use crate::view::stats::Section;
    use crate::view::{TimeFormat, json};
    use clap::Parser;

    fn plan(args: &[&str], around: &Surroundings) -> Result<Plan, String> {
        let args = ["mqtt-inspect"].iter().chain(args);
        let args = Args::try_parse_from(args).map_err(|error| error.to_string())?;
        Plan::new(args.read, args.view, around)
    }

    fn show(args: &[&str]) -> Plan {
        plan(args, &Surroundings::default()).unwrap()
    }

    #[test]
    fn a_key_log_is_cut_between_two_lines() {
        for (most, left) in [
            (8, "a b c\n"),
            (12, "a b c\nd e f\n"),
            (13, "a b c\nd e f\n"),
        ] {
            let mut text = b"a b c\nd e f\n".to_vec();
            assert_eq!(cut_key_log(&mut text, most), most < 12);
            assert_eq!(text, left.as_bytes());
        }
    }

    #[test]
    fn without_options_it_is_the_table() {
        let plan = plan(&["a.pcap", "-r", "b.pcap"], &Surroundings::default()).unwrap();
        assert_eq!(plan.inputs, ["a.pcap", "b.pcap"]);
        assert_eq!(ViewKind::of(&plan.view), ViewKind::Table);
        assert_eq!(plan.style, Style::default());
        let view = plan.open(Box::new(io::sink()));
        assert_eq!(view.needs(), Needs::default());
    }

    #[test]
    fn each_view_is_asked_for_by_its_option() {
        for (args, kind) in [
            (&["-V", "x"][..], ViewKind::Detail),
            (&["--log", "x"], ViewKind::Log),
            (&["--check", "x"], ViewKind::Check),
            (&["--stats", "x"], ViewKind::Stats),
            (&["--flow", "will", "x"], ViewKind::Flow),
        ] {
            assert_eq!(ViewKind::of(&show(args).view), kind);
        }
        assert_eq!(
            show(&["--flow", "qos1,will", "x"]).view.flow,
            [FlowKind::Qos1, FlowKind::Will]
        );
        assert_eq!(show(&["--check", "x"]).view.check, Some(Level::Warning));
        assert_eq!(show(&["--check=note", "x"]).view.check, Some(Level::Note));
        assert_eq!(
            show(&["--stats=types", "x"]).view.stats.unwrap().0,
            [Section::Types]
        );
        assert_eq!(
            show(&["--flow=all", "--format=svg", "x"]).view.format,
            DiagramFormat::Svg
        );
        assert_eq!(
            json_form(&show(&["--json", "x"]).view),
            Some(json::Form::Document)
        );
        assert_eq!(show(&["-t", "ud", "x"]).style.time, TimeFormat::UtcDate);
        assert!(show(&["-x", "x"]).style.hex);
    }

    #[test]
    fn a_clock_is_corrected_of_a_capture_that_is_read_and_once() {
        let show = |args: &[&str]| plan(args, &Surroundings::default());
        let plan = show(&["a", "b", "--clock", "b=-0.5"]).unwrap();
        let shift = Span::from_nanos(-500_000_000);
        assert_eq!(plan.reading.clocks, [(OsString::from("b"), shift)]);
        let unknown = show(&["a", "--clock", "b=1"]).err().unwrap();
        assert!(
            unknown.starts_with("--clock b: this is none of"),
            "{unknown}"
        );
        let twice = show(&["a", "--clock", "a=1", "--clock", "a=2"])
            .err()
            .unwrap();
        assert!(twice.contains("twice"), "{twice}");
        let wrong = show(&["a", "--clock", "a"]).err().unwrap();
        assert!(wrong.contains("FILE=SECONDS"), "{wrong}");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for args in [
            &["-V", "--stats", "x"][..],
            &["--json", "--ndjson", "x"],
            &["--format=svg", "x"],
            &["--flow", "all", "--format=svg", "--json", "x"],
            &["--log", "--json", "x"],
            &["--flow", "nope", "x"],
            &["-", "-"],
            &["-q", "-v", "x"],
            &["--topic", "a/#/b", "x"],
            &[],
        ] {
            assert!(plan(args, &Surroundings::default()).is_err(), "{args:?}");
        }
    }

    #[test]
    fn colour_and_width_follow_the_terminal_and_nothing_else_does() {
        let terminal = Surroundings {
            terminal: Some(100),
            columns: Some(70),
            messages_on_terminal: true,
            ..Surroundings::default()
        };
        let style = |args: &[&str], around: &Surroundings| plan(args, around).unwrap().style;
        let on = style(&["x"], &terminal);
        assert_eq!((on.colour, on.width), (true, Some(100)));
        let no_color = Surroundings {
            no_color: true,
            ..terminal.clone()
        };
        assert!(!style(&["x"], &no_color).colour);
        assert!(style(&["--color=always", "x"], &no_color).colour);
        let to_file = style(&["-o", "/dev/null", "x"], &terminal);
        assert_eq!((to_file.colour, to_file.width), (false, Some(70)));
        assert_eq!(style(&["--width", "132", "x"], &terminal).width, Some(132));
        assert_eq!(style(&["x"], &Surroundings::default()).width, None);
    }

    #[test]
    fn limits_are_given_by_name_in_numbers_or_bytes() {
        let around = Surroundings::default();
        let reading = |args: &[&str]| plan(args, &around).unwrap().reading;
        let usual = reading(&["x"]);
        assert_eq!(usual.limits, Limits::default());
        let given = reading(&[
            "--limit=connections=7",
            "--limit=waiting=1KiB",
            "--limit=waiting-all=2MiB",
            "--limit=held=1GiB",
            "--limit=fragments=4096",
            "--limit=wills=3",
            "--limit=fragment-seconds=60",
            "x",
        ]);
        assert_eq!(given.limits.connections, 7);
        assert_eq!(given.limits.analysed_connections, 7);
        assert_eq!(given.limits.waiting, 1 << 10);
        assert_eq!(given.limits.waiting_all, 2 << 20);
        assert_eq!(given.limits.held, 1 << 30);
        assert_eq!(given.limits.fragments, 4096);
        assert_eq!((given.limits.wills, given.limits.fragment_seconds), (3, 60));
        for wrong in [
            "held",
            "held=",
            "held=0",
            "held=-1",
            "held=1.5MiB",
            "held=99999999999999999999",
            "held=99999999999GiB",
            "connections=1MiB",
            "connections=99999999",
            "headers=64",
            "nothing=1",
        ] {
            let given = format!("--limit={wrong}");
            assert!(plan(&[&given, "x"], &around).is_err(), "{wrong}");
        }
    }

    #[test]
    fn record_is_a_command_and_a_path_to_record_is_a_capture() {
        let record = Args::try_parse_from([
            "mqtt-inspect",
            "record",
            "--scenario",
            "qos2",
            "--flow",
            "qos2",
        ]);
        assert!(record.unwrap().command.is_some());
        let file = Args::try_parse_from(["mqtt-inspect", "./record"]).unwrap();
        assert!(file.command.is_none());
        assert_eq!(file.read.captures, ["./record"]);
        let second = Args::try_parse_from(["mqtt-inspect", "a.pcap", "record"]).unwrap();
        assert_eq!(second.read.captures, ["a.pcap", "record"]);
    }

    #[test]
    fn a_locale_of_ascii_is_known_by_its_name() {
        for (locale, ascii) in [
            ("C", true),
            ("POSIX", true),
            ("C.UTF-8", false),
            ("ko_KR.UTF-8", false),
            ("en_US", false),
            ("en_US.ANSI_X3.4-1968", true),
        ] {
            assert_eq!(is_ascii(locale), ascii, "{locale}");
        }
    }
}
