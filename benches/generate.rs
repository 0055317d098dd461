//! Writes a capture of made traffic, and what is in it beside:
//! `cargo bench --bench generate -- mixed 100000000 1 /tmp/mixed.pcap`.
//!
//! The words: `mixed`, `tiny`, `many` or `faults`; the size in bytes; the seed; the file.
//! `FILE.json` has the counts.

mod traffic;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;
use std::process::ExitCode;

use traffic::{Recipe, generate};

fn main() -> ExitCode {
    // Cargo adds a word of its own.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|w| w != "--bench")
        .collect();
    let [kind, bytes, seed, path] = words.as_slice() else {
        return usage();
    };
    let (Ok(bytes), Ok(seed)) = (bytes.parse(), seed.parse()) else {
        return usage();
    };
    let Some(recipe) = Recipe::named(kind, bytes, seed) else {
        return usage();
    };
    let path = Path::new(path);
    let written = File::create(path)
        .and_then(|file| generate(&recipe, BufWriter::new(file)))
        .and_then(|made| fs::write(path.with_added_extension("json"), format!("{made}\n")));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{}: {error}", path.display())),
    }
}

fn usage() -> ExitCode {
    fail("usage: generate mixed|tiny|many|faults OCTETS SEED FILE")
}

#[expect(clippy::print_stderr, reason = "a program for developers")]
fn fail(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(2)
}
