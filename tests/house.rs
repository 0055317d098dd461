//! The house holds: which room imports which, and the layers of files inside a room.
//!
//! A room is a folder or a file directly below `src`. [`HOUSE`] lists what each may import. Inside
//! a room the files form no circle, and since the `mod` lines and re-exports of a `mod.rs` are
//! imports of its files, no file imports from the `mod.rs` of its own folder or of one around it:
//! it names the sibling file (`super::file::Name`). [`ROOM_LAYERS`] goes further for the large
//! rooms: it lists their files and folders from bottom to top.
//!
//! Code that is compiled for tests only has to keep to [`HOUSE`], but not to the order inside a
//! room. A failure names file and line.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use imports::{Import, Sources};

/// Each room, from bottom to top, and the rooms it may import. A room absent here is a failure.
const HOUSE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("capture", &["base"]),
    ("wire", &["base", "capture"]),
    ("stream", &["base", "wire"]),
    ("carrier", &["base", "stream"]),
    ("mqtt", &["base"]),
    ("event", &["base", "stream", "carrier", "mqtt"]),
    (
        "connection",
        &["base", "stream", "carrier", "mqtt", "event"],
    ),
    ("analysis", &["base", "stream", "mqtt", "event"]),
    ("schema", &["base", "mqtt", "event"]),
    ("filter", &["base", "carrier", "mqtt", "event"]),
    ("view", &["base", "mqtt", "event", "schema"]),
    ("broker", &["base", "mqtt", "event"]),
    (
        "record",
        &["base", "capture", "wire", "mqtt", "event", "broker"],
    ),
    (
        "inspect",
        &[
            "base",
            "capture",
            "wire",
            "stream",
            "event",
            "connection",
            "analysis",
            "schema",
            "view",
        ],
    ),
    ("records", &["capture", "event", "inspect", "view"]),
    (
        "cli",
        &[
            "base",
            "capture",
            "wire",
            "stream",
            "carrier",
            "mqtt",
            "event",
            "connection",
            "analysis",
            "schema",
            "filter",
            "view",
            "broker",
            "record",
            "inspect",
        ],
    ),
];

