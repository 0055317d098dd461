//! The packet table: a row for each control packet, as Wireshark's list has it.
//!
//! Rows stream: nothing is held back to find the widths of the columns, so a column begins
//! with a sensible width and grows when a value needs more. That is why the rows are laid out
//! by hand and not by comfy-table, which must hold every row before it prints the first.

mod flow;

use std::io::{self, Write};

use super::clock::Clock;
use super::colour;
use super::detail::hex::{self, Hidden};
use super::info::{self, Sink};
use super::line::{self, Kept, Line, Lines};
use super::notes::Notes;
use super::observer::View;
use super::out::{Out, micros_text, put};
use super::routes::{Routes, put_address};
use super::style::Style;
use crate::base::FrameStamp;
use crate::event::{Event, Needs, PacketEvent, Totals};

const PROTOCOL: &str = "MQTT";

/// Columns of a terminal from which on the table is spread out; below, each column begins
/// as narrow as its values.
const SPREAD: usize = 120;

/// Where `src,dest,type` stands when a row may be as long as it must: this far after Info.
const INFO_WIDTH: usize = 56;

/// Bytes that a short text is padded to, so that a copy of fixed size can take it.
const SHORT: usize = 16;

/// Bytes of a route between two IPv4 addresses, where the columns are as wide as they begin.
const ROUTE: usize = 46;

/// Bytes of two ports with a comma behind each, and the blanks behind them.
const PORTS: usize = 12 + SHORT;

/// Columns of `.` and six digits.
const MICROS: usize = 7;

/// How wide the columns are by now.
#[derive(Clone, Copy, Debug)]
struct Widths {
    number: usize,
    time: usize,
    source: usize,
    destination: usize,
    protocol: usize,
    length: usize,
    /// Blanks between two columns.
    between: usize,
}

impl Widths {
    /// For rows of any length: the columns' names fit, IPv4 addresses fit.
    const LOOSE: Self = Self {
        number: 5,
        time: 11,
        source: 15,
        destination: 15,
        protocol: 8,
        length: 6,
        between: 2,
    };
    /// For a narrow terminal: room is kept for Info.
    const TIGHT: Self = Self {
        number: 3,
        time: 8,
        source: 3,
        destination: 3,
        protocol: 4,
        length: 3,
        between: 1,
    };
}

/// The packet table.
#[derive(Debug)]
pub struct Table<W: Write> {
    out: Out<W>,
    style: Style,
    clock: Clock,
    widths: Widths,
    routes: Routes<{ ROUTE + PORTS }>,
    notes: Notes,
    time: Vec<u8>,
    row: flow::Row,
    lines: Lines,
    /// Room to make a route in.
    scratch: Box<[u8; line::BLOCK]>,
    /// A row's number but for its last three digits, and its second.
    thousands: Kept,
    seconds: Kept,
    header_shown: bool,
}

impl<W: Write> Table<W> {
    /// Returns a table that writes its header in front of its first row, because the first row's
    /// endpoints decide how wide the columns are.
    pub fn new(writer: W, style: Style) -> Self {
        Self {
            out: Out::new(writer),
            style,
            clock: Clock::new(style.time),
            widths: match style.width {
                Some(width) if width < SPREAD => Widths::TIGHT,
                Some(_) | None => Widths::LOOSE,
            },
            routes: Routes::default(),
            notes: Notes::default(),
            time: Vec::with_capacity(32),
            row: flow::Row::default(),
            lines: Lines::default(),
            scratch: Box::new([0; line::BLOCK]),
            thousands: Kept::NOTHING,
            seconds: Kept::NOTHING,
            header_shown: false,
        }
    }

    fn packet(&mut self, seen: &PacketEvent<'_>) -> io::Result<()> {
        if !self.header_shown {
            self.time_text(&seen.stamp);
            self.make_room(seen);
            self.header();
            self.header_shown = true;
        }
        match self.style.width {
            None => self.long_row(seen),
            Some(width) => self.fitted_row(seen, width),
        }
        if self.style.hex {
            let hidden = Hidden::of(seen, self.style.secrets);
            self.lines.join(self.out.text());
            hex::dump(&mut self.out, seen.bytes, &hidden)?;
            self.out.text().push(b'\n');
        }
        self.out.row_done()
    }

