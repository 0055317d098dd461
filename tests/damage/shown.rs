//! Invariants of every view of every capture, sound or not.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::OnceLock;

use clap::Parser;
use mqtt_inspect::base::text;
use mqtt_inspect::cli::args::Args;
use mqtt_inspect::cli::args::DiagramFormat;
use mqtt_inspect::cli::plan::{Plan, Surroundings};
use mqtt_inspect::cli::views::{ViewKind, json_form};
use mqtt_inspect::event::{Event, LimitReached};
use mqtt_inspect::inspect::{self, Options, Outcome};
use mqtt_inspect::mqtt::PacketType;
use mqtt_inspect::view::json;
use mqtt_inspect::view::{View, colour};

/// The options of the views, as a user gives them; those of the ladders see [`all`].
const LINES: [&str; 28] = [
    "",
    "-x",
    "-V",
    "-V -x",
    "-V --color always",
    "-t ad --width 60 --color always",
    "-t dd --width 20",
    "--json",
    "--ndjson",
    "--check=note",
    "--check --color always",
    "--check --json",
    "--check=error --ndjson",
    "--stats",
    "--stats --width 50",
    "--stats --json",
    "--stats --ndjson",
    "--log",
    "--topic +/#",
    "--topic +/+ --json",
    "--client a -x",
    "--type PUBLISH,CONNECT -V",
    "--type SUBSCRIBE --ndjson",
    "--topic +/# --flow all",
    "--client a --flow all --json",
    "--topic +/# --check",
    "--client a --stats",
    "--topic # --log",
];

/// The kinds that `--flow` takes, and how it draws.
const KINDS: [&str; 7] = [
    "all",
    "qos1",
    "qos2",
    "connect",
    "subscribe",
    "will",
    "retain",
];
const FORMS: [&str; 8] = [
    "",
    "--ascii",
    "--width 30",
    "--color always",
    "--format mermaid",
    "--format svg",
    "--json",
    "--ndjson",
];

/// Elements of the pictures.
const ELEMENTS: [&str; 8] = [
    "svg", "style", "rect", "line", "path", "circle", "text", "title",
];

/// One way to look at a capture: the options, and what the command line decides from them.
#[derive(Debug)]
pub struct Shown {
    /// The options, for the words of a failure.
    pub line: String,
    plan: Plan,
}

/// Every view in every form.
pub fn all() -> &'static [Shown] {
    static ALL: OnceLock<Vec<Shown>> = OnceLock::new();
    ALL.get_or_init(|| lines().map(|line| Shown::of(&line)).collect())
}

/// The options of every view in every form.
pub fn lines() -> impl Iterator<Item = String> {
    let ladders = KINDS.iter().flat_map(|kind| {
        let line = move |form| format!("--flow {kind} {form}");
        FORMS.iter().map(line)
    });
    let plain = LINES.iter().map(|line| (*line).to_owned());
    plain.chain(ladders)
}

impl Shown {
    /// The plan that the command line makes of these options.
    ///
    /// # Panics
    /// Where it does not take them.
    pub fn of(line: &str) -> Self {
        let words = ["mqtt-inspect"].into_iter().chain(line.split_whitespace());
        let args = Args::try_parse_from(words.chain(["capture"])).expect("options that there are");
        let around = Surroundings::default();
        let plan = Plan::new(args.read, args.view, &around).expect("a plan");
        Self {
            line: line.to_owned(),
            plan,
        }
    }

    /// The options of reading: limits.
    pub fn options(&self) -> Options {
        self.plan.reading.clone()
    }

    fn is_log(&self) -> bool {
        ViewKind::of(&self.plan.view) == ViewKind::Log
    }

    /// Checks what it wrote.
    ///
    /// # Panics
    /// Where it does not hold.
    pub fn holds(&self, written: &[u8]) {
        let line = &self.line;
        let text = std::str::from_utf8(written).expect("every view writes UTF-8");
        let text = &match self.plan.style.colour {
            true => uncoloured(text),
            false if self.is_log() => unindented(text),
            false => text.to_owned(),
        };
        let harmful = text.chars().find(|&c| c != '\n' && text::is_unsafe(c));
        assert_eq!(harmful, None, "{line} wrote a control character");
        match (json_form(&self.plan.view), self.plan.view.format) {
            (Some(json::Form::Document), _) if !text.is_empty() => {
                let _: serde_json::Value = serde_json::from_str(text).expect("JSON");
            }
            (Some(json::Form::Lines), _) => {
                for line in text.lines() {
                    let _: serde_json::Value = serde_json::from_str(line).expect("JSON");
                }
            }
            (None, DiagramFormat::Svg) => {
                for markup in text.split('<').skip(1) {
                    let name = markup.trim_start_matches('/');
                    let name = name.split([' ', '>', '/']).next().unwrap_or_default();
                    assert!(
                        ELEMENTS.contains(&name),
                        "<{markup} is markup from a capture"
                    );
                }
                assert!(!text.contains("href"), "{line} leads elsewhere");
            }
            (None | Some(json::Form::Document), _) => {}
        }
    }
}

