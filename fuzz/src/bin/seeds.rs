//! Writes what the fuzz targets begin with, made of captures: `seeds FOLDER CAPTURE...` fills
//! a folder for each target below FOLDER.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use mqtt_inspect::capture::{Item, Reader, Source};
use mqtt_inspect::event::{Direction, Event, Totals};
use mqtt_inspect::inspect::{self, Options};
use mqtt_inspect::mqtt::{ProtocolVersion, Sender};
use mqtt_inspect::view::View;
use mqtt_inspect::wire::LINK_TYPES;
use mqtt_inspect_fuzz::shown::all;

/// Bytes of a capture that is used whole: fuzzers like small inputs.
const SMALL: usize = 32 * 1024;

fn main() -> io::Result<()> {
    let mut args = env::args_os().skip(1).map(PathBuf::from);
    let Some(folder) = args.next() else {
        return Err(io::Error::other("seeds FOLDER CAPTURE..."));
    };
    for target in [
        "capture",
        "wire",
        "stream",
        "framer",
        "packet",
        "connection",
        "pipeline",
        "broker",
        "script",
    ] {
        fs::create_dir_all(folder.join(target))?;
    }
    for (number, path) in args.enumerate() {
        let capture = fs::read(&path)?;
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            fs::write(folder.join(format!("script/{number}")), capture)?;
            continue;
        }
        if capture.len() <= SMALL {
            let portion = [[255].as_slice(), &capture].concat();
            fs::write(folder.join(format!("capture/{number}")), portion)?;
            for view in 0..all().len() {
                // Some views of each capture: every view sees some.
                if view % 23 == number % 23 {
                    let setting = [[view as u8].as_slice(), &capture].concat();
                    fs::write(folder.join(format!("pipeline/{number}-{view}")), setting)?;
                }
            }
        }
        frames(&folder, number, &capture)?;
        packets(&folder, number, &capture)?;
    }
    Ok(())
}

/// The first frames for `wire`, and their shapes for `stream`.
fn frames(folder: &Path, number: usize, capture: &[u8]) -> io::Result<()> {
    let mut reader = Reader::new(capture, "seed");
    let (mut wire, mut stream) = (Vec::new(), vec![1]);
    while let Ok(Some(item)) = reader.next_item() {
        let Item::Frame(frame) = item else { continue };
        let kind = LINK_TYPES.iter().position(|one| *one == frame.link_type.0);
        if let Some(kind) = kind
            && wire.len() < 4096
            && frame.bytes.len() < 2048
        {
            wire.push(kind as u8);
            wire.extend((frame.bytes.len() as u16).to_be_bytes());
            wire.extend(frame.bytes);
        }
        if stream.len() < 400 {
            let sender = (frame.bytes.get(35).copied().unwrap_or(0) & 1) << 2;
            let flags = frame.bytes.get(47).copied().unwrap_or(0x10) & 0x1f;
            stream.extend([sender, flags, 0, frame.bytes.len() as u8]);
        }
    }
    fs::write(folder.join(format!("wire/{number}")), wire)?;
    fs::write(folder.join(format!("stream/{number}")), stream)
}

/// Each kind of packet for `packet`; each connection for `framer` and `connection`.
fn packets(folder: &Path, number: usize, capture: &[u8]) -> io::Result<()> {
    let mut kept = Kept::default();
    inspect::read(capture, "seed", &Options::default(), &mut kept);
    for (at, packet) in kept.packets.values().enumerate() {
        fs::write(folder.join(format!("packet/{number}-{at}")), packet)?;
    }
    if !kept.broker.is_empty() {
        let broker = [[0].as_slice(), &kept.broker].concat();
        fs::write(folder.join(format!("broker/{number}")), broker)?;
    }
    for (id, (framer, connection)) in kept.connections.iter().take(8) {
        let framer = [[7, 1, 200, 30].as_slice(), framer].concat();
        fs::write(folder.join(format!("framer/{number}-{id}")), framer)?;
        let connection = [[0].as_slice(), connection].concat();
        fs::write(folder.join(format!("connection/{number}-{id}")), connection)?;
    }
    Ok(())
}

#[derive(Default)]
struct Kept {
    packets: BTreeMap<(u8, u8), Vec<u8>>,
    connections: BTreeMap<u32, (Vec<u8>, Vec<u8>)>,
    /// The packets of clients, as a broker reads them.
    broker: Vec<u8>,
}

impl View for Kept {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let Event::Packet(packet) = event else {
            return Ok(());
        };
        let version = match packet.version {
            Some(ProtocolVersion::V3_1) => 0,
            Some(ProtocolVersion::V5_0) => 2,
            _ => 1,
        };
        if packet.bytes.len() > 1000 {
            return Ok(());
        }
        let seed = [[version].as_slice(), packet.bytes].concat();
        let key = (version, packet.bytes.first().copied().unwrap_or(0));
        self.packets.entry(key).or_insert(seed);
        let (framer, connection) = self.connections.entry(packet.connection.0).or_default();
        framer.extend(packet.bytes);
        if let Ok(length) = u8::try_from(packet.bytes.len()) {
            let direction = u8::from(packet.direction == Direction::Backward);
            connection.extend([direction | 4, length]);
            connection.extend(packet.bytes);
            if packet.sender == Sender::Client && self.broker.len() < 4000 {
                self.broker
                    .extend([packet.connection.0 as u8 & 3 | 12, length]);
                self.broker.extend(packet.bytes);
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &Totals) -> io::Result<()> {
        Ok(())
    }
}