    /// Makes the text of the time column.
    fn time_text(&mut self, stamp: &FrameStamp) {
        self.time.clear();
        self.clock.push(&mut self.time, stamp);
        self.widths.time = self.widths.time.max(self.time.len());
    }

    /// A row as long as it must be. The hot path: everything that stays the same for a
    /// connection is copied, numbers are made eight digits at once.
    #[inline(always)]
    fn long_row(&mut self, seen: &PacketEvent<'_>) {
        let time = self.clock.micros(&seen.stamp);
        if time.is_none() {
            self.time_text(&seen.stamp);
        }
        let widths = &mut self.widths;
        let mut line = self.lines.line(self.out.text());
        let paint = self
            .style
            .colour
            .then(|| colour::of_packet(seen).as_bytes());
        let whole_row = paint.is_some() && seen.packet.is_err();
        if whole_row {
            line.bytes(colour::ALARM.as_bytes());
        }
        line.number_rising(&mut self.thousands, seen.stamp.number, widths.number);
        line.blanks(widths.between);
        if let Some((seconds, micros)) = time {
            let from = line.len();
            line.number_kept(&mut self.seconds, seconds, widths.time - MICROS);
            line.put(&micros_text(micros), MICROS);
            widths.time = widths.time.max(line.len() - from);
        } else {
            line.blanks(widths.time - self.time.len());
            line.bytes(&self.time);
        }

        let before = (widths.source, widths.destination);
        let (middle, ports) = self.routes.of(seen.connection, seen.direction, |text| {
            make_route(Line::new(&mut self.scratch, text), widths, seen)
        });
        match middle.split_first_chunk::<ROUTE>() {
            Some((block, [])) => line.put(block, ROUTE),
            _ => line.bytes(middle),
        }
        line.number_right(seen.stamp.length.into(), widths.length);
        line.blanks(widths.between);

        if let Some(paint) = paint.filter(|_| !whole_row) {
            line.bytes(paint);
        }
        let from = line.len();
        if !info::ordinary(&mut line, seen) {
            line.separately(|line| {
                info::words(line, seen);
                info::extras(line, seen);
            });
        }
        let wide = line.width_from(from);
        if paint.is_some() && !whole_row {
            line.bytes(colour::RESET.as_bytes());
        }
        line.blanks(INFO_WIDTH.saturating_sub(wide).max(2));
        if let Some(block) = ports.first_chunk::<SHORT>() {
            line.put(block, ports.len() - SHORT);
        }
        line.number(seen.packet_type as u64);
        if whole_row {
            line.bytes(colour::RESET.as_bytes());
        }
        line.bytes(b"\n");
        let used = line.used();
        self.lines.keep(used, self.out.text());
        if before != (widths.source, widths.destination) {
            self.routes.forget();
        }
    }

    /// A row that keeps to the terminal's width, on as many lines as it needs.
    fn fitted_row(&mut self, seen: &PacketEvent<'_>, width: usize) {
        self.time_text(&seen.stamp);
        self.make_room(seen);
        let row = &mut self.row;
        let widths = &self.widths;
        row.clear();
        row.cell(widths.number, true, seen.stamp.number);
        row.cell(widths.time, true, String::from_utf8_lossy(&self.time));
        row.cell(widths.source, false, seen.source.address);
        row.cell(widths.destination, false, seen.destination.address);
        row.cell(widths.protocol, false, PROTOCOL);
        row.cell(widths.length, true, seen.stamp.length);
        info::words(&mut row.words, seen);
        info::extras(&mut row.extras, seen);
        let (source, destination) = (seen.source.port, seen.destination.port);
        let packet_type = seen.packet_type as u8;
        put(
            &mut row.last,
            format_args!("{source},{destination},{packet_type}"),
        );
        let paint = self.style.colour.then(|| colour::of_packet(seen));
        row.lay_out(self.out.text(), width, widths.between, paint);
    }

