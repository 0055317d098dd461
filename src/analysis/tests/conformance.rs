//! The tables of normative statements and the code hold together.
//!
//! `testdata/spec/*.tsv` has a line for every statement of a specification: its number, a few
//! words of our own, its status (`checked`, `not-on-wire`, `todo`), the rules that check it
//! and the tests that provoke those rules. That they do is recorded while they run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::analysis::clauses::CLAUSES;
use crate::mqtt::testing::RECORD;
use crate::mqtt::{ProtocolVersion, Rule};

/// A line of a table.
struct Statement {
    number: String,
    words: String,
    status: String,
    rules: Vec<String>,
    tests: Vec<String>,
}

/// How many normative statements each specification numbers.
const TABLES: [(&str, ProtocolVersion, usize); 2] = [
    ("mqtt-3.1.1.tsv", ProtocolVersion::V3_1_1, 141),
    ("mqtt-5.0.tsv", ProtocolVersion::V5_0, 251),
];

#[test]
fn every_statement_has_a_status_and_what_belongs_to_it() {
    for (name, _, count) in TABLES {
        let table = table(name);
        assert_eq!(table.len(), count, "{name}");
        let numbers: BTreeSet<_> = table.iter().map(|one| &one.number).collect();
        assert_eq!(numbers.len(), count, "{name}: a number stands twice");
        for one in &table {
            let number = &one.number;
            assert!(number.starts_with("MQTT-"), "{name}: {number}");
            assert!(!one.words.is_empty(), "{name}: {number} has no words");
            match one.status.as_str() {
                "checked" => assert!(
                    !one.rules.is_empty() && !one.tests.is_empty(),
                    "{name}: {number} is checked by nothing"
                ),
                "not-on-wire" | "todo" => assert!(
                    one.rules.is_empty() && one.tests.is_empty(),
                    "{name}: {number} is not checked and has rules"
                ),
                other => panic!("{name}: {number} has the status {other}"),
            }
        }
    }
}

#[test]
fn nine_of_ten_statements_visible_on_the_wire_are_checked() {
    for (name, ..) in TABLES {
        let table = table(name);
        let count = |status: &str| table.iter().filter(|one| one.status == status).count();
        let (checked, open) = (count("checked"), count("todo"));
        assert!(
            checked * 10 >= (checked + open) * 9,
            "{name}: {checked} checked, {open} to do"
        );
    }
}

#[test]
fn every_statement_that_a_rule_cites_names_the_rule() {
    for (name, version, _) in TABLES {
        let table = table(name);
        for (rule, statements) in rules() {
            for cited in statements(version) {
                let line = table.iter().find(|one| one.number == *cited);
                let line = line.unwrap_or_else(|| panic!("{rule} cites {cited}: not in {name}"));
                assert!(
                    line.rules.iter().any(|other| other == rule),
                    "{rule} cites {cited}; {name} does not name it there"
                );
            }
        }
    }
}

#[test]
fn every_rule_is_provoked_and_by_the_tests_that_the_tables_name() {
    let provoked = provoked();
    let by_any: BTreeSet<&str> = provoked.iter().map(|(_, rule)| rule.as_str()).collect();
    let silent: Vec<_> = rules()
        .into_keys()
        .filter(|rule| !by_any.contains(rule))
        .collect();
    assert!(silent.is_empty(), "no test provokes {silent:?}");
    let mut wrong = Vec::new();
    for (name, ..) in TABLES {
        for one in table(name) {
            let shows =
                |test: &String, rule: &String| provoked.contains(&(test.clone(), rule.clone()));
            for rule in &one.rules {
                if !one.tests.iter().any(|test| shows(test, rule)) {
                    wrong.push(format!(
                        "{name}: {}: its tests do not provoke {rule}",
                        one.number
                    ));
                }
            }
            for test in &one.tests {
                if !one.rules.iter().any(|rule| shows(test, rule)) {
                    wrong.push(format!(
                        "{name}: {}: {test} provokes none of its rules",
                        one.number
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The tests of the analysis and the codec, by function name, and the rules that each provokes.
/// This runs them once more, in a process that records the rules (see [`crate::mqtt::testing::record`]).
fn provoked() -> BTreeSet<(String, String)> {
    let record = tempfile::NamedTempFile::new().expect("a file");
    let tests = std::env::current_exe().expect("the test program");
    // The threads of more than one carry the names of their tests.
    let ran = std::process::Command::new(tests)
        .args(["analysis::tests::", "mqtt::tests::", "--test-threads=2"])
        .args(["--skip", "conformance", "--skip", "hostile"])
        .env(RECORD, record.path())
        .output()
        .expect("the test program runs");
    let record = fs::read_to_string(record.path()).expect("a record");
    let pairs: BTreeSet<_> = record
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(test, rule)| {
            let function = test.rsplit("::").next().unwrap_or(test);
            (function.to_owned(), rule.to_owned())
        })
        .collect();
    assert!(
        !pairs.is_empty(),
        "{}",
        String::from_utf8_lossy(&ran.stdout)
    );
    pairs
}

#[test]
fn no_two_rules_have_one_name() {
    let mut names: Vec<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    names.extend(CLAUSES.iter().map(|clause| clause.name));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for clause in CLAUSES {
        assert!(clause.about.ends_with('.'), "{}", clause.name);
    }
}

type Statements = Box<dyn Fn(ProtocolVersion) -> &'static [&'static str]>;

/// Every rule by name, with the statements that it cites in a version.
fn rules() -> BTreeMap<&'static str, Statements> {
    let mut all: BTreeMap<&'static str, Statements> = BTreeMap::new();
    for rule in Rule::ALL {
        all.insert(rule.name(), Box::new(|version| rule.ids(version)));
    }
    for clause in CLAUSES {
        all.insert(clause.name, Box::new(|version| clause.statements(version)));
    }
    all
}

fn table(name: &str) -> Vec<Statement> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/spec")
        .join(name);
    let text = fs::read_to_string(path).expect("the table is there");
    let list = |cell: &str| {
        cell.split(',')
            .filter(|one| !one.is_empty())
            .map(str::to_owned)
            .collect()
    };
    text.lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<_> = line.split('\t').collect();
            let [number, words, status, rules, tests] = cells[..] else {
                panic!("{name}: not five columns: {line}");
            };
            Statement {
                number: number.to_owned(),
                words: words.to_owned(),
                status: status.to_owned(),
                rules: list(rules),
                tests: list(tests),
            }
        })
        .collect()
}
