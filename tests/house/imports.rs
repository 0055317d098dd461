//! Resolves the paths in the sources to the files that they name.
//!
//! It reads tokens, not lines: paths in `use` groups, in expressions, in types and in the bodies
//! of macros are seen alike, comments and strings are not. A path counts where it begins with
//! `crate`, `super`, `self` or the name of a child module; what it names is the file of the longest
//! module path that it begins with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The source files of a crate, by their path below `src` (`view/json/mod.rs`).
pub(super) struct Sources(BTreeMap<String, File>);

/// One source file.
struct File {
    text: String,
    /// Its module path: `["view", "json"]` for `view/json/mod.rs`.
    module: Vec<String>,
    /// Whether it is compiled for tests only.
    test: bool,
}

/// A path in a source file that names something of the crate.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Import {
    /// The file that names it, below `src`.
    pub(super) file: String,
    /// The line, from 1.
    pub(super) line: usize,
    /// The absolute path, without `crate`.
    pub(super) path: Vec<String>,
    /// The file that it names, if the path begins with a module of the crate.
    pub(super) target: Option<String>,
    /// Whether the code is compiled for tests only.
    pub(super) test: bool,
}

impl Sources {
    /// Reads every file of the crate but `lib.rs` and `main.rs`, which may name all rooms.
    pub(super) fn of_this_crate() -> Self {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        let mut folders = vec![src.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder of the sources") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path.strip_prefix(&src).expect("a file of src");
                    let name = name.to_string_lossy().replace('\\', "/");
                    files.push((name, fs::read_to_string(&path).expect("text")));
                }
            }
        }
        files.retain(|(name, _)| name != "lib.rs" && name != "main.rs");
        assert!(files.len() > 100, "only {} files were found", files.len());
        Self::new(files)
    }

    /// The files of these names below `src` and these texts.
    pub(super) fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let file = |(name, text): (String, String)| {
            let module = name.trim_end_matches(".rs").trim_end_matches("/mod");
            let module = module.split('/').map(str::to_owned).collect();
            let test = false;
            (name, File { text, module, test })
        };
        let mut sources = Self(files.into_iter().map(file).collect());
        // `#[cfg(test)] mod x;` makes x and all below it tests.
        let of_tests: Vec<_> = sources
            .0
            .values()
            .flat_map(|file| {
                let mut modules = Vec::new();
                let tokens = tokens(&file.text);
                walk(&tokens, &mut Scope::of(&file.module), &mut |seen| {
                    if let Seen::Module(module, true) = seen {
                        modules.push(module);
                    }
                });
                modules
            })
            .collect();
        for file in sources.0.values_mut() {
            file.test = of_tests.iter().any(|tests| file.module.starts_with(tests));
        }
        sources
    }

    /// The names of the files and their texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = |(name, file)| -> (&str, &str) {
            let (name, file): (&String, &File) = (name, file);
            (name, &file.text)
        };
        self.0.iter().map(text)
    }

    /// Every import of every file; the `mod` line of a child is an import of the child.
    pub(super) fn imports(&self) -> Vec<Import> {
        let mut found = BTreeSet::new();
        for (name, file) in &self.0 {
            let mut scope = Scope::of(&file.module);
            scope.test = file.test;
            scope.children = self
                .0
                .values()
                .filter_map(|other| other.module.strip_prefix(file.module.as_slice()))
                .filter_map(|below| match below {
                    [child] => Some(child.clone()),
                    _ => None,
                })
                .collect();
            walk(&tokens(&file.text), &mut scope, &mut |seen| {
                let (path, line, test) = match seen {
                    Seen::Path(path, line, test) => (path, line, test),
                    Seen::Module(path, test) => (path, 1, test),
                };
                let target = self.file_of(&path);
                if target.as_ref() != Some(name) {
                    found.insert(Import {
                        file: name.clone(),
                        line,
                        path,
                        target,
                        test,
                    });
                }
            });
        }
        found.into_iter().collect()
    }

    /// The file of the longest module path that `path` begins with.
    fn file_of(&self, path: &[String]) -> Option<String> {
        (1..=path.len()).rev().find_map(|length| {
            let module = path[..length].join("/");
            let names = [format!("{module}.rs"), format!("{module}/mod.rs")];
            names.into_iter().find(|name| self.0.contains_key(name))
        })
    }
}

/// The tokens of a source text, comments left out.
fn tokens(text: &str) -> Vec<TokenTree> {
    let stream: TokenStream = text.parse().expect("a source file is Rust");
    stream.into_iter().collect()
}

/// Where in the crate the walk stands.
#[derive(Clone)]
struct Scope {
    /// The module, those written inline in the file included.
    module: Vec<String>,
    /// Child modules with a file of their own, whose names begin a path too.
    children: Vec<String>,
    test: bool,
}

impl Scope {
    fn of(module: &[String]) -> Self {
        Self {
            module: module.to_vec(),
            children: Vec::new(),
            test: false,
        }
    }
}

