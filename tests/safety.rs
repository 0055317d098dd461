//! Traffic that means harm to whoever looks at it: markup, control characters, text that
//! runs backwards, secrets.

use mqtt_inspect::base::{Precision, Timestamp};
use mqtt_inspect::capture::{Format, LinkType, Writer};
use mqtt_inspect::inspect::Options;

use crate::damage::shown::{all, shown};

/// Names that a view must not hand on as they are.
const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{202e}evil\u{2066}",
    "line\nbreak\rreturn\ttab",
    "\"quote\\ &amp; 'tick' `back`",
    "=cmd()|'x'!A1",
    "end\nnote over x: y;%%{init}%%",
    "\u{85}\u{9b}31m\u{2028}\u{feff}\u{7f}",
];

const PASSWORD: &str = "hunter2-do-not-show";

/// A capture of one client's connection to a server.
struct Talk {
    writer: Writer<Vec<u8>>,
    sequences: [u32; 2],
    time: i64,
}

impl Talk {
    fn new() -> Self {
        let format = Format::Pcap;
        let writer = Writer::new(Vec::new(), format, LinkType(101), Precision::Micro, None);
        let mut talk = Self {
            writer: writer.expect("a capture in memory"),
            sequences: [0, 0],
            time: 1_700_000_000_000_000_000,
        };
        talk.segment(0, 0x02, &[]);
        talk.segment(1, 0x12, &[]);
        talk.sequences = [1, 1];
        talk
    }

    fn segment(&mut self, sender: usize, flags: u8, payload: &[u8]) {
        let ends: [([u8; 4], u16); 2] = [([10, 0, 0, 1], 40_000), ([10, 0, 0, 2], 1883)];
        let (from, to) = (ends[sender], ends[1 - sender]);
        let mut frame = vec![0x45, 0];
        frame.extend((40 + payload.len() as u16).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 6, 0, 0]);
        frame.extend(from.0);
        frame.extend(to.0);
        frame.extend(from.1.to_be_bytes());
        frame.extend(to.1.to_be_bytes());
        frame.extend(self.sequences[sender].to_be_bytes());
        let acknowledged = if flags == 2 {
            0
        } else {
            self.sequences[1 - sender]
        };
        frame.extend(acknowledged.to_be_bytes());
        frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        frame.extend(payload);
        self.sequences[sender] += payload.len() as u32;
        self.time += 1_000_000;
        let time = Timestamp::from_nanos(self.time);
        let length = frame.len() as u32;
        let written = self.writer.write_frame(time, &frame, length, None);
        written.expect("a capture in memory");
    }

    /// The client sends a packet.
    fn up(&mut self, first: u8, body: &[&[u8]]) -> &mut Self {
        self.segment(0, 0x18, &packet(first, body));
        self
    }

    /// The server sends a packet.
    fn down(&mut self, first: u8, body: &[&[u8]]) -> &mut Self {
        self.segment(1, 0x18, &packet(first, body));
        self
    }
}

fn packet(first: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let (low, high) = (body.len() as u8 | 0x80, (body.len() >> 7) as u8);
    [&[first, low, high], body.as_slice()].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

/// A client that puts `hostile` wherever a text can stand.
fn capture(hostile: &str) -> Vec<u8> {
    let mut talk = Talk::new();
    let name = text(hostile);
    let property = [&[0x26], name.as_slice(), &name].concat();
    let secret = [&[0x26], &*text("Access-Token"), &text(PASSWORD)].concat();
    let length = property.len() + secret.len();
    let properties = [&[length as u8], &*property, &secret].concat();
    let authentication = [&[0x15], &*name, &[0x16], &text(PASSWORD)].concat();
    let authentication = [&[authentication.len() as u8], &*authentication].concat();
    talk.up(
        0x10,
        &[
            b"\x00\x04MQTT\x05\xee\x00\x3c",
            &authentication,
            &name,
            &properties,
            &name,
            &name,
            &name,
            &text(PASSWORD),
        ],
    );
    talk.down(0x20, &[&[0, 0], &properties]);
    let filter = format!("{hostile}/#");
    talk.up(0x82, &[&[0, 1], &properties, &text(&filter), &[2]]);
    talk.down(0x90, &[&[0, 1], &properties, &[2]]);
    talk.up(0x35, &[&name, &[0, 2], &properties, hostile.as_bytes()]);
    talk.down(0x50, &[&[0, 2, 0], &properties]);
    talk.up(0x62, &[&[0, 2]]).down(0x70, &[&[0, 2]]);
    talk.down(0x33, &[&name, &[0, 1], &properties, hostile.as_bytes()]);
    talk.up(0xf0, &[&[0x18], &authentication]);
    talk.down(0xe0, &[&[0x8b], &properties]);
    talk.segment(0, 0x14, &[]);
    talk.writer.into_inner()
}

#[test]
fn hostile_names_are_harmless_in_every_view_and_no_view_shows_the_password() {
    for hostile in HOSTILE {
        let capture = capture(hostile);
        for view in all() {
            let (outcome, written) = shown(capture.as_slice(), view, &Options::default());
            assert_eq!(outcome.totals.packets, 11, "{hostile:?}");
            let written = String::from_utf8(written).expect("checked before");
            let view = &view.line;
            assert!(!written.contains(PASSWORD), "{view} shows the password");
            // In hexadecimal neither.
            let hex: String = PASSWORD
                .bytes()
                .map(|octet| format!("{octet:02x}"))
                .collect();
            assert!(
                !written.contains(&hex),
                "{view} shows the password in hexadecimal"
            );
            // A dump goes on in the next line, so any part of it will do.
            for part in PASSWORD.as_bytes().windows(6) {
                let octets: Vec<_> = part.iter().map(|octet| format!("{octet:02x}")).collect();
                let dumped = octets.join(" ");
                assert!(!written.contains(&dumped), "{view} dumps the password");
            }
        }
    }
}
