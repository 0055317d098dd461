//! Damaged captures: no panic, nothing lost in silence, nothing unsafe written.

#[expect(unreachable_pub, reason = "the fuzz targets have it as a library")]
mod damager;
#[expect(unreachable_pub, reason = "the fuzz targets have it as a library")]
pub(crate) mod shown;

use std::fs;

use clap::CommandFactory;
use mqtt_inspect::base::limits::{Change, Limit, Unit};
use mqtt_inspect::cli::args::Args;
use mqtt_inspect::inspect::{self, Options};
use proptest::prelude::*;

use self::shown::{all, check, run};
use crate::tool::captures;

fn every_capture() -> Vec<Vec<u8>> {
    let read = |path| fs::read(path).expect("a capture");
    captures().into_iter().map(read).collect()
}

#[test]
fn every_option_that_asks_for_a_view_is_among_the_lines() {
    let mut command = Args::command();
    command.build();
    let views = command.get_groups().filter(|group| {
        let id = group.get_id();
        id == "view" || id == "json_form"
    });
    let mut options = 0;
    for id in views.flat_map(|group| group.get_args()) {
        let option = (command.get_arguments())
            .find(|one| one.get_id() == id)
            .expect("an option");
        let short = option.get_short().map(|short| format!("-{short}"));
        let long = format!("--{}", option.get_long().expect("a long name"));
        let asks = |word: &str| {
            word.split('=').next() == Some(long.as_str()) || Some(word) == short.as_deref()
        };
        let mut lines = shown::lines();
        assert!(lines.any(|line| line.split(' ').any(asks)), "{long}");
        options += 1;
    }
    assert!(options >= 7);
}

#[test]
fn every_view_of_every_sound_capture_adds_up() {
    for capture in every_capture() {
        for shown in all() {
            check(capture.as_slice(), shown, &Options::default());
        }
    }
}

/// Few of everything, so that a capture of a few frames reaches every limit.
fn little_room() -> Options {
    let mut options = Options::default();
    for &limit in Limit::ALL {
        match (limit.row().change, limit.row().unit) {
            (Change::Option, Unit::Bytes) => options.limits.set(limit, 1000),
            (Change::Option, _) => options.limits.set(limit, 2),
            (Change::Fixed, _) => {}
        }
    }
    options.limits.waiting = 4096;
    options.limits.waiting_all = 6000;
    options
}

#[test]
fn damaged_captures_add_up_in_every_view() {
    let captures = every_capture();
    let strategy = (
        0..captures.len(),
        any::<u64>(),
        0..all().len(),
        any::<bool>(),
    );
    let config = ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |((capture, seed, shown, little) in strategy)| {
        let damaged = damager::damage(&captures[capture], seed);
        let options = if little { little_room() } else { Options::default() };
        check(damaged.as_slice(), &all()[shown], &options);
    });
}

#[test]
fn several_damaged_captures_add_up_merged_or_in_turn_whole_or_in_part() {
    let captures = every_capture();
    let folder = tempfile::tempdir().expect("a folder");
    let strategy = (
        proptest::collection::vec((0..captures.len(), any::<u64>()), 2..4),
        0..all().len(),
        any::<bool>(),
        proptest::option::of(1..60u64),
    );
    let config = ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |((files, shown, merge, frames) in strategy)| {
        let mut paths = Vec::new();
        for (number, (capture, seed)) in files.into_iter().enumerate() {
            let path = folder.path().join(number.to_string());
            fs::write(&path, damager::damage(&captures[capture], seed)).expect("a file");
            paths.push(path.into_os_string());
        }
        let options = Options { merge, frames, ..Options::default() };
        let (outcome, _) = run(&all()[shown], &options, |options, view| {
            inspect::run(&paths, options, view, &mut |_| {})
        });
        prop_assert!(outcome.totals.frames <= frames.unwrap_or(u64::MAX));
    });
}
