//! The PROXY protocol: however the header and what follows it are cut, all of it comes out behind the
//! header or is handed back, and nothing is held when it is over.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_inspect::carrier::proxy_protocol::{ProxyProtocol, Shared};
use mqtt_inspect::carrier::{Carried, Carrier, Proxied};
use mqtt_inspect::stream::Direction;
use mqtt_inspect_fuzz::Input;

const FRONTS: [&[u8]; 2] = [b"PROXY TCP", b"\r\n\r\n\0\r\nQUIT\n\x21"];

#[derive(Debug, Default, Eq, PartialEq)]
struct Found {
    content: Vec<u8>,
    mistaken: Vec<u8>,
    proxied: Option<Proxied>,
}

fn play(front: &[u8], bytes: &[u8], portion: usize) -> Option<Found> {
    let mut shared = Shared::default();
    let mut found = Found::default();
    let mut one = ProxyProtocol::open(&shared, Direction::Forward, front)?;
    for part in std::iter::once(front).chain(bytes.chunks(portion)) {
        if !found.mistaken.is_empty() {
            found.mistaken.extend_from_slice(part);
            continue;
        }
        one.push(&mut shared, Direction::Forward, part, &mut |carried| {
            match carried {
                Carried::Bytes(bytes) => found.content.extend_from_slice(bytes),
                Carried::Mistaken { bytes, .. } => found.mistaken.extend_from_slice(bytes),
                Carried::Proxied(proxied) => found.proxied = Some(proxied),
                _ => {}
            }
            0
        });
    }
    one.close(&mut shared);
    assert_eq!(shared.held, 0);
    assert!(found.mistaken.is_empty() || found.mistaken.len() == front.len() + bytes.len());
    Some(found)
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let portion = usize::from(input.byte()).max(1);
    let front = FRONTS[usize::from(input.byte() & 1)];
    let bytes = input.take(usize::MAX);
    assert_eq!(play(front, bytes, usize::MAX), play(front, bytes, portion));
});
