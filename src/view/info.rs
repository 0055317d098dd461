//! The Info column: Wireshark's words for a control packet, and after two blanks what those
//! words leave out.

use std::fmt;

use super::out::{push_first, push_number, put};
use crate::base::text;
use crate::event::PacketEvent;
use crate::mqtt::packet::{ConnAck, Connect, ControlPacket, Publish, Subscription};
use crate::mqtt::{
    Breach, Malformed, PacketIdentifier, PacketType, Properties, ProtocolVersion, QoS, Rule,
    Sender, Violation, reason,
};
use crate::schema::PartialPacket;

/// Topic filters that a row lists before it only counts the rest.
const LISTED: usize = 256;

/// Where Info goes: a row of the table, which makes text safe for a terminal at once, or a buffer
/// of text as it is, for a writer that escapes it.
pub trait Sink {
    /// The program's own words.
    fn word(&mut self, word: &str);
    /// The first `length` bytes of one of the program's own words.
    fn padded(&mut self, word: &[u8; WORD], length: usize);
    /// Text from the capture.
    fn text(&mut self, text: &str);
    /// A number in decimal.
    fn number(&mut self, number: u64);
    /// Anything that is safe already, where a packet is rare.
    fn format(&mut self, text: fmt::Arguments<'_>);
}

impl Sink for Vec<u8> {
    #[inline]
    fn word(&mut self, word: &str) {
        self.extend_from_slice(word.as_bytes());
    }
    #[inline]
    fn padded(&mut self, word: &[u8; WORD], length: usize) {
        push_first(self, word, length);
    }
    #[inline]
    fn text(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
    #[inline]
    fn number(&mut self, number: u64) {
        push_number(self, number);
    }
    fn format(&mut self, text: fmt::Arguments<'_>) {
        put(self, text);
    }
}

/// Text from the capture, safe for a terminal.
struct Safe<'a>(&'a str);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match text::is_safe(self.0) {
            true => f.write_str(self.0),
            false => f.write_str(&text::safe(self.0)),
        }
    }
}

/// Bytes of the longest of Wireshark's words for a packet type, padded.
pub(super) const WORD: usize = 24;

/// A text in a block of fixed size, and its length: a copy of as many bytes as the text has would
/// be a call for each row.
type Block = ([u8; WORD], usize);

const fn block(text: &str) -> Block {
    let mut block = [b' '; WORD];
    block
        .split_at_mut(text.len())
        .0
        .copy_from_slice(text.as_bytes());
    (block, text.len())
}

/// Wireshark's words for each packet type.
const WORDS: [Block; 16] = {
    let mut words = [block(""); 16];
    let mut number = 0;
    while number < words.len() {
        words[number] = block(PacketType::ALL[number].wireshark());
        number += 1;
    }
    words
};

/// Wireshark's words: `Publish Message (id=7) [topic]`. The topic of a PUBLISH by alias is
/// the one that the alias stands for.
pub fn words(out: &mut impl Sink, seen: &PacketEvent<'_>) {
    if ordinary_words(out, seen) {
        return;
    }
    type_words(out, seen.packet_type);
    match &seen.packet {
        Err(_) => partial_words(out, seen),
        Ok(ControlPacket::Subscribe(subscribe)) => {
            identifier(out, subscribe.packet_id);
            filters(out, subscribe.subscriptions.iter().map(|one| one.filter));
        }
        Ok(ControlPacket::SubAck(ack)) => identifier(out, ack.packet_id),
        Ok(ControlPacket::Unsubscribe(unsubscribe)) => identifier(out, unsubscribe.packet_id),
        Ok(ControlPacket::UnsubAck(ack)) => identifier(out, ack.packet_id),
        Ok(_) => {}
    }
}

#[inline(always)]
fn type_words(out: &mut impl Sink, packet_type: PacketType) {
    let (word, length) = &WORDS[packet_type as usize];
    out.padded(word, *length);
}

