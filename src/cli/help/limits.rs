//! `help limits`: the table of limits, written out.

use super::wrap::push_wrapped;
use crate::base::limits::{BrokerLimit, Change, Limit, Row};

/// Returns every row of both tables with its value and what happens when it is reached.
pub(super) fn text() -> String {
    let mut out = String::new();
    push_wrapped(
        &mut out,
        0,
        "Captures hold what attackers and broken devices sent, so every table and buffer has a \
         limit. Reaching one is reported: on standard error, under -v with what became of every \
         frame and byte, and in JSON under accounting.caps_reached, by the name given in \
         brackets.",
    );
    out.push('\n');
    push_wrapped(
        &mut out,
        0,
        "--limit NAME=VALUE sets another value where there is memory to spare: --limit \
         connections=2000000, --limit held=1GiB. Bytes may be given with KiB, MiB or GiB. Limits \
         marked as fixed cannot be set.",
    );
    out.push_str("\nREADING AND ANALYSING\n\n");
    for limit in Limit::ALL {
        let mark = match limit.row().change {
            Change::Option => "",
            Change::Fixed => ", fixed",
        };
        push_row(&mut out, limit.row(), mark);
    }
    out.push_str("\nCLIENTS OF THE BROKER OF record\n\n");
    for limit in BrokerLimit::ALL {
        push_row(&mut out, limit.row(), "");
    }
    out
}

/// Appends a row: name, value and `mark` on one line, prose below it.
fn push_row(out: &mut String, row: &Row, mark: &str) {
    let value = row.unit.format(row.default);
    push_wrapped(out, 2, &format!("{}: {value}{mark}", row.name));
    let about = row.about.trim();
    let counted = match row.counted_as {
        "" => String::new(),
        name => format!(" [{name}]"),
    };
    push_wrapped(out, 6, &format!("{about} Then {}{counted}.", row.then));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_stands_there_with_its_value() {
        let text = text();
        assert!(text.contains("  connections: 500,000\n"), "{text}");
        assert!(text.contains("  headers: 32, fixed\n"), "{text}");
        for row in Limit::ALL.iter().map(|limit| limit.row()) {
            assert!(
                text.contains(&format!("\n  {}: ", row.name)),
                "{}",
                row.name
            );
        }
        for row in BrokerLimit::ALL.iter().map(|limit| limit.row()) {
            assert!(
                text.contains(&format!("\n  {}: ", row.name)),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn the_readme_and_the_help_name_limits_that_there_are() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        let named = readme.split("`--limit ").skip(1);
        let names: Vec<_> = named.filter_map(|rest| rest.split('=').next()).collect();
        assert!(names.len() > 1);
        for name in names {
            assert!(name == "NAME" || Limit::from_name(name).is_some(), "{name}");
        }
    }
}
