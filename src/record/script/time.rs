//! Times as scripts and options write them.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};

/// The longest that one `sleep` or `wait` may take: a script ends.
const LONGEST: Duration = Duration::from_secs(3_600);

/// A time as scripts and options write it: `500ms`, `10s`, `2m`, `1h`; a number alone is
/// seconds.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no time such as 500ms, 10s, 2m or 1h");
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| wrong())
}

/// A time in a script, of an hour at the most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(pub(super) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = parse_duration(&text).map_err(de::Error::custom)?;
        if time > LONGEST {
            return Err(de::Error::custom("longer than an hour"));
        }
        Ok(Self(time))
    }
}