/// [`words`] of the packets that nearly all are: PUBLISH and its acknowledgements, PINGREQ and
/// PINGRESP. `false` for any other, and nothing was written.
#[inline(always)]
pub(super) fn ordinary_words(out: &mut impl Sink, seen: &PacketEvent<'_>) -> bool {
    match &seen.packet {
        Ok(ControlPacket::Publish(publish)) => {
            type_words(out, PacketType::Publish);
            if let Some(id) = publish.delivery.packet_id() {
                identifier(out, id);
            }
            bracketed(out, topic_of(publish, seen));
        }
        Ok(
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack),
        ) => {
            type_words(out, seen.packet_type);
            identifier(out, ack.packet_id);
        }
        Ok(ControlPacket::PingReq | ControlPacket::PingResp) => type_words(out, seen.packet_type),
        _ => return false,
    }
    true
}

/// [`words`] and [`extras`] of the same, where an acknowledgement has nothing to add. `false` for
/// any other, and nothing was written.
#[inline(always)]
pub(super) fn ordinary(out: &mut impl Sink, seen: &PacketEvent<'_>) -> bool {
    match &seen.packet {
        Ok(ControlPacket::Publish(publish)) => {
            let written = ordinary_words(out, seen);
            publish_extras(out, publish, seen);
            written
        }
        Ok(
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack),
        ) if ack.reason_code != 0 || !ack.properties.is_empty() => false,
        _ => ordinary_words(out, seen),
    }
}

/// Of a malformed packet, what was read before it turned out so.
#[cold]
fn partial_words(out: &mut impl Sink, seen: &PacketEvent<'_>) {
    let partial = PartialPacket::of(seen);
    if let Some(id) = partial.packet_id {
        out.format(format_args!(" (id={id})"));
    }
    if matches!(
        seen.packet_type,
        PacketType::Publish | PacketType::Subscribe
    ) {
        filters(out, partial.topics.into_iter());
    }
}

/// The topic name of a PUBLISH: its own, or the one that its alias stands for.
#[inline]
pub fn topic_of<'a>(publish: &Publish<'a>, seen: &PacketEvent<'a>) -> &'a str {
    if publish.topic.is_empty() {
        seen.topic_resolved.unwrap_or_default()
    } else {
        publish.topic
    }
}

/// Appends what follows the words: two blanks, then the particulars with commas between them.
/// Nothing where there are none.
pub fn extras(out: &mut impl Sink, seen: &PacketEvent<'_>) {
    let mut list = List { out, begun: false };
    let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
    match &seen.packet {
        Err(malformed) => list.item(malformation(malformed, version)),
        Ok(ControlPacket::Connect(connect)) => connect_extras(&mut list, connect),
        Ok(ControlPacket::ConnAck(ack)) => connack_extras(&mut list, ack, version),
        Ok(ControlPacket::Publish(publish)) => publish_extras(list.out, publish, seen),
        Ok(
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack),
        ) => {
            if ack.reason_code != 0 {
                list.reason(seen.packet_type, version, ack.reason_code);
            }
            list.reason_string(&ack.properties);
        }
        Ok(ControlPacket::Subscribe(subscribe)) => {
            for one in subscribe.subscriptions.iter().take(LISTED) {
                subscription_extras(&mut list, &one);
            }
        }
        Ok(ControlPacket::SubAck(ack)) => {
            for &code in ack.codes.iter().take(LISTED) {
                match code {
                    0..=2 => list.item(format_args!("QoS {code}")),
                    _ => list.reason(seen.packet_type, version, code),
                }
            }
            list.reason_string(&ack.properties);
        }
        Ok(ControlPacket::Unsubscribe(unsubscribe)) => {
            list.item("");
            for (at, filter) in unsubscribe.filters.iter().take(LISTED).enumerate() {
                let blank = if at > 0 { " " } else { "" };
                list.out.format(format_args!("{blank}[{}]", Safe(filter)));
            }
        }
        Ok(ControlPacket::UnsubAck(ack)) => {
            for &code in ack.codes.iter().take(LISTED) {
                list.reason(seen.packet_type, version, code);
            }
            list.reason_string(&ack.properties);
        }
        Ok(ControlPacket::PingReq | ControlPacket::PingResp) => {}
        Ok(ControlPacket::Disconnect(disconnect)) => {
            let code = disconnect.reason_code;
            let shown = code != 0 || seen.sender == Sender::Server;
            if shown && version == ProtocolVersion::V5_0 {
                list.reason(seen.packet_type, version, code);
            }
            list.reason_string(&disconnect.properties);
        }
        Ok(ControlPacket::Auth(auth)) => {
            list.reason(seen.packet_type, version, auth.reason_code);
            if let Some(method) = auth.properties.authentication_method() {
                list.item(format_args!("method {}", Safe(method)));
            }
            list.reason_string(&auth.properties);
        }
    }
}

