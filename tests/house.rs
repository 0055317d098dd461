//! The house holds: a module imports only what its line allows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module and the modules it may import. A name absent here is a failure too.
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
    ("view", &["base", "mqtt", "event"]),
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
            "view",
        ],
    ),
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
            "view",
            "broker",
            "record",
            "inspect",
        ],
    ),
];

#[test]
fn a_module_imports_only_what_the_house_allows() {
    let mut wrong = Vec::new();
    for (module, file) in sources() {
        let text = fs::read_to_string(&file).expect("a source file is text");
        let Some((_, allowed)) = HOUSE.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!(
                "{}: the module {module} has no line in the house",
                file.display()
            ));
            continue;
        };
        for imported in imports(&text) {
            if imported != module && !allowed.contains(&imported.as_str()) {
                wrong.push(format!(
                    "{}: {module} may not import {imported}",
                    file.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_house_has_no_circle() {
    for (at, (module, allowed)) in HOUSE.iter().enumerate() {
        for imported in *allowed {
            let place = HOUSE.iter().position(|(name, _)| name == imported);
            assert!(
                place.is_some_and(|place| place < at),
                "{module} imports {imported}, which does not stand above it"
            );
        }
    }
}

/// Those files that may hold unsafe code, which the crate denies.
const UNSAFE: &[&str] = &["src/base/plain.rs", "src/record/kernel/sys.rs"];

#[test]
fn unsafe_code_stands_where_security_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<_> = sources()
        .into_iter()
        .filter(|(_, file)| {
            let text = fs::read_to_string(file).expect("a source file is text");
            text.contains("unsafe_code")
        })
        .map(|(_, file)| {
            let file = file.strip_prefix(root).expect("a file of the crate");
            file.to_string_lossy().replace('\\', "/")
        })
        .collect();
    found.sort();
    assert_eq!(found, UNSAFE);
    let told = fs::read_to_string(root.join("SECURITY.md")).expect("text");
    for file in UNSAFE {
        assert!(told.contains(&format!("`{file}`")), "{file}");
    }
}

#[test]
fn imports_are_seen_in_every_form() {
    let text = "use crate::wire::Segment; fn f(_: crate::mqtt::Rule) {}\n\
                use crate::{\n    base::time,\n    stream::{self, Gap},\n};\n// crate::view in a comment";
    let seen: Vec<_> = imports(text).into_iter().collect();
    assert_eq!(seen, ["base", "mqtt", "stream", "wire"]);
}

/// The modules that a source text names after `crate::`, comments left out.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n");
    let mut seen = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        match rest.strip_prefix('{') {
            Some(list) => seen.extend(top_level(list).iter().filter_map(|item| name(item))),
            None => seen.extend(name(rest)),
        }
    }
    seen
}

/// The items of a braced list, nested braces left whole.
fn top_level(list: &str) -> Vec<&str> {
    let (mut depth, mut from, mut items) = (0usize, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&list[from..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    items
}

fn name(text: &str) -> Option<String> {
    let word: String = text
        .trim_start()
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}

/// Every source file below a module, with that module's name; `lib.rs` and `main.rs` name all.
fn sources() -> Vec<(String, PathBuf)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for entry in fs::read_dir(&src)
        .expect("src")
        .map(|entry| entry.expect("entry").path())
    {
        let module = entry
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if entry.is_dir() {
            collect(&entry, &module, &mut found);
        } else if module != "lib" && module != "main" {
            found.push((module, entry));
        }
    }
    found
}

fn collect(folder: &Path, module: &str, found: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("entry").path())
    {
        if entry.is_dir() {
            collect(&entry, module, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push((module.to_owned(), entry));
        }
    }
}
