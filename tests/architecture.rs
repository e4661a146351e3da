//! Holds the floors of ARCHITECTURE.md: who may import whom, and where `unsafe` may stand; and what the README says of the
//! sources and the tests themselves.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Each module with its floor, and what else of a lower floor it must not import.
const FLOORS: [(&str, u8, &[&str]); 17] = [
    ("proto::limits", 0, &[]),
    ("proto::utf8_bytes", 0, &[]),
    ("proto::frame", 1, &[]),
    ("proto::http", 1, &["proto::utf8_bytes"]),
    ("proto::extension", 2, &[]),
    ("proto::handshake", 3, &[]),
    ("proto::connection", 3, &["proto::http"]),
    ("error", 4, &[]),
    ("transport", 4, &[]),
    ("stream", 5, &["proto::http", "proto::handshake"]),
    ("tls", 6, &["stream"]),
    ("client", 7, &[]),
    ("server", 7, &[]),
    ("hyper", 8, &["client"]),
    ("axum", 9, &["client", "server"]),
    ("engineio", 9, &["client", "tls", "axum"]),
    ("socketio", 10, &["client", "server", "tls", "hyper", "axum"]),
];

/// The one file that may hold `unsafe`.
const UNSAFE: &str = "proto/utf8_bytes.rs";

/// What of other crates belongs to floor 5 and above: I/O, tasks, the operating system.
const IO: [&str; 6] = ["tokio", "futures_core", "futures_sink", "getrandom", "std::net", "std::thread"];

