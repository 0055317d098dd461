//! `help rules`: the rules that findings of `--check` name.

use super::wrap::push_wrapped;
use crate::analysis::clauses::CLAUSES;
use crate::event::Level;

/// Returns every rule between packets by level, with its statements and what it is about.
pub(super) fn text() -> String {
    let mut out = String::new();
    push_wrapped(
        &mut out,
        0,
        "A finding of --check names a rule. These are the rules that take more than one packet; \
         a packet that is malformed or a protocol error by itself is a finding too, under the \
         rule that -V and JSON name. --check=LEVEL sets the level from which the exit status is \
         1; statements are those of MQTT 3.1.1 and of MQTT 5.0.",
    );
    for (heading, level) in [
        ("ERRORS", Level::Error),
        ("WARNINGS", Level::Warning),
        ("NOTES", Level::Note),
    ] {
        out.push_str(&format!("\n{heading}\n\n"));
        for clause in CLAUSES.iter().filter(|clause| clause.level == level) {
            out.push_str(&format!("  {}\n", clause.name));
            push_wrapped(&mut out, 6, clause.about);
            for (version, statements) in [("3.1.1", clause.v3_1_1), ("5.0", clause.v5_0)] {
                if !statements.is_empty() {
                    let statements = statements.join(", ");
                    push_wrapped(&mut out, 6, &format!("{version}: {statements}"));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_stands_there_once() {
        let text = text();
        for clause in CLAUSES {
            let line = format!("\n  {}\n", clause.name);
            assert_eq!(text.matches(&line).count(), 1, "{}", clause.name);
        }
    }
}
