//! TLS: what follows a ClientHello whose secrets are known, and gaps in it. However its bytes
//! are cut the same is emitted, and nothing is held when it is over.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_inspect::carrier::tls::{Shared, Tls};
use mqtt_inspect::carrier::{Carried, Carrier, CarrierError};
use mqtt_inspect::stream::Direction;
use mqtt_inspect_fuzz::Input;

/// A ClientHello up to its session identifier; its random is 32 bytes of 7.
const HELLO: [u8; 43] = {
    let mut hello = [7; 43];
    let head = [22, 3, 1, 0, 38, 1, 0, 0, 34, 3, 3];
    let mut at = 0;
    while at < head.len() {
        hello[at] = head[at];
        at += 1;
    }
    hello
};

/// One thing that happens on the connection.
enum Step<'a> {
    Bytes(Direction, &'a [u8]),
    Gap(Direction, u64),
}

/// Plays the steps, the bytes of each in portions; what came out of each direction.
fn play(steps: &[Step<'_>], portion: usize) -> [Vec<u8>; 2] {
    let mut shared = Shared::default();
    let random = "07".repeat(32);
    for label in [
        "CLIENT_RANDOM",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    ] {
        let line = format!("{label} {random} {}", "01".repeat(32));
        shared.own.keylog.learn(line.as_bytes());
    }
    let mut tls = Tls::open(&shared, Direction::Forward, &HELLO).expect("known");
    let mut found = [Vec::new(), Vec::new()];
    for step in steps {
        match *step {
            Step::Bytes(direction, bytes) => {
                for part in bytes.chunks(portion) {
                    let out = &mut found[direction as usize];
                    tls.push(&mut shared, direction, part, &mut |event| {
                        match event {
                            Carried::Bytes(bytes) => out.extend_from_slice(bytes),
                            Carried::Failed(CarrierError::Broken) => out.push(b'!'),
                            _ => {}
                        }
                        0
                    });
                }
            }
            Step::Gap(direction, length) => {
                tls.gap(&mut shared, direction, length);
            }
        }
    }
    tls.close(&mut shared);
    assert_eq!(shared.held, 0);
    found
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let portion = usize::from(input.byte()).max(1);
    let mut steps = vec![Step::Bytes(Direction::Forward, &HELLO)];
    let mut gaps = false;
    while !input.is_empty() {
        let kind = input.byte();
        let direction = [Direction::Forward, Direction::Backward][usize::from(kind & 1)];
        if kind & 0xe0 == 0xe0 {
            steps.push(Step::Gap(direction, u64::from(kind >> 1 & 15)));
            gaps = true;
        } else {
            steps.push(Step::Bytes(direction, input.take(usize::from(kind >> 1))));
        }
    }
    let whole = play(&steps, usize::MAX);
    let cut = play(&steps, portion);
    // Behind a gap the beginning of a segment is evidence.
    if !gaps {
        assert_eq!(whole, cut);
    }
});