#[test]
fn a_floor_imports_only_lower_floors() {
    let reexports = reexports();
    let mut wrong = Vec::new();
    for (file, source) in sources() {
        let Some((module, floor, never)) = floor_of(&module_of(&file)) else { continue };
        for path in imports(&source, "crate") {
            let target = match path.split_once("::") {
                None => reexports.get(&path).cloned().unwrap_or(path),
                Some(("proto", "Utf8Bytes")) => "proto::utf8_bytes".into(),
                Some(("proto", "Limits")) => "proto::limits".into(),
                Some(_) => path,
            };
            let Some((target, target_floor, _)) = floor_of(&target) else {
                wrong.push(format!("{}: {target} is on no floor", file.display()));
                continue;
            };
            if target != module && (target_floor >= floor || never.contains(&target)) {
                wrong.push(format!("{}: {module} imports {target}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_climbs_out_of_its_module_by_super() {
    for (file, source) in sources() {
        let depth = file.components().count() - usize::from(file.ends_with("mod.rs"));
        let steps = source.matches("super::super").count();
        assert!(steps == 0 || depth > 3, "{}: name the way from `crate`", file.display());
    }
}

#[test]
fn the_core_does_no_io() {
    for (file, source) in sources() {
        if file.starts_with("proto") || file.ends_with("error.rs") {
            for name in IO {
                let used = code(&source).any(|line| line.contains(&format!("{name}::")));
                assert!(!used, "{}: {name} has no place below the stream floor", file.display());
            }
        }
    }
}

#[test]
fn unsafe_stands_in_one_file() {
    for (file, source) in sources() {
        let used = code(&source).any(|line| line.split(|c: char| !c.is_alphanumeric()).any(|word| word == "unsafe"));
        assert!(!used || file == Path::new(UNSAFE), "{}: `unsafe`", file.display());
    }
}

#[test]
fn files_and_lines_keep_their_size() {
    for (file, source) in sources() {
        let before_tests = source.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        assert!(before_tests <= 500, "{}: {before_tests} lines before its tests", file.display());
    }
}

#[test]
fn every_async_method_says_what_a_cancel_costs() {
    for (file, source) in sources().into_iter().filter(|(file, _)| !file.starts_with("bin")) {
        let mut docs = String::new();
        for line in source.lines().map(str::trim) {
            if line.starts_with("///") || line.starts_with("#[") {
                docs.push_str(line);
            } else {
                let is_silent = line.starts_with("pub async fn") && !docs.contains("# Cancel safety");
                assert!(!is_silent, "{}: {line}", file.display());
                docs.clear();
            }
        }
    }
}

#[test]
fn readme_names_a_test_for_each_feature_and_counts_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join("fuzz").exists() {
        return; // not all that it speaks of is in the package
    }
    let read = |file: &str| fs::read_to_string(root.join(file)).expect("it is there");
    let readme = read("README.md");
    for link in readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let is_there = link.contains("://") || root.join(link).exists();
        assert!(is_there, "the README links to {link}");
    }
    let features = readme.split("## What it does").nth(1).expect("a section").split("\n\n").nth(1).expect("a table");
    for feature in features.lines().skip(2) {
        let tests = feature.rsplit('|').nth(1).expect("a row has columns");
        assert!(tests.contains("]("), "{feature}");
    }
    // This one is compiled where it stands in the documentation, with the feature that it needs.
    let code = readme.split("```rust,ignore\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let docs: String = code.lines().map(|line| format!("/// {line}").trim_end().to_owned() + "\n").collect();
    assert!(read("src/socketio/server/mod.rs").contains(&docs), "{docs}");
    let targets = fs::read_dir(root.join("fuzz/fuzz_targets")).expect("it is there").count();
    assert!(features.contains(&format!(" {targets} fuzz targets")), "there are {targets}");
    let attacks = read("tests/hostile/main.rs").lines().filter(|line| line.starts_with("//! | T")).count();
    assert!(features.contains(&format!("{attacks} published attacks")), "there are {attacks}");
}

/// The lines that are no comments.
fn code(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn floor_of(path: &str) -> Option<(&'static str, u8, &'static [&'static str])> {
    FLOORS.into_iter().find(|(module, ..)| path == *module || path.starts_with(&format!("{module}::")))
}

/// `proto/frame/mask.rs` is `proto::frame::mask`.
fn module_of(file: &Path) -> String {
    let file = file.with_extension("");
    let parts: Vec<_> = file.iter().filter_map(|part| part.to_str()).filter(|part| *part != "mod").collect();
    parts.join("::")
}

/// All files below `src`, by their path from there.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).expect("a source file can be read");
                found.push((path.strip_prefix(root).expect("it is below src").into(), source));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    assert!(found.len() > 40, "src has more files than {}", found.len());
    found
}

/// What the crate's root gives other names for.
fn reexports() -> BTreeMap<String, String> {
    let (_, lib) = sources().into_iter().find(|(file, _)| file == Path::new("lib.rs")).expect("there is a lib.rs");
    let mut found = BTreeMap::new();
    for statement in code(&lib).collect::<Vec<_>>().join(" ").split(';') {
        if let Some((_, tree)) = statement.split_once("pub use ") {
            for path in leaves(tree.trim()) {
                let (module, name) = path.rsplit_once("::").expect("a path has a module");
                let module = match path.as_str() {
                    "proto::Utf8Bytes" => "proto::utf8_bytes",
                    "proto::Limits" => "proto::limits",
                    _ => module,
                };
                found.insert(name.to_owned(), module.to_owned());
            }
        }
    }
    found
}

/// The paths that a file names behind `root::`, in `use` trees and elsewhere.
fn imports(source: &str, root: &str) -> Vec<String> {
    let text = code(source).collect::<Vec<_>>().join(" ");
    let start = format!("{root}::");
    let mut found = Vec::new();
    for (at, _) in text.match_indices(&start) {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '(') {
            continue;
        }
        found.extend(leaves(&text[at + start.len()..]));
    }
    found
}

/// The leaves of the `use` tree at the front of `text`.
fn leaves(text: &str) -> Vec<String> {
    fn tree<'a>(mut text: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
        let mut path = prefix.to_owned();
        loop {
            text = text.trim_start();
            if let Some(mut inner) = text.strip_prefix('{') {
                loop {
                    inner = tree(inner, &path, found).trim_start();
                    match inner.strip_prefix(',') {
                        Some(rest) if !rest.trim_start().starts_with('}') => inner = rest,
                        Some(rest) => return rest.trim_start().strip_prefix('}').unwrap_or(rest),
                        None => return inner.strip_prefix('}').unwrap_or(inner),
                    }
                }
            }
            let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
            if !path.is_empty() {
                path.push_str("::");
            }
            path.push_str(&text[..end]);
            text = text[end..].trim_start_matches('*');
            if let Some(renamed) = text.strip_prefix(" as ") {
                text = renamed.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            }
            match text.strip_prefix("::") {
                Some(rest) => text = rest,
                None => {
                    found.push(path.trim_end_matches("::self").to_owned());
                    return text;
                }
            }
        }
    }
    let mut found = Vec::new();
    tree(text, "", &mut found);
    found
}

#[test]
fn the_reader_of_use_trees_sees_every_leaf() {
    let source =
        "use crate::{Error, proto::{frame::{Header, mask::*}, connection as c}, stream::Sender}; crate::a::b(1)";
    assert_eq!(
        imports(source, "crate"),
        ["Error", "proto::frame::Header", "proto::frame::mask::", "proto::connection", "stream::Sender", "a::b"]
    );
}
