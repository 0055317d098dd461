//! Scenarios: who sends what, and what is to be found; played into a capture.
//!
//! ```text
//! == second-connect [5.0]        a name; the versions that it is played in: 3.1.1 and 5.0 by default
//! a > CONNECT                    client a sends it; a2 is another connection of client a
//! a < CONNACK
//! a > CONNECT                    ! second-connect client
//! a < CLOSE
//! ```
//!
//! Behind `!` stand the rule of the finding that is expected at the frame of this line, and who
//! caused it. All other findings from the level warning on are false alarms.
//!
//! | line | meaning |
//! |---|---|
//! | `a > PACKET ...`, `a < PACKET ...` | of the client, of the server; `HEX 00 ff` for bytes as they are |
//! | `a > FIN`, `a > RST`, `a > CLOSE` | half-close, reset, FIN that the other end answers with FIN |
//! | `a joins ...` | CONNECT and CONNACK |
//! | `a subscribes FILTER ...` | SUBSCRIBE and SUBACK with the QoS that was asked for |
//! | `a publishes TOPIC ...` | PUBLISH of the client and the packets that complete its handshake |
//! | `a receives TOPIC ...` | the same from the server to the client |
//! | `a pings`, `a leaves` | PINGREQ and PINGRESP; DISCONNECT and the closing |
//! | `a upgrades`, `a text PACKET ...`, `a < closes 1002` | what follows travels over WebSocket; a text frame in place of a binary one; a Close frame |
//! | `wait 2s` | time passes |

use std::collections::BTreeMap;

use mqtt_inspect::mqtt::Sender;

use super::packets::{Words, bytes, hex, number};
use crate::talk::{ACK, Made, PSH_ACK, RST, Talk};

const FIN_ACK: u8 = ACK | 0x01;

/// A scenario as it stands in its file.
pub(super) struct Scenario<'t> {
    pub(super) name: &'t str,
    /// Protocol levels.
    pub(super) versions: Vec<u8>,
    lines: Vec<&'t str>,
}

/// A finding: its frame, its rule, who caused it.
pub(super) type Expected = (u64, String, String);

/// A scenario's capture, and the findings that it is to have.
pub(super) struct Played {
    pub(super) capture: Vec<u8>,
    pub(super) expected: Vec<Expected>,
}

struct Link {
    talk: Talk,
    client_id: String,
    websocket: bool,
    /// Who has not acknowledged yet on TCP.
    owes: Option<Sender>,
}

/// Reads the scenarios of a file.
pub(super) fn scenarios(file: &str) -> Vec<Scenario<'_>> {
    let mut all: Vec<Scenario<'_>> = Vec::new();
    for line in file.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix("== ") {
            let (name, versions) = head.split_once(' ').unwrap_or((head, "[3.1.1 5.0]"));
            let versions = [("3.1 ", 3), ("3.1]", 3), ("3.1.1", 4), ("5.0", 5)]
                .into_iter()
                .filter(|(text, _)| versions.contains(text))
                .map(|(_, level)| level)
                .collect();
            all.push(Scenario {
                name,
                versions,
                lines: Vec::new(),
            });
        } else if !line.is_empty() && !line.starts_with('#') {
            all.last_mut().expect("a name first").lines.push(line);
        }
    }
    all
}

impl Scenario<'_> {
    /// Plays it in a version.
    pub(super) fn play(&self, version: u8) -> Played {
        let mut stage = Stage {
            version,
            made: Made::new(),
            links: BTreeMap::new(),
            acted: 0,
        };
        let mut expected = Vec::new();
        for line in &self.lines {
            let mut parts = line.split('!');
            let action = parts.next().unwrap_or_default();
            stage.acted = 0;
            stage.line(action);
            for one in parts {
                let mut words = one.split_whitespace();
                let rule = words.next().expect("a rule");
                let rule = Words::new(version, Vec::new()).of_version(rule).to_owned();
                let by = words.next().expect("who caused it").to_owned();
                expected.push((stage.acted, rule, by));
            }
        }
        stage.settle(None);
        expected.sort();
        Played {
            capture: stage.made.into_bytes(),
            expected,
        }
    }
}

struct Stage {
    version: u8,
    made: Made,
    links: BTreeMap<String, Link>,
    /// The first frame with bytes, FIN or RST of the line.
    acted: u64,
}

