//! `help fields`: the registry of fields, written out.

use super::wrap::push_wrapped;
use crate::event;
use crate::filter::registry;

/// Returns every field with its type, label and line of help.
pub(super) fn text() -> String {
    let mut out = String::new();
    let ours = event::fields::ALL.iter().map(|field| field.name);
    push_wrapped(
        &mut out,
        0,
        &format!(
            "The fields that are known of a frame, with Wireshark's names and types and the label \
             of the detail tree (-V). Numbers in brackets are sections of MQTT 5.0. Those that \
             decoding and analysis find out, and Wireshark does not have, stand last: {}.",
            ours.collect::<Vec<_>>().join(", ")
        ),
    );
    let mut layer = "";
    for field in registry::all() {
        let group = field.name.split('.').next().unwrap_or(field.name);
        if group != layer {
            layer = group;
            out.push('\n');
        }
        let kind = field.kind.wireshark();
        push_wrapped(
            &mut out,
            2,
            &format!("{}: {}, {kind}", field.name, field.label),
        );
        push_wrapped(&mut out, 6, field.help);
    }
    out
}
