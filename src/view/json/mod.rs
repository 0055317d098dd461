//! JSON: one document (`--json`), or a record a line (`--ndjson`), of packets, handshakes or
//! findings.
//!
//! The records are [`crate::schema`]'s; here they are put together: `format` (how text and bytes
//! are escaped) <- `packet` (the fast way for packets) <- `mod` (the view). Both forms stream. What a document holds beside its main
//! records waits as text until these are over, up to [`Limits::json_records`] of a kind; lines hold
//! nothing back.

mod format;
mod packet;

use std::io::{self, Write};

use serde::Serialize;

use super::info;
use super::observer::View;
use super::out::{Out, put};
use super::style::Style;
use crate::base::FrameStamp;
use crate::base::limits::Limits;
use crate::event::{Event, Needs, Totals};
use crate::schema::packet::Context;
use crate::schema::{
    Capture, Finding, Gap, Handshake, Incomplete, NotMqtt, Packet, Record, Retained, SCHEMA,
    Session, Untagged, Will,
};

/// How the records stand together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// One JSON document.
    Document,
    /// A record a line, each naming its kind in `"record"`.
    Lines,
}

/// The subject of a document: its first list, which streams.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Main {
    /// `packets`.
    Packets,
    /// `handshakes`; `wills`, `retained` and `sessions` follow.
    Handshakes,
    /// `findings`.
    Findings,
}

