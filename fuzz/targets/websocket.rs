//! WebSocket: what follows the opening handshake on one connection, and gaps in it. However its
//! bytes are cut the same comes out, and nothing is held when it is over.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_inspect::carrier::websocket::{Shared, WebSocket};
use mqtt_inspect::carrier::{Carried, Carrier, CarrierError};
use mqtt_inspect::stream::Direction;
use mqtt_inspect_fuzz::Input;

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// One thing that happens on the connection.
enum Step<'a> {
    Bytes(Direction, &'a [u8]),
    Gap(Direction, u64),
}

#[derive(Default, Eq, PartialEq, Debug)]
struct Found {
    bytes: [Vec<u8>; 2],
    broken: [bool; 2],
    gaps: Vec<Option<u64>>,
}

/// Plays the steps, the bytes of each in portions.
fn play(steps: &[Step<'_>], portion: usize) -> Found {
    let mut shared = Shared::default();
    let mut found = Found::default();
    let mut websocket = WebSocket::open(&shared, Direction::Forward, REQUEST).expect("an upgrade");
    for step in steps {
        match *step {
            Step::Bytes(direction, bytes) => {
                for part in bytes.chunks(portion) {
                    let at = direction as usize;
                    let (out, broken) = (&mut found.bytes[at], &mut found.broken[at]);
                    websocket.push(&mut shared, direction, part, &mut |event| {
                        match event {
                            Carried::Bytes(bytes) => {
                                assert!(!bytes.is_empty() && !*broken);
                                out.extend_from_slice(bytes);
                            }
                            Carried::Failed(CarrierError::Broken) => *broken = true,
                            _ => {}
                        }
                        0
                    });
                }
            }
            Step::Gap(direction, length) => {
                found
                    .gaps
                    .push(websocket.gap(&mut shared, direction, length));
            }
        }
    }
    websocket.close(&mut shared);
    assert_eq!(shared.held, 0);
    found
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let portion = usize::from(input.byte()).max(1);
    let mut steps = vec![
        Step::Bytes(Direction::Forward, REQUEST),
        Step::Bytes(Direction::Backward, RESPONSE),
    ];
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
    // Behind a gap the beginning of a segment is evidence; what was inflated before an error came to
    // light is reported or not.
    if !gaps && whole.broken == [false; 2] {
        assert_eq!(whole, cut);
    }
});
