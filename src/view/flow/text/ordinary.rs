//! Draws an ordinary story straight from the handshake, without a ladder made of it first.
//!
//! Two lanes and arrows that go all the way: what is the same in the lines of many stories is
//! there ready-made, and most lines are a few copies. 2,200 instructions a story; lanes of any
//! number, and a ladder in between, take 5,000.

use super::super::ladder::Role;
use super::super::short::Short;
use super::super::tell::{Ordinary, SENT_ONCE};
use super::{BOXES, CLOSEST, Painter, Sheet};
use crate::event::{Step, between};
use crate::mqtt::{PacketType, Sender};
use crate::view::line::Line;
use crate::view::out::{EIGHT_DIGITS, decimal, joined};

/// Octets of each pen.
const PEN: usize = BOXES.lane.text.len();

/// Widths at which every verdict has a line and no arrow is very long.
const WIDTHS: std::ops::RangeInclusive<usize> = 96..=250;

/// Plans kept: a capture needs a few dozen.
const PLANS: usize = 64;

/// What lines of several stories have in common.
#[derive(Debug, Default)]
pub(super) struct Plan {
    key: Option<Key>,
    /// The columns of the two lanes.
    low: usize,
    high: usize,
    /// The line of heads.
    heads: Vec<u8>,
    /// Behind the gutter, an arrow to the right and one to the left.
    rightwards: Vec<u8>,
    leftwards: Vec<u8>,
}

/// What a plan depends on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Key {
    /// Columns of the gutter's three.
    gutter: [usize; 3],
    /// Columns left of the first lane and right of the second.
    outside: [usize; 2],
    from: Sender,
}

impl Key {
    /// Which of the plans kept is for this key.
    fn place(self) -> usize {
        let [number, time, since] = self.gutter;
        let [left, right] = self.outside;
        let mixed = (number + 3 * time + 9 * since) ^ (left + 5 * right + self.from as usize);
        mixed % PLANS
    }
}

/// The plans made so far.
pub(super) fn no_plans() -> Vec<Plan> {
    let mut plans = Vec::new();
    plans.resize_with(PLANS, Plan::default);
    plans
}

/// An end of the story: its role and name.
type End<'a> = (Role, &'a [u8]);

impl Painter {
    /// Appends the ladder of `story` just as [`Painter::draw`] would; `false`, and nothing
    /// appended, where that is to draw it: in another style, or because something is long.
    pub(in crate::view::flow) fn ordinary(
        &mut self,
        story: &Ordinary<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let Self {
            sheet,
            block,
            plans,
        } = self;
        let style = sheet.style;
        if style.ascii || style.colour || !WIDTHS.contains(&style.width) {
            return false;
        }
        let mut before = None;
        let steps = story.steps.iter().map(|step| {
            let since = before.replace(&step.stamp);
            let since = since.and_then(|before| between(before, &step.stamp));
            (Some(&step.stamp), since)
        });
        sheet.gutter.fill(steps, style.start);
        let room = style.width.saturating_sub(sheet.gutter.width());
        sheet.room = room.max(2 * CLOSEST);
        let ends = match story.from {
            Sender::Client => [
                (Role::Publisher, story.client),
                (Role::Broker, story.server),
            ],
            Sender::Server => [
                (Role::Broker, story.server),
                (Role::Subscriber, story.client),
            ],
        };
        let key = Key {
            gutter: sheet.gutter.columns(),
            outside: ends.map(|(role, name)| {
                let columns = name.len().max(role.name().len());
                (columns / 2 + 1).min(sheet.room / 4)
            }),
            from: story.from,
        };
        let Some(plan) = plans.get_mut(key.place()) else {
            return false;
        };
        if plan.key != Some(key) {
            plan.make(key, ends, sheet);
        }
        let Some(sizes) = Sizes::of(story, ends, plan, sheet) else {
            return false;
        };
        let mut line = Line::new(block, out);
        sizes.put_title(story, &mut line);
        line.octets(&plan.heads);
        let [(_, left), (_, right)] = ends;
        line.blanks(sheet.gutter.width() + sizes.left);
        line.octets(left);
        line.blanks(sizes.between);
        line.octets(right);
        line.put(b"\n", 1);
        for (row, step) in story.steps.iter().enumerate() {
            sizes.put_row((story, step), (plan, sheet), row, &mut line);
        }
        put_verdicts(story, &mut line);
        line.whole();
        true
    }
}

