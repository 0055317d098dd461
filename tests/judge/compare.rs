//! Claims of the program, compared with the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::{self, Display};
use std::path::PathBuf;

use mqtt_inspect::mqtt::{PacketType, Sender};
use serde_json::Value;

use super::findings;
use super::known::{End, MessageId};
use super::oracle::{Seen, Truth};
use crate::tool::run;

/// Claims of one kind, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) right: u64,
    /// Not visible, or marked as ambiguous.
    pub(crate) unknown: u64,
    pub(crate) wrong: u64,
}

/// Claims by kind.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) rows: BTreeMap<&'static str, Tally>,
    /// Each false claim.
    pub(crate) wrong: Vec<String>,
}

/// How a claim stands to the truth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Right,
    Unknown,
    Wrong,
}

impl Verdict {
    pub(crate) const fn of(right: bool) -> Self {
        if right { Self::Right } else { Self::Wrong }
    }
}

impl Table {
    pub(crate) fn count(
        &mut self,
        kind: &'static str,
        verdict: Verdict,
        claim: impl FnOnce() -> String,
    ) {
        let row = self.rows.entry(kind).or_default();
        match verdict {
            Verdict::Right => row.right += 1,
            Verdict::Unknown => row.unknown += 1,
            Verdict::Wrong => {
                row.wrong += 1;
                self.wrong.push(format!("{kind}: {}", claim()));
            }
        }
    }

    pub(crate) fn add(&mut self, other: Self, name: &str) {
        for (kind, tally) in other.rows {
            let row = self.rows.entry(kind).or_default();
            row.right += tally.right;
            row.unknown += tally.unknown;
            row.wrong += tally.wrong;
        }
        let named = other.wrong.iter().map(|one| format!("{name}: {one}"));
        self.wrong.extend(named);
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<22}{:>9}{:>9}{:>9}{:>7}",
            "category", "claims", "right", "unknown", "false"
        )?;
        for (kind, row) in &self.rows {
            let claims = row.right + row.unknown + row.wrong;
            let Tally {
                right,
                unknown,
                wrong,
            } = row;
            writeln!(f, "{kind:<22}{claims:>9}{right:>9}{unknown:>9}{wrong:>7}")?;
        }
        Ok(())
    }
}

/// A capture, damaged or not, as the program reads it.
pub(crate) struct Shown<'t> {
    pub(crate) truth: &'t Truth,
    /// The number in the whole capture of each frame, in order.
    pub(crate) numbers: Vec<u64>,
    pub(crate) whole: bool,
    flow: Value,
    pub(crate) findings: Value,
    /// The client's port of each stream.
    ports: BTreeMap<u64, u16>,
}

/// The objects of an array that may be absent.
pub(crate) fn array<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

impl<'t> Shown<'t> {
    /// Lets the program read `files`, merged where there are several.
    pub(crate) fn new(truth: &'t Truth, files: &[PathBuf], numbers: Vec<u64>, whole: bool) -> Self {
        let json = |options: &[&str]| -> Value {
            let mut arguments: Vec<&OsStr> = options.iter().map(AsRef::as_ref).collect();
            if files.len() > 1 {
                arguments.push("--merge".as_ref());
            }
            arguments.extend(files.iter().map(|file| file.as_os_str()));
            let ran = run(arguments);
            assert!(matches!(ran.status, Some(0 | 1)), "{}", ran.err);
            serde_json::from_str(&ran.out).expect("JSON")
        };
        let flow = json(&["--flow", "all", "--json"]);
        let findings = json(&["--check", "--json"]);
        let sessions = array(&flow, "sessions");
        let connections = sessions.flat_map(|session| array(session, "connections"));
        let ports = connections.filter_map(|one| {
            let port = u16::try_from(one["src_port"].as_u64()?).ok()?;
            Some((one["stream"].as_u64()?, port))
        });
        Self {
            ports: ports.collect(),
            truth,
            numbers,
            whole,
            flow,
            findings,
        }
    }