/// Returns why a packet is malformed: the rule in words, its statements, the place.
pub fn malformation(malformed: &Malformed, version: ProtocolVersion) -> String {
    broken("Malformed", malformed.rule, malformed.offset, version)
}

/// Returns the rule that a readable packet breaks, or what its sender should do better.
pub fn violation(violation: &Violation, version: ProtocolVersion) -> String {
    let breach = match violation.rule.breach() {
        Breach::Malformed => "Malformed",
        Breach::ProtocolError => "Protocol error",
        Breach::Advice => "Advice",
    };
    broken(breach, violation.rule, violation.offset, version)
}

fn broken(breach: &str, rule: Rule, offset: usize, version: ProtocolVersion) -> String {
    let sentence = rule.sentence().trim_end_matches('.');
    match rule.ids(version) {
        [] => format!("[{breach}: {sentence} (at octet {offset})]"),
        statements => {
            let statements = statements.join(", ");
            format!("[{breach}: {sentence} ({statements}) at octet {offset}]")
        }
    }
}

fn connect_extras<S: Sink>(list: &mut List<'_, S>, connect: &Connect<'_>) {
    match connect.client_id {
        "" => list.item("no client id"),
        client_id => list.item(format_args!("client {}", Safe(client_id))),
    }
    let version = connect.version();
    let bridge = if connect.bridge { " bridge" } else { "" };
    match version {
        Some(version) if connect.is_known() => {
            list.item(format_args!("MQTT {}{bridge}", version.name()));
        }
        _ => {
            let (name, level) = (Safe(connect.protocol_name), connect.protocol_level);
            list.item(format_args!(
                "unknown protocol {name} level {level}{bridge}"
            ));
        }
    }
    list.item(match (version, connect.clean()) {
        (Some(ProtocolVersion::V5_0), true) => "clean start",
        (Some(ProtocolVersion::V5_0), false) => "no clean start",
        (_, true) => "clean session",
        (_, false) => "no clean session",
    });
    list.item(format_args!("keep alive {} s", connect.keep_alive));
    if let Some(will) = &connect.will {
        let qos = match will.qos {
            QoS::AtMostOnce => "",
            QoS::AtLeastOnce => " QoS 1",
            QoS::ExactlyOnce => " QoS 2",
        };
        let retain = if will.retain { " retain" } else { "" };
        list.item(format_args!("will [{}]{qos}{retain}", Safe(will.topic)));
    }
    if let Some(user) = connect.user_name {
        list.item(format_args!("user {}", Safe(user)));
    }
}

fn connack_extras<S: Sink>(list: &mut List<'_, S>, ack: &ConnAck<'_>, version: ProtocolVersion) {
    list.reason(PacketType::ConnAck, version, ack.code);
    if ack.session_present {
        list.item("session present");
    }
    if let Some(id) = ack.properties.assigned_client_identifier() {
        list.item(format_args!("assigned client {}", Safe(id)));
    }
    list.reason_string(&ack.properties);
}

