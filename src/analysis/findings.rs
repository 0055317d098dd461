//! Findings told, and counted where there are too many.

use std::sync::Arc;

use super::clauses::{self, Clause};
use super::outbox::{Outbox, Told};
use crate::base::FrameStamp;
use crate::base::limits::{Limit, Limits, Reached};
use crate::event::{Cause, Finding, Level};
use crate::mqtt::ProtocolVersion;
use crate::stream::ConnectionId;

/// Where a finding belongs.
#[derive(Clone, Debug)]
pub(super) struct Where {
    pub(super) stamp: FrameStamp,
    pub(super) connection: Option<ConnectionId>,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) version: Option<ProtocolVersion>,
    /// The statements that it is about, where they are fewer than its rule's.
    pub(super) citing: Option<&'static [&'static str]>,
}

impl Where {
    /// Names the statements of 3.1.1 and of 5.0 that the finding is about.
    pub(super) fn citing(
        mut self,
        old: &'static [&'static str],
        new: &'static [&'static str],
    ) -> Self {
        self.citing = match self.version {
            Some(ProtocolVersion::V3_1) => Some(&[]),
            Some(ProtocolVersion::V5_0) => Some(new),
            _ => Some(old),
        };
        self
    }
}

/// A sentence that may begin with a client's name.
fn capital(mut sentence: String) -> String {
    if sentence.starts_with("client ") || sentence.starts_with("the ") {
        let first = sentence.get_mut(..1).unwrap_or_default();
        first.make_ascii_uppercase();
    }
    sentence
}

/// Tells findings.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) wanted: bool,
    /// By rule; they are few.
    counts: Vec<(&'static str, u64)>,
    /// How often each limit of the analysis was reached.
    pub(super) reached: Reached,
    pub(super) limits: Limits,
}

impl Findings {
    /// Tells a finding of `clause` with all its statements.
    #[cold]
    pub(super) fn tell(
        &mut self,
        outbox: &mut Outbox,
        clause: &'static Clause,
        at: Where,
        message: impl FnOnce() -> String,
    ) {
        let version = at.version.unwrap_or(ProtocolVersion::V3_1_1);
        let statements = at.citing.unwrap_or_else(|| clause.statements(version));
        self.tell_as(outbox, (clause.level, clause.name, statements), at, message);
    }

    /// Tells a finding that is about `statements` only.
    #[cold]
    pub(super) fn tell_as(
        &mut self,
        outbox: &mut Outbox,
        (level, rule, statements): (Level, &'static str, &'static [&'static str]),
        at: Where,
        message: impl FnOnce() -> String,
    ) {
        if !self.wanted {
            return;
        }
        if self.count(rule) > self.limits.findings as u64 {
            return;
        }
        outbox.now(Told::Finding(Box::new(Finding {
            level,
            rule,
            statements,
            stamp: at.stamp,
            frames: Vec::new(),
            by: Cause::Unknown,
            connection: at.connection,
            client_id: at.client_id,
            message: capital(message()),
        })));
    }

    /// Counts a finding of a rule; how many those are now.
    pub(super) fn count(&mut self, rule: &'static str) -> u64 {
        if let Some((_, count)) = self.counts.iter_mut().find(|(other, _)| *other == rule) {
            *count += 1;
            return *count;
        }
        self.counts.push((rule, 1));
        1
    }

    /// Whether further findings of a rule are only counted: their words are not asked for.
    pub(super) fn only_counts(&self, rule: &str) -> bool {
        let mut counts = self.counts.iter();
        let count = counts.find(|(other, _)| *other == rule);
        count.is_some_and(|(_, count)| *count >= self.limits.findings as u64)
    }

    /// Counts that a limit was reached; the first time is a finding.
    #[cold]
    pub(super) fn limit_reached(&mut self, outbox: &mut Outbox, limit: Limit, stamp: FrameStamp) {
        if self.reached.add(limit, 1) > 1 {
            return;
        }
        let (name, value) = (limit.row().name, self.limits.get(limit));
        let at = Where {
            stamp,
            connection: None,
            client_id: None,
            version: None,
            citing: None,
        };
        self.tell(outbox, &clauses::TABLE_FULL, at, || {
            format!(
                "From here on the analysis may miss something: its table of {name} reached its limit of {value}."
            )
        });
    }

    /// Tells how many findings were only counted.
    pub(super) fn finish(&mut self, outbox: &mut Outbox, stamp: FrameStamp) {
        let most = self.limits.findings as u64;
        let mut over: Vec<_> = self
            .counts
            .iter()
            .filter(|(_, count)| *count > most)
            .copied()
            .collect();
        over.sort_unstable();
        for (rule, count) in over {
            let at = Where {
                stamp,
                connection: None,
                client_id: None,
                version: None,
                citing: None,
            };
            self.tell(outbox, &clauses::MORE_FINDINGS, at, || {
                format!(
                    "{} more findings of the rule {rule} are not told one by one.",
                    count - most
                )
            });
        }
    }
}