    /// The number in the whole capture of the last frame.
    fn last(&self) -> u64 {
        self.numbers.last().copied().unwrap_or(0)
    }

    /// The number in the whole capture of a frame that the program names.
    pub(crate) fn frame(&self, shown: &Value) -> u64 {
        let shown = shown.as_u64().unwrap_or(0);
        let place = usize::try_from(shown).expect("a number").wrapping_sub(1);
        self.numbers.get(place).copied().unwrap_or(0)
    }

    /// The port of the client of a stream that the program names.
    pub(crate) fn port(&self, stream: &Value) -> Option<u16> {
        self.ports.get(&stream.as_u64()?).copied()
    }

    /// Compares everything.
    pub(crate) fn compare(&self) -> Table {
        let mut table = Table::default();
        let mut linked = BTreeSet::new();
        for handshake in array(&self.flow, "handshakes") {
            if !matches!(handshake["kind"].as_str(), Some("qos0" | "qos1" | "qos2")) {
                continue;
            }
            self.redelivery(handshake, &mut table);
            let message = self.message(&handshake["steps"][0], &handshake["packet_id"]);
            match handshake["initiator"].as_str() {
                Some("client") => {
                    self.deliveries(handshake, &message, &mut table, &mut linked);
                    self.missing(handshake, &message, &mut table);
                }
                _ => self.origin(handshake, &message, &mut table),
            }
        }
        for will in array(&self.flow, "wills") {
            let message = self.will(will, &mut table);
            self.deliveries(will, &message, &mut table, &mut linked);
            self.missing(will, &message, &mut table);
        }
        for stored in array(&self.flow, "retained") {
            let frame = self.frame(&stored["stored_frame"]);
            let mut message = self.truth.messages(frame, Sender::Client, None);
            message.extend(self.will_of(frame));
            self.deliveries(stored, &message, &mut table, &mut linked);
        }
        self.unlinked(&linked, &mut table);
        findings::compare(self, &mut table);
        table
    }

    /// The messages that a step of a handshake may be.
    fn message(&self, step: &Value, packet_id: &Value) -> BTreeSet<MessageId> {
        let sender = match step["sender"].as_str() {
            Some("client") => Sender::Client,
            _ => Sender::Server,
        };
        let packet_id = packet_id.as_u64().and_then(|id| u16::try_from(id).ok());
        self.truth
            .messages(self.frame(&step["frame"]), sender, packet_id)
    }

    /// The will that the CONNECT of a frame set.
    fn will_of(&self, frame: u64) -> Option<MessageId> {
        let mut connects = self
            .truth
            .in_frame(frame)
            .filter(|seen| seen.packet_type == PacketType::Connect);
        let port = connects.next()?.port;
        self.truth.known.links.get(&port)?.will
    }

    /// Every PUBLISH of one handshake is the same message.
    fn redelivery(&self, handshake: &Value, table: &mut Table) {
        let publishes: Vec<_> = array(handshake, "steps")
            .filter(|step| step["type_name"] == "PUBLISH")
            .map(|step| self.message(step, &handshake["packet_id"]))
            .filter(|messages| !messages.is_empty())
            .collect();
        let Some((first, others)) = publishes.split_first() else {
            return;
        };
        if !others.is_empty() {
            let same = others.iter().all(|other| !other.is_disjoint(first));
            table.count("redelivery", Verdict::of(same), || {
                format!(
                    "one handshake, messages {publishes:?}: {}",
                    short(handshake)
                )
            });
        }
    }

