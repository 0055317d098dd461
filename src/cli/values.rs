//! Values of arguments that are more than a word or a number.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::base::limits::{Change, Limit, Unit};
use crate::base::{EndpointPattern, Span};
use crate::mqtt::{PacketType, topic};
use crate::view::stats::Section;

/// The sections of `--stats`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sections(pub Vec<Section>);

/// The largest value of a limit that is a number: connections and messages are numbered with 32
/// bits.
const LARGEST_COUNT: usize = 1 << 24;

/// Parses `connections=1000000`, `held=256MiB`.
pub(super) fn limit(text: &str) -> Result<(Limit, usize), String> {
    let wanted = "expected NAME=VALUE with a name that `mqtt-inspect help limits` lists";
    let (name, value) = text.split_once('=').ok_or(wanted)?;
    let limit = Limit::from_name(name).ok_or(wanted)?;
    let row = limit.row();
    if row.change == Change::Fixed {
        return Err(format!("the limit {name} is fixed"));
    }
    let (digits, unit) = match value.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => value.split_at(at),
        None => (value, ""),
    };
    let shift = match (row.unit, unit) {
        (_, "") => 0,
        (Unit::Bytes, "KiB") => 10,
        (Unit::Bytes, "MiB") => 20,
        (Unit::Bytes, "GiB") => 30,
        (Unit::Bytes, _) => {
            return Err("expected bytes: a number, or one with KiB, MiB or GiB".to_owned());
        }
        _ => return Err("expected a number".to_owned()),
    };
    let number: usize = digits
        .parse()
        .map_err(|_| format!("`{value}` is no number from 1 on"))?;
    number
        .checked_mul(1 << shift)
        .filter(|&most| most > 0 && (row.unit == Unit::Bytes || most <= LARGEST_COUNT))
        .map(|most| (limit, most))
        .ok_or_else(|| format!("`{value}` is too little or too much"))
}

/// Parses `tap2.pcap=+0.050`: a capture and the seconds that are added to its times, exactly.
pub(super) fn clock(text: &str) -> Result<(String, Span), String> {
    let wanted = "expected FILE=SECONDS, such as tap2.pcap=+0.050 or tap2.pcap=-1.5";
    let (name, seconds) = text.rsplit_once('=').ok_or(wanted)?;
    let (sign, digits) = match seconds.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, seconds.strip_prefix('+').unwrap_or(seconds)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if name.is_empty() || digits.is_empty() || !is_number(whole) || !is_number(fraction) {
        return Err(wanted.to_owned());
    }
    if whole.len() > 9 || fraction.len() > 9 {
        return Err(format!(
            "`{seconds}` has more than nine digits before or after the decimal point"
        ));
    }
    let number = |text: &str| text.parse::<i64>().unwrap_or(0);
    let nanos = number(whole) * 1_000_000_000 + number(&format!("{fraction:0<9}"));
    Ok((name.to_owned(), Span::from_nanos(sign * nanos)))
}

/// `tcp.port==1884,mqtt`; a range of ports as `1884-1890`.
pub(super) fn decode_as(rule: &str) -> Result<RangeInclusive<u16>, String> {
    let wanted = "expected tcp.port==N,mqtt or tcp.port==N-M,mqtt";
    let (selector, protocol) = rule.split_once(',').ok_or(wanted)?;
    let (field, ports) = selector.split_once("==").ok_or(wanted)?;
    if field.trim() != "tcp.port" {
        return Err(format!("{wanted}: only tcp.port selects"));
    }
    if !protocol.trim().eq_ignore_ascii_case("mqtt") {
        return Err(format!("{wanted}: only mqtt is decoded"));
    }
    let port = |text: &str| {
        text.trim()
            .parse::<u16>()
            .ok()
            .filter(|&port| port > 0)
            .ok_or_else(|| format!("{wanted}: `{text}` is no TCP port (1 to 65535)"))
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("{wanted}: the range {first}-{last} is empty"));
    }
    Ok(first..=last)
}

/// Parses `192.0.2.1:1883,127.0.0.1`: the endpoints of one broker.
pub(super) fn broker(text: &str) -> Result<Vec<EndpointPattern>, String> {
    text.split(',').map(|one| endpoint(one.trim())).collect()
}

/// Parses an IP address, alone or with a port; one of IPv6 may stand in brackets.
fn endpoint(text: &str) -> Result<EndpointPattern, String> {
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Ok(EndpointPattern {
            address: socket.ip(),
            port: Some(socket.port()),
        });
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if bare.is_none()
        && let Some((address, port)) = as_if_with_port(text)
    {
        return Err(format!(
            "`{text}` is an address of IPv6 without a port: write [{address}]:{port} for the port, \
             [{text}] for the address"
        ));
    }
    let address = bare.map_or_else(
        || text.parse().ok(),
        |bare| bare.parse().ok().map(IpAddr::V6),
    );
    let address = address.ok_or_else(|| {
        format!("`{text}` is no IP address, alone or with a port (192.0.2.1:1883, [::1]:1883)")
    })?;
    Ok(EndpointPattern {
        address,
        port: None,
    })
}

/// Takes an address of IPv6 that ends as if with a port: `::1:1883` is an address, and
/// seldom the one that is meant.
fn as_if_with_port(text: &str) -> Option<(Ipv6Addr, &str)> {
    let (address, port) = text.rsplit_once(':')?;
    let digits = port.len() >= 4 && port.bytes().all(|byte| byte.is_ascii_digit());
    let address = address.parse().ok().filter(|_| digits)?;
    Some((address, port))
}

