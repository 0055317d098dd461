//! The Info column: Wireshark's words for a control packet, and after two blanks what those
//! words leave out.

use super::out::{joined, push_first, push_number};
use crate::base::text;
use crate::event::PacketEvent;
use crate::mqtt::packet::{
    Acknowledgement, ConnAck, Connect, ControlPacket, Publish, Subscription,
};
use crate::mqtt::{
    Breach, Malformed, PacketIdentifier, PacketType, Properties, ProtocolVersion, QoS, Rule,
    Sender, Violation, reason,
};
use crate::schema::PartialPacket;

/// Topic filters that a row lists before it only counts the rest.
const LISTED: usize = 256;

/// Where Info goes: the same words are safe text in a table and raw text in JSON, which escapes it.
pub trait Sink {
    /// The program's own words.
    fn word(&mut self, word: &str);
    /// The first `length` bytes of one of the program's own words.
    fn padded(&mut self, word: &[u8; WORD], length: usize);
    /// Text from the capture.
    fn text(&mut self, text: &str);
    /// A number in decimal.
    fn number(&mut self, number: u64);
}

/// Safe for a terminal.
#[derive(Debug)]
pub struct SafeText<'a>(pub &'a mut Vec<u8>);

impl Sink for SafeText<'_> {
    #[inline]
    fn word(&mut self, word: &str) {
        self.0.extend_from_slice(word.as_bytes());
    }
    #[inline]
    fn padded(&mut self, word: &[u8; WORD], length: usize) {
        push_first(self.0, word, length);
    }
    #[inline]
    fn text(&mut self, text: &str) {
        text::push_safe(self.0, text);
    }
    #[inline]
    fn number(&mut self, number: u64) {
        push_number(self.0, number);
    }
}

/// As it is: JSON escapes it.
#[derive(Debug)]
pub struct RawText<'a>(pub &'a mut Vec<u8>);

impl Sink for RawText<'_> {
    #[inline]
    fn word(&mut self, word: &str) {
        self.0.extend_from_slice(word.as_bytes());
    }
    #[inline]
    fn padded(&mut self, word: &[u8; WORD], length: usize) {
        push_first(self.0, word, length);
    }
    #[inline]
    fn text(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }
    #[inline]
    fn number(&mut self, number: u64) {
        push_number(self.0, number);
    }
}

/// Bytes of the longest of Wireshark's words for a packet type, padded.
pub(super) const WORD: usize = 24;

/// Wireshark's words for each packet type in a block of fixed size, and their length: a copy
/// of as many bytes as the words have would be a call for each row.
const WORDS: [([u8; WORD], usize); 16] = {
    let mut words = [([b' '; WORD], 0); 16];
    let mut number = 0;
    while number < words.len() {
        words[number] = joined(&[PacketType::ALL[number].wireshark().as_bytes()]);
        number += 1;
    }
    words
};

