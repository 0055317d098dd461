//! Scripted conversations with one fault each, and correct ones that look like faults: each fault
//! is found with the right blame, and nothing else is.
//!
//! The conversations are data: `client.txt`, `server.txt` and `correct.txt`, in the form that
//! [`scenario`] describes. The environment variable `MQTT_INSPECT_SCENARIO` names one that is played
//! alone, `MQTT_INSPECT_SCENARIOS` a folder that takes their captures.

mod packets;
mod scenario;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use mqtt_inspect::event::{Level, OwnedEvent};
use mqtt_inspect::{Options, Records};
use scenario::{Expected, Played, Scenario, scenarios};

/// Faults of clients and of servers, and correct behaviour: at least so many conversations.
const FAULTS: usize = 99;
const CORRECT: usize = 32;

#[derive(Default)]
struct Score {
    found: usize,
    missed: usize,
    wrong_blame: usize,
    false_alarms: usize,
}

#[test]
fn scripted_faults_are_found_with_the_right_blame_and_correct_behaviour_gives_no_alarm() {
    let files = [
        ("faults of clients", include_str!("client.txt")),
        ("faults of servers", include_str!("server.txt")),
        ("correct behaviour", include_str!("correct.txt")),
    ];
    let only = std::env::var("MQTT_INSPECT_SCENARIO").ok();
    let mut table = format!(
        "{:20}{:>8}{:>8}{:>13}{:>14}\n",
        "", "right", "missed", "wrong blame", "false alarms"
    );
    let mut report = String::new();
    let mut sums = [0; 2];
    for (title, file) in files {
        let mut score = Score::default();
        let mut names = BTreeSet::new();
        for scenario in scenarios(file) {
            assert!(
                names.insert(scenario.name),
                "{} stands twice",
                scenario.name
            );
            if only.as_ref().is_none_or(|only| scenario.name == only) {
                judge(&scenario, &mut score, &mut report);
            }
        }
        sums[usize::from(title == "correct behaviour")] += names.len();
        let _ = writeln!(
            table,
            "{title:20}{:>8}{:>8}{:>13}{:>14}",
            score.found, score.missed, score.wrong_blame, score.false_alarms
        );
    }
    println!("{table}");
    assert!(report.is_empty(), "{table}\n{report}");
    assert!(sums[0] >= FAULTS && sums[1] >= CORRECT, "{sums:?}");
}

/// Plays a scenario in each of its versions, which together count once: at the worst of them.
fn judge(scenario: &Scenario<'_>, score: &mut Score, report: &mut String) {
    let [mut missed, mut blamed, mut alarms] = [false; 3];
    for version in &scenario.versions {
        let Played { capture, expected } = scenario.play(*version);
        if let Ok(folder) = std::env::var("MQTT_INSPECT_SCENARIOS") {
            let path = format!("{folder}/{}-{version}.pcap", scenario.name);
            std::fs::write(path, &capture).expect("the folder takes it");
        }
        let (mut found, sentences) = findings(&capture, &expected);
        let mut wanted = expected;
        wanted.retain(|one| match found.iter().position(|other| other == one) {
            Some(at) => {
                found.remove(at);
                false
            }
            None => true,
        });
        let blame = |one: &Expected| found.iter().any(|(.., rule, _)| *rule == one.1);
        let wrong = wanted.iter().filter(|one| blame(one)).count();
        blamed |= wrong > 0;
        missed |= wanted.len() > wrong;
        alarms |= found.len() > wrong;
        if !wanted.is_empty() || !found.is_empty() {
            let _ = writeln!(
                report,
                "{} (level {version}): missing {wanted:?}, too much {found:?}\n{sentences}",
                scenario.name
            );
        }
    }
    score.missed += usize::from(missed);
    score.wrong_blame += usize::from(blamed && !missed);
    score.false_alarms += usize::from(alarms && !missed && !blamed);
    score.found += usize::from(!missed && !blamed && !alarms);
}

/// The findings from the level warning on, and notes of the rules that are expected; and the
/// sentences of all.
fn findings(capture: &[u8], expected: &[Expected]) -> (Vec<Expected>, String) {
    let mut found = Vec::new();
    let mut sentences = String::new();
    for record in Records::read(capture, "scenario", &Options::default()) {
        let OwnedEvent::Finding(finding) = record.expect("a whole capture") else {
            continue;
        };
        let by: &str = finding.by.into();
        let frame = finding.stamp.number;
        let _ = writeln!(
            sentences,
            "    frame {frame} by {by}: {} [{}]",
            finding.message, finding.rule
        );
        let asked = expected.iter().any(|(_, rule, _)| rule == finding.rule);
        if finding.level > Level::Note || asked {
            found.push((frame, finding.rule.to_owned(), by.to_owned()));
        }
    }
    (found, sentences)
}