/// The words for the four flags of a PUBLISH. Two bits of QoS are none.
const FLAGS: [Block; 16] = [
    block(""),
    block("  retain"),
    block("  QoS 1"),
    block("  QoS 1, retain"),
    block("  QoS 2"),
    block("  QoS 2, retain"),
    block(""),
    block("  retain"),
    block("  DUP"),
    block("  DUP, retain"),
    block("  QoS 1, DUP"),
    block("  QoS 1, DUP, retain"),
    block("  QoS 2, DUP"),
    block("  QoS 2, DUP, retain"),
    block("  DUP"),
    block("  DUP, retain"),
];

/// The particulars of a PUBLISH, as [`extras`] has them.
#[inline(always)]
fn publish_extras(out: &mut impl Sink, publish: &Publish<'_>, seen: &PacketEvent<'_>) {
    let (text, length) = &FLAGS[usize::from(publish.flags() & 15)];
    out.padded(text, *length);
    if seen.missing > 0 {
        cut_extras(out, publish, seen, *length > 0);
    }
    // Most packets have no property, and this is the hot path.
    if publish.properties.is_empty() {
        return;
    }
    if let Some(alias) = publish.properties.topic_alias() {
        out.word(if *length > 0 { ", alias " } else { "  alias " });
        out.number(alias.into());
        if publish.topic.is_empty() {
            out.word(match seen.topic_resolved {
                Some(_) => " \u{2192} ",
                None => " of unknown topic",
            });
            out.text(seen.topic_resolved.unwrap_or_default());
        }
    }
}

/// Of a PUBLISH whose payload the snapshot length cut, how much of it was captured.
#[cold]
fn cut_extras(out: &mut impl Sink, publish: &Publish<'_>, seen: &PacketEvent<'_>, has_flags: bool) {
    let before = if has_flags { ", " } else { "  " };
    let (captured, length) = (publish.payload.len(), seen.payload_length(publish));
    out.format(format_args!(
        "{before}{captured} of {length} octets of the payload captured"
    ));
}

fn subscription_extras<S: Sink>(list: &mut List<'_, S>, one: &Subscription<'_>) {
    let qos = one.options & 3;
    let no_local = if one.options & 0x04 != 0 {
        " no-local"
    } else {
        ""
    };
    let as_published = match one.options & 0x08 {
        0 => "",
        _ => " retain-as-published",
    };
    let retained = match one.options >> 4 & 3 {
        1 => " retained-if-new",
        2 => " no-retained",
        _ => "",
    };
    list.item(format_args!("QoS {qos}{no_local}{as_published}{retained}"));
}

#[inline(always)]
fn identifier(out: &mut impl Sink, id: PacketIdentifier) {
    out.word(" (id=");
    out.number(id.number().into());
    out.word(")");
}

#[inline(always)]
fn bracketed(out: &mut impl Sink, text: &str) {
    out.word(" [");
    out.text(text);
    out.word("]");
}

fn filters<'a>(out: &mut impl Sink, filters: impl Iterator<Item = &'a str>) {
    let mut more = 0;
    for (at, filter) in filters.enumerate() {
        if at < LISTED {
            bracketed(out, filter);
        } else {
            more += 1;
        }
    }
    if more > 0 {
        out.word(" and ");
        out.number(more);
        out.word(" more");
    }
}

/// Two blanks before the first item, a comma before each other.
struct List<'o, S> {
    out: &'o mut S,
    begun: bool,
}

impl<S: Sink> List<'_, S> {
    fn item(&mut self, item: impl fmt::Display) {
        let before = if self.begun { ", " } else { "  " };
        self.begun = true;
        self.out.format(format_args!("{before}{item}"));
    }

    /// Appends `Not authorized (135)`, as in the detail tree.
    fn reason(&mut self, packet_type: PacketType, version: ProtocolVersion, code: u8) {
        let name = reason::name(packet_type, version, code);
        self.item(format_args!("{name} ({code})"));
    }

    fn reason_string(&mut self, properties: &Properties<'_>) {
        if let Some(reason) = properties.reason_string() {
            self.item(format_args!("reason: {}", Safe(reason)));
        }
    }
}
