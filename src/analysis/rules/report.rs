//! Reporting: findings are counted by rule, wait where a gap could explain them, and are emitted.

use std::sync::Arc;

use foldhash::HashMap;

use super::super::caps;
use super::super::keys::BrokerId;
use super::super::output::{Outbox, Output};
use super::super::state::State;
use super::super::state::link::Link;
use super::claim::{Claim, Frame, Party, codec_sentence};
use super::clauses::Clause;
use crate::base::limits::{Limit, Limits, Reached};
use crate::base::{FrameStamp, Span};
use crate::event::{Cause, Finding, Handshake, Level, PacketEvent, Repeats};
use crate::mqtt::{PacketType, ProtocolVersion, Rule, Sender};
use crate::stream::ConnectionId;

/// Statement numbers.
pub(crate) type Statements = &'static [&'static str];

/// Where a finding belongs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// The frame that the finding is about.
    pub(crate) stamp: FrameStamp,
    /// `None` where it is about the capture.
    pub(crate) connection: Option<ConnectionId>,
    /// The client of the connection, where it is known.
    pub(crate) client_id: Option<Arc<str>>,
    /// The version whose statements are cited.
    pub(crate) version: Option<ProtocolVersion>,
    /// The statements that it is about, where they are fewer than its rule's.
    pub(crate) citing: Option<Statements>,
    /// Its level, where that is not its rule's.
    pub(crate) level: Option<Level>,
    /// The end that caused it, where the kind of finding does not fix it.
    pub(crate) by: Option<Sender>,
    /// The packet that it is about, where it is one.
    pub(crate) packet: Option<PacketType>,
}

impl Place {
    /// Returns the place of a frame of a connection.
    pub(crate) fn on(link: &Link, stamp: FrameStamp) -> Self {
        Self {
            stamp,
            connection: Some(link.id),
            client_id: link.client_id.clone(),
            version: link.version,
            ..Self::default()
        }
    }

    /// Returns the place of a packet, which its sender answers for.
    pub(crate) fn of(link: &Link, event: &PacketEvent<'_>) -> Self {
        Self {
            packet: Some(event.packet_type),
            ..Self::on(link, event.stamp).by(event.sender)
        }
    }

    /// Returns the place of a frame of a handshake.
    pub(crate) fn in_handshake(record: &Handshake, stamp: FrameStamp) -> Self {
        let step = record
            .steps
            .iter()
            .find(|step| step.stamp.number == stamp.number);
        Self {
            stamp,
            connection: Some(step.map_or(record.connection, |step| step.connection)),
            client_id: record.client_id.clone(),
            version: record.version,
            ..Self::default()
        }
    }

    /// Returns a place that belongs to no connection.
    pub(crate) fn nowhere(stamp: FrameStamp) -> Self {
        Self {
            stamp,
            ..Self::default()
        }
    }

    /// Names who caused it.
    pub(crate) fn by(mut self, sender: Sender) -> Self {
        self.by = Some(sender);
        self
    }

    /// Sets a level that is not its rule's.
    pub(crate) fn at(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    /// Names the statements of 3.1.1 and of 5.0 that the finding is about.
    pub(crate) fn citing(mut self, v3_1_1: Statements, v5_0: Statements) -> Self {
        self.citing = match self.version {
            Some(ProtocolVersion::V3_1) => Some(&[]),
            Some(ProtocolVersion::V5_0) => Some(v5_0),
            _ => Some(v3_1_1),
        };
        self
    }
}

/// A finding that a gap could explain, until a later packet of the same end shows that there is
/// none.
#[derive(Debug)]
struct Suspect {
    clause: &'static Clause,
    /// The frame that it is about.
    frame: u64,
    /// `None` where further findings of its rule are only counted.
    finding: Option<Box<Finding>>,
    /// Whose missing bytes would explain it.
    depends: Sender,
    /// Gaps of that end when it was found.
    gaps: u32,
}

/// The slow answers of one end of a connection: a slow receiver answers every message late, which
/// is one finding.
#[derive(Debug)]
struct SlowAnswers {
    /// Of the first.
    place: Place,
    count: u64,
    /// The frame of the last.
    last: u64,
    slowest: Answer,
}

/// An answer and the time that it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// The time since the packet that it answers.
    pub(crate) span: Span,
    /// Its frame.
    pub(crate) stamp: FrameStamp,
    /// Its type.
    pub(crate) packet_type: PacketType,
    /// The end that sent it.
    pub(crate) sender: Sender,
}

