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
use crate::view::stats::{self, Section, Stats};
use crate::view::table::Table;
use crate::view::{Filtered, Selection, Style, View};

/// The views that can be asked for.
///
/// A new one is a variant here with its lines in [`ViewKind::of`] and [`ViewPlan::open`], and its
/// option in [`ViewArgs`].
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
    const fn of(args: &ViewArgs) -> Self {
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

/// One view with all that decides how it looks.
#[derive(Clone, Debug)]
pub struct ViewPlan {
    /// The view that was asked for.
    pub kind: ViewKind,
    /// How its answer is written.
    pub format: OutputFormat,
    /// How text looks.
    pub style: Style,
    /// Which packets it shows.
    pub selection: Selection,
    /// The ladders of `--flow`.
    pub flow: Vec<FlowKind>,
    /// The tables of `--stats`.
    pub sections: Vec<Section>,
    /// Ladders without box characters.
    pub ascii: bool,
    /// How much the view keeps.
    pub limits: Limits,
}

/// How a view's answer is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OutputFormat {
    /// For people; ladders as this kind of diagram.
    Text(DiagramFormat),
    /// As JSON: one document, or a record a line.
    Json(json::Form),
}

/// Columns of a ladder where nothing decides how many there are.
const LADDER_WIDTH: usize = 100;

impl ViewPlan {
    /// Plans the view that the arguments ask for.
    pub fn new(args: ViewArgs, style: Style, ascii: bool) -> Self {
        Self {
            kind: ViewKind::of(&args),
            format: match args.format {
                _ if args.json => OutputFormat::Json(json::Form::Document),
                _ if args.ndjson => OutputFormat::Json(json::Form::Lines),
                diagram => OutputFormat::Text(diagram),
            },
            style,
            selection: Selection {
                topic: args.topic,
                client: args.client,
                types: args.types,
            },
            flow: args.flow,
            sections: args.stats.map(|sections| sections.0).unwrap_or_default(),
            ascii: args.ascii || ascii,
            limits: Limits::default(),
        }
    }

    /// Opens the view, which writes to `writer`.
    pub fn open(&self, writer: Box<dyn Write>) -> Box<dyn View> {
        let view = match self.format {
            OutputFormat::Json(form) => self.open_json(writer, form),
            OutputFormat::Text(diagram) => self.open_text(writer, diagram),
        };
        if self.selection.is_everything() {
            return view;
        }
        let filtered = Filtered::new(self.selection.clone(), view);
        Box::new(filtered.with_limits(&self.limits))
    }

    fn open_json(&self, out: Box<dyn Write>, form: json::Form) -> Box<dyn View> {
        let json = match self.kind {
            // JSON has every field already: that of the detail tree is that of the table.
            ViewKind::Table | ViewKind::Detail | ViewKind::Log => Json::new(out, form, self.style),
            ViewKind::Check => Json::findings(out, form, self.style),
            ViewKind::Flow => {
                let kinds = self.flow.clone();
                let needs = FlowKind::needs(&kinds);
                let takes =
                    Box::new(move |event: &Event<'_>| kinds.iter().any(|kind| kind.takes(event)));
                Json::handshakes(out, form, needs, takes, self.style)
            }
            ViewKind::Stats => {
                return self.open_stats(out, stats::Form::Json(form));
            }
        };
        Box::new(json.with_limits(&self.limits))
    }

    fn open_text(&self, out: Box<dyn Write>, diagram: DiagramFormat) -> Box<dyn View> {
        let Style { colour, width, .. } = self.style;
        match self.kind {
            ViewKind::Table => Box::new(Table::new(out, self.style)),
            ViewKind::Detail => Box::new(Detail::new(out, self.style)),
            ViewKind::Check => Box::new(Check::new(out, colour)),
            ViewKind::Log => Box::new(Log::new(out)),
            ViewKind::Stats => {
                let width = width.and_then(|width| width.try_into().ok());
                self.open_stats(out, stats::Form::Tables { width })
            }
            ViewKind::Flow => {
                let diagram = match diagram {
                    DiagramFormat::Mermaid => Diagram::Mermaid(Default::default()),
                    DiagramFormat::Svg => Diagram::Svg(Default::default()),
                    DiagramFormat::Text => Diagram::Text(TextStyle {
                        width: width.unwrap_or(LADDER_WIDTH),
                        ascii: self.ascii,
                        colour,
                    }),
                };
                Box::new(Flow::new(out, self.flow.clone(), diagram))
            }
        }
    }

    fn open_stats(&self, out: Box<dyn Write>, form: stats::Form) -> Box<dyn View> {
        Box::new(Stats::new(out, self.sections.clone(), form).with_limits(&self.limits))
    }
}