/// A packet type by the specification's name, by Wireshark's words, or by its number.
pub(super) fn packet_type(text: &str) -> Result<PacketType, String> {
    let text = text.trim();
    let all = || PacketType::ALL.into_iter().skip(1);
    all()
        .find(|one| {
            one.name().eq_ignore_ascii_case(text)
                || one.wireshark().eq_ignore_ascii_case(text)
                || text.parse() == Ok(*one as u8)
        })
        .ok_or_else(|| {
            let names: Vec<_> = all().map(PacketType::name).collect();
            format!("expected one of {}", names.join(", "))
        })
}

/// A valid topic filter.
pub(super) fn topic_filter(text: &str) -> Result<String, String> {
    match topic::filter_broken(text) {
        None => Ok(text.to_owned()),
        Some((rule, _)) => Err(rule.sentence().to_owned()),
    }
}

/// Sections of the statistics, joined by commas; `all`.
pub(super) fn sections(text: &str) -> Result<Sections, String> {
    let all = Section::NAMES.iter();
    if text == "all" {
        return Ok(Sections(all.map(|&(_, section)| section).collect()));
    }
    let named = |word: &str| all.clone().find(|(name, _)| *name == word.trim());
    let sections = text.split(',').map(|word| Some(named(word)?.1));
    sections
        .collect::<Option<_>>()
        .map(Sections)
        .ok_or_else(|| {
            let names = Section::NAMES.map(|(name, _)| name);
            format!("expected all, or some of {}", names.join(","))
        })
}

/// A span of time: `10s`, `500ms`, `1.5m`, `2h`; a number alone is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wanted = || format!("`{text}` is no span of time such as 10s, 500ms, 2m or 1h");
    let text = text.trim();
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (number, unit) = units
        .iter()
        .find_map(|&(name, unit)| Some((text.strip_suffix(name)?, unit)))
        .unwrap_or((text, 1.0));
    let seconds = number.trim().parse::<f64>().map_err(|_| wanted())? * unit;
    Duration::try_from_secs_f64(seconds).map_err(|_| wanted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_a_port_or_a_range() {
        assert_eq!(decode_as("tcp.port==1884,mqtt"), Ok(1884..=1884));
        assert_eq!(decode_as("tcp.port==10-12,MQTT"), Ok(10..=12));
        let [lan, local] = broker("192.0.2.1:1883, ::1").unwrap()[..] else {
            panic!("two addresses");
        };
        assert_eq!((lan.port, local.port), (Some(1883), None));
        for (text, port) in [
            ("[::1]:1883", Some(1883)),
            ("[::1]", None),
            ("[::1:1883]", None),
        ] {
            assert_eq!(broker(text).unwrap()[0].port, port);
        }
        for wrong in ["[::1", "::1]", "[192.0.2.1]", "localhost:1883"] {
            assert!(broker(wrong).is_err(), "{wrong}");
        }
        let advice = broker("::1:1883").unwrap_err();
        assert!(advice.contains("write [::1]:1883 for the port"), "{advice}");
        // Whole as it is: what stands before the last colon is no address.
        assert!(broker("2001:db8:0:0:0:0:1:1883").is_ok());
        assert!(broker("").is_err());
        for wrong in [
            "udp",
            "udp.port==1,mqtt",
            "tcp.port==0,mqtt",
            "tcp.port==70000,mqtt",
            "tcp.port==5-4,mqtt",
            "tcp.port==1,http",
            "tcp.port=1,mqtt",
        ] {
            let message = decode_as(wrong).unwrap_err();
            assert!(message.contains("tcp.port==N,mqtt"), "{wrong}: {message}");
        }
    }

    #[test]
    fn a_clock_is_corrected_by_seconds_with_a_sign() {
        let clock = |text| clock(text).map(|(name, shift)| (name, shift.nanos()));
        let of = |name: &str, nanos| Ok((name.to_owned(), nanos));
        assert_eq!(clock("a.pcap=+0.050"), of("a.pcap", 50_000_000));
        assert_eq!(clock("a=b.pcap=-1.5"), of("a=b.pcap", -1_500_000_000));
        assert_eq!(clock("-=3600"), of("-", 3_600_000_000_000));
        assert_eq!(clock("a=.000000001"), of("a", 1));
        for wrong in [
            "a.pcap", "a=", "a=+", "=1", "a=x", "a=1s", "a=1.2.3", "a=--1", "a=+-1",
        ] {
            assert!(
                clock(wrong).unwrap_err().contains("FILE=SECONDS"),
                "{wrong}"
            );
        }
        assert!(clock("a=1234567890").unwrap_err().contains("nine digits"));
        assert!(clock("a=0.1234567890").unwrap_err().contains("nine digits"));
    }

    #[test]
    fn packet_types_go_by_name_words_or_number() {
        assert_eq!(packet_type("publish"), Ok(PacketType::Publish));
        assert_eq!(packet_type("Publish Ack"), Ok(PacketType::PubAck));
        assert_eq!(packet_type("14"), Ok(PacketType::Disconnect));
        assert!(packet_type("0").is_err());
        assert!(packet_type("NOPE").unwrap_err().contains("CONNACK"));
    }

    #[test]
    fn a_span_of_time_has_a_unit() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("3"), Ok(Duration::from_secs(3)));
        for wrong in ["", "s", "-1s", "1d", "nan", "inf"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_topic_filter_must_be_one() {
        assert!(topic_filter("a/+/b/#").is_ok());
        for wrong in ["", "a/#/b", "a+"] {
            assert!(topic_filter(wrong).is_err(), "{wrong}");
        }
    }
}