/// The findings of a run and the events that wait with them.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The events that are ready, findings among them.
    pub(crate) outbox: Outbox,
    /// Findings are wanted; otherwise nothing is checked that only they need.
    pub(crate) wanted: bool,
    /// The limits of the run, for the number of findings of a rule.
    pub(crate) limits: Limits,
    /// How often each limit of the analysis was reached.
    reached: Reached,
    /// By rule.
    counts: HashMap<&'static str, u64>,
    /// Findings that are not sure, of connections that have some: at most [`caps::SUSPECTS`] each.
    suspects: HashMap<ConnectionId, Vec<Suspect>>,
    /// Slow answers of connections that are open, by the end that answers.
    slow: HashMap<(ConnectionId, Sender), SlowAnswers>,
    /// Findings that a client outside the capture could explain, by broker: at most
    /// [`Limits::findings`](crate::base::limits::Limits::findings).
    sole: Vec<(BrokerId, &'static Clause, Box<Finding>)>,
    /// A finding since the last question was about a packet that breaks the protocol.
    faulty: bool,
}

impl Report {
    /// Returns a report that keeps as much as `limits` allow.
    pub(crate) fn new(wanted: bool, outbox: Outbox, limits: Limits) -> Self {
        Self {
            outbox,
            wanted,
            limits,
            ..Self::default()
        }
    }

    /// Returns how often each limit was reached.
    pub(crate) fn reached(&self) -> &Reached {
        &self.reached
    }

    /// Reports a finding.
    #[cold]
    pub(crate) fn find(&mut self, place: Place, claim: Claim<'_>) {
        if self.counts_in(claim.clause().name) {
            let finding = finding(place, claim);
            self.outbox.emit(Output::Finding(finding));
        }
    }

    /// Reports a finding at the end of the capture, unless its broker turns out to have clients that
    /// the capture does not hold: what one of them did could explain it.
    #[cold]
    pub(crate) fn find_unless_outsiders(
        &mut self,
        broker: BrokerId,
        place: Place,
        claim: Claim<'_>,
    ) {
        if self.wanted && self.sole.len() < self.limits.findings {
            self.sole
                .push((broker, claim.clause(), finding(place, claim)));
        }
    }

    /// Reports what waited for the end of the capture, but for the brokers that have `outsiders`.
    pub(crate) fn settle_sole(&mut self, outsiders: impl Fn(BrokerId) -> bool) {
        for (broker, clause, finding) in std::mem::take(&mut self.sole) {
            if !outsiders(broker) && self.counts_in(clause.name) {
                self.outbox.emit(Output::Finding(finding));
            }
        }
    }

    /// Reports a finding about a packet for which a receiver has to close the connection.
    #[cold]
    pub(crate) fn find_fault(&mut self, place: Place, claim: Claim<'_>) {
        self.faulty |= self.wanted;
        self.find(place, claim);
    }

    /// Reports a rule of the codec that a packet breaks, which is a fault unless it is advice.
    #[cold]
    pub(crate) fn find_broken_rule(&mut self, link: &Link, event: &PacketEvent<'_>, rule: Rule) {
        let level = match rule.breach() {
            crate::mqtt::Breach::Malformed | crate::mqtt::Breach::ProtocolError => Level::Error,
            crate::mqtt::Breach::Advice => Level::Note,
        };
        self.faulty |= self.wanted && level == Level::Error;
        if !self.counts_in(rule.name()) {
            return;
        }
        let who = party(link.client_id.as_deref(), Some(event.sender));
        self.outbox.emit(Output::Finding(Box::new(Finding {
            level,
            rule: rule.name(),
            statements: rule.ids(link.version()),
            stamp: event.stamp,
            frames: Vec::new(),
            by: event.sender.into(),
            repeats: None,
            connection: Some(link.id),
            client_id: link.client_id.clone(),
            message: codec_sentence(event.packet_type.name(), who, rule),
        })));
    }

