//! The broker's core: packets from several Clients, connections that come and go, time that
//! passes. Everything it sends is a sound packet, nothing is sent after a close, what is done in
//! steps comes to an end, and what it does is the same in any portions of the same bytes.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use mqtt_inspect::base::limits::BrokerLimits;
use mqtt_inspect::base::{Endpoint, Timestamp};
use mqtt_inspect::broker::{Action, BrokerOptions, ConnectionKey, Core};
use mqtt_inspect::mqtt::{ControlPacket, ProtocolVersion};
use mqtt_inspect_fuzz::Input;

fn options(little: bool) -> BrokerOptions {
    let mut options = BrokerOptions::default();
    options.limits.packet_bytes = 1 << 16;
    if little {
        options.window = 2;
        options.limits = BrokerLimits {
            packet_bytes: 300,
            sessions: 3,
            subscriptions: 3,
            queued_messages: 2,
            queued_bytes: 200,
            all_held_bytes: 500,
            unreleased_messages: 2,
            unreleased_bytes: 100,
            retained_messages: 2,
            retained_bytes: 100,
            unsent_bytes: 50,
            ..options.limits
        };
    }
    options
}

/// Plays `input` to a core; bytes arrive in portions of at most `portion`, and what is
/// done at once takes `most` steps.
fn play(mut input: Input<'_>, little: bool, portion: usize, most: usize) -> Vec<Action> {
    let mut core = Core::new(options(little));
    let mut now = Timestamp::from_nanos(1_000_000_000);
    // The connection of each Client, where it has one.
    let mut open: [Option<u64>; 4] = [None; 4];
    let mut closed = HashSet::new();
    let mut next = 0;
    let mut actions = Vec::new();
    while !input.is_empty() {
        let kind = input.byte();
        let client = usize::from(kind & 3);
        let key = *open[client].get_or_insert_with(|| {
            next += 1;
            let peer = Endpoint {
                address: [127, 0, 0, 1].into(),
                port: 40_000 + next as u16,
            };
            core.connected(now, ConnectionKey(next), peer);
            next
        });
        match kind >> 2 & 7 {
            0 => {
                core.closed(now, ConnectionKey(key));
                closed.insert(key);
            }
            1 => {
                let seconds = i64::from(input.byte());
                now = Timestamp::from_nanos(now.nanos() + seconds * 500_000_000);
                core.tick(now);
            }
            2 => core.unsent(now, ConnectionKey(key), usize::from(input.byte())),
            _ => {
                let length = usize::from(input.byte()).max(1);
                for mut part in input.take(length).chunks(portion) {
                    while !part.is_empty() {
                        let used = core.received_some(now, ConnectionKey(key), part, most);
                        part = &part[used..];
                        if used == 0 && !core.has_work() {
                            // The work before it waits until the client reads.
                            assert!(core.is_busy(ConnectionKey(key)), "bytes are taken");
                            break;
                        }
                        core.work(now, most);
                    }
                }
            }
        }
        while core.has_work() {
            core.work(now, most);
        }
        while let Some(action) = core.next_action() {
            match &action {
                Action::Send { connection, bytes } => {
                    assert!(!closed.contains(&connection.0), "sent after the close");
                    let sound = [ProtocolVersion::V3_1_1, ProtocolVersion::V5_0]
                        .iter()
                        .any(|version| ControlPacket::read(bytes, *version, &mut ()).is_ok());
                    assert!(sound, "{bytes:02x?}");
                }
                Action::Close { connection } => {
                    assert!(closed.insert(connection.0), "closed twice");
                }
                Action::Log(line) => {
                    // mosquitto indents a topic, and puts that of a will on a line of its own.
                    let line = line.strip_prefix('\t').unwrap_or(line);
                    let line = line.replacen("\n\t", " ", 1);
                    let safe = mqtt_inspect::base::text::safe(&line);
                    assert_eq!(line, safe, "a line for a terminal");
                }
            }
            actions.push(action);
        }
        for slot in &mut open {
            if slot.is_some_and(|key| closed.contains(&key)) {
                *slot = None;
            }
        }
    }
    actions
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let setting = input.byte();
    let little = setting & 1 == 1;
    let whole = play(input, little, usize::MAX, usize::MAX);
    let portion = usize::from(setting >> 1) + 1;
    let portions = play(input, little, portion, usize::MAX);
    assert_eq!(whole, portions);
    // In steps others have their turn in between, so the order may be another.
    play(input, little, portion, usize::from(setting >> 6) + 1);
});
