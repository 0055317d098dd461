//! What must hold of every view of every capture, sound or not.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::rc::Rc;

use mqtt_inspect::base::text;
use mqtt_inspect::event::Event;
use mqtt_inspect::inspect::{self, Options, Outcome};
use mqtt_inspect::session::Wanted;
use mqtt_inspect::view::check::Check;
use mqtt_inspect::view::detail::Detail;
use mqtt_inspect::view::flow::{self, Flow, Kind};
use mqtt_inspect::view::json::stories::{Main, Stories};
use mqtt_inspect::view::json::{self, Json};
use mqtt_inspect::view::stats::{self, Section, Stats};
use mqtt_inspect::view::table::Table;
use mqtt_inspect::view::{Style, View};

/// The views there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shown {
    Table,
    Detail,
    Hex,
    Json,
    NdJson,
    Ladders,
    Mermaid,
    Svg,
    Handshakes,
    Findings,
    Check,
    Stats,
    StatsJson,
}

impl Shown {
    pub const ALL: [Self; 13] = [
        Self::Table,
        Self::Detail,
        Self::Hex,
        Self::Json,
        Self::NdJson,
        Self::Ladders,
        Self::Mermaid,
        Self::Svg,
        Self::Handshakes,
        Self::Findings,
        Self::Check,
        Self::Stats,
        Self::StatsJson,
    ];

    /// The view, writing to `page`.
    pub fn view(self, page: Page) -> Box<dyn View> {
        let style = Style {
            hex: self == Self::Hex,
            ..Style::default()
        };
        let kinds = vec![Kind::All];
        let every = || Box::new(|_: &Event<'_>| true);
        let sections: Vec<Section> = Section::NAMES.iter().map(|(_, one)| *one).collect();
        match self {
            Self::Table => Box::new(Table::new(page, style)),
            Self::Detail | Self::Hex => Box::new(Detail::new(page, style)),
            Self::Json => Box::new(Json::new(page, json::Form::Document, style)),
            Self::NdJson => Box::new(Json::new(page, json::Form::Lines, style)),
            Self::Ladders => {
                let text = flow::text::Style {
                    width: 100,
                    ascii: false,
                    colour: false,
                    start: None,
                };
                Box::new(Flow::new(page, kinds, flow::Format::Text(text)))
            }
            Self::Mermaid => Box::new(Flow::new(page, kinds, flow::Format::Mermaid)),
            Self::Svg => Box::new(Flow::new(page, kinds, flow::Format::Svg)),
            Self::Handshakes => {
                let form = json::Form::Document;
                Box::new(Stories::new(page, form, Main::Handshakes, every()))
            }
            Self::Findings => {
                let form = json::Form::Lines;
                Box::new(Stories::new(page, form, Main::Findings, every()))
            }
            Self::Check => Box::new(Check::new(page, false)),
            Self::Stats => {
                let form = stats::Form::Tables { width: Some(100) };
                Box::new(Stats::new(page, sections, form))
            }
            Self::StatsJson => Box::new(Stats::new(page, sections, stats::Form::Json)),
        }
    }

    /// The analysis that it needs, or more: hearing more than it asked for is right too.
    fn wanted(self) -> Wanted {
        match self {
            Self::Table | Self::Json | Self::NdJson => Wanted::default(),
            _ => Wanted::ALL,
        }
    }

    /// What must hold of what it wrote.
    ///
    /// # Panics
    /// Where it does not hold.
    pub fn holds(self, written: &[u8]) {
        let text = std::str::from_utf8(written).expect("every view writes UTF-8");
        let safe = |c: char| c == '\n' || !text::is_unsafe(c);
        assert!(text.chars().all(safe), "{self:?} wrote a control character");
        match self {
            Self::Json | Self::Handshakes | Self::StatsJson if !text.is_empty() => {
                let _: serde_json::Value = serde_json::from_str(text).expect("JSON");
            }
            Self::NdJson | Self::Findings => {
                for line in text.lines() {
                    let _: serde_json::Value = serde_json::from_str(line).expect("JSON");
                }
            }
            Self::Svg => {
                let within = text.replace("<script", "");
                assert_eq!(within.len(), text.len(), "markup from a capture");
            }
            _ => {}
        }
    }
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
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(octets);
        Ok(octets.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A view that counts for itself before another one hears.
struct Counting {
    packets: u64,
    octets: u64,
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
                self.octets += packet.octets.len() as u64;
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
    fn wants_frames(&self) -> bool {
        self.view.wants_frames()
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
pub fn check(capture: impl Read, view: Shown, options: &Options) -> Outcome {
    shown(capture, view, options).0
}

/// As [`check`], and what the view wrote.
///
/// # Panics
/// Where something does not hold.
pub fn shown(capture: impl Read, shown: Shown, options: &Options) -> (Outcome, Vec<u8>) {
    let page = Page::default();
    let mut counting = Counting {
        packets: 0,
        octets: 0,
        frames: HashSet::new(),
        places: HashSet::new(),
        ended: HashSet::new(),
        view: shown.view(page.clone()),
    };
    let options = Options {
        wanted: shown.wanted(),
        ..options.clone()
    };
    let outcome = inspect::read(capture, "damaged", &options, &mut counting);
    let totals = &outcome.totals;
    let sums = &totals.accounting;
    assert!(sums.adds_up(totals.frames), "{totals:#?}");
    assert_eq!(totals.packets, counting.packets);
    assert_eq!(sums.in_packets, counting.octets);
    assert_eq!(sums.mqtt_frames, counting.frames.len() as u64);
    let skipped: u64 = totals.skipped.iter().map(|skipped| skipped.frames).sum();
    assert_eq!(sums.skipped_frames, skipped);
    let written = page.take();
    shown.holds(&written);
    (outcome, written)
}
