//! The detail tree of each control packet (`-V`), in Wireshark's manner.
//!
//! ```text
//! Frame 4: 148 bytes on wire (1184 bits)              this file
//! Ethernet II, Src: ..., Dst: ...                     layers: the fields that `Layer` reports
//! MQ Telemetry Transport Protocol, Connect Command    this file
//!     Header Flags: 0x10, Message Type: ...           tree: the fields that the decoder reports
//! 0000  10 22 00 04 ...                               hex: the bytes, secrets hidden
//! ```
//!
//! Names and labels come from the definitions of fields (see [`crate::base::field`]); only what
//! no byte holds is worded here. `hex`, `layers` and `tree` do not import one another.

pub mod hex;
mod layers;
mod tree;

use std::io::{self, Write};

use self::hex::Hidden;
use self::tree::Tree;
use super::clock::{Clock, DateText, TimeFormat, push_seconds};
use super::colour;
use super::info;
use super::notes::Notes;
use super::observer::View;
use super::out::{Out, push_all, push_number, put};
use super::style::Style;
use crate::base::text::safe;
use crate::base::{FrameStamp, layer_fields};
use crate::event;
use crate::event::{Event, Needs, PacketEvent, Totals};
use crate::mqtt::{ProtocolVersion, surely_clean, violations};

/// Frames that the line of a packet's parts names before it only counts the rest.
const LISTED_FRAMES: usize = 1000;

/// The detail view.
#[derive(Debug)]
pub struct Detail<W: Write> {
    out: Out<W>,
    style: Style,
    relative: Clock,
    absolute: DateText,
    notes: Notes,
    /// The frame whose lines were written last.
    frame: u64,
}

impl<W: Write> Detail<W> {
    /// Makes the view in `style` that writes to `writer`.
    pub fn new(writer: W, style: Style) -> Self {
        Self {
            out: Out::new(writer),
            style,
            relative: Clock::new(TimeFormat::Relative),
            absolute: DateText::new(style.time),
            notes: Notes::default(),
            frame: 0,
        }
    }

    fn packet(&mut self, seen: &PacketEvent<'_>) -> io::Result<()> {
        // As in Wireshark, a frame's lines stand once above all its packets.
        if self.frame != seen.stamp.number || seen.index == 0 {
            self.frame_lines(seen);
        }
        let out = self.out.text();
        for carrier in seen.transport.layers() {
            put(out, format_args!("{}\n", carrier.field().label));
        }
        if seen.frames.len() > 1 {
            push_parts(out, seen);
        }
        let (paint, reset) = colour::around(colour::of_packet(seen), self.style.colour);
        let words = seen.packet_type.wireshark();
        push_all(
            out,
            [
                paint,
                "MQ Telemetry Transport Protocol, ",
                words,
                reset,
                "\n",
            ],
        );
        // The error that stops the reading is among the remarks.
        let mut tree = Tree::new(&mut self.out, self.style.secrets);
        let _ = seen.describe(&mut tree);
        tree.finish()?;
        self.remarks(seen)?;
        if self.style.hex {
            self.out.text().push(b'\n');
            let hidden = Hidden::of(seen, self.style.secrets);
            hex::dump(&mut self.out, seen.bytes, &hidden)?;
        }
        self.out.row_done()
    }

    /// Appends the lines of the frame and of the layers below MQTT.
    fn frame_lines(&mut self, seen: &PacketEvent<'_>) {
        let out = self.out.text();
        if self.frame != 0 {
            out.push(b'\n');
        }
        let FrameStamp { number, length, .. } = seen.stamp;
        self.frame = number;
        let (paint, reset) = colour::around(colour::HEADING, self.style.colour);
        push_all(out, [paint, "Frame "]);
        push_number(out, number);
        out.extend_from_slice(b": ");
        push_number(out, length.into());
        out.extend_from_slice(b" bytes on wire (");
        push_number(out, 8 * u64::from(length));
        push_all(out, [" bits)", reset, "\n"]);
        if let Some(time) = seen.stamp.time {
            push_all(out, ["    ", layer_fields::FRAME_TIME.label, ": "]);
            self.absolute
                .push_date_time(out, time, seen.stamp.precision);
            let local = self.style.time.is_local();
            out.extend_from_slice(if local { b"\n" } else { b" UTC\n" });
        }
        if let Some(span) = self.relative.relative(&seen.stamp) {
            push_all(
                out,
                ["    [", layer_fields::FRAME_TIME_RELATIVE.label, ": "],
            );
            push_seconds(out, span, seen.stamp.precision);
            out.extend_from_slice(b" seconds]\n");
        }
        layers::push(out, seen);
    }

    /// Appends what no byte of the packet holds: in brackets, as in Wireshark.
    fn remarks(&mut self, seen: &PacketEvent<'_>) -> io::Result<()> {
        let out = self.out.text();
        let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
        if let Some(topic) = seen.topic_resolved {
            let (label, topic) = (event::fields::TOPIC_RESOLVED.label, safe(topic));
            put(out, format_args!("    [{label}: {topic}]\n"));
        }
        if seen.version_inferred {
            let why = "inferred from the packets, since no CONNECT was captured";
            put(out, format_args!("    [MQTT {}: {why}]\n", version.name()));
        }
        if seen.after_gap {
            out.extend_from_slice(b"    [What came before this packet was not captured]\n");
        }
        let (paint, reset) = colour::around(colour::ALARM, self.style.colour);
        let out = &mut self.out;
        // A packet of megabytes may break millions of rules.
        let mut written = Ok(());
        let mut alarm = |remark: String| {
            if written.is_ok() {
                put(out.text(), format_args!("    {paint}{remark}{reset}\n"));
                written = out.row_done();
            }
        };
        match &seen.packet {
            Err(malformed) => alarm(info::malformation(malformed, version)),
            Ok(packet) if !surely_clean(packet, seen.bytes, version) => {
                violations(packet, seen.bytes, version, &mut |violation| {
                    alarm(info::violation(&violation, version));
                });
            }
            Ok(_) => {}
        }
        written
    }

    fn note(&mut self, event: &Event<'_>) -> io::Result<()> {
        if let Some(note) = self.notes.of(event) {
            let blank_line = if self.frame != 0 { "\n" } else { "" };
            writeln!(self.out, "{blank_line}{note}")?;
            // The next packet shows its frame again.
            self.frame = self.frame.max(1);
        }
        self.out.row_done()
    }
}

impl<W: Write> View for Detail<W> {
    fn needs(&self) -> Needs {
        Needs {
            layers: true,
            ..Needs::default()
        }
    }

    fn frame(&mut self, stamp: &FrameStamp) {
        self.relative.frame(stamp);
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Packet(seen) => self.packet(seen),
            _ => self.note(event),
        }
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, _totals: &Totals) -> io::Result<()> {
        self.out.flush()
    }
}

/// Appends the frames that brought a packet's parts.
fn push_parts(out: &mut Vec<u8>, seen: &PacketEvent<'_>) {
    let (frames, bytes) = (seen.frames.len(), seen.bytes.len());
    put(out, format_args!("[{frames} frames ({bytes} bytes): "));
    for (at, frame) in seen.frames.iter().take(LISTED_FRAMES).enumerate() {
        put(
            out,
            format_args!("{}#{frame}", if at == 0 { "" } else { ", " }),
        );
    }
    if frames > LISTED_FRAMES {
        put(out, format_args!(", and {} more", frames - LISTED_FRAMES));
    }
    out.extend_from_slice(b"]\n");
}

#[cfg(test)]
mod tests;