/// A report of the walk.
enum Seen {
    /// A path of the crate, the line it stands in, and whether it is compiled for tests only.
    Path(Vec<String>, usize, bool),
    /// The module of a `mod x;`, and whether it is compiled for tests only.
    Module(Vec<String>, bool),
}

/// Reports every path and every `mod x;` in `tokens`.
fn walk(tokens: &[TokenTree], scope: &mut Scope, report: &mut dyn FnMut(Seen)) {
    let mut at = 0;
    // An attribute that was read belongs to the item that begins here; it ends with its first
    // `;`, its first braces, or, for a field, a variant or an arm, its `,`.
    let mut item_is_test = false;
    while let Some(token) = tokens.get(at) {
        let outer = scope.test;
        scope.test |= item_is_test;
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                if is_cfg_test(tokens.get(at + 1)) {
                    item_is_test = true;
                }
                at += 2;
            }
            TokenTree::Punct(punct) => {
                if matches!(punct.as_char(), ';' | ',') {
                    item_is_test = false;
                }
                at += 1;
            }
            TokenTree::Group(group) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                walk(&inner, scope, report);
                if group.delimiter() == Delimiter::Brace {
                    item_is_test = false;
                }
                at += 1;
            }
            TokenTree::Ident(ident) if ident == "pub" => {
                // The path of `pub(in path)` names no import.
                at += if matches!(tokens.get(at + 1), Some(TokenTree::Group(_))) {
                    2
                } else {
                    1
                };
            }
            TokenTree::Ident(ident) if ident == "mod" => {
                let name = tokens.get(at + 1).map(ToString::to_string);
                let mut module = scope.module.clone();
                module.extend(name);
                if let Some(TokenTree::Group(body)) = tokens.get(at + 2) {
                    let mut inside = Scope {
                        module,
                        children: Vec::new(),
                        test: scope.test,
                    };
                    let body: Vec<_> = body.stream().into_iter().collect();
                    walk(&body, &mut inside, report);
                } else {
                    report(Seen::Module(module, scope.test));
                }
                item_is_test = false;
                at += 3;
            }
            TokenTree::Ident(ident) => {
                let follows_path = at >= 2 && is_path_separator(&tokens[at - 2..]);
                let line = ident.span().start().line;
                let before = if follows_path {
                    None
                } else {
                    root(&ident.to_string(), scope)
                };
                match before {
                    Some(before) if is_path_separator(&tokens[at + 1..]) => {
                        let mut found = Vec::new();
                        at = path(tokens, at + 3, before, &mut found);
                        for path in found {
                            report(Seen::Path(path, line, scope.test));
                        }
                    }
                    _ => at += 1,
                }
            }
            TokenTree::Literal(_) => at += 1,
        }
        scope.test = outer;
    }
}

/// The absolute module path that a path's first word stands for.
fn root(word: &str, scope: &Scope) -> Option<Vec<String>> {
    let module = &scope.module;
    match word {
        "crate" => Some(Vec::new()),
        "self" => Some(module.clone()),
        "super" => Some(module[..module.len().saturating_sub(1)].to_vec()),
        child if scope.children.iter().any(|name| name == child) => {
            Some(module.iter().cloned().chain([child.to_owned()]).collect())
        }
        _ => None,
    }
}

/// Reads what follows a `::` at `tokens[at]`: further words, a braced group or `*`. Adds the
/// absolute paths to `found` and returns where the path ends.
fn path(
    tokens: &[TokenTree],
    mut at: usize,
    mut before: Vec<String>,
    found: &mut Vec<Vec<String>>,
) -> usize {
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(word)) => {
                match word.to_string().as_str() {
                    "super" => drop(before.pop()),
                    "self" => {}
                    word => before.push(word.to_owned()),
                }
                at += 1;
                if tokens.get(at..).is_some_and(is_path_separator) {
                    at += 2;
                    continue;
                }
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                let comma =
                    |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
                for item in inner.split(comma).filter(|item| !item.is_empty()) {
                    path(item, 0, before.clone(), found);
                }
                return at + 1;
            }
            // `*`, or the generic arguments of `path::<T>`.
            _ => {}
        }
        found.push(before);
        return at;
    }
}

/// Whether `tokens` begins with `::`.
fn is_path_separator(tokens: &[TokenTree]) -> bool {
    let colon = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ':');
    matches!(tokens, [first, second, ..] if colon(first) && colon(second))
}

/// Whether an attribute's brackets hold `cfg(test)` or a `cfg` that needs `test`.
fn is_cfg_test(attribute: Option<&TokenTree>) -> bool {
    attribute.is_some_and(|attribute| {
        let text: String = attribute.to_string().split_whitespace().collect();
        text == "[test]" || text.starts_with("[cfg(test)") || text.starts_with("[cfg(all(test")
    })
}
