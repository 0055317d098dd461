//! JSON: one document (`--json`), or a record a line (`--ndjson`).
//!
//! Both stream. What a document tells beside its packets (gaps, packets that never completed,
//! connections that are not MQTT) is held as text until its packets are over, up to
//! [`HELD_RECORDS`] of a kind; the lines hold nothing back.

pub(super) mod packet;
pub mod record;
mod row;
pub mod stories;
pub mod story;
pub mod writer;

use std::io::{self, Write};

pub use packet::readable;
pub use writer::JsonWriter;

use packet::PacketMembers;
use row::Page;

use super::clock::DateText;
use super::{Style, View};
use crate::base::FrameStamp;
use crate::event::{Event, PacketEvent, Totals};

/// What every document says of itself.
pub const SCHEMA: &str = "mqtt-inspect/1";

/// Records of one kind that a document holds until its packets are over; the rest is only
/// counted. About 10 MB.
pub const HELD_RECORDS: usize = 50_000;

/// How the records stand together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// One JSON document.
    Document,
    /// A record a line, each naming its kind in `"record"`.
    Lines,
}

/// Records of one kind, waiting for their place in the document.
#[derive(Debug)]
struct Held {
    /// The document's member.
    member: &'static str,
    /// How many more there were than could be held: the member that says so.
    untold_member: &'static str,
    text: Vec<u8>,
    count: usize,
    untold: u64,
}

impl Held {
    fn new(member: &'static str, untold_member: &'static str) -> Self {
        Self {
            member,
            untold_member,
            text: Vec::new(),
            count: 0,
            untold: 0,
        }
    }

    /// Where the next record is written; `None` at the cap.
    fn next(&mut self) -> Option<JsonWriter<'_>> {
        if self.count == HELD_RECORDS {
            self.untold += 1;
            return None;
        }
        let first = self.count == 0;
        self.count += 1;
        if !first {
            self.text.extend_from_slice(b",\n");
        }
        Some(JsonWriter::new(&mut self.text))
    }

    fn tell(&mut self, json: &mut JsonWriter<'_>) {
        if self.count > 0 {
            json.key(self.member);
            json.begin_array();
            json.raw().append(&mut self.text);
            json.end_array();
        }
        if self.untold > 0 {
            json.number_member(self.untold_member, self.untold);
        }
    }
}

/// The packets of a run as JSON.
#[derive(Debug)]
pub struct Json<W: Write> {
    page: Page<W>,
    form: Form,
    packets: PacketMembers,
    date: DateText,
    /// Packets written.
    count: u64,
    gaps: Held,
    incomplete: Held,
    not_mqtt: Held,
}

impl<W: Write> Json<W> {
    pub fn new(writer: W, form: Form, style: Style) -> Self {
        Self {
            page: Page::new(writer),
            form,
            packets: PacketMembers::new(style.secrets),
            date: DateText::utc(),
            count: 0,
            gaps: Held::new("gaps", "gaps_untold"),
            incomplete: Held::new("incomplete", "incomplete_untold"),
            not_mqtt: Held::new("not_mqtt", "not_mqtt_untold"),
        }
    }

    fn packet(&mut self, seen: &PacketEvent<'_>) -> io::Result<()> {
        if self.form == Form::Document && self.count == 0 {
            self.page.other(begin_document);
        }
        let mut row = self.page.row();
        match self.form {
            Form::Document if self.count == 0 => row.put(b"{"),
            Form::Document => row.put(b",\n{"),
            Form::Lines => row.put(b"{\"record\":\"packet\","),
        }
        self.count += 1;
        self.packets.push(&mut row, seen);
        match self.form {
            Form::Document => row.put(b"}"),
            Form::Lines => row.put(b"}\n"),
        }
        row.end();
        self.page.row_done()
    }

    /// Writes one record beside the packets: now in lines, later in a document.
    fn record(
        &mut self,
        kind: &'static str,
        held: fn(&mut Self) -> &mut Held,
        members: impl FnOnce(&mut JsonWriter<'_>),
    ) -> io::Result<()> {
        match self.form {
            Form::Lines => {
                self.page.other(|out| {
                    let mut json = JsonWriter::new(out);
                    json.begin_object();
                    json.word_member("record", kind);
                    members(&mut json);
                    json.end_object();
                    out.push(b'\n');
                });
                self.page.row_done()
            }
            Form::Document => {
                if let Some(mut json) = held(self).next() {
                    json.begin_object();
                    members(&mut json);
                    json.end_object();
                }
                Ok(())
            }
        }
    }
}

impl<W: Write> View for Json<W> {
    fn frame(&mut self, stamp: &FrameStamp) {
        self.packets.frame(stamp);
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Packet(seen) => self.packet(seen),
            Event::Gap(gap) => self.record(
                "gap",
                |view| &mut view.gaps,
                |json| {
                    record::gap(json, gap);
                },
            ),
            Event::Ended(ended) => {
                for incomplete in ended.incomplete.iter().flatten() {
                    self.record(
                        "incomplete",
                        |view| &mut view.incomplete,
                        |json| {
                            record::incomplete(json, ended, incomplete);
                        },
                    )?;
                }
                Ok(())
            }
            Event::NotMqtt(not) => self.record(
                "not_mqtt",
                |view| &mut view.not_mqtt,
                |json| {
                    record::not_mqtt(json, not);
                },
            ),
            _ => Ok(()),
        }
    }

    fn idle(&mut self) -> io::Result<()> {
        self.page.flush()
    }

    fn finish(&mut self, totals: &Totals) -> io::Result<()> {
        if self.form == Form::Document && self.count == 0 {
            self.page.other(begin_document);
        }
        let date = &mut self.date;
        let held = [&mut self.gaps, &mut self.incomplete, &mut self.not_mqtt];
        self.page.other(|out| {
            match self.form {
                Form::Document => {
                    out.extend_from_slice(b"\n]");
                    let mut json = JsonWriter::after_value(out);
                    for held in held {
                        held.tell(&mut json);
                    }
                    json.key("capture");
                    json.begin_object();
                    record::capture(&mut json, totals, date);
                    json.end_object();
                    json.end_object();
                }
                Form::Lines => {
                    let mut json = JsonWriter::new(out);
                    json.begin_object();
                    json.word_member("record", "capture");
                    json.word_member("schema", SCHEMA);
                    record::capture(&mut json, totals, date);
                    json.end_object();
                }
            }
            out.push(b'\n');
        });
        self.page.flush()
    }
}

/// The document up to its first packet.
fn begin_document(out: &mut Vec<u8>) {
    let mut json = JsonWriter::new(out);
    json.begin_object();
    json.word_member("schema", SCHEMA);
    json.key("packets");
    json.begin_array();
    out.push(b'\n');
}

#[cfg(test)]
mod tests;