    /// The copies of a message that was published.
    fn deliveries(
        &self,
        of: &Value,
        message: &BTreeSet<MessageId>,
        table: &mut Table,
        linked: &mut BTreeSet<(u64, u16, Option<u16>)>,
    ) {
        for copy in array(of, "deliveries") {
            let found = self.message(&copy["steps"][0], &copy["packet_id"]);
            if found.is_empty() || message.is_empty() {
                continue;
            }
            let verdict = match copy["ambiguous"] == true {
                true => Verdict::Unknown,
                false => Verdict::of(!found.is_disjoint(message)),
            };
            table.count("link", verdict, || {
                format!("{message:?} delivered as {found:?}: {}", short(copy))
            });
            if verdict == Verdict::Right
                && let Some(port) = self.port(&copy["stream"])
            {
                let packet_id = copy["packet_id"]
                    .as_u64()
                    .and_then(|id| u16::try_from(id).ok());
                linked.insert((self.frame(&copy["frame"]), port, packet_id));
            }
            if verdict == Verdict::Right {
                self.stored(copy, copy["stored"] == true, table);
            }
        }
    }

    /// A stored copy has RETAIN 1, a live one has not, unless Retain As Published asks for more.
    fn stored(&self, copy: &Value, stored: bool, table: &mut Table) {
        let Some(port) = self.port(&copy["stream"]) else {
            return;
        };
        let client = self.truth.client(port);
        if self.truth.keeps_retain(client) {
            return;
        }
        let right = copy["retain"] == stored;
        table.count("stored or live", Verdict::of(right), || {
            format!("stored {stored} for {client}: {}", short(copy))
        });
    }

    /// Copies that no message was linked to, though its PUBLISH is in the capture.
    fn unlinked(&self, linked: &BTreeSet<(u64, u16, Option<u16>)>, table: &mut Table) {
        let kept: BTreeSet<u64> = self.numbers.iter().copied().collect();
        let there = |seen: &&Seen| kept.contains(&seen.frame);
        let copies = self
            .truth
            .packets
            .iter()
            .filter(|seen| seen.sender == Sender::Server && !seen.dup);
        for copy in copies.filter(there) {
            let Some(message) = copy.message else {
                continue;
            };
            let is_there = self.truth.published(message).any(|seen| there(&seen));
            if is_there && !linked.contains(&(copy.frame, copy.port, copy.packet_id)) {
                let row = table.rows.entry("copy without link").or_default();
                row.unknown += 1;
            }
        }
    }

    /// Where a copy is claimed to come from.
    fn origin(&self, handshake: &Value, message: &BTreeSet<MessageId>, table: &mut Table) {
        let origin = &handshake["origin"];
        if message.is_empty() || origin.is_null() {
            return;
        }
        let frame = self.frame(&origin["frame"]);
        let claimed = match origin["kind"].as_str() {
            _ if origin["ambiguous"] == true => BTreeSet::new(),
            Some("published" | "stored") => {
                let mut claimed = self.truth.messages(frame, Sender::Client, None);
                claimed.extend(self.will_of(frame));
                claimed
            }
            Some("will") => self.will_of(frame).into_iter().collect(),
            Some("server") => {
                return table.count("origin", Verdict::Wrong, || {
                    format!(
                        "{message:?} is no message of the server: {}",
                        short(handshake)
                    )
                });
            }
            _ => BTreeSet::new(),
        };
        let verdict = match claimed.is_empty() {
            true => Verdict::Unknown,
            false => Verdict::of(!claimed.is_disjoint(message)),
        };
        table.count("origin", verdict, || {
            format!("{message:?} comes from {claimed:?}: {}", short(handshake))
        });
    }

    /// Why a client did not get a message.
    fn missing(&self, of: &Value, message: &BTreeSet<MessageId>, table: &mut Table) {
        for entry in array(of, "not_delivered") {
            let [message] = message.iter().collect::<Vec<_>>()[..] else {
                continue;
            };
            let why = entry["why"].as_str().unwrap_or("");
            let filters: Vec<_> = array(entry, "filters").filter_map(Value::as_str).collect();
            let client = match entry["client_id"].as_str() {
                Some(client) => client,
                None => match self.port(&entry["stream"]) {
                    Some(port) => self.truth.client(port),
                    None => continue,
                },
            };
            let verdict = match entry["ambiguous"] == true {
                true => Verdict::Unknown,
                false => self.reason(why, client, *message, &filters),
            };
            table.count("reason", verdict, || {
                format!(
                    "{message} to {client}: {why}: {} {}",
                    short(entry),
                    short(of)
                )
            });
        }
    }