/// How the story ended, and an empty line.
#[inline(always)]
fn put_verdicts(story: &Ordinary<'_>, line: &mut Line<'_>) {
    line.put(b"  ", 2);
    BOXES.good.put(line);
    match story.took {
        Some(took) => {
            let took = Short::span(took);
            line.octets(b" complete in ");
            line.put(&took.octets, took.used);
        }
        None => {
            line.put(b" ", 1);
            line.octets(SENT_ONCE.as_bytes());
        }
    }
    line.put(b"\n  ", 3);
    BOXES.neutral.put(line);
    line.put(b" ", 1);
    line.octets(story.verdict.as_bytes());
    line.put(b"\n\n", 2);
}

/// Octets of a line's end.
const NEWLINE: usize = 1;

impl Plan {
    #[cold]
    fn make(&mut self, key: Key, ends: [End<'_>; 2], sheet: &mut Sheet) {
        self.key = Some(key);
        let [left, right] = key.outside;
        sheet.place_at([sheet.room, 2, left, right]);
        let [low, high] = match sheet.lanes.as_slice() {
            [low, high] => [*low, *high],
            _ => [0, 0],
        };
        (self.low, self.high) = (low, high);
        self.heads.clear();
        sheet.push_heads(&mut self.heads, ends.map(|(role, _)| role));
        for (arrow, rightwards) in [(&mut self.rightwards, true), (&mut self.leftwards, false)] {
            let line = BOXES.line.text.repeat((high - low).saturating_sub(2));
            arrow.clear();
            arrow.resize(low, b' ');
            let [before, behind] = match rightwards {
                true => ["", BOXES.right.text],
                false => [BOXES.left.text, ""],
            };
            for piece in [
                BOXES.lane.text,
                before,
                &line,
                behind,
                BOXES.lane.text,
                "\n",
            ] {
                arrow.extend_from_slice(piece.as_bytes());
            }
        }
    }
}

/// Where what is a story's own stands in its lines.
struct Sizes {
    /// The packet identifier as an arrow has it, ` (id=1)`, and as the title has it, ` · id 1`.
    id: Short,
    /// Columns left of the left name, and between the names.
    left: usize,
    between: usize,
    /// Octets of the payload's text in the title.
    text: usize,
    /// What the title ends with, in a block of fixed size.
    closing: ([u8; 8], usize),
    /// The digits of the payload's length, and how many octets ` octets` has behind them.
    length: ([u8; 8], usize),
    octets: usize,
}

impl Sizes {
    /// `None` where something is too long for the lines of an ordinary story.
    #[inline(always)]
    fn of(story: &Ordinary<'_>, ends: [End<'_>; 2], plan: &Plan, sheet: &Sheet) -> Option<Self> {
        let [(_, left), (_, right)] = ends;
        let spacing = (plan.high - plan.low).saturating_sub(1).max(4);
        if left.len().max(right.len()) > spacing || right.ends_with(b" ") {
            return None;
        }
        let at = sheet.middle(plan.low, left.len());
        let right_at = sheet.middle(plan.high, right.len());
        let between = right_at.checked_sub(at + left.len())?;
        let mut sizes = Self {
            id: match story.packet_id {
                Some(id) => Short::id(id),
                None => Short::EMPTY,
            },
            left: at,
            between,
            text: 0,
            closing: (*b"\n       ", 1),
            length: ([0; 8], 0),
            octets: 0,
        };
        let label = story
            .steps
            .iter()
            .map(|step| sizes.label(story, step))
            .max()?;
        if label > sheet.room {
            return None;
        }
        sizes.cut_title(story, sheet.style.width)?;
        Some(sizes)
    }