impl Stage {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, verb, rest @ ..] = &words[..] else {
            panic!("{line}: too short");
        };
        if *name == "wait" {
            self.settle(None);
            let (count, unit) = verb.split_at(verb.find('m').or(verb.find('s')).expect("a unit"));
            let nanos = if unit == "s" {
                1_000_000_000
            } else {
                1_000_000
            };
            return self.made.wait(i64::from(number(count)) * nanos);
        }
        let (client, server) = (Sender::Client, Sender::Server);
        let own = Words::new(self.version, rest.to_vec());
        let qos = own.text("qos").unwrap_or("0");
        let id = format!("id={}", own.text("id").unwrap_or("1"));
        match (*verb, rest) {
            (">" | "<", [what, rest @ ..]) => {
                let sender = if *verb == ">" { client } else { server };
                match *what {
                    "FIN" => self.segment(name, sender, FIN_ACK, &[]),
                    "RST" => self.segment(name, sender, RST | ACK, &[]),
                    "CLOSE" => self.close(name, sender),
                    "closes" => {
                        let code = number(rest.first().expect("a code")) as u16;
                        self.send(name, sender, &code.to_be_bytes(), 8);
                    }
                    "HEX" => self.send(name, sender, &hex(&rest.concat()), 2),
                    packet => self.packet(name, sender, packet, rest),
                }
            }
            ("text", [packet, rest @ ..]) => {
                let bytes = bytes(packet, &Words::new(self.version, rest.to_vec()));
                self.send(name, client, &bytes, 1);
            }
            ("joins", _) => {
                self.packet(name, client, "CONNECT", rest);
                self.packet(name, server, "CONNACK", &[]);
            }
            ("subscribes", _) => {
                self.packet(name, client, "SUBSCRIBE", rest);
                self.packet(name, server, "SUBACK", &[id.as_str(), qos]);
            }
            ("publishes", _) => self.exchange(name, client, qos, &id, rest),
            ("receives", _) => self.exchange(name, server, qos, &id, rest),
            ("pings", _) => {
                self.packet(name, client, "PINGREQ", &[]);
                self.packet(name, server, "PINGRESP", &[]);
            }
            ("leaves", _) => {
                self.packet(name, client, "DISCONNECT", rest);
                self.close(name, client);
            }
            ("upgrades", _) => self.upgrade(name),
            _ => panic!("{line}: no such action"),
        }
    }

    /// A PUBLISH and all that completes its handshake.
    fn exchange(&mut self, name: &str, sender: Sender, qos: &str, id: &str, words: &[&str]) {
        let receiver = match sender {
            Sender::Client => Sender::Server,
            Sender::Server => Sender::Client,
        };
        self.packet(name, sender, "PUBLISH", words);
        match qos {
            "0" => {}
            "1" => self.packet(name, receiver, "PUBACK", &[id]),
            _ => {
                self.packet(name, receiver, "PUBREC", &[id]);
                self.packet(name, sender, "PUBREL", &[id]);
                self.packet(name, receiver, "PUBCOMP", &[id]);
            }
        }
    }

    fn packet(&mut self, name: &str, sender: Sender, packet: &str, words: &[&str]) {
        let link = self.link(name);
        let id = format!("id={}", link.client_id);
        let mut words = words.to_vec();
        if packet == "CONNECT" {
            // The first one of a key counts.
            words.push(&id);
        }
        let bytes = bytes(packet, &Words::new(self.version, words));
        self.send(name, sender, &bytes, 2);
    }

    /// Bytes of MQTT; `opcode` is that of the WebSocket frame where there is one.
    fn send(&mut self, name: &str, sender: Sender, payload: &[u8], opcode: u8) {
        if !self.link(name).websocket {
            return self.segment(name, sender, PSH_ACK, payload);
        }
        let masked = sender == Sender::Client;
        let mut frame = vec![0x80 | opcode, u8::from(masked) << 7 | payload.len() as u8];
        if masked {
            // A mask of zeros leaves the payload as it is.
            frame.extend([0; 4]);
        }
        frame.extend(payload);
        self.segment(name, sender, PSH_ACK, &frame);
    }

    fn upgrade(&mut self, name: &str) {
        let request = "GET /mqtt HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Version: 13\r\n\r\n";
        let response = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
            Sec-WebSocket-Protocol: mqtt\r\n\r\n";
        self.segment(name, Sender::Client, PSH_ACK, request.as_bytes());
        self.segment(name, Sender::Server, PSH_ACK, response.as_bytes());
        self.link(name).websocket = true;
    }

    /// FIN of both ends, `sender` first.
    fn close(&mut self, name: &str, sender: Sender) {
        let other = match sender {
            Sender::Client => Sender::Server,
            Sender::Server => Sender::Client,
        };
        self.segment(name, sender, FIN_ACK, &[]);
        self.segment(name, other, FIN_ACK, &[]);
    }

    /// The connection of that name, opened where it is new. Behind the client identifier stand
    /// the digits that count its connections.
    fn link(&mut self, name: &str) -> &mut Link {
        if !self.links.contains_key(name) {
            self.settle(None);
            let mut talk = Talk::new(self.links.len() as u32);
            self.made.open(&mut talk);
            self.made.segment(&mut talk, Sender::Client, ACK, &[]);
            let link = Link {
                talk,
                client_id: name.trim_end_matches(char::is_numeric).to_owned(),
                websocket: false,
                owes: None,
            };
            self.links.insert(name.to_owned(), link);
        }
        self.links.get_mut(name).expect("it was opened")
    }

    /// A segment, 4 ms after the one before. What waits for an acknowledgement on TCP gets it
    /// before, unless this segment is that of the receiver itself.
    fn segment(&mut self, name: &str, sender: Sender, flags: u8, payload: &[u8]) {
        self.link(name);
        self.settle(Some((name, sender)));
        self.made.wait(4_000_000);
        let link = self.links.get_mut(name).expect("it was opened");
        self.made.segment(&mut link.talk, sender, flags, payload);
        if self.acted == 0 {
            self.acted = self.made.frames;
        }
        let (next, other) = match sender {
            Sender::Client => (&mut link.talk.client_next, Sender::Server),
            Sender::Server => (&mut link.talk.server_next, Sender::Client),
        };
        if flags & 0x01 != 0 {
            *next += 1;
        }
        link.owes = (flags & RST == 0).then_some(other);
    }

    /// Sends the TCP acknowledgements that are due, but for one that the next segment brings.
    fn settle(&mut self, but: Option<(&str, Sender)>) {
        for (name, link) in &mut self.links {
            let Some(sender) = link.owes else {
                continue;
            };
            if but == Some((name.as_str(), sender)) {
                continue;
            }
            link.owes = None;
            self.made.wait(40_000);
            self.made.segment(&mut link.talk, sender, ACK, &[]);
        }
    }
}
