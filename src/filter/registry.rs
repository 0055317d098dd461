//! Every field of every layer. A layer defines its fields where it lives; here they are joined,
//! so that a field is added in one place and known everywhere.

use crate::base::field::FieldDef;
use crate::{base, carrier, event, mqtt};

/// The layers' lists, from the frame up.
const LAYERS: [&[&FieldDef]; 4] = [
    base::layer_fields::ALL,
    carrier::FIELDS,
    mqtt::fields::ALL,
    event::fields::ALL,
];

/// Returns every field, layer by layer from the frame up. No name comes twice.
pub fn all() -> impl Iterator<Item = &'static FieldDef> {
    LAYERS.into_iter().flatten().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_field_has_a_name_of_its_own_a_label_and_a_line_of_help() {
        let mut names = BTreeSet::new();
        for field in all() {
            assert!(names.insert(field.name), "{}", field.name);
            assert!(!field.label.is_empty(), "{}", field.name);
            assert!(field.help.ends_with('.'), "{}", field.name);
        }
        assert!(names.len() > 100);
    }
}