/// Wireshark's words: `Publish Message (id=7) [topic]`. The topic of a PUBLISH by alias is
/// the one that the alias stands for.
pub fn words(out: &mut impl Sink, seen: &PacketEvent<'_>) {
    type_words(out, seen.packet_type);
    let Ok(packet) = &seen.packet else {
        partial_words(out, seen);
        return;
    };
    match packet {
        ControlPacket::Publish(publish) => {
            if let Some(id) = publish.delivery.packet_id() {
                identifier(out, id);
            }
            bracketed(out, topic_of(publish, seen));
        }
        ControlPacket::PubAck(ack)
        | ControlPacket::PubRec(ack)
        | ControlPacket::PubRel(ack)
        | ControlPacket::PubComp(ack) => identifier(out, ack.packet_id),
        ControlPacket::Subscribe(subscribe) => {
            identifier(out, subscribe.packet_id);
            filters(out, subscribe.subscriptions.iter().map(|one| one.filter));
        }
        ControlPacket::SubAck(ack) => identifier(out, ack.packet_id),
        ControlPacket::Unsubscribe(unsubscribe) => identifier(out, unsubscribe.packet_id),
        ControlPacket::UnsubAck(ack) => identifier(out, ack.packet_id),
        ControlPacket::Connect(_)
        | ControlPacket::ConnAck(_)
        | ControlPacket::PingReq
        | ControlPacket::PingResp
        | ControlPacket::Disconnect(_)
        | ControlPacket::Auth(_) => {}
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
        out.word(" (id=");
        out.number(id.into());
        out.word(")");
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
        Err(malformed) => malformation(list.item(), malformed, version),
        Ok(ControlPacket::Connect(connect)) => connect_extras(&mut list, connect),
        Ok(ControlPacket::ConnAck(ack)) => connack_extras(&mut list, ack, version),
        Ok(ControlPacket::Publish(publish)) => publish_extras(list.out, publish, seen),
        Ok(
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack),
        ) => acknowledgement_extras(&mut list, ack, seen.packet_type, version),
        Ok(ControlPacket::Subscribe(subscribe)) => {
            for one in subscribe.subscriptions.iter().take(LISTED) {
                subscription_extras(list.item(), &one);
            }
        }
        Ok(ControlPacket::SubAck(ack)) => {
            for &code in ack.codes.iter().take(LISTED) {
                granted(list.item(), code, version);
            }
            reason_string(&mut list, &ack.properties);
        }
        Ok(ControlPacket::Unsubscribe(unsubscribe)) => {
            let out = list.item();
            for (at, filter) in unsubscribe.filters.iter().take(LISTED).enumerate() {
                if at > 0 {
                    out.word(" ");
                }
                out.word("[");
                out.text(filter);
                out.word("]");
            }
        }
        Ok(ControlPacket::UnsubAck(ack)) => {
            for &code in ack.codes.iter().take(LISTED) {
                named_reason(list.item(), seen.packet_type, version, code);
            }
            reason_string(&mut list, &ack.properties);
        }
        Ok(ControlPacket::PingReq | ControlPacket::PingResp) => {}
        Ok(ControlPacket::Disconnect(disconnect)) => {
            if version == ProtocolVersion::V5_0 {
                let code = disconnect.reason_code;
                if code != 0 || seen.sender == Sender::Server {
                    named_reason(list.item(), seen.packet_type, version, code);
                }
            }
            reason_string(&mut list, &disconnect.properties);
        }
        Ok(ControlPacket::Auth(auth)) => {
            named_reason(list.item(), seen.packet_type, version, auth.reason_code);
            if let Some(method) = auth.properties.authentication_method() {
                labelled(list.item(), "method ", method);
            }
            reason_string(&mut list, &auth.properties);
        }
    }
}

/// Appends why a packet is malformed: the rule in words, its statements, the place.
pub fn malformation(out: &mut impl Sink, malformed: &Malformed, version: ProtocolVersion) {
    broken(
        out,
        "[Malformed: ",
        malformed.rule,
        malformed.offset,
        version,
    );
}

/// Appends the rule that a readable packet breaks, or what its sender should do better.
pub fn violation(out: &mut impl Sink, violation: &Violation, version: ProtocolVersion) {
    let begin = match violation.rule.breach() {
        Breach::Malformed => "[Malformed: ",
        Breach::ProtocolError => "[Protocol error: ",
        Breach::Advice => "[Advice: ",
    };
    broken(out, begin, violation.rule, violation.offset, version);
}

fn broken(out: &mut impl Sink, begin: &str, rule: Rule, offset: usize, version: ProtocolVersion) {
    out.word(begin);
    out.word(rule.sentence().trim_end_matches('.'));
    let statements = rule.ids(version);
    for (at, statement) in statements.iter().enumerate() {
        out.word(if at == 0 { " (" } else { ", " });
        out.word(statement);
    }
    let (begin, end) = match statements {
        [] => (" (at octet ", ")]"),
        _ => (") at octet ", "]"),
    };
    out.word(begin);
    out.number(offset as u64);
    out.word(end);
}

fn connect_extras<S: Sink>(list: &mut List<'_, S>, connect: &Connect<'_>) {
    if connect.client_id.is_empty() {
        list.item().word("no client id");
    } else {
        labelled(list.item(), "client ", connect.client_id);
    }
    let version = connect.version();
    let out = list.item();
    match version {
        Some(version) if connect.is_known() => {
            out.word("MQTT ");
            out.word(version.name());
        }
        _ => {
            out.word("unknown protocol ");
            out.text(connect.protocol_name);
            out.word(" level ");
            out.number(connect.protocol_level.into());
        }
    }
    if connect.bridge {
        out.word(" bridge");
    }
    let clean = connect.flags & 0x02 != 0;
    list.item().word(match (version, clean) {
        (Some(ProtocolVersion::V5_0), true) => "clean start",
        (Some(ProtocolVersion::V5_0), false) => "no clean start",
        (_, true) => "clean session",
        (_, false) => "no clean session",
    });
    let out = list.item();
    out.word("keep alive ");
    out.number(connect.keep_alive.into());
    out.word(" s");
    if let Some(will) = &connect.will {
        let out = list.item();
        out.word("will [");
        out.text(will.topic);
        out.word("]");
        if will.qos != QoS::AtMostOnce {
            out.word(" QoS ");
            out.number(will.qos as u64);
        }
        if will.retain {
            out.word(" retain");
        }
    }
    if let Some(user) = connect.user_name {
        labelled(list.item(), "user ", user);
    }
}