/// A room's layers, from bottom to top: the files (without `.rs`) and folders of each.
type Layers = &'static [&'static [&'static str]];

/// Rooms and their layers. A file or folder imports lower layers only, neither its neighbours in its
/// layer nor a higher one; inside a folder any order without a circle will do. The room's `mod.rs`
/// stands above all and is not listed. Every other file and folder of the room is, but for tests.
///
/// A line looks like this: `("stream", &[&["key", "limits"], &["waiting"], &["flow"], &["assembler"]])`.
const ROOM_LAYERS: &[(&str, Layers)] = &[
    (
        "base",
        &[
            &["endpoint", "field", "limits", "scan", "time"],
            &["layer_fields", "plain", "stamp", "text"],
            &["layers"],
        ],
    ),
    (
        "carrier",
        &[
            &["carried"],
            &["proxy_protocol", "tls", "websocket"],
            &["kind"],
            &["list"],
        ],
    ),
    (
        "view",
        &[
            &["colour", "observer", "out", "words"],
            &["clock", "info"],
            &["line", "style"],
            &["routes"],
            &["accounting", "json", "notes"],
            &["check", "detail", "filter", "flow", "log", "stats"],
            &["table"],
        ],
    ),
    (
        "cli",
        &[
            &["closed"],
            &["messages", "values"],
            &["help"],
            &["args"],
            &["views"],
            &["plan"],
            &["run"],
            &["record"],
        ],
    ),
    (
        "mqtt",
        &[
            &["words"],
            &["by_sender", "fields", "rule"],
            &["framer", "property", "reason", "topic"],
            &["reader"],
            &["packet"],
            &["violation", "writer"],
        ],
    ),
    (
        "connection",
        &[
            &["context", "classify", "pieces", "twins"],
            &["alias", "partial", "score"],
            &["candidate", "copies", "peers"],
            &["held", "packets"],
            &["recognition"],
            &["resync"],
            &["recognise"],
            &["decoder"],
        ],
    ),
    (
        "capture",
        &[
            &[
                "format", "frame", "limits", "live", "looks", "order", "output",
            ],
            &["error"],
            &["codec"],
            &["buffer", "piece"],
            &["pcap", "pcapng"],
            &["blocks", "source", "writer"],
            &["reader"],
            &["merge", "open", "sequence"],
        ],
    ),
    (
        "wire",
        &[
            &["addresses", "link_type", "segment", "visitor"],
            &["skipped"],
            &["part"],
            &["fragments", "tcp", "tunnel"],
            &["ip", "link"],
            &["straight"],
            &["dissector"],
        ],
    ),
    (
        "stream",
        &[
            &["direction", "sample", "waiting"],
            &["event", "limits"],
            &["emitter", "key"],
            &["flow"],
            &["holes", "trouble", "window"],
            &["slot"],
            &["slots"],
            &["assembler"],
        ],
    ),
    (
        "record",
        &[
            &["descriptors", "frames", "script", "signals"],
            &["error", "options", "scenario"],
            &["command", "file"],
            &["kernel", "tee"],
        ],
    ),
    ("broker", &[&["packet_ids", "seed"], &["core"], &["net"]]),
    (
        "event",
        &[
            &[
                "accounting",
                "connection",
                "fields",
                "finding",
                "log",
                "message",
                "needs",
                "packet",
                "step",
            ],
            &["delivery", "totals"],
            &["handshake"],
            &["session"],
            &["will"],
            &["borrowed"],
            &["owned"],
        ],
    ),
    (
        "analysis",
        &[
            &["caps"],
            &["keys"],
            &["state", "output"],
            &["rules"],
            &["context"],
            &["delivery", "early"],
            &["handshake"],
        ],
    ),
];

#[test]
fn a_room_imports_only_what_the_house_allows() {
    let sources = Sources::of_this_crate();
    let mut wrong = BTreeSet::new();
    for (file, _) in sources.texts() {
        if !HOUSE.iter().any(|(name, _)| *name == room(file)) {
            wrong.insert(format!("src/{file}: this room has no line in HOUSE"));
        }
    }
    for import in imports_of_this_crate() {
        let from = room(&import.file);
        let Some(to) = import.path.first() else {
            wrong.insert(report(import, "names the crate itself"));
            continue;
        };
        let mut lines = HOUSE.iter().filter(|(name, _)| *name == from);
        if from != to && !lines.any(|(_, allowed)| allowed.contains(&to.as_str())) {
            wrong.insert(report(import, &format!("{from} may not import {to}")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", listed(wrong));
}

#[test]
fn the_house_has_no_circle() {
    for (at, (room, allowed)) in HOUSE.iter().enumerate() {
        for imported in *allowed {
            let place = HOUSE.iter().position(|(name, _)| name == imported);
            assert!(
                place.is_some_and(|place| place < at),
                "{room} imports {imported}, which does not stand below it"
            );
        }
    }
}

#[test]
fn the_files_of_a_room_form_no_circle() {
    let imports = imports_of_this_crate();
    let mut wrong = BTreeSet::new();
    for (room, _) in HOUSE {
        wrong.extend(circles(room, imports));
    }
    assert!(wrong.is_empty(), "\n{}", listed(wrong));
}

#[test]
fn the_files_of_a_room_import_lower_layers_only() {
    let imports = imports_of_this_crate();
    let mut wrong = BTreeSet::new();
    for (room, layers) in ROOM_LAYERS {
        assert!(HOUSE.iter().any(|(name, _)| name == room), "no room {room}");
        wrong.extend(misplaced(room, layers, imports));
    }
    assert!(wrong.is_empty(), "\n{}", listed(wrong));
}

/// The imports of the whole crate, read once.
fn imports_of_this_crate() -> &'static [Import] {
    static IMPORTS: OnceLock<Vec<Import>> = OnceLock::new();
    IMPORTS.get_or_init(|| Sources::of_this_crate().imports())
}

/// The room of a file below `src`.
fn room(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or(file);
    first.trim_end_matches(".rs")
}

/// The part of a room that a file belongs to: a file or a folder directly below the room.
fn part(file: &str) -> &str {
    file.split('/')
        .nth(1)
        .unwrap_or(file)
        .trim_end_matches(".rs")
}

/// A line of a failure.
fn report(import: &Import, what: &str) -> String {
    let Import {
        file, line, path, ..
    } = import;
    format!("src/{file}:{line}: {what} (crate::{})", path.join("::"))
}

fn listed(lines: BTreeSet<String>) -> String {
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

/// The imports of a room's files from each other, tests left out: importing file, imported file.
fn inside<'a>(room_name: &str, imports: &'a [Import]) -> BTreeMap<(&'a str, &'a str), &'a Import> {
    let mut edges = BTreeMap::new();
    for import in imports.iter().filter(|import| !import.test) {
        if let Some(target) = &import.target
            && room(&import.file) == room_name
            && room(target) == room_name
        {
            edges
                .entry((import.file.as_str(), target.as_str()))
                .or_insert(import);
        }
    }
    edges
}

/// Lists, a line each, the imports that keep a room's files from having an order: those of the
/// `mod.rs` of a file's own folder or one around it, and those in a circle of other files.
fn circles(room: &str, imports: &[Import]) -> BTreeSet<String> {
    let mut edges = inside(room, imports);
    let mut wrong = BTreeSet::new();
    edges.retain(|(from, to), import| {
        let upwards = folder(to).is_some_and(|folder| from.starts_with(&folder));
        if upwards {
            wrong.insert(report(import, &format!("is inside the folder of src/{to}")));
        }
        !upwards
    });
    // What imports nothing that is left, or is imported by nothing that is left, is in no circle.
    loop {
        let left = edges.len();
        let importing: BTreeSet<_> = edges.keys().map(|(from, _)| *from).collect();
        let imported: BTreeSet<_> = edges.keys().map(|(_, to)| *to).collect();
        edges.retain(|(from, to), _| imported.contains(from) && importing.contains(to));
        if edges.len() == left {
            break;
        }
    }
    for ((_, to), import) in edges {
        wrong.insert(report(import, &format!("is in a circle with src/{to}")));
    }
    wrong
}

/// The folder whose files are children of a file: `view/` of `view/mod.rs`, `view/flow/` of
/// `view/flow.rs`.
fn folder(file: &str) -> Option<String> {
    match file.strip_suffix("mod.rs") {
        Some(folder) => Some(folder.to_owned()),
        None => Some(format!("{}/", file.strip_suffix(".rs")?)),
    }
}

/// Lists every import of a room that does not lead to a lower layer, and every file that is in none.
fn misplaced(room_name: &str, layers: Layers, imports: &[Import]) -> Vec<String> {
    let layer = |file: &str| layers.iter().position(|layer| layer.contains(&part(file)));
    let top = format!("{room_name}/mod.rs");
    let mut wrong = Vec::new();
    for ((from, to), import) in inside(room_name, imports) {
        if from == top {
            if layer(to).is_none() {
                wrong.push(format!("src/{to}: no layer of {room_name} has it"));
            }
            continue;
        }
        let lower = to != top && layer(to) < layer(from);
        if part(from) != part(to) && !lower {
            wrong.push(report(import, &format!("{} is no lower layer", part(to))));
        }
    }
    for name in layers.concat() {
        let file = [
            format!("{room_name}/{name}.rs"),
            format!("{room_name}/{name}/mod.rs"),
        ];
        let exists = |import: &&Import| {
            import
                .target
                .as_ref()
                .is_some_and(|target| file.contains(target))
        };
        if !imports.iter().any(|import| exists(&import)) {
            wrong.push(format!(
                "src/{room_name}/{name}: a layer lists it, and it does not exist"
            ));
        }
    }
    wrong
}

/// The files of the house that the tests of this test look at.
fn fixture(files: &[(&str, &str)]) -> Sources {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    Sources::new(files.iter().map(owned))
}

#[test]
fn paths_are_resolved_in_every_form() {
    let sources = fixture(&[
        (
            "wire/mod.rs",
            "pub mod tcp; mod link; pub use link::Link; fn f() { tcp::g() }",
        ),
        ("wire/tcp.rs", ""),
        ("wire/link/mod.rs", "mod sll; pub use self::sll::Sll;"),
        (
            "wire/link/sll.rs",
            "use super::super::tcp::{self, Segment as S, flags::{SYN, *}};\n\
             use super::super::super::stream::{key::Key};\n\
             // use crate::view::Nothing;\n\
             /// Like [`crate::view::Nothing`].\n\
             pub(in crate::wire) fn f(_: crate::base::time::Span<super::super::tcp::T>) -> u8 { '\"'; 0 }\n\
             mod inner { use super::super::Link; fn g() { \"crate::mqtt\"; self::h() } }\n\
             macro_rules! m { () => { $crate::mqtt::reason::name() } }\n\
             #[cfg(test)] use crate::capture::Writer;\n\
             fn after() -> crate::base::Text { crate::base::Text }\n\
             #[cfg(test)] mod tests { use super::*; use crate::record::Frames; }",
        ),
        ("stream/mod.rs", ""),
        ("stream/key.rs", ""),
        ("base/mod.rs", ""),
        ("base/time.rs", ""),
        ("mqtt/reason.rs", ""),
    ]);
    let seen = sources.imports();
    let from = |file: &str| -> Vec<(usize, String, Option<&str>, bool)> {
        let of_file = seen.iter().filter(|import| import.file == file);
        of_file
            .map(|one| {
                (
                    one.line,
                    one.path.join("::"),
                    one.target.as_deref(),
                    one.test,
                )
            })
            .collect()
    };
    let expected: [(usize, &str, Option<&str>, bool); 11] = [
        (1, "wire::tcp", Some("wire/tcp.rs"), false),
        (1, "wire::tcp::Segment", Some("wire/tcp.rs"), false),
        (1, "wire::tcp::flags", Some("wire/tcp.rs"), false),
        (1, "wire::tcp::flags::SYN", Some("wire/tcp.rs"), false),
        (2, "stream::key::Key", Some("stream/key.rs"), false),
        (5, "base::time::Span", Some("base/time.rs"), false),
        (5, "wire::tcp::T", Some("wire/tcp.rs"), false),
        (6, "wire::link::Link", Some("wire/link/mod.rs"), false),
        (7, "mqtt::reason::name", Some("mqtt/reason.rs"), false),
        (8, "capture::Writer", None, true),
        (9, "base::Text", Some("base/mod.rs"), false),
    ];
    let mut expected = expected
        .map(|(line, path, to, test)| (line, path.to_owned(), to, test))
        .to_vec();
    expected.push((10, "record::Frames".to_owned(), None, true));
    assert_eq!(from("wire/link/sll.rs"), expected);
    let targets: Vec<_> = from("wire/mod.rs")
        .into_iter()
        .map(|one| (one.1, one.2))
        .collect();
    assert_eq!(
        targets,
        [
            ("wire::link".to_owned(), Some("wire/link/mod.rs")),
            ("wire::link::Link".to_owned(), Some("wire/link/mod.rs")),
            ("wire::tcp".to_owned(), Some("wire/tcp.rs")),
            ("wire::tcp::g".to_owned(), Some("wire/tcp.rs")),
        ]
    );
}

#[test]
fn circles_of_siblings_and_imports_of_the_own_mod_rs_are_found() {
    let siblings = fixture(&[
        ("view/mod.rs", "mod a; mod b; mod c;"),
        ("view/a.rs", "use super::b::B;"),
        ("view/b.rs", "use crate::view::{a::A};"),
        (
            "view/c.rs",
            "use super::a::A;\n#[cfg(test)]\nuse super::View;",
        ),
    ]);
    assert_eq!(
        listed(circles("view", &siblings.imports())),
        "src/view/a.rs:1: is in a circle with src/view/b.rs (crate::view::b::B)\n\
         src/view/b.rs:1: is in a circle with src/view/a.rs (crate::view::a::A)"
    );
    let own = fixture(&[
        ("view/mod.rs", "mod json; mod out; pub use out::Out;"),
        ("view/out.rs", ""),
        ("view/json/mod.rs", "mod row; trait Page {}"),
        (
            "view/json/row.rs",
            "use super::super::out::Out;\nuse super::super::Out;\nuse super::Page;",
        ),
    ]);
    assert_eq!(
        listed(circles("view", &own.imports())),
        "src/view/json/row.rs:2: is inside the folder of src/view/mod.rs (crate::view::Out)\n\
         src/view/json/row.rs:3: is inside the folder of src/view/json/mod.rs (crate::view::json::Page)"
    );
    let through_folders = fixture(&[
        ("view/mod.rs", "mod json; mod text;"),
        ("view/json/mod.rs", "mod row; use super::text;"),
        ("view/json/row.rs", ""),
        ("view/text.rs", "use super::json::row::Row;"),
    ]);
    assert_eq!(listed(circles("view", &through_folders.imports())), "");
    let straight = fixture(&[
        ("view/mod.rs", "mod json; mod out; pub use out::Out;"),
        ("view/out.rs", "#[cfg(test)] mod tests;"),
        ("view/out/tests.rs", "use super::super::json; use super::*;"),
        ("view/json/mod.rs", "mod row; use super::out::Out;"),
        ("view/json/row.rs", "use super::super::out::Out;"),
    ]);
    assert_eq!(listed(circles("view", &straight.imports())), "");
}

#[test]
fn imports_of_neighbours_and_higher_layers_are_found() {
    let sources = fixture(&[
        ("view/mod.rs", "mod json; mod out; mod text; mod late;"),
        ("view/out.rs", "use super::json::Json;"),
        ("view/text.rs", "use super::out::Out;"),
        (
            "view/json/mod.rs",
            "mod row; use super::out::Out; use super::text::Text;",
        ),
        ("view/json/row.rs", "use super::super::out::Out;"),
        ("view/late.rs", ""),
    ]);
    let layers: Layers = &[&["out"], &["json", "text"], &["gone"]];
    assert_eq!(
        misplaced("view", layers, &sources.imports()),
        [
            "src/view/json/mod.rs:1: text is no lower layer (crate::view::text::Text)",
            "src/view/late.rs: no layer of view has it",
            "src/view/out.rs:1: json is no lower layer (crate::view::json::Json)",
            "src/view/gone: a layer lists it, and it does not exist",
        ]
    );
}

/// Those files that may hold unsafe code, which the crate denies.
const UNSAFE: &[&str] = &[
    "src/base/plain.rs",
    "src/capture/live/sys.rs",
    "src/cli/closed.rs",
];

#[test]
fn unsafe_code_stands_only_where_security_md_lists_it() {
    let sources = Sources::of_this_crate();
    let with_unsafe = sources
        .texts()
        .filter(|(_, text)| text.contains("unsafe_code"));
    let found: Vec<_> = with_unsafe.map(|(file, _)| format!("src/{file}")).collect();
    assert_eq!(found, UNSAFE);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = fs::read_to_string(root.join("SECURITY.md")).expect("text");
    for file in UNSAFE {
        assert!(listed.contains(&format!("`{file}`")), "{file}");
    }
}
