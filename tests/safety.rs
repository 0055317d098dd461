//! Traffic that means harm to its reader: markup, control characters, text that runs backwards,
//! secrets.

use mqtt_inspect::inspect::Options;
use mqtt_inspect::mqtt::Sender;

use crate::damage::shown::{all, shown};
use crate::talk::{ACK, Made, RST, Talk, packet, text};

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
struct Conversation {
    made: Made,
    talk: Talk,
}

impl Conversation {
    fn new() -> Self {
        let (mut made, mut talk) = (Made::new(), Talk::new(0));
        made.open(&mut talk);
        Self { made, talk }
    }

    fn send(&mut self, sender: Sender, packet: &[u8]) {
        self.made.wait(1_000_000);
        self.made.send(&mut self.talk, sender, packet);
    }

    /// The client sends a packet.
    fn up(&mut self, first: u8, body: &[&[u8]]) -> &mut Self {
        self.send(Sender::Client, &packet(first, &body.concat()));
        self
    }

    /// The server sends a packet.
    fn down(&mut self, first: u8, body: &[&[u8]]) -> &mut Self {
        self.send(Sender::Server, &packet(first, &body.concat()));
        self
    }
}

/// A client that puts `hostile` wherever a text can stand.
fn capture(hostile: &str) -> Vec<u8> {
    let mut talk = Conversation::new();
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
    let Conversation { mut made, mut talk } = talk;
    made.segment(&mut talk, Sender::Client, RST | ACK, &[]);
    made.into_bytes()
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
            let hex: String = PASSWORD.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(
                !written.contains(&hex),
                "{view} shows the password in hexadecimal"
            );
            // A dump goes on in the next line, so any part of it will do.
            for part in PASSWORD.as_bytes().windows(6) {
                let bytes: Vec<_> = part.iter().map(|byte| format!("{byte:02x}")).collect();
                let dumped = bytes.join(" ");
                assert!(!written.contains(&dumped), "{view} dumps the password");
            }
        }
    }
}