/// Returns whether an event is shown.
pub type Takes = Box<dyn Fn(&Event<'_>) -> bool>;

/// Records of a run as JSON.
pub struct Json<W: Write> {
    out: Out<W>,
    form: Form,
    main: Main,
    needs: Needs,
    /// Which handshakes, wills and stored messages are shown.
    takes: Takes,
    context: Context,
    /// The Info column of the packet at hand.
    info: Vec<u8>,
    /// Main records written.
    count: u64,
    held: [Held; MEMBERS.len()],
    /// Records of one kind that are held; the rest is counted.
    most_held: usize,
}

impl<W: Write> Json<W> {
    /// Writes the control packets to `writer`.
    pub fn new(writer: W, form: Form, style: Style) -> Self {
        Self {
            out: Out::new(writer),
            form,
            main: Main::Packets,
            needs: Needs::default(),
            takes: Box::new(|_| true),
            context: Context {
                start: None,
                secrets: style.secrets,
            },
            info: Vec::new(),
            count: 0,
            held: Default::default(),
            most_held: Limits::DEFAULT.json_records,
        }
    }

    /// Writes the findings to `writer`.
    pub fn findings(writer: W, form: Form, style: Style) -> Self {
        let needs = Needs {
            findings: true,
            ..Needs::default()
        };
        Self {
            main: Main::Findings,
            needs,
            ..Self::new(writer, form, style)
        }
    }

    /// Writes the handshakes, wills and stored messages that `takes` lets through to `writer`,
    /// and the sessions; `needs` is what `takes` asks for.
    pub fn handshakes(writer: W, form: Form, needs: Needs, takes: Takes, style: Style) -> Self {
        let needs = Needs {
            stories: true,
            ..needs
        };
        Self {
            main: Main::Handshakes,
            needs,
            takes,
            ..Self::new(writer, form, style)
        }
    }

    /// Holds as many records as `limits` allow.
    #[must_use]
    pub fn with_limits(mut self, limits: &Limits) -> Self {
        self.most_held = limits.json_records;
        self
    }

    /// Writes a record now, or keeps it until the main records of a document are over.
    fn record(&mut self, record: &Record<'_>) -> io::Result<()> {
        if self.form == Form::Lines {
            self.write(record, record)?;
            self.out.text().push(b'\n');
            return self.out.row_done();
        }
        if let Some(held) = place(record).and_then(|at| self.held.get_mut(at)) {
            return held.keep(record, self.most_held);
        }
        self.separate();
        self.write(record, &Untagged(record))?;
        self.out.row_done()
    }

    /// Writes a record in the form that is wanted.
    fn write(&mut self, record: &Record<'_>, form: &impl Serialize) -> io::Result<()> {
        if matches!(record, Record::Packet(_)) {
            let written = form.serialize(packet::Serializer(&mut self.out));
            written.map_err(|error| error.0)
        } else {
            write(&mut self.out, form)
        }
    }

    /// Writes what stands before a main record: the head of the document, or a comma.
    fn separate(&mut self) {
        let text = self.out.text();
        if self.count == 0 {
            let member = match self.main {
                Main::Packets => "packets",
                Main::Handshakes => "handshakes",
                Main::Findings => "findings",
            };
            let head = format_args!("{{\"schema\":\"{SCHEMA}\",\"{member}\":[\n");
            put(text, head);
        } else {
            text.extend_from_slice(b",\n");
        }
        self.count += 1;
    }
}

impl<W: Write> View for Json<W> {
    fn needs(&self) -> Needs {
        self.needs
    }

    fn frame(&mut self, stamp: &FrameStamp) {
        self.context.start = self.context.start.or(stamp.time);
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let (context, start) = (self.context, self.context.start);
        let record = match (self.main, event) {
            (Main::Packets, Event::Packet(seen)) => {
                let mut info = std::mem::take(&mut self.info);
                info.clear();
                info::words(&mut info, seen);
                let words = simdutf8::basic::from_utf8(&info).unwrap_or_default();
                let written = self.record(&Record::Packet(Packet::new(seen, context, words)));
                self.info = info;
                return written;
            }
            (Main::Packets, Event::Ended(ended)) => {
                for incomplete in ended.incomplete.iter().flatten() {
                    self.record(&Record::Incomplete(Incomplete::new(ended, incomplete)))?;
                }
                return Ok(());
            }
            (Main::Packets, Event::NotMqtt(not)) => Record::NotMqtt(NotMqtt::from(*not)),
            (Main::Findings, Event::Finding(one)) => Record::Finding(Finding::from(*one)),
            (Main::Handshakes, Event::Handshake(_) | Event::Will(_) | Event::Retained(_))
                if !(self.takes)(event) =>
            {
                return Ok(());
            }
            (Main::Handshakes, Event::Handshake(one)) => {
                Record::Handshake(Handshake::new(one, start))
            }
            (Main::Handshakes, Event::Will(one)) => Record::Will(Will::new(one, start)),
            (Main::Handshakes, Event::Retained(one)) => Record::Retained(Retained::new(one, start)),
            (Main::Handshakes, Event::Session(one)) => Record::Session(Session::from(*one)),
            (_, Event::Gap(gap)) => Record::Gap(Gap::from(*gap)),
            _ => return Ok(()),
        };
        self.record(&record)
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, totals: &Totals) -> io::Result<()> {
        let capture = Capture::from(totals);
        if self.form == Form::Lines {
            self.record(&Record::Capture(capture.with_schema()))?;
            return self.out.flush();
        }
        if self.count == 0 {
            self.separate();
        }
        let text = self.out.text();
        text.extend_from_slice(b"\n]");
        for (member, held) in MEMBERS.iter().zip(&mut self.held) {
            if held.count > 0 {
                put(text, format_args!(",\"{member}\":["));
                text.append(&mut held.text);
                text.push(b']');
            }
            if held.omitted > 0 {
                put(text, format_args!(",\"{member}_omitted\":{}", held.omitted));
            }
        }
        text.extend_from_slice(b",\"capture\":");
        write(&mut self.out, &capture)?;
        self.out.text().extend_from_slice(b"}\n");
        self.out.flush()
    }
}

/// Writes a value as compact JSON that is safe to look at.
///
/// # Errors
///
/// The writer's own: a closed pipe is one.
pub fn write(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, format::Safe);
    Ok(value.serialize(&mut serializer)?)
}

/// The lists that follow the main one in a document.
const MEMBERS: [&str; 6] = [
    "wills",
    "retained",
    "sessions",
    "gaps",
    "incomplete",
    "not_mqtt",
];

/// Returns which of [`MEMBERS`] a record belongs to; `None` for the main list.
const fn place(record: &Record<'_>) -> Option<usize> {
    match record {
        Record::Will(_) => Some(0),
        Record::Retained(_) => Some(1),
        Record::Session(_) => Some(2),
        Record::Gap(_) => Some(3),
        Record::Incomplete(_) => Some(4),
        Record::NotMqtt(_) => Some(5),
        _ => None,
    }
}

/// Records of one kind as text, waiting for their place in the document.
#[derive(Debug, Default)]
struct Held {
    text: Vec<u8>,
    count: usize,
    /// How many more there were than may be held.
    omitted: u64,
}

impl Held {
    /// Keeps a record as text; beyond `most` it is only counted.
    fn keep(&mut self, record: &Record<'_>, most: usize) -> io::Result<()> {
        if self.count >= most {
            self.omitted += 1;
            return Ok(());
        }
        if self.count > 0 {
            self.text.extend_from_slice(b",\n");
        }
        self.count += 1;
        write(&mut self.text, &Untagged(record))
    }
}

#[cfg(test)]
mod tests;
