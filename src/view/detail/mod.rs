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
use super::info::{self, SafeText};
use super::notes::Notes;
use super::observer::View;
use super::out::{Out, push_number};
use super::style::Style;
use crate::base::{FrameStamp, layer_fields, text};
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
    /// The name of the time zone of `absolute`, behind a blank; empty for the local one.
    zone: &'static str,
    notes: Notes,
    /// The frame whose lines were written last.
    frame: u64,
}

impl<W: Write> Detail<W> {
    /// Makes the view in `style` that writes to `writer`.
    pub fn new(writer: W, style: Style) -> Self {
        let local = matches!(style.time, TimeFormat::Absolute | TimeFormat::AbsoluteDate);
        Self {
            out: Out::new(writer),
            style,
            relative: Clock::new(TimeFormat::Relative),
            absolute: if local {
                DateText::local()
            } else {
                DateText::utc()
            },
            zone: if local { "" } else { " UTC" },
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
            out.extend_from_slice(carrier.field().label.as_bytes());
            out.push(b'\n');
        }
        if seen.frames.len() > 1 {
            push_parts(out, seen);
        }
        let painted = self.style.colour;
        if painted {
            out.extend_from_slice(match seen.packet {
                Ok(_) => colour::of(seen.packet_type),
                Err(_) => colour::ALARM,
            });
        }
        out.extend_from_slice(b"MQ Telemetry Transport Protocol, ");
        out.extend_from_slice(seen.packet_type.wireshark().as_bytes());
        if painted {
            out.extend_from_slice(colour::RESET);
        }
        out.push(b'\n');
        // The error that stops the reading is among the remarks.
        let _ = seen.describe(&mut Tree::new(out, self.style.secrets));
        self.remarks(seen);
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
        self.frame = seen.stamp.number;
        if self.style.colour {
            out.extend_from_slice(colour::HEADING);
        }
        out.extend_from_slice(b"Frame ");
        push_number(out, seen.stamp.number);
        out.extend_from_slice(b": ");
        push_number(out, seen.stamp.length.into());
        out.extend_from_slice(b" bytes on wire (");
        push_number(out, 8 * u64::from(seen.stamp.length));
        out.extend_from_slice(b" bits)");
        if self.style.colour {
            out.extend_from_slice(colour::RESET);
        }
        out.push(b'\n');
        if let Some(time) = seen.stamp.time {
            out.extend_from_slice(b"    ");
            out.extend_from_slice(layer_fields::FRAME_TIME.label.as_bytes());
            out.extend_from_slice(b": ");
            self.absolute
                .push_date_time(out, time, seen.stamp.precision, b' ');
            out.extend_from_slice(self.zone.as_bytes());
            out.push(b'\n');
        }
        if let Some(span) = self.relative.relative(&seen.stamp) {
            out.extend_from_slice(b"    [");
            out.extend_from_slice(layer_fields::FRAME_TIME_RELATIVE.label.as_bytes());
            out.extend_from_slice(b": ");
            push_seconds(out, span, seen.stamp.precision);
            out.extend_from_slice(b" seconds]\n");
        }
        layers::push(out, seen);
    }

    /// Appends what no byte of the packet holds: in brackets, as in Wireshark.
    fn remarks(&mut self, seen: &PacketEvent<'_>) {
        let out = self.out.text();
        let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
        if let Some(topic) = seen.topic_resolved {
            out.extend_from_slice(b"    [");
            out.extend_from_slice(event::fields::TOPIC_RESOLVED.label.as_bytes());
            out.extend_from_slice(b": ");
            text::push_safe(out, topic);
            out.extend_from_slice(b"]\n");
        }
        if seen.version_inferred {
            out.extend_from_slice(b"    [MQTT ");
            out.extend_from_slice(version.name().as_bytes());
            out.extend_from_slice(b": inferred from the packets, since no CONNECT was captured]\n");
        }
        if seen.after_gap {
            out.extend_from_slice(b"    [What came before this packet was not captured]\n");
        }
        if let Err(malformed) = &seen.packet {
            alarm(out, self.style.colour, |out| {
                info::malformation(&mut SafeText(out), malformed, version);
            });
        }
        if let Ok(packet) = &seen.packet
            && !surely_clean(packet, seen.bytes, version)
        {
            violations(packet, seen.bytes, version, &mut |violation| {
                alarm(out, self.style.colour, |out| {
                    info::violation(&mut SafeText(out), &violation, version);
                });
            });
        }
    }

    fn note(&mut self, event: &Event<'_>) -> io::Result<()> {
        let out = self.out.text();
        let from = out.len();
        if self.frame != 0 {
            out.push(b'\n');
        }
        if self.notes.push(out, event) {
            out.push(b'\n');
            // The next packet shows its frame again.
            self.frame = self.frame.max(1);
        } else {
            out.truncate(from);
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
            Event::Opened(_) | Event::Gap(_) | Event::Ended(_) | Event::NotMqtt(_) => {
                self.note(event)
            }
            _ => Ok(()),
        }
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, _totals: &Totals) -> io::Result<()> {
        self.out.flush()
    }
}

/// Appends a remark that something is wrong, on a line of its own.
fn alarm(out: &mut Vec<u8>, colour: bool, remark: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"    ");
    if colour {
        out.extend_from_slice(colour::ALARM);
    }
    remark(out);
    if colour {
        out.extend_from_slice(colour::RESET);
    }
    out.push(b'\n');
}

/// Appends the frames that brought a packet's parts.
fn push_parts(out: &mut Vec<u8>, seen: &PacketEvent<'_>) {
    out.push(b'[');
    push_number(out, seen.frames.len() as u64);
    out.extend_from_slice(b" frames (");
    push_number(out, seen.bytes.len() as u64);
    out.extend_from_slice(b" bytes): ");
    for (at, &frame) in seen.frames.iter().take(LISTED_FRAMES).enumerate() {
        out.extend_from_slice(if at == 0 { b"#" } else { b", #" });
        push_number(out, frame);
    }
    if seen.frames.len() > LISTED_FRAMES {
        out.extend_from_slice(b", and ");
        push_number(out, (seen.frames.len() - LISTED_FRAMES) as u64);
        out.extend_from_slice(b" more");
    }
    out.extend_from_slice(b"]\n");
}

#[cfg(test)]
mod tests;
