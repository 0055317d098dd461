//! The views that can be asked for, and what each is made from.

use std::fmt;
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

/// The views. Clap lets only one be asked for; the table is shown where none is.
///
/// A new view is one line here, and its option in [`ViewArgs`].
pub static VIEWS: [ViewEntry; 6] = [
    entry("flow", |args| !args.flow.is_empty(), flow),
    entry("stats", |args| args.stats.is_some(), stats),
    entry("check", |args| args.check.is_some(), check),
    entry("log", |args| args.log, |_, out| Box::new(Log::new(out))),
    entry("detail", |args| args.detail, detail),
    entry("table", |_| true, table),
];

/// A view that can be asked for.
pub struct ViewEntry {
    /// The word of its option, without the dashes.
    pub name: &'static str,
    asked: fn(&ViewArgs) -> bool,
    open: fn(&ViewPlan, Box<dyn Write>) -> Box<dyn View>,
}

const fn entry(
    name: &'static str,
    asked: fn(&ViewArgs) -> bool,
    open: fn(&ViewPlan, Box<dyn Write>) -> Box<dyn View>,
) -> ViewEntry {
    ViewEntry { name, asked, open }
}

impl fmt::Debug for ViewEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// One view with all that decides how it looks.
#[derive(Clone, Debug)]
pub struct ViewPlan {
    /// The view that was asked for.
    pub entry: &'static ViewEntry,
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
        let asked = VIEWS.iter().find(|entry| (entry.asked)(&args));
        let types = args.packet_types();
        Self {
            // The last entry is always asked for.
            entry: asked.unwrap_or(&VIEWS[VIEWS.len() - 1]),
            format: match args.format {
                _ if args.json => OutputFormat::Json(json::Form::Document),
                _ if args.ndjson => OutputFormat::Json(json::Form::Lines),
                diagram => OutputFormat::Text(diagram),
            },
            style,
            selection: Selection {
                topic: args.topic,
                client: args.client,
                types,
            },
            flow: args.flow,
            sections: args.stats.map(|sections| sections.0).unwrap_or_default(),
            ascii: args.ascii || ascii,
            limits: Limits::default(),
        }
    }

    /// Opens the view, which writes to `writer`.
    pub fn open(&self, writer: Box<dyn Write>) -> Box<dyn View> {
        let view = (self.entry.open)(self, writer);
        if self.selection.is_everything() {
            view
        } else {
            let filtered = Filtered::new(self.selection.clone(), view);
            Box::new(filtered.with_limits(&self.limits))
        }
    }
}

fn table(plan: &ViewPlan, out: Box<dyn Write>) -> Box<dyn View> {
    match plan.format {
        OutputFormat::Json(form) => {
            Box::new(Json::new(out, form, plan.style).with_limits(&plan.limits))
        }
        OutputFormat::Text(_) => Box::new(Table::new(out, plan.style)),
    }
}

/// JSON has every field already: that of the detail tree is that of the table.
fn detail(plan: &ViewPlan, out: Box<dyn Write>) -> Box<dyn View> {
    match plan.format {
        OutputFormat::Json(form) => {
            Box::new(Json::new(out, form, plan.style).with_limits(&plan.limits))
        }
        OutputFormat::Text(_) => Box::new(Detail::new(out, plan.style)),
    }
}

fn flow(plan: &ViewPlan, out: Box<dyn Write>) -> Box<dyn View> {
    let kinds = plan.flow.clone();
    let diagram = match plan.format {
        OutputFormat::Json(form) => {
            let needs = FlowKind::needs(&kinds);
            let takes =
                Box::new(move |event: &Event<'_>| kinds.iter().any(|kind| kind.takes(event)));
            let json = Json::handshakes(out, form, needs, takes, plan.style);
            return Box::new(json.with_limits(&plan.limits));
        }
        OutputFormat::Text(DiagramFormat::Mermaid) => Diagram::Mermaid,
        OutputFormat::Text(DiagramFormat::Svg) => Diagram::Svg,
        OutputFormat::Text(DiagramFormat::Text) => Diagram::Text(TextStyle {
            width: plan.style.width.unwrap_or(LADDER_WIDTH),
            ascii: plan.ascii,
            colour: plan.style.colour,
        }),
    };
    Box::new(Flow::new(out, kinds, diagram))
}

fn check(plan: &ViewPlan, out: Box<dyn Write>) -> Box<dyn View> {
    match plan.format {
        OutputFormat::Json(form) => {
            Box::new(Json::findings(out, form, plan.style).with_limits(&plan.limits))
        }
        OutputFormat::Text(_) => Box::new(Check::new(out, plan.style.colour)),
    }
}

fn stats(plan: &ViewPlan, out: Box<dyn Write>) -> Box<dyn View> {
    let form = match plan.format {
        OutputFormat::Json(json::Form::Document) => stats::Form::Json,
        OutputFormat::Json(json::Form::Lines) => stats::Form::NdJson,
        OutputFormat::Text(_) => stats::Form::Tables {
            width: plan.style.width.and_then(|width| width.try_into().ok()),
        },
    };
    Box::new(Stats::new(out, plan.sections.clone(), form).with_limits(&plan.limits))
}