    /// Finds how much of the payload's text has room in a title of `width` columns.
    #[inline(always)]
    fn cut_title(&mut self, story: &Ordinary<'_>, width: usize) -> Option<()> {
        let length = Some(story.payload.length).filter(|length| *length < EIGHT_DIGITS)?;
        self.length = decimal(length as u32);
        self.octets = OCTETS.len() - usize::from(length == 1);
        let before = "QoS 0 · ".len() - 1 + story.topic.len();
        // ` (id=1)` takes as many columns as ` · id 1`.
        let before = before + self.id.used + " · ".len() - 1 + self.length.1 + self.octets;
        if story.text.is_empty() {
            return (before <= width).then_some(());
        }
        let room = width.checked_sub(before + 2)?;
        let cut = story.payload.is_cut();
        (self.text, self.closing) = match story.text.len() + 1 + usize::from(cut) <= room {
            true if cut => (story.text.len(), (*b"\xe2\x80\xa6\"\n   ", 5)),
            true => (story.text.len(), (*b"\"\n      ", 2)),
            false => (room.checked_sub(1)?, (*b"\xe2\x80\xa6\n    ", 4)),
        };
        (self.text <= story.text.len()).then_some(())
    }

    #[inline(always)]
    fn put_title(&self, story: &Ordinary<'_>, line: &mut Line<'_>) {
        let mut head = *b"QoS 0 \xc2\xb7        ";
        if let Some(qos) = head.get_mut(4) {
            *qos += story.qos as u8;
        }
        line.put(&head, "QoS 0 · ".len());
        line.octets(story.topic);
        if let Some((id, used)) = self.id_number() {
            line.put(b" \xc2\xb7 id ", " · id ".len());
            line.put(id, used);
        }
        line.put(b" \xc2\xb7 ", " · ".len());
        line.put(&self.length.0, self.length.1);
        line.put(OCTETS, self.octets);
        if !story.text.is_empty() {
            line.put(b" \"", 2);
            line.octets(story.text.get(..self.text).unwrap_or_default());
        }
        line.put(&self.closing.0, self.closing.1);
    }

    /// The digits of the packet identifier, from behind the five octets of ` (id=`.
    #[inline(always)]
    fn id_number(&self) -> Option<(&[u8; 8], usize)> {
        let digits = self.id.octets.get(5..)?.first_chunk()?;
        Some((digits, self.id.used.checked_sub(6)?))
    }

