//! The built-in scenarios: scripts that come with the program.

use super::script::{Script, ScriptError};

/// A built-in script.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name, for `--scenario`.
    pub name: &'static str,
    /// The script itself, as a user could have written it.
    pub text: &'static str,
}

macro_rules! scenarios {
    ($($name:literal)*) => {
        /// All of them, in the order of `--list-scenarios`.
        pub const SCENARIOS: &[Scenario] = &[
            $(Scenario {
                name: $name,
                text: include_str!(concat!("scenarios/", $name, ".toml")),
            }),*
        ];
    };
}

scenarios! {
    "basic"
    "wildcard"
    "qos0"
    "qos1"
    "qos2"
    "will"
    "retain"
    "clean-session"
    "offline-queue"
    "takeover"
    "keepalive"
    "refused"
    "redelivery"
    "stuck-qos2"
    "v5-properties"
    "topic-alias"
    "shared-subscription"
    "fan-out"
    "lab"
}

/// The scenario of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

impl Scenario {
    /// The script, ready to play.
    ///
    /// # Errors
    /// None for the scenarios that come with the program: a test reads each.
    pub fn script(&self) -> Result<Script, ScriptError> {
        Script::parse(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_a_valid_script_with_a_line_about_it() {
        for scenario in SCENARIOS {
            let script = scenario.script();
            let script = script.unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
            assert!(!script.about.is_empty(), "{}", scenario.name);
            assert!(script.seed.is_some(), "{}", scenario.name);
        }
    }
}
