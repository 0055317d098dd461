//! From the plan to the view.

use std::io::Write;

use super::plan::{Form, Show, What};
use crate::event::Event;
use crate::view::check::Check;
use crate::view::detail::Detail;
use crate::view::flow::{self, Flow, Kind as FlowKind};
use crate::view::json::{self, Json};
use crate::view::log::Log;
use crate::view::stats::{self, Stats};
use crate::view::table::Table;
use crate::view::{Filtered, View};

/// Columns of a ladder where nothing says how many there are.
const LADDER_WIDTH: usize = 100;

impl Show {
    /// The view of this plan, writing to `writer`.
    pub fn view(&self, writer: Box<dyn Write>) -> Box<dyn View> {
        let view = self.whole_view(writer);
        if self.selection.is_everything() {
            view
        } else {
            Box::new(Filtered::new(self.selection.clone(), view))
        }
    }

    fn whole_view(&self, writer: Box<dyn Write>) -> Box<dyn View> {
        let json = match self.form {
            Form::Document => Some(json::Form::Document),
            Form::Lines => Some(json::Form::Lines),
            Form::Text | Form::Mermaid | Form::Svg => None,
        };
        match (&self.what, json) {
            (What::Table | What::Detail | What::Log, Some(form)) => {
                Box::new(Json::new(writer, form, self.style))
            }
            (What::Table, None) => Box::new(Table::new(writer, self.style)),
            (What::Log, None) => Box::new(Log::new(writer)),
            (What::Detail, None) => Box::new(Detail::new(writer, self.style)),
            (What::Flow(kinds), Some(form)) => {
                let taken = kinds.clone();
                let takes = Box::new(move |event: &Event<'_>| {
                    taken.iter().any(|kind: &FlowKind| kind.takes(event))
                });
                let needs = FlowKind::needs(kinds);
                Box::new(Json::handshakes(writer, form, needs, takes, self.style))
            }
            (What::Flow(kinds), None) => Box::new(Flow::new(writer, kinds.clone(), self.ladder())),
            (What::Check, Some(form)) => Box::new(Json::findings(writer, form, self.style)),
            (What::Check, None) => Box::new(Check::new(writer, self.style.colour)),
            (What::Stats(sections), form) => {
                let form = match form {
                    Some(json::Form::Document) => stats::Form::Json,
                    Some(json::Form::Lines) => stats::Form::NdJson,
                    None => stats::Form::Tables {
                        width: self.style.width.and_then(|width| width.try_into().ok()),
                    },
                };
                Box::new(Stats::new(writer, sections.clone(), form))
            }
        }
    }

    fn ladder(&self) -> flow::Format {
        match self.form {
            Form::Mermaid => flow::Format::Mermaid,
            Form::Svg => flow::Format::Svg,
            Form::Text | Form::Document | Form::Lines => {
                flow::Format::Text(flow::text::TextStyle {
                    width: self.style.width.unwrap_or(LADDER_WIDTH),
                    ascii: self.ascii,
                    colour: self.style.colour,
                })
            }
        }
    }
}
