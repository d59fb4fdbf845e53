//! The order of the source: imports point down, and no two rooms need each other.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms from the ground up. A file may import from its own room, and from those of its layer and below.
const LAYERS: &[&[&str]] = &[
    &["error", "simd", "scalar"],
    &["params"],
    &["linalg"],
    &["save"],
    &["kernel"],
    &["sphere", "graph"],
    &["views"],
    &["warp", "kernels", "mean", "likelihood"],
    &["combine"],
    &["algebra"],
    &["batch", "data", "engine", "optim", "tape"],
    &["inducing"],
    &["gp"],
    &["emulator"],
    &["testkit"],
    &["docs", "prelude", "lib"],
];

fn level(room: &str) -> usize {
    let found = LAYERS.iter().position(|layer| layer.contains(&room));
    found.unwrap_or_else(|| panic!("the room `{room}` has no layer: give it one in LAYERS"))
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

/// The code of a file: no comments, no documentation, and nothing from its tests on, which stand at the end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("\nmod tests {").next().unwrap_or_default();
    let without = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text.lines().map(without).collect::<Vec<_>>().join("\n")
}

/// The rooms that are named as `crate::room::…`, by themselves or in braces.
fn rooms_of(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|before: char| before == '$' || before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let inside = match rest.strip_prefix('{') {
            // Names at the depth of the braces, each up to its `::`.
            Some(inside) => inside.split("};").next().unwrap_or_default(),
            None => rest.split([';', ' ', '(', ')', ',', '<', '>', '\n']).next().unwrap_or_default(),
        };
        let (mut depth, mut name) = (0, String::new());
        for c in inside.chars().chain([',']) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    if let Some((room, _)) = std::mem::take(&mut name).trim().split_once("::") {
                        rooms.insert(room.to_owned());
                    }
                }
                c if depth == 0 => name.push(c),
                _ => {}
            }
        }
    }
    rooms.retain(|room| room.starts_with(char::is_lowercase));
    rooms
}

#[test]
fn imports_point_down_and_rooms_do_not_need_each_other() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    let (mut upward, mut edges) = (Vec::new(), BTreeMap::<String, BTreeSet<String>>::new());
    let is_room = |name: &str| source.join(name).is_dir() || source.join(format!("{name}.rs")).exists();
    for file in &files {
        let inside = file.strip_prefix(&source).unwrap();
        let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        for other in rooms_of(&code(file)).into_iter().filter(|other| other != room && is_room(other)) {
            if level(&other) > level(room) {
                upward.push(format!("{} imports from `{other}`, which stands above it", inside.display()));
            }
            edges.entry(room.to_owned()).or_default().insert(other);
        }
    }
    assert!(upward.is_empty(), "{}", upward.join("\n"));
    assert!(edges.len() > 10, "no imports were found: {edges:?}");

    // Within a layer too.
    let reached = |from: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(next) = open.pop() {
            open.extend(edges.get(&next).into_iter().flatten().filter(|room| seen.insert((*room).clone())).cloned());
        }
        seen
    };
    let circles: Vec<&String> = edges.keys().filter(|room| reached(room).contains(*room)).collect();
    assert!(circles.is_empty(), "these rooms need themselves through others: {circles:?}");
}

#[test]
fn a_box_forwards_few_methods() {
    let text = code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernel/dynamic.rs"));
    let mut methods = 0;
    for (at, header) in ["Parameterized for DynKernel {", "Expr for DynKernel {", "Kernel<T> for DynKernel {"]
        .iter()
        .map(|header| (text.find(header).unwrap(), header))
    {
        let body = &text[at + header.len()..];
        methods += body[..body.find("\n}").unwrap()].matches("    fn ").count();
    }
    assert!((1..=12).contains(&methods), "{methods}");
}
