//! Damaged captures: no panic, nothing lost in silence, nothing unsafe written.

#[expect(unreachable_pub, reason = "the fuzz targets have it as a library")]
mod damager;
#[expect(unreachable_pub, reason = "the fuzz targets have it as a library")]
pub(crate) mod shown;

use std::fs;

use mqtt_inspect::inspect::Options;
use proptest::prelude::*;

use self::shown::{Shown, check};
use crate::tool::captures;

fn every_capture() -> Vec<Vec<u8>> {
    let read = |path| fs::read(path).expect("a capture");
    captures().into_iter().map(read).collect()
}

fn options() -> Options {
    Options {
        layers: true,
        ..Options::default()
    }
}

#[test]
fn every_view_of_every_sound_capture_adds_up() {
    for capture in every_capture() {
        for shown in Shown::ALL {
            check(capture.as_slice(), shown, &options());
        }
    }
}

/// Few of everything, so that a capture of a few frames reaches every cap.
fn little_room() -> Options {
    let mut options = Options::default();
    options.limits.connections = 2;
    options.limits.waiting_octets = 4096;
    options.limits.waiting_total = 6000;
    options.limits.lingering = 1;
    options.decoding.held_cap = 1000;
    options
}

#[test]
fn damaged_captures_add_up_in_every_view() {
    let captures = every_capture();
    let strategy = (
        0..captures.len(),
        any::<u64>(),
        0..Shown::ALL.len(),
        any::<bool>(),
    );
    let config = ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |((capture, seed, shown, little) in strategy)| {
        let damaged = damager::damage(&captures[capture], seed);
        let options = if little { little_room() } else { options() };
        check(damaged.as_slice(), Shown::ALL[shown], &options);
    });
}