    /// Counts a slow answer, which is reported with the others of its end once its connection is
    /// over.
    #[cold]
    pub(crate) fn slow_answer(&mut self, place: Place, answer: Answer) {
        let Some(connection) = place.connection.filter(|_| self.wanted) else {
            return;
        };
        let frame = answer.stamp.number;
        let key = (connection, answer.sender);
        let all = self.slow.entry(key).or_insert_with(|| SlowAnswers {
            place,
            count: 0,
            last: frame,
            slowest: answer,
        });
        all.count += 1;
        all.last = all.last.max(frame);
        if answer.span > all.slowest.span {
            all.slowest = answer;
        }
    }

    /// Reports the slow answers of a connection that is over.
    pub(crate) fn settle_slow(&mut self, connection: ConnectionId) {
        if self.slow.is_empty() {
            return;
        }
        for sender in [Sender::Client, Sender::Server] {
            let Some(all) = self.slow.remove(&(connection, sender)) else {
                continue;
            };
            let (place, count, slowest) = (all.place, all.count, all.slowest);
            let (packet, seconds) = (slowest.packet_type.name(), slowest.span.seconds());
            if count == 1 {
                self.find(place, Claim::SlowAcknowledgement { packet, seconds });
                continue;
            }
            let repeats = Repeats {
                count,
                first_frame: place.stamp.number,
                last_frame: all.last,
            };
            let claim = Claim::SlowAcknowledgements {
                count,
                last: Frame(all.last),
                packet,
                slowest: Frame(slowest.stamp.number),
                seconds,
            };
            if self.counts_in(claim.clause().name) {
                let mut finding = finding(place, claim);
                finding.repeats = Some(repeats);
                self.outbox.emit(Output::Finding(finding));
            }
        }
    }

    /// Reports a finding once it is sure that no gap in what `depends` sent explains it.
    #[cold]
    pub(crate) fn suspect(&mut self, link: &Link, depends: Sender, place: Place, claim: Claim<'_>) {
        if !self.wanted {
            return;
        }
        let clause = claim.clause();
        // An end that leaves so much open in succession was hardly captured.
        if self.suspects.get(&link.id).map_or(0, Vec::len) >= caps::SUSPECTS {
            return;
        }
        let counts_only = self.counts_only(clause.name);
        let frame = place.stamp.number;
        self.suspects.entry(link.id).or_default().push(Suspect {
            clause,
            frame,
            // A sentence that is not emitted costs more than the rest of a finding.
            finding: (!counts_only).then(|| finding(place, claim)),
            depends,
            gaps: link.gaps()[depends],
        });
    }

    /// Reports what a packet of `event`'s sender makes sure: it came in order, so what its end
    /// was suspected of missing before is not missing, or a gap has been reported by now.
    pub(crate) fn make_sure(&mut self, link: &Link, event: &PacketEvent<'_>) {
        if self.suspects.is_empty() {
            return;
        }
        let Some(waiting) = self.suspects.get_mut(&link.id) else {
            return;
        };
        let sure =
            |one: &mut Suspect| one.depends == event.sender && one.frame < event.stamp.number;
        let settled: Vec<_> = waiting.extract_if(.., sure).collect();
        if waiting.is_empty() {
            self.suspects.remove(&link.id);
        }
        for one in settled {
            self.settle(link, one);
        }
    }

    /// Reports what still waits for certainty on a connection that is over.
    pub(crate) fn settle_suspects(&mut self, link: &Link) {
        for one in self.suspects.remove(&link.id).unwrap_or_default() {
            self.settle(link, one);
        }
    }

    /// Reports a suspect unless a gap explains it.
    fn settle(&mut self, link: &Link, one: Suspect) {
        if link.gaps()[one.depends] != one.gaps {
            return;
        }
        if self.counts_in(one.clause.name)
            && let Some(finding) = one.finding
        {
            self.outbox.emit(Output::Finding(finding));
        }
    }

    /// Returns whether a packet that breaks the protocol was reported since the last question.
    pub(crate) fn take_fault(&mut self) -> bool {
        std::mem::take(&mut self.faulty)
    }

    /// Counts a finding of a rule; returns whether it is to be emitted.
    fn counts_in(&mut self, rule: &'static str) -> bool {
        if !self.wanted {
            return false;
        }
        let count = self.counts.entry(rule).or_default();
        *count += 1;
        *count <= self.limits.findings as u64
    }