    /// A step: in its arrow where the label has room there, else on a line above it.
    #[inline(always)]
    fn put_row(
        &self,
        (story, step): (&Ordinary<'_>, &Step),
        (plan, sheet): (&Plan, &Sheet),
        row: usize,
        line: &mut Line<'_>,
    ) {
        let arrow = match step.sender == story.from {
            true => &plan.rightwards,
            false => &plan.leftwards,
        };
        let columns = self.label(story, step);
        let (low, high) = (plan.low, plan.high);
        if columns + 5 <= high - low {
            // In the middle of the arrow, a blank on either side.
            let at = low + 1 + (high - low - 1 - (columns + 2)) / 2;
            let rest = PEN * (high + 1 - (at + columns + 2)) + NEWLINE;
            let rest = arrow.len().saturating_sub(rest);
            sheet.gutter.put(line, row);
            line.octets(arrow.get(..low + PEN * (at - low)).unwrap_or_default());
            line.put(b" ", 1);
            self.put_label(story, step, line);
            line.put(b" ", 1);
            return line.octets(arrow.get(rest..).unwrap_or_default());
        }
        // The label may run over the lane to its right, never over the edge.
        let at = (low + 2).min(sheet.room - columns);
        line.blanks(sheet.gutter.width() + at.min(low));
        if at > low {
            BOXES.lane.put(line);
            line.blanks(at - (low + 1));
        }
        self.put_label(story, step, line);
        let behind = at + columns;
        if behind < high {
            line.blanks(high - behind);
            BOXES.lane.put(line);
        }
        line.put(b"\n", 1);
        sheet.gutter.put(line, row);
        line.octets(arrow);
    }

    /// Columns of a step's label.
    #[inline(always)]
    fn label(&self, story: &Ordinary<'_>, step: &Step) -> usize {
        let (_, word) = WORDS[step.packet_type as usize];
        if step.packet_type != PacketType::Publish {
            return word + self.id.used;
        }
        let retain = if step.retain { RETAIN.len() } else { 0 };
        word + self.id.used + BRACKETS + story.topic.len() + retain
    }

    #[inline(always)]
    fn put_label(&self, story: &Ordinary<'_>, step: &Step, line: &mut Line<'_>) {
        let (word, used) = &WORDS[step.packet_type as usize];
        line.put(word, *used);
        line.put(&self.id.octets, self.id.used);
        if step.packet_type == PacketType::Publish {
            line.put(b" [", 2);
            line.octets(story.topic);
            line.put(b"]", 1);
            if step.retain {
                line.octets(RETAIN);
            }
        }
    }
}

const OCTETS: &[u8; 7] = b" octets";
const BRACKETS: usize = " []".len();
const RETAIN: &[u8] = b" retain";

/// Each packet type's name in a block of fixed size, and its length.
const WORDS: [([u8; 16], usize); 16] = {
    let mut words = [([0; 16], 0); 16];
    let mut number = 0;
    while number < words.len() {
        words[number] = joined(&[PacketType::ALL[number].name().as_bytes()]);
        number += 1;
    }
    words
};

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::super::{Painter, Style};
    use crate::base::{Endpoint, FrameStamp, Precision, Timestamp};
    use crate::event::{
        About, ConnectionId, Handshake, HandshakeKind, Message, Origin, Payload, State, Step,
    };
    use crate::mqtt::{PacketIdentifier, PacketType, ProtocolVersion, QoS, Sender};
    use crate::view::flow::tell::Teller;

    /// A whole exchange at `qos`, its frames `gap` apart.
    fn handshake(
        (qos, from): (QoS, Sender),
        (id, client, topic): (u16, &str, &str),
        payload: &[u8],
        (frame, gap, retain): (u64, u64, bool),
    ) -> Handshake {
        use PacketType::{PubAck, PubComp, PubRec, PubRel, Publish};
        let (kind, types) = match qos {
            QoS::AtMostOnce => (HandshakeKind::Qos0, &[Publish][..]),
            QoS::AtLeastOnce => (HandshakeKind::Qos1, &[Publish, PubAck][..]),
            QoS::ExactlyOnce => (HandshakeKind::Qos2, &[Publish, PubRec, PubRel, PubComp][..]),
        };
        let step = |(at, packet_type): (usize, &PacketType)| Step {
            packet_type: *packet_type,
            sender: match packet_type {
                Publish | PubRel => from,
                _ => from.peer(),
            },
            stamp: FrameStamp {
                number: frame + at as u64 * (gap % 3),
                time: Some(Timestamp::from_nanos(
                    (frame + at as u64 * gap) as i64 * 1_000,
                )),
                precision: Precision::Micro,
                ..FrameStamp::default()
            },
            index: 0,
            connection: ConnectionId(3),
            dup: false,
            qos: None,
            retain: retain && *packet_type == Publish,
            reason_code: None,
            after_gap: false,
        };
        let address = match frame % 2 {
            0 => IpAddr::V4(Ipv4Addr::new(192, 168, 200, 1)),
            _ => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        Handshake {
            kind,
            connection: ConnectionId(3),
            broker: 0,
            server: Endpoint {
                address,
                port: 1883,
            },
            initiator: from,
            client_id: Some(client.into()),
            version: Some(ProtocolVersion::V3_1_1),
            packet_id: PacketIdentifier::new(id).filter(|_| qos != QoS::AtMostOnce),
            steps: types.iter().enumerate().map(step).collect(),
            steps_left_out: 0,
            state: State::Complete,
            about: About::Message(Message {
                topic: Some(topic.into()),
                qos,
                retain,
                payload: Payload::of(payload),
            }),
            deliveries: Vec::new(),
            legs_left_out: 0,
            origin: (from == Sender::Server).then_some(Origin::NotSeen),
        }
    }

    fn painter(width: usize) -> Painter {
        Painter::new(Style {
            width,
            ascii: false,
            colour: false,
            start: Some(Timestamp::from_nanos(0)),
        })
    }

    /// The ladder as it is drawn straight, where it is, and as it is drawn by way of a ladder.
    fn both(handshake: &Handshake, painter: &mut Painter) -> (Option<String>, String) {
        let mut teller = Teller::default();
        let text = |octets| String::from_utf8(octets).unwrap();
        let (mut straight, mut long) = (b"before".to_vec(), b"before".to_vec());
        painter.draw(teller.handshake(handshake).unwrap(), &mut long);
        let drawn = match teller.ordinary(handshake) {
            Some(story) => painter.ordinary(&story, &mut straight),
            None => false,
        };
        assert!(drawn || straight == b"before");
        (drawn.then(|| text(straight)), text(long))
    }

    proptest! {
        #[test]
        fn a_story_drawn_straight_looks_as_one_drawn_by_way_of_a_ladder(
            qos in 0..3_usize,
            from in 0..2_usize,
            id in 1..u16::MAX,
            (client, topic) in ("[ -~]{0,40}", prop_oneof!["[ -~]{0,99}", "\\PC{0,9}"]),
            payload in prop_oneof!["[ -~]{0,90}", "[ -~]?", "\\PC{0,60}"],
            (frame, gap) in (0..30_u32, 0..40_u32),
            (width, retain) in (90..130_usize, any::<bool>()),
        ) {
            let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][qos];
            let from = [Sender::Client, Sender::Server][from];
            let story = handshake(
                (qos, from),
                (id, &client, &topic),
                payload.as_bytes(),
                (1 << frame, (1 << gap) / 3, retain),
            );
            let mut painter = painter(width);
            // Twice: with and without a plan from before.
            for _ in 0..2 {
                let (straight, long) = both(&story, &mut painter);
                if let Some(straight) = straight {
                    prop_assert_eq!(straight, long);
                }
            }
        }
    }

