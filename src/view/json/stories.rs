//! `--flow --json` and `--check --json`: one kind of record streams, the others follow it.

use std::io::{self, Write};

use super::writer::JsonWriter;
use super::{Form, Held, SCHEMA, record, story};
use crate::base::{FrameStamp, Timestamp};
use crate::event::{Event, Handshake, Needs, Totals};
use crate::view::View;
use crate::view::clock::DateText;
use crate::view::out::Out;

/// What the document is about: its streamed member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Main {
    /// `handshakes`; `wills`, `retained` and `sessions` follow.
    Handshakes,
    /// `findings`.
    Findings,
}

impl Main {
    const fn member(self) -> &'static str {
        match self {
            Self::Handshakes => "handshakes",
            Self::Findings => "findings",
        }
    }
}

/// Stories as JSON.
pub struct Stories<W: Write> {
    out: Out<W>,
    form: Form,
    main: Main,
    needs: Needs,
    /// Which handshakes are asked for.
    takes: Box<dyn Fn(&Event<'_>) -> bool>,
    start: Option<Timestamp>,
    count: u64,
    wills: Held,
    retained: Held,
    sessions: Held,
    gaps: Held,
}

impl<W: Write> Stories<W> {
    /// Writes the stories that `takes` says to `writer`.
    pub fn new(
        writer: W,
        form: Form,
        main: Main,
        needs: Needs,
        takes: Box<dyn Fn(&Event<'_>) -> bool>,
    ) -> Self {
        Self {
            out: Out::new(writer),
            form,
            main,
            needs,
            takes,
            start: None,
            count: 0,
            wills: Held::new("wills", "wills_untold"),
            retained: Held::new("retained", "retained_untold"),
            sessions: Held::new("sessions", "sessions_untold"),
            gaps: Held::new("gaps", "gaps_untold"),
        }
    }

    fn begin(&mut self) {
        let mut json = JsonWriter::new(self.out.text());
        json.begin_object();
        json.word_member("schema", SCHEMA);
        json.key(self.main.member());
        json.begin_array();
        self.out.text().push(b'\n');
    }

    /// A record of the streamed kind.
    fn main(
        &mut self,
        kind: &'static str,
        members: impl FnOnce(&mut JsonWriter<'_>),
    ) -> io::Result<()> {
        match self.form {
            Form::Document if self.count == 0 => self.begin(),
            Form::Document => self.out.text().extend_from_slice(b",\n"),
            Form::Lines => {}
        }
        self.count += 1;
        let mut json = JsonWriter::new(self.out.text());
        json.begin_object();
        if self.form == Form::Lines {
            json.word_member("record", kind);
        }
        members(&mut json);
        json.end_object();
        if self.form == Form::Lines {
            self.out.text().push(b'\n');
        }
        self.out.row_done()
    }

    fn beside(
        &mut self,
        kind: &'static str,
        held: fn(&mut Self) -> &mut Held,
        members: impl FnOnce(&mut JsonWriter<'_>),
    ) -> io::Result<()> {
        if self.form == Form::Lines {
            return self.main(kind, members);
        }
        if let Some(mut json) = held(self).next() {
            json.begin_object();
            members(&mut json);
            json.end_object();
        }
        Ok(())
    }

    fn handshake(&mut self, handshake: &Handshake) -> io::Result<()> {
        let start = self.start;
        self.main("handshake", |json| story::handshake(json, handshake, start))
    }
}

impl<W: Write> View for Stories<W> {
    fn needs(&self) -> Needs {
        self.needs
    }

    fn frame(&mut self, stamp: &FrameStamp) {
        self.start = self.start.or(stamp.time);
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let start = self.start;
        match (self.main, event) {
            (Main::Findings, Event::Finding(finding)) => {
                self.main("finding", |json| story::finding(json, finding))
            }
            (Main::Handshakes, Event::Handshake(handshake)) if (self.takes)(event) => {
                self.handshake(handshake)
            }
            (Main::Handshakes, Event::Will(will)) if (self.takes)(event) => self.beside(
                "will",
                |view| &mut view.wills,
                |json| story::will(json, will, start),
            ),
            (Main::Handshakes, Event::Retained(retained)) if (self.takes)(event) => self.beside(
                "retained",
                |view| &mut view.retained,
                |json| story::retained(json, retained, start),
            ),
            (Main::Handshakes, Event::Session(session)) => self.beside(
                "session",
                |view| &mut view.sessions,
                |json| story::session(json, session),
            ),
            (_, Event::Gap(gap)) => {
                self.beside("gap", |view| &mut view.gaps, |json| record::gap(json, gap))
            }
            _ => Ok(()),
        }
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, totals: &Totals) -> io::Result<()> {
        let mut date = DateText::utc();
        if self.form == Form::Lines {
            let mut json = JsonWriter::new(self.out.text());
            json.begin_object();
            json.word_member("record", "capture");
            json.word_member("schema", SCHEMA);
            record::capture(&mut json, totals, &mut date);
            json.end_object();
            self.out.text().push(b'\n');
            return self.out.flush();
        }
        if self.count == 0 {
            self.begin();
        }
        self.out.text().extend_from_slice(b"\n]");
        let mut json = JsonWriter::after_value(self.out.text());
        for held in [
            &mut self.wills,
            &mut self.retained,
            &mut self.sessions,
            &mut self.gaps,
        ] {
            held.tell(&mut json);
        }
        json.key("capture");
        json.begin_object();
        record::capture(&mut json, totals, &mut date);
        json.end_object();
        json.end_object();
        self.out.text().push(b'\n');
        self.out.flush()
    }
}
