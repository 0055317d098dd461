//! The statistics as JSON: one object, whole at the end.

use super::Section;
use super::spans::Spans;
use super::tally::Tally;
use super::topics::Topic;
use crate::base::Span;
use crate::event::Totals;
use crate::mqtt::PacketType;
use crate::view::clock::DateText;
use crate::view::json::{JsonWriter, SCHEMA, record, story::seconds};

/// Appends the document, or the one line of NDJSON, that holds the statistics.
pub(super) fn write(
    tally: &Tally,
    sections: &[Section],
    totals: &Totals,
    lines: bool,
    out: &mut Vec<u8>,
) {
    let mut json = JsonWriter::new(out);
    json.begin_object();
    if lines {
        json.word_member("record", "stats");
    }
    json.word_member("schema", SCHEMA);
    json.key("stats");
    json.begin_object();
    for (word, section) in Section::NAMES {
        if !sections.contains(&section) {
            continue;
        }
        json.key(word);
        json.begin_array();
        match section {
            Section::Types => types(&mut json, tally),
            Section::Topics => topics(&mut json, tally),
            Section::Clients => clients(&mut json, tally),
            Section::Handshakes => handshakes(&mut json, tally),
            Section::Latency => latency(&mut json, tally),
            Section::Connections => {
                for (cause, count) in &tally.ends {
                    json.begin_object();
                    json.word_member("ended_by", cause);
                    json.number_member("connections", *count);
                    json.end_object();
                }
            }
        }
        json.end_array();
    }
    json.number_member("malformed", tally.types.malformed);
    json.end_object();
    json.key("capture");
    json.begin_object();
    record::capture(&mut json, totals, &mut DateText::utc());
    json.end_object();
    json.end_object();
    out.push(b'\n');
}

fn types(json: &mut JsonWriter<'_>, tally: &Tally) {
    for (packet_type, [client, server]) in PacketType::ALL.iter().zip(&tally.types.counts) {
        if client.0 + server.0 == 0 {
            continue;
        }
        json.begin_object();
        json.number_member("type", *packet_type as u8);
        json.word_member("type_name", packet_type.name());
        json.number_member("packets", client.0 + server.0);
        json.number_member("from_clients", client.0);
        json.number_member("octets_from_clients", client.1);
        json.number_member("from_servers", server.0);
        json.number_member("octets_from_servers", server.1);
        json.end_object();
    }
}

fn topics(json: &mut JsonWriter<'_>, tally: &Tally) {
    let mut topics: Vec<_> = tally.topics.iter().collect();
    topics.sort_by_key(|(name, _)| *name);
    for (name, counts) in topics {
        json.begin_object();
        json.string_member("topic", name);
        topic(json, counts);
        json.end_object();
    }
    let others = tally.topics.others();
    if others.messages() > 0 {
        json.begin_object();
        json.bool_member("beyond_cap", true);
        topic(json, others);
        json.end_object();
    }
}

fn topic(json: &mut JsonWriter<'_>, topic: &Topic) {
    json.number_member("published", topic.published());
    json.number_member("delivered", topic.delivered());
    json.number_member("octets", topic.octets);
    json.number_member("retained", topic.retained);
    for (key, count) in ["qos_0", "qos_1", "qos_2"].into_iter().zip(topic.qos) {
        json.number_member(key, count);
    }
    json.number_member("publishers", topic.publishers() as u64);
    json.number_member("subscribers", topic.subscribers() as u64);
    if let Some(span) = topic.span() {
        seconds(json, "span", span);
    }
}

fn clients(json: &mut JsonWriter<'_>, tally: &Tally) {
    for client in &tally.clients {
        json.begin_object();
        if let Some(client_id) = &client.client_id {
            json.string_member("client_id", client_id);
        }
        if let Some(user_name) = &client.user_name {
            json.string_member("user_name", user_name);
        }
        if let Some(version) = client.version {
            json.word_member("version", version);
        }
        if let Some(keep_alive) = client.keep_alive {
            json.number_member("keep_alive", keep_alive);
        }
        json.number_member("connections", client.connections);
        let [sent, received] = client.packets;
        json.number_member("packets_sent", sent);
        json.number_member("packets_received", received);
        let [sent, received] = client.octets;
        json.number_member("octets_sent", sent);
        json.number_member("octets_received", received);
        json.word_member("ended_by", client.end);
        json.end_object();
    }
}

fn handshakes(json: &mut JsonWriter<'_>, tally: &Tally) {
    for (kind, counts) in tally.kinds() {
        json.begin_object();
        json.word_member("kind", kind.name());
        json.number_member("complete", counts.complete);
        json.number_member("refused", counts.refused);
        json.number_member("incomplete", counts.incomplete);
        json.number_member("redelivered", counts.redelivered);
        quantiles(json, &counts.spans);
        json.end_object();
    }
}

fn latency(json: &mut JsonWriter<'_>, tally: &Tally) {
    let mut topics: Vec<_> = tally.latencies.iter().collect();
    topics.sort_by(|a, b| a.0.cmp(b.0));
    for (name, spans) in topics {
        json.begin_object();
        json.string_member("topic", name);
        json.number_member("deliveries", spans.count());
        quantiles(json, spans);
        json.end_object();
    }
    if tally.other_latencies.count() > 0 {
        json.begin_object();
        json.bool_member("beyond_cap", true);
        json.number_member("deliveries", tally.other_latencies.count());
        quantiles(json, &tally.other_latencies);
        json.end_object();
    }
}

/// Members `min`, `median`, `p95`, `p99`, `max`, in seconds.
fn quantiles(json: &mut JsonWriter<'_>, spans: &Spans) {
    let Some(quantiles) = spans.quantiles() else {
        return;
    };
    for (key, span) in ["min", "median", "p95", "p99", "max"]
        .into_iter()
        .zip(quantiles)
    {
        let span: Span = span;
        seconds(json, key, span);
    }
}