    #[test]
    fn ordinary_stories_are_drawn_straight_and_odd_ones_are_not() {
        let ordinary = handshake(
            (QoS::ExactlyOnce, Sender::Client),
            (7, "client-1", "site/1/temperature"),
            br#"{"value":21.5,"unit":"C","room":"kitchen","floor":1}"#,
            (1_000, 20, true),
        );
        let drawn = |change: fn(&mut Handshake)| {
            let mut story = ordinary.clone();
            change(&mut story);
            both(&story, &mut painter(100)).0.is_some()
        };
        assert!(drawn(|_| {}));
        assert!(drawn(
            |story| story.packet_id = PacketIdentifier::new(65_535)
        ));
        assert!(!drawn(|story| story.steps[1].dup = true));
        assert!(!drawn(|story| story.steps[1].after_gap = true));
        assert!(!drawn(|story| story.steps[1].reason_code = Some(0x10)));
        assert!(!drawn(|story| story.steps[3].connection = ConnectionId(4)));
        assert!(!drawn(|story| story.steps.swap(1, 2)));
        assert!(!drawn(
            |story| story.steps[1].packet_type = PacketType::Publish
        ));
        assert!(!drawn(|story| story.steps.clear()));
        assert!(!drawn(|story| story.steps_left_out = 1));
        assert!(!drawn(|story| story.legs_left_out = 1));
        assert!(!drawn(|story| story.origin = Some(Origin::Server)));
        assert!(!drawn(|story| story.client_id = None));
        assert!(!drawn(|story| story.client_id = Some("한".into())));
        assert!(!drawn(|story| story.about = About::Nothing));
        let mut ascii = painter(100);
        ascii.sheet.style.ascii = true;
        assert_eq!(both(&ordinary, &mut ascii).0, None);
        let mut coloured = painter(100);
        coloured.sheet.style.colour = true;
        assert_eq!(both(&ordinary, &mut coloured).0, None);
    }
}
