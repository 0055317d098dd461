//! The views that can be asked for, and what each is made from.

use std::io::Write;

use super::args::{DiagramFormat, ViewArgs};
use crate::base::limits::Limits;
use crate::event::Event;
use crate::view::check::Check;
use crate::view::detail::Detail;
use crate::view::flow::text::TextStyle;
use crate::view::flow::{Diagram, Flow, FlowKind};
use crate::view::json::{self, Json};
use crate::view::log::Log;
use crate::view::stats::{self, Stats};
use crate::view::table::Table;
use crate::view::{Filtered, Selection, Style, View};

/// The views that can be asked for.
///
/// A new one is a variant here with its lines in [`ViewKind::of`] and [`open`], and its option in
/// [`ViewArgs`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ViewKind {
    /// The packet table.
    Table,
    /// The detail tree.
    Detail,
    /// Ladder diagrams.
    Flow,
    /// Summary tables.
    Stats,
    /// Findings.
    Check,
    /// A broker's log.
    Log,
}

impl ViewKind {
    /// Returns the view that is asked for. Clap lets it be one only; it is the table where none
    /// is.
    pub const fn of(args: &ViewArgs) -> Self {
        match args {
            _ if !args.flow.is_empty() => Self::Flow,
            ViewArgs { stats: Some(_), .. } => Self::Stats,
            ViewArgs { check: Some(_), .. } => Self::Check,
            ViewArgs { log: true, .. } => Self::Log,
            ViewArgs { detail: true, .. } => Self::Detail,
            _ => Self::Table,
        }
    }
}

/// Returns the form of JSON that is asked for; `None` for an answer to people.
pub const fn json_form(args: &ViewArgs) -> Option<json::Form> {
    match args {
        ViewArgs { json: true, .. } => Some(json::Form::Document),
        ViewArgs { ndjson: true, .. } => Some(json::Form::Lines),
        _ => None,
    }
}

/// Columns of a ladder where nothing decides how many there are.
const LADDER_WIDTH: usize = 100;

/// Opens the view that is asked for, which writes to `out`.
pub fn open(args: &ViewArgs, style: Style, limits: &Limits, out: Box<dyn Write>) -> Box<dyn View> {
    let selection = Selection {
        topic: args.topic.clone(),
        client: args.client.clone(),
        types: args.types.clone(),
    };
    let view: Box<dyn View> = match (ViewKind::of(args), json_form(args)) {
        // JSON has every field already: that of the detail tree is that of the table.
        (ViewKind::Table | ViewKind::Detail | ViewKind::Log, Some(form)) => {
            Box::new(Json::new(out, form, style).with_limits(limits))
        }
        (ViewKind::Table, None) => Box::new(Table::new(out, style)),
        (ViewKind::Detail, None) => Box::new(Detail::new(out, style)),
        (ViewKind::Log, None) if selection.is_everything() => Box::new(Log::new(out)),
        (ViewKind::Log, None) => Box::new(Log::new(out).selective()),
        (ViewKind::Check, Some(form)) => {
            Box::new(Json::findings(out, form, style).with_limits(limits))
        }
        (ViewKind::Check, None) => Box::new(Check::new(out, style.colour)),
        (ViewKind::Stats, form) => {
            let form = match form {
                Some(form) => stats::Form::Json(form),
                None => stats::Form::Tables {
                    width: style.width.and_then(|width| width.try_into().ok()),
                },
            };
            let sections = args.stats.clone().map(|sections| sections.0);
            let sections = sections.unwrap_or_default();
            Box::new(Stats::new(out, sections, form, limits))
        }
        (ViewKind::Flow, Some(form)) => {
            let kinds = args.flow.clone();
            let needs = FlowKind::needs(&kinds);
            let takes =
                Box::new(move |event: &Event<'_>| kinds.iter().any(|kind| kind.takes(event)));
            Box::new(Json::handshakes(out, form, needs, takes, style).with_limits(limits))
        }
        (ViewKind::Flow, None) => {
            let diagram = match args.format {
                DiagramFormat::Mermaid => Diagram::Mermaid(Default::default()),
                DiagramFormat::Svg => Diagram::Svg(Default::default()),
                DiagramFormat::Text => Diagram::Text(TextStyle {
                    width: style.width.unwrap_or(LADDER_WIDTH),
                    ascii: args.ascii,
                    colour: style.colour,
                }),
            };
            Box::new(Flow::new(out, args.flow.clone(), diagram))
        }
    };
    if selection.is_everything() {
        return view;
    }
    Box::new(Filtered::new(selection, view, limits))
}