fn connack_extras<S: Sink>(list: &mut List<'_, S>, ack: &ConnAck<'_>, version: ProtocolVersion) {
    named_reason(list.item(), PacketType::ConnAck, version, ack.code);
    if ack.session_present {
        list.item().word("session present");
    }
    if let Some(id) = ack.properties.assigned_client_identifier() {
        labelled(list.item(), "assigned client ", id);
    }
    reason_string(list, &ack.properties);
}

/// The words for the four flags of a PUBLISH, in a block of fixed size, and the
/// length of that.
const FLAGS: [([u8; WORD], usize); 16] = {
    let mut texts = [([b' '; WORD], 0); 16];
    let mut flags = 0;
    while flags < texts.len() {
        let words: [(bool, &[u8]); 4] = [
            (flags & 6 == 2, b"QoS 1"),
            (flags & 6 == 4, b"QoS 2"),
            (flags & 8 != 0, b"DUP"),
            (flags & 1 != 0, b"retain"),
        ];
        let mut pieces: [&[u8]; 8] = [b""; 8];
        let mut between: &[u8] = b"  ";
        let mut at = 0;
        while at < words.len() {
            let (set, word) = words[at];
            if set {
                (pieces[2 * at], pieces[2 * at + 1]) = (between, word);
                between = b", ";
            }
            at += 1;
        }
        texts[flags] = joined(&pieces);
        flags += 1;
    }
    texts
};

/// The particulars of a PUBLISH, as [`extras`] has them.
#[inline(always)]
fn publish_extras(out: &mut impl Sink, publish: &Publish<'_>, seen: &PacketEvent<'_>) {
    let (text, length) = &FLAGS[usize::from(publish.flags() & 15)];
    out.padded(text, *length);
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

fn acknowledgement_extras<S: Sink>(
    list: &mut List<'_, S>,
    ack: &Acknowledgement<'_>,
    packet_type: PacketType,
    version: ProtocolVersion,
) {
    if ack.reason_code != 0 {
        named_reason(list.item(), packet_type, version, ack.reason_code);
    }
    reason_string(list, &ack.properties);
}

fn subscription_extras(out: &mut impl Sink, one: &Subscription<'_>) {
    out.word("QoS ");
    out.number((one.options & 3).into());
    if one.options & 0x04 != 0 {
        out.word(" no-local");
    }
    if one.options & 0x08 != 0 {
        out.word(" retain-as-published");
    }
    match one.options >> 4 & 3 {
        1 => out.word(" retained-if-new"),
        2 => out.word(" no-retained"),
        _ => {}
    }
}

fn granted(out: &mut impl Sink, code: u8, version: ProtocolVersion) {
    if code <= 2 {
        out.word("QoS ");
        out.number(code.into());
    } else {
        named_reason(out, PacketType::SubAck, version, code);
    }
}

/// `Not authorized (135)`, as the detail tree has it.
fn named_reason(out: &mut impl Sink, packet_type: PacketType, version: ProtocolVersion, code: u8) {
    out.word(reason::name(packet_type, version, code));
    out.word(" (");
    out.number(code.into());
    out.word(")");
}

fn reason_string<S: Sink>(list: &mut List<'_, S>, properties: &Properties<'_>) {
    if let Some(reason) = properties.reason_string() {
        labelled(list.item(), "reason: ", reason);
    }
}

fn labelled(out: &mut impl Sink, label: &str, text: &str) {
    out.word(label);
    out.text(text);
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
    #[inline]
    fn item(&mut self) -> &mut S {
        self.out.word(if self.begun { ", " } else { "  " });
        self.begun = true;
        self.out
    }
}