    fn reason(&self, why: &str, client: &str, message: MessageId, filters: &[&str]) -> Verdict {
        let truth = self.truth;
        let known = &truth.known;
        let asked = &known.messages[&message];
        let of_them = |list: &BTreeSet<(String, String)>| {
            let mut pairs = list.iter();
            pairs.any(|(name, filter)| name == client && filters.contains(&filter.as_str()))
        };
        match why {
            // Not definite; a whole capture has no gaps.
            "gap" => match self.whole {
                true => Verdict::Wrong,
                false => Verdict::Unknown,
            },
            "unknown" | "queue_dropped" | "capture_end" | "given_up" => Verdict::Unknown,
            // Another filter of the client may have brought a copy.
            "no_local" => Verdict::of(asked.client == client && of_them(&known.no_local)),
            _ if truth.surely_got(client, message, filters, self.last()) => Verdict::Wrong,
            "other_member" => Verdict::of(truth.copies(message).next().is_some()),
            "not_released" => Verdict::of(asked.qos == 2 && !known.released.contains(&message)),
            "expired" => Verdict::of(asked.expires),
            "too_large" => Verdict::of(known.small.contains(client)),
            "unsubscribed" => Verdict::of(of_them(&known.unsubscribed)),
            "not_subscribed" => Verdict::of(of_them(&known.subscribed)),
            "session_away" | "connection_ended" | "session_ended" => {
                let mut links = known.links.values();
                let ends = |link: &super::known::Link| link.end != End::Open;
                Verdict::of(links.any(|link| link.client == client && ends(link)))
            }
            _ => Verdict::Wrong,
        }
    }

    /// Whether a will was published; returns its message.
    fn will(&self, will: &Value, table: &mut Table) -> BTreeSet<MessageId> {
        let set = self.frame(&will["set_frame"]);
        let Some(message) = self.will_of(set) else {
            table.count("will", Verdict::Wrong, || {
                format!("none was set: {}", short(will))
            });
            return BTreeSet::new();
        };
        let kept: BTreeSet<u64> = self.numbers.iter().copied().collect();
        let mut copies = self.truth.copies(message);
        let verdict = if will["ambiguous"] == true {
            Verdict::Unknown
        } else if will["published"] == true {
            let found = self
                .truth
                .messages(self.frame(&will["frame"]), Sender::Server, None);
            Verdict::of(found.contains(&message))
        } else if copies.any(|copy| kept.contains(&copy.frame)) {
            Verdict::Wrong
        } else {
            let end = self
                .truth
                .known
                .links
                .values()
                .find(|link| link.will == Some(message))
                .map(|link| link.end);
            match will["why"].as_str() {
                Some("disconnected") => Verdict::of(end == Some(End::Disconnect)),
                Some("refused") => Verdict::Wrong,
                Some("still_open") if self.whole => Verdict::of(end == Some(End::Open)),
                _ => Verdict::Unknown,
            }
        };
        table.count("will", verdict, || format!("{message}: {}", short(will)));
        BTreeSet::from([message])
    }
}

/// A record on a line, without what makes it long.
pub(crate) fn short(record: &Value) -> String {
    let mut record = record.clone();
    if let Some(members) = record.as_object_mut() {
        members.retain(|name, _| {
            !["payload", "deliveries", "not_delivered", "connect"].contains(&name.as_str())
        });
        if let Some(steps) = members.get_mut("steps").and_then(Value::as_array_mut) {
            steps.truncate(2);
        }
    }
    record.to_string()
}
