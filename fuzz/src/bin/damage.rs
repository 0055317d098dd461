//! Damages captures by the thousand and reads each: `damage COPIES CAPTURE...`. Prints how many
//! failed, what took longest and how much memory it took; exits with 1 where anything failed.
//!
//! Every fifth copy is damaged by `editcap -E` where that is installed.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use mqtt_inspect::inspect::Options;
use mqtt_inspect_fuzz::damager::damage;
use mqtt_inspect_fuzz::shown::{all, check};

/// The time that a damaged copy may take, for each megabyte begun.
const SECOND_A_MEGABYTE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let copies = args.next().and_then(|copies| copies.to_str()?.parse().ok());
    let paths: Vec<PathBuf> = args.map(PathBuf::from).collect();
    let (Some(copies), false) = (copies, paths.is_empty()) else {
        eprintln!("damage COPIES CAPTURE...");
        return ExitCode::from(2);
    };
    let mut sums = Sums::default();
    for copy in 0..copies {
        let path = &paths[copy as usize % paths.len()];
        // editcap does not read every compression.
        let by_editcap = (copy % 5 == 4).then(|| by_editcap(path, copy)).flatten();
        let damaged = by_editcap.or_else(|| {
            let capture = fs::read(path).ok()?;
            Some(damage(&capture, copy))
        });
        match damaged {
            Some(damaged) => sums.one(copy, path, &damaged),
            None => eprintln!("{} cannot be read", path.display()),
        }
    }
    sums.print();
    ExitCode::from(u8::from(sums.failed > 0 || sums.slow > 0))
}

/// `capture` with its frames' bytes damaged at random by Wireshark's own tool.
fn by_editcap(capture: &Path, seed: u64) -> Option<Vec<u8>> {
    let rates = ["0.001", "0.01", "0.05", "0.3"];
    let rate = rates[(seed / 5) as usize % rates.len()];
    let to = std::env::temp_dir().join(format!("mqtt-inspect-damage-{}", std::process::id()));
    let done = Command::new("editcap")
        .args(["-E", rate, "--seed", &seed.to_string()])
        .args([capture, &to])
        .output();
    let damaged = done.ok().and_then(|_| fs::read(&to).ok());
    let _ = fs::remove_file(&to);
    damaged
}

#[derive(Default)]
struct Sums {
    copies: u64,
    bytes: u64,
    frames: u64,
    packets: u64,
    unreadable: u64,
    failed: u64,
    slow: u64,
    slowest: Duration,
    caps: BTreeMap<&'static str, u64>,
}

impl Sums {
    fn one(&mut self, copy: u64, path: &Path, damaged: &[u8]) {
        let shown = &all()[(copy / 3) as usize % all().len()];
        let options = Options::default();
        let began = Instant::now();
        let read = catch_unwind(AssertUnwindSafe(|| check(damaged, shown, &options)));
        let took = began.elapsed();
        self.copies += 1;
        self.bytes += damaged.len() as u64;
        match read {
            Ok(outcome) => {
                self.frames += outcome.totals.frames;
                self.packets += outcome.totals.packets;
                self.unreadable += u64::from(!outcome.unreadable.is_empty());
                for reached in &outcome.totals.accounting.caps {
                    *self.caps.entry(reached.name()).or_default() += 1;
                }
            }
            Err(_) => {
                self.failed += 1;
                eprintln!("copy {copy} of {} failed in {}", path.display(), shown.line);
            }
        }
        let megabytes = damaged.len() as u32 / 1_000_000 + 1;
        if took > SECOND_A_MEGABYTE * megabytes {
            self.slow += 1;
            eprintln!("copy {copy} of {} took {took:?}", path.display());
        }
        self.slowest = self.slowest.max(took / megabytes);
    }

    fn print(&self) {
        println!(
            "{} copies, {} bytes, {} frames, {} control packets; {} ended unreadable",
            self.copies, self.bytes, self.frames, self.packets, self.unreadable
        );
        println!(
            "{} failed, {} too slow, slowest {:?} a megabyte begun, peak memory {}",
            self.failed,
            self.slow,
            self.slowest,
            peak_memory()
        );
        println!("caps reached, in copies: {:?}", self.caps);
    }
}

/// As Linux reports it.
fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}
