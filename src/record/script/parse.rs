//! A script's text, checked: errors carry their line.

use std::collections::HashMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::model::{Action, BrokerWishes, CLIENTS, Client, STEPS, Script, Step};

/// An error of a script, with its line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ScriptError {
    /// From 1.
    pub line: usize,
    /// The reason.
    pub message: String,
}

impl Script {
    /// Reads and checks a script.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let lines = Lines::of(text);
        let raw: RawScript = toml::from_str(text).map_err(|error| ScriptError {
            line: lines.at(error.span()),
            message: error.message().to_owned(),
        })?;
        let mut names = HashMap::new();
        let mut clients = Vec::new();
        for client in raw.clients {
            let at = client.span();
            let client = Client::split(client.into_inner(), "name")
                .map_err(|message| lines.error(at.clone(), message))?;
            if names.contains_key(&client.name) {
                let message = format!("there is a client named '{}' already", client.name);
                return Err(lines.error(at, message));
            }
            if clients.len() >= CLIENTS {
                return Err(lines.error(at, format!("more than {CLIENTS} clients")));
            }
            names.insert(client.name.clone(), clients.len());
            clients.push(client);
        }
        if raw.steps.len() > STEPS {
            return Err(ScriptError {
                line: 1,
                message: format!("more than {STEPS} steps"),
            });
        }
        let place = |action: &Action| match action.client() {
            None => Ok(0),
            Some(name) => {
                let place = names.get(name).copied();
                place.ok_or_else(|| format!("there is no client named '{name}'"))
            }
        };
        let mut steps = Vec::new();
        for step in raw.steps {
            let at = step.span();
            let action = step.into_inner();
            let checked = action.check().and_then(|()| place(&action));
            let client = checked.map_err(|message| lines.error(at.clone(), message))?;
            steps.push(Step {
                line: lines.at(Some(at)),
                client,
                action,
            });
        }
        Ok(Script {
            about: raw.about,
            seed: raw.seed,
            broker: raw.broker,
            clients,
            steps,
        })
    }
}

/// Lines of the script, for errors and steps.
struct Lines<'a> {
    text: &'a str,
    /// Where each line but the first begins: found once, as each step asks for its own line.
    begins: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let ends = text.match_indices('\n');
        Self {
            text,
            begins: ends.map(|(end, _)| end + 1).collect(),
        }
    }

    /// The line where `span` begins; of a table, the first line below its header.
    fn at(&self, span: Option<Range<usize>>) -> usize {
        let start = span.map_or(0, |span| span.start);
        let line = 1 + self.begins.partition_point(|&begin| begin <= start);
        let after = self.text.get(start..).unwrap_or_default();
        if !after.starts_with("[[") {
            return line;
        }
        let below = after.lines().skip(1);
        let empty = |text: &str| text.trim().is_empty() || text.trim_start().starts_with('#');
        line + 1 + below.take_while(|text| empty(text)).count()
    }

    /// Returns an error that points to `span`.
    fn error(&self, span: Range<usize>, message: String) -> ScriptError {
        ScriptError {
            line: self.at(Some(span)),
            message,
        }
    }
}

/// A script as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScript {
    #[serde(default)]
    about: String,
    seed: Option<u64>,
    #[serde(default)]
    broker: BrokerWishes,
    #[serde(default)]
    clients: Vec<Spanned<toml::Table>>,
    #[serde(default)]
    steps: Vec<Spanned<Action>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> ScriptError {
        Script::parse(text).expect_err("a script with an error")
    }

    #[test]
    fn an_error_is_reported_with_its_line() {
        let client = "[[clients]]\nname = \"a\"\n";
        for (rest, line, words) in [
            (
                "[[steps]]\nfly = { client = \"a\" }\n",
                4,
                "unknown variant",
            ),
            (
                "[[steps]]\nping = { client = \"b\" }\n",
                4,
                "no client named 'b'",
            ),
            (
                "[[steps]]\npublish = { client = \"a\", topic = \"t\", qos = 3 }\n",
                4,
                "qos 3",
            ),
            (
                "[[steps]]\npublish = { client = \"a\", topc = \"t\" }\n",
                4,
                "unknown field `topc`",
            ),
            ("[[steps]]\nsleep = \"soon\"\n", 4, "'soon' is no time"),
            ("[[clients]]\nname = \"a\"\n", 4, "'a' already"),
            (
                "[[clients]]\nname = \"b\"\nversion = \"4\"\n",
                4,
                "version '4'",
            ),
            (
                "[[steps]]\nconnect = { client = \"a\", properties = { speed = 1 } }\n",
                4,
                "no property 'speed'",
            ),
            (
                "[[steps]]\nsend = { client = \"a\", hex = \"1\" }\n",
                4,
                "odd number",
            ),
            ("[[steps]\n", 3, ""),
        ] {
            let error = error(&format!("{client}{rest}"));
            assert_eq!(error.line, line, "{rest}: {error}");
            assert!(error.message.contains(words), "{rest}: {error}");
        }
    }

    #[test]
    fn a_place_has_the_line_that_counting_line_ends_gives() {
        let text = "\n# one\n[[steps]]\n\n # two\nsleep = \"1s\"\n";
        let lines = Lines::of(text);
        for start in 0..=text.len() {
            let counted = 1 + text[..start].matches('\n').count();
            let below = if text[start..].starts_with("[[") {
                3
            } else {
                0
            };
            assert_eq!(lines.at(Some(start..start)), counted + below, "{start}");
        }
        assert_eq!(lines.at(None), 1);
    }

    #[test]
    fn a_payload_is_made_when_its_step_is_taken_and_not_before() {
        let step = |keys: &str| {
            let step =
                format!("[[steps]]\npublish = {{ client = \"a\", topic = \"t\", {keys} }}\n");
            Script::parse(&format!("[[clients]]\nname = \"a\"\n{step}"))
        };
        let payload = |keys: &str| match &step(keys).unwrap().steps[0].action {
            Action::Publish(publish) => publish.payload().into_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(payload("payload = \"text\""), b"text");
        assert_eq!(payload("payload_hex = \"00 ff\""), [0, 0xff]);
        assert_eq!(payload("payload_octets = 0"), b"");
        assert_eq!(payload("qos = 1"), b"");
        let letters = payload("payload_octets = 28");
        assert_eq!(letters, b"abcdefghijklmnopqrstuvwxyzab");
        // The largest that is allowed, a thousand times: 64 GiB, were they made here.
        let most = "payload_octets = 67108864";
        let one = format!("[[steps]]\npublish = {{ client = \"a\", {most} }}\n");
        let script = format!("[[clients]]\nname = \"a\"\n{}", one.repeat(1_000));
        assert_eq!(Script::parse(&script).unwrap().steps.len(), 1_000);
        assert!(step("payload_octets = 67108865").is_err());
        assert!(step("payload = \"a\", payload_octets = 1").is_err());
        assert!(step("payload = \"a\", payload_hex = \"00\"").is_err());
    }

    #[test]
    fn properties_go_by_their_names_and_types() {
        let script = Script::parse(
            r#"
            [[clients]]
            name = "a"
            version = "5.0"
            properties = { receive_maximum = 2, user_property = [["k", "1"], ["k", "2"]] }
            "#,
        )
        .unwrap();
        let properties = script.clients[0].options.properties.as_ref().unwrap();
        let read = properties.as_properties();
        assert_eq!(read.receive_maximum(), Some(2));
        let pairs: Vec<_> = read.user_properties().collect();
        assert_eq!(pairs, [("k", "1"), ("k", "2")]);
    }
}