    /// Returns whether there was a finding of a rule.
    pub(crate) fn has_found(&self, clause: &Clause) -> bool {
        self.counts.contains_key(clause.name)
    }

    /// Returns whether further findings of a rule are only counted.
    fn counts_only(&self, rule: &str) -> bool {
        let count = self.counts.get(rule).copied().unwrap_or_default();
        count > 0 && count >= self.limits.findings as u64
    }

    /// Counts that a limit was reached; the first time is a finding.
    #[cold]
    pub(crate) fn limit_reached(&mut self, limit: Limit, stamp: FrameStamp) {
        if self.reached.add(limit, 1) > 1 {
            return;
        }
        let (name, value) = (limit.row().name, self.limits.get(limit));
        self.find(Place::nowhere(stamp), Claim::LimitReached { name, value });
    }

    /// Reports how many findings were only counted.
    pub(crate) fn finish(&mut self, stamp: FrameStamp) {
        let most = self.limits.findings as u64;
        let counts = self.counts.iter().map(|(rule, count)| (*rule, *count));
        let mut over: Vec<_> = counts.filter(|(_, count)| *count > most).collect();
        over.sort_unstable();
        for (rule, count) in over {
            let more = count - most;
            self.find(Place::nowhere(stamp), Claim::MoreFindings { more, rule });
        }
    }
}

/// Returns a finding of a claim at a place.
fn finding(place: Place, claim: Claim<'_>) -> Box<Finding> {
    let clause = claim.clause();
    let version = place.version.unwrap_or(ProtocolVersion::V3_1_1);
    let mut frames = claim.frames();
    frames.retain(|frame| *frame != place.stamp.number);
    let client_id = place.client_id.as_deref();
    let packet = place.packet.map_or("", PacketType::name);
    let who = party(client_id, place.by);
    let message = claim.sentence(Party::Client(client_id), who, packet);
    Box::new(Finding {
        level: place.level.unwrap_or(clause.level),
        rule: clause.name,
        statements: place.citing.unwrap_or_else(|| clause.statements(version)),
        stamp: place.stamp,
        frames,
        by: match claim.by() {
            Cause::Unknown => place.by.map_or(Cause::Unknown, Cause::from),
            by => by,
        },
        repeats: None,
        connection: place.connection,
        client_id: place.client_id,
        message,
    })
}

/// Returns an end of a connection, or its client, by the name that a sentence uses.
fn party(client_id: Option<&str>, by: Option<Sender>) -> Party<'_> {
    match by {
        Some(Sender::Server) => Party::Server,
        _ => Party::Client(client_id),
    }
}

/// A control packet under the rules: what they read, and the report that they write to.
pub(crate) struct Check<'a> {
    /// The state before the packet; its connection is taken out.
    pub(crate) state: &'a State,
    /// The packet's connection.
    pub(crate) link: &'a Link,
    /// The packet.
    pub(crate) event: &'a PacketEvent<'a>,
    /// Where findings go.
    pub(crate) report: &'a mut Report,
}

impl Check<'_> {
    /// Returns the place of the packet.
    pub(crate) fn place(&self) -> Place {
        Place::of(self.link, self.event)
    }

    /// Reports a finding about the packet.
    #[cold]
    pub(crate) fn find(&mut self, claim: Claim<'_>) {
        self.report.find(self.place(), claim);
    }

    /// Reports a finding about the packet that a client outside the capture could explain.
    #[cold]
    pub(crate) fn find_unless_outsiders(&mut self, claim: Claim<'_>) {
        let (broker, place) = (self.link.broker, self.place());
        self.report.find_unless_outsiders(broker, place, claim);
    }

    /// Reports that the receiver of the packet has to close the connection.
    #[cold]
    pub(crate) fn find_fault(&mut self, claim: Claim<'_>) {
        self.report.find_fault(self.place(), claim);
    }

    /// Reports a finding about the packet once no gap in what `depends` sent explains it.
    #[cold]
    pub(crate) fn suspect(&mut self, depends: Sender, claim: Claim<'_>) {
        self.report.suspect(self.link, depends, self.place(), claim);
    }
}
