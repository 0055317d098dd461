//! The reader of scenario scripts: any text is a script or an error with its line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_inspect::record::script::Script;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Script::parse(text) {
        Ok(script) => script.apply(&mut Default::default()),
        Err(error) => {
            assert!(error.line <= text.lines().count() + 1, "{error:?}");
            assert!(!error.message.is_empty());
        }
    }
});