    /// Widens the address columns for this packet, if they are too narrow.
    fn make_room(&mut self, seen: &PacketEvent<'_>) {
        let [source, destination] =
            [seen.source, seen.destination].map(|end| end.address.to_string().len());
        self.widths.source = self.widths.source.max(source);
        self.widths.destination = self.widths.destination.max(destination);
    }

    fn header(&mut self) {
        let widths = &self.widths;
        let mut header = String::new();
        let mut at = 0;
        for (name, width, right) in [
            ("No.", widths.number, true),
            ("Time", widths.time, true),
            ("Source", widths.source, false),
            ("Destination", widths.destination, false),
            ("Protocol", widths.protocol, false),
            ("Length", widths.length, true),
        ] {
            let blanks = if right {
                width.saturating_sub(name.len())
            } else {
                0
            };
            push_name(&mut header, at + blanks, name);
            at += width + widths.between;
        }
        push_name(&mut header, at, "Info");
        let ports = "src,dest,type";
        let ports_at = match self.style.width {
            Some(width) => width.saturating_sub(ports.len()),
            None => at + INFO_WIDTH,
        };
        let end = header.len() + 1 + ports.len();
        if self.style.width.is_none_or(|width| end <= width) {
            push_name(&mut header, ports_at, ports);
        } else {
            header += &format!("\n{:ports_at$}{ports}", "");
        }
        let (paint, reset) = colour::around(colour::HEADING, self.style.colour);
        put(self.out.text(), format_args!("{paint}{header}{reset}\n"));
    }

    /// A line of its own between the rows.
    fn note(&mut self, event: &Event<'_>) -> io::Result<()> {
        if let Some(note) = self.notes.of(event) {
            let (paint, reset) = colour::around(colour::NOTICE, self.style.colour);
            let out = self.lines.join(self.out.text());
            put(out, format_args!("{paint}{note}{reset}\n"));
        }
        self.out.row_done()
    }
}

impl<W: Write> View for Table<W> {
    fn frame(&mut self, stamp: &FrameStamp) {
        self.clock.frame(stamp);
    }

    fn needs(&self) -> Needs {
        Needs {
            frames: self.clock.needs_frames(),
            ..Needs::default()
        }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Packet(seen) => self.packet(seen),
            _ => self.note(event),
        }
    }

    fn idle(&mut self) -> io::Result<()> {
        self.lines.join(self.out.text());
        self.out.flush()
    }

    fn finish(&mut self, _totals: &Totals) -> io::Result<()> {
        self.lines.join(self.out.text());
        self.out.flush()
    }
}

/// The text that a connection's rows share: source, destination and protocol, each with the
/// blanks before it; then source and destination port, padded. Returns the length of the first
/// three.
fn make_route(mut line: Line<'_>, widths: &mut Widths, seen: &PacketEvent<'_>) -> usize {
    for (address, width) in [
        (seen.source.address, &mut widths.source),
        (seen.destination.address, &mut widths.destination),
    ] {
        line.blanks(widths.between);
        let from = line.len();
        put_address(&mut line, address);
        let used = line.len() - from;
        *width = (*width).max(used);
        line.blanks(*width - used);
    }
    line.blanks(widths.between);
    line.bytes(PROTOCOL.as_bytes());
    line.blanks(widths.protocol.saturating_sub(PROTOCOL.len()) + widths.between);
    let ports = line.len();
    for end in [seen.source, seen.destination] {
        line.number(end.port.into());
        line.bytes(b",");
    }
    line.blanks(SHORT);
    line.whole();
    ports
}

/// Appends a column's name at column `at`; a name wider than its column pushes the next ones on
/// until there is room.
fn push_name(header: &mut String, at: usize, name: &str) {
    let least = usize::from(!header.is_empty());
    let blanks = at.saturating_sub(header.len()).max(least);
    *header += &format!("{:blanks$}{name}", "");
}

#[cfg(test)]
mod tests;
