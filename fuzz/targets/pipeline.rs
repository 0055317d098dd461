//! The whole pipeline into every view: the sums come out, JSON is JSON, and nothing that a
//! terminal would obey is written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_inspect::inspect::Options;
use mqtt_inspect_fuzz::shown::{all, check};

fuzz_target!(|data: &[u8]| {
    let Some((setting, capture)) = data.split_first() else {
        return;
    };
    let shown = &all()[usize::from(setting & 0x7f) % all().len()];
    let mut options = Options {
        // Small compressed files may hold very many frames.
        frames: Some(5_000),
        ..Options::default()
    };
    if setting & 0x80 != 0 {
        options.limits.connections = 2;
        options.limits.waiting = 4096;
        options.limits.waiting_all = 6000;
        options.limits.closed_connections = 1;
        options.limits.held = 1000;
    }
    check(capture, shown, &options);
});
