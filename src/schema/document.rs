//! The document of `--json`, and the JSON Schema of everything that is written.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;
use serde_with_macros::skip_serializing_none;

use super::capture::Capture;
use super::finding::Finding;
use super::gap::Gap;
use super::handshake::Handshake;
use super::packet::Packet;
use super::record::Record;
use super::retained::Retained;
use super::session::Session;
use super::stats::Stats;
use super::unreadable::{Incomplete, NotMqtt};
use super::will::Will;

/// A JSON document, its members in this order.
///
/// A run has one of `packets`, `handshakes`, `findings` and `stats`, by the view that was asked
/// for. The view writes the document piece by piece as records come; this struct only describes
/// it, and a test validates documents of every view against the schema.
#[skip_serializing_none]
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Document<'a> {
    /// The version of the data model.
    #[schemars(extend("const" = super::value::SCHEMA))]
    pub schema: &'static str,
    /// The control packets.
    pub packets: Option<Vec<Packet<'a>>>,
    /// The handshakes (`--flow`).
    pub handshakes: Option<Vec<Handshake<'a>>>,
    /// The findings (`--check`).
    pub findings: Option<Vec<Finding<'a>>>,
    /// The statistics (`--stats`).
    pub stats: Option<Stats<'a>>,
    /// Will Messages and how each ended (`--flow`).
    pub wills: Option<Vec<Will<'a>>>,
    /// How many wills there were beyond the 50,000 that a document lists.
    pub wills_omitted: Option<u64>,
    /// Stored messages and how each ended (`--flow`).
    pub retained: Option<Vec<Retained<'a>>>,
    /// How many stored messages there were beyond the 50,000 that a document lists.
    pub retained_omitted: Option<u64>,
    /// The sessions (`--flow`).
    pub sessions: Option<Vec<Session<'a>>>,
    /// How many sessions there were beyond the 50,000 that a document lists.
    pub sessions_omitted: Option<u64>,
    /// Bytes that were never captured.
    pub gaps: Option<Vec<Gap>>,
    /// How many gaps there were beyond the 50,000 that a document lists.
    pub gaps_omitted: Option<u64>,
    /// Control packets that never completed.
    pub incomplete: Option<Vec<Incomplete>>,
    /// How many of those there were beyond the 50,000 that a document lists.
    pub incomplete_omitted: Option<u64>,
    /// Connections that are not MQTT after all.
    pub not_mqtt: Option<Vec<NotMqtt<'a>>>,
    /// How many of those there were beyond the 50,000 that a document lists.
    pub not_mqtt_omitted: Option<u64>,
    /// The captures that were read.
    pub capture: Capture<'a>,
}

/// Everything that `--json` and `--ndjson` write.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged, title = "mqtt-inspect/1")]
#[expect(dead_code, reason = "described, never built")]
enum Output<'a> {
    /// The document of `--json`.
    Document(Box<Document<'a>>),
    /// A line of `--ndjson`.
    Record(Box<Record<'a>>),
}

/// Returns the JSON Schema (draft 2020-12) of the document and of each line of NDJSON.
pub fn json_schema() -> Schema {
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with_transform(RecursiveTransform(tidy));
    settings
        .into_generator()
        .into_root_schema_for::<Output<'static>>()
}

/// Takes `null` out of a schema, since a member is absent where there is nothing, and line breaks
/// out of its description.
fn tidy(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::String(text)) = members.get_mut("description") {
        *text = text
            .replace("\n\n", "\r")
            .replace('\n', " ")
            .replace('\r', "\n\n");
    }
    let null = Value::from("null");
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|one| *one != null);
        if let [one] = types.as_slice() {
            let one = one.clone();
            members.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(mut schemas)) = members.remove("anyOf") {
        schemas.retain(|one| one.get("type") != Some(&null));
        match schemas.as_mut_slice() {
            [Value::Object(one)] => members.append(one),
            _ => drop(members.insert("anyOf".to_owned(), Value::Array(schemas))),
        }
    }
}