/// `text` without the colours that the views give it, and no others.
fn uncoloured(text: &str) -> String {
    let types = (0..16).map(|number| colour::of(PacketType::of(number << 4)));
    // The ladders' red is not bold.
    let own = [
        colour::RESET,
        colour::ALARM,
        colour::NOTICE,
        colour::HEADING,
        "\x1b[31m",
    ];
    let mut plain = text.to_owned();
    for code in types.chain(own) {
        plain = plain.replace(code, "");
    }
    plain
}

/// `log` without the tabs that mosquitto sets before a topic that has a line of its own.
fn unindented(log: &str) -> String {
    let lines = log.lines().map(|line| {
        let text = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let text = text.strip_prefix(": ").unwrap_or(line);
        text.strip_prefix('\t').unwrap_or(text)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Where a view writes.
#[derive(Clone, Default)]
pub struct Page(Rc<RefCell<Vec<u8>>>);

impl Page {
    pub fn take(&self) -> Vec<u8> {
        self.0.take()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A view that counts for itself before it passes events on.
struct Counting {
    packets: u64,
    bytes: u64,
    frames: HashSet<u64>,
    places: HashSet<(u64, u32)>,
    ended: HashSet<u32>,
    view: Box<dyn View>,
}

impl View for Counting {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Packet(packet) => {
                self.packets += 1;
                self.bytes += packet.bytes.len() as u64;
                self.frames.insert(packet.stamp.number);
                let place = (packet.stamp.number, packet.index);
                assert!(self.places.insert(place), "{place:?} is told twice");
                let stream = packet.connection.0;
                assert!(!self.ended.contains(&stream), "{stream} had ended");
            }
            Event::Ended(ended) => {
                let stream = ended.connection.0;
                assert!(self.ended.insert(stream), "{stream} ends twice");
            }
            _ => {}
        }
        self.view.event(event)
    }
    fn frame(&mut self, stamp: &mqtt_inspect::base::FrameStamp) {
        self.view.frame(stamp);
    }
    fn needs(&self) -> mqtt_inspect::event::Needs {
        self.view.needs()
    }
    fn idle(&mut self) -> io::Result<()> {
        self.view.idle()
    }
    fn limits_reached(&self) -> Vec<LimitReached> {
        self.view.limits_reached()
    }
    fn finish(&mut self, totals: &mqtt_inspect::event::Totals) -> io::Result<()> {
        self.view.finish(totals)
    }
}

/// Reads `capture`, shows it in `shown` and holds the run to what must hold: nothing is lost,
/// the sums are right, and what was written is safe.
///
/// # Panics
/// Where something does not hold.
pub fn check(capture: impl Read, shown: &Shown, options: &Options) -> Outcome {
    self::shown(capture, shown, options).0
}

/// As [`check`], and what the view wrote.
///
/// # Panics
/// Where something does not hold.
pub fn shown(capture: impl Read, shown: &Shown, options: &Options) -> (Outcome, Vec<u8>) {
    run(shown, options, |options, view| {
        inspect::read(capture, "damaged", options, view)
    })
}

/// The same of whatever `read` reads.
///
/// # Panics
/// Where something does not hold.
pub fn run(
    shown: &Shown,
    options: &Options,
    read: impl FnOnce(&Options, &mut dyn View) -> Outcome,
) -> (Outcome, Vec<u8>) {
    let page = Page::default();
    let mut counting = Counting {
        packets: 0,
        bytes: 0,
        frames: HashSet::new(),
        places: HashSet::new(),
        ended: HashSet::new(),
        view: shown.plan.open(Box::new(page.clone())),
    };
    let outcome = read(options, &mut counting);
    let totals = &outcome.totals;
    let sums = &totals.accounting;
    assert!(sums.adds_up(totals.frames), "{totals:#?}");
    assert_eq!(totals.packets, counting.packets);
    assert_eq!(sums.in_packets, counting.bytes);
    assert_eq!(sums.mqtt_frames, counting.frames.len() as u64);
    let skipped: u64 = totals.skipped.iter().map(|skipped| skipped.frames).sum();
    assert_eq!(sums.skipped_frames, skipped);
    let written = page.take();
    shown.holds(&written);
    (outcome, written)
}
