//! Who may import whom, where `unsafe` may stand, and how long a file may be.
//!
//! Imports are read from the text of `src`: `crate::`, `super::` and, in the binary,
//! `wecrelay::` paths outside comments and tests. [`ROOMS`] is the table; a change of
//! it is a change of the architecture.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a test may use files")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file without its tests.
const LONGEST_FILE: usize = 450;
/// The one file that may hold `unsafe`: system calls without a safe wrapper.
const UNSAFE: &str = "server/sys.rs";

/// The layers, lowest first. A file imports from its own layer or a lower one.
const LAYERS: [(&str, &[&str]); 5] = [
    ("bytes", &["wire", "xml", "sldc", "sid", "clock", "visible"]),
    (
        "protocols",
        &[
            "http", "ntlm", "kerberos", "spnego", "sddl", "auth", "proxy", "wsman", "event",
            "bookmark", "query", "syslog", "remedies",
        ],
    ),
    (
        "machines",
        &[
            "output",
            "ownlog",
            "logqueue",
            "queue",
            "link",
            "connection",
            "helper",
            "hosts",
            "store",
            "metrics",
            "collector",
            "source",
        ],
    ),
    (
        "effects",
        &[
            "tls",
            "sqlite",
            "users",
            "keytabs",
            "subscriptions",
            "resolver",
            "systemd",
            "privileges",
            "server",
        ],
    ),
    (
        "entry",
        &[
            "cli", "config", "relay", "commands", "main", "logger", "lib",
        ],
    ),
];

/// What each module may import besides itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("xml", &["wire"]),
    ("sldc", &[]),
    ("sid", &["wire"]),
    ("clock", &[]),
    ("visible", &[]),
    ("http", &["wire"]),
    ("ntlm", &["wire"]),
    ("spnego", &["wire"]),
    ("kerberos", &["sddl", "sid", "wire"]),
    ("sddl", &["sid"]),
    ("auth", &["kerberos", "ntlm", "sddl", "sid", "spnego"]),
    ("proxy", &[]),
    ("wsman", &["sddl", "wire", "xml"]),
    ("event", &["wire", "xml"]),
    ("bookmark", &["xml"]),
    ("query", &["xml"]),
    ("remedies", &[]),
    ("syslog", &["event", "wire"]),
    ("output", &["syslog"]),
    ("ownlog", &["syslog"]),
    ("logqueue", &[]),
    ("queue", &[]),
    ("link", &["clock", "metrics", "output", "queue", "syslog"]),
    (
        "connection",
        &["auth", "clock", "http", "ntlm", "proxy", "sldc", "wire"],
    ),
    ("helper", &["auth", "clock", "ntlm"]),
    ("hosts", &["bookmark", "remedies", "wsman"]),
    ("store", &["bookmark", "hosts"]),
    ("metrics", &["connection"]),
    (
        "collector",
        &[
            "auth",
            "bookmark",
            "clock",
            "connection",
            "event",
            "hosts",
            "link",
            "metrics",
            "ntlm",
            "output",
            "query",
            "queue",
            "sddl",
            "sid",
            "store",
            "syslog",
            "wsman",
        ],
    ),
    ("source", &["http", "ntlm", "sldc", "wire"]),
    ("sqlite", &["bookmark", "hosts", "store"]),
    ("users", &["auth", "ntlm"]),
    ("keytabs", &["kerberos"]),
    ("subscriptions", &["query", "sddl", "wire", "wsman", "xml"]),
    ("resolver", &[]),
    ("systemd", &["clock"]),
    ("privileges", &[]),
    ("tls", &["auth"]),
    (
        "server",
        &[
            "auth",
            "clock",
            "collector",
            "connection",
            "helper",
            "hosts",
            "http",
            "link",
            "logqueue",
            "metrics",
            "output",
            "ownlog",
            "proxy",
            "remedies",
            "resolver",
            "store",
            "syslog",
            "systemd",
            "tls",
            "visible",
        ],
    ),
    ("cli", &[]),
    (
        "config",
        &[
            "auth",
            "cli",
            "collector",
            "helper",
            "output",
            "privileges",
            "resolver",
            "syslog",
            "tls",
        ],
    ),
    (
        "relay",
        &[
            "auth",
            "collector",
            "config",
            "connection",
            "hosts",
            "kerberos",
            "keytabs",
            "ntlm",
            "ownlog",
            "privileges",
            "query",
            "server",
            "sqlite",
            "store",
            "subscriptions",
            "syslog",
            "tls",
            "users",
            "wsman",
        ],
    ),
    (
        "commands",
        &[
            "cli", "config", "event", "hosts", "keytabs", "ntlm", "output", "query", "relay",
            "remedies", "resolver", "server", "source", "sqlite", "store", "tls", "users",
            "visible", "wire", "wsman",
        ],
    ),
    (
        "main",
        &[
            "cli", "commands", "config", "logger", "ownlog", "relay", "systemd",
        ],
    ),
    (
        "logger",
        &["cli", "logqueue", "ownlog", "syslog", "visible"],
    ),
    ("lib", &[]),
];

#[test]
fn each_import_points_downwards_and_stands_in_the_table() {
    let mut wrong = Vec::new();
    for file in files() {
        let (_, allowed) = ROOMS
            .iter()
            .find(|(room, _)| *room == file.room)
            .unwrap_or_else(|| panic!("{}: no row in the table of rooms", file.name));
        for import in file.imports() {
            let known = import == file.room || allowed.contains(&import.as_str());
            if !known || layer(&import) > layer(&file.room) {
                wrong.push(format!("{} imports {import}", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "not in the table of rooms: {wrong:#?}");
}

#[test]
fn the_table_itself_points_downwards() {
    for &(room, allowed) in ROOMS {
        for import in allowed {
            assert!(layer(import) <= layer(room), "{room} may import {import}");
            assert!(!allowed.contains(&room), "{room} may import itself anyhow");
        }
    }
}

#[test]
fn unsafe_stands_in_one_file_only() {
    for file in files().iter().filter(|file| file.name != UNSAFE) {
        let words = file.code.split(|c: char| !c.is_alphanumeric() && c != '_');
        assert_eq!(
            words.filter(|word| *word == "unsafe").count(),
            0,
            "{}",
            file.name
        );
    }
}

#[test]
fn the_xml_reader_is_called_behind_its_gate_only() {
    for file in files().iter().filter(|file| file.room != "xml") {
        for word in ["roxmltree", "Document::parse"] {
            assert!(!file.code.contains(word), "{} says {word}", file.name);
        }
    }
    // Other readers of XML would need a gate of their own.
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    for reader in [
        "quick-xml",
        "xml-rs",
        "xmlparser",
        "minidom",
        "libxml",
        "serde-xml",
    ] {
        assert!(!manifest.contains(reader), "{reader} in Cargo.toml");
    }
}

#[test]
fn files_fit_into_the_head() {
    for file in files() {
        let lines = file.text.lines().count();
        assert!(
            lines < LONGEST_FILE,
            "{} has {lines} lines without its tests",
            file.name
        );
    }
}

#[test]
fn imports_are_found_in_all_their_forms() {
    let file = |name: &str, text: &str| File::new(name, text);
    let imports = |file: File| file.imports().into_iter().collect::<Vec<_>>();
    let grouped =
        "use crate::{\n    auth::{self, Identity},\n    wire,\n};\nfn f() { crate::http::g() }";
    assert_eq!(
        imports(file("collector/mod.rs", grouped)),
        ["auth", "http", "wire"]
    );
    let commented =
        "// crate::auth\n/// [`crate::auth`]\n//! crate::auth\nuse crate::wire::Reader;";
    assert_eq!(imports(file("event.rs", commented)), ["wire"]);
    let tests = "use crate::wire;\n#[cfg(test)]\nmod tests {\n    use crate::auth;\n}";
    assert_eq!(imports(file("event.rs", tests)), ["wire"]);
    assert_eq!(
        imports(file("main.rs", "use wecrelay::{cli::Options, config};")),
        ["cli", "config"]
    );
    assert_eq!(imports(file("event.rs", "use super::wire;")), ["wire"]);
    assert!(imports(file("http/request.rs", "use super::Limits;")).is_empty());
    assert_eq!(
        imports(file("http/request.rs", "use super::super::wire;")),
        ["wire"]
    );
}

/// One file of `src`.
struct File {
    /// Path below `src`, with slashes.
    name: String,
    /// The module of the crate's root that it belongs to.
    room: String,
    /// Its text up to its tests.
    text: String,
    /// The same without comments.
    code: String,
}

impl File {
    fn new(name: &str, text: &str) -> Self {
        let text = match text.find("\n#[cfg(test)]\nmod ") {
            Some(tests) => text.get(..=tests).unwrap_or_default(),
            None => text,
        };
        let room = name.split(['/', '.']).next().unwrap_or_default();
        Self {
            name: name.to_owned(),
            room: room.to_owned(),
            text: text.to_owned(),
            code: text
                .lines()
                .map(without_comment)
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }

    /// The modules of the root that it names.
    fn imports(&self) -> BTreeSet<String> {
        let mut roots = vec!["crate::".to_owned(), "super::".repeat(self.depth())];
        if matches!(self.name.as_str(), "main.rs" | "logger.rs") {
            roots.push("wecrelay::".to_owned());
        }
        let mut imports = BTreeSet::new();
        for root in &roots {
            for (at, _) in self.code.match_indices(root.as_str()) {
                let before = self.code.get(..at).unwrap_or_default();
                let after = self.code.get(at + root.len()..).unwrap_or_default();
                if !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                    imports.extend(heads(after));
                }
            }
        }
        imports
    }

    /// How many `super` lead to the root: folders above, one more unless it is a `mod.rs`.
    fn depth(&self) -> usize {
        let folders = self.name.matches('/').count();
        folders + usize::from(!self.name.ends_with("/mod.rs"))
    }
}

/// The first names of a path, or of each path of a `{...}` group, that are modules.
fn heads(path: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut heads = vec![String::new()];
    let mut done = false;
    for c in path.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 1 => {
                heads.push(String::new());
                done = false;
            }
            c if c.is_alphanumeric() || c == '_' => {
                if let Some(head) = heads.last_mut().filter(|_| !done) {
                    head.push(c);
                }
            }
            c if c.is_whitespace() => {}
            _ => done = true,
        }
        if depth == 0 && !c.is_alphanumeric() && c != '_' {
            break;
        }
    }
    heads.retain(|head| layer_of(head).is_some());
    heads
}

fn layer(room: &str) -> usize {
    layer_of(room).unwrap_or_else(|| panic!("{room} is in no layer"))
}

fn layer_of(room: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, rooms)| rooms.contains(&room))
}

fn without_comment(line: &str) -> &str {
    match line.find("//") {
        // Two slashes after a colon or a quote are part of a URL.
        Some(at)
            if line
                .get(..at)
                .is_some_and(|code| !code.ends_with([':', '"'])) =>
        {
            line.get(..at).unwrap_or_default()
        }
        _ => line,
    }
}

/// All files of `src` but those of tests.
fn files() -> Vec<File> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&source, &mut paths);
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&source).unwrap().to_str().unwrap();
        File::new(name, &fs::read_to_string(path).unwrap())
    };
    let files: Vec<File> = paths
        .iter()
        .filter(|path| !is_test(path.strip_prefix(&source).unwrap()))
        .map(read)
        .collect();
    assert!(!files.is_empty());
    files
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn is_test(path: &Path) -> bool {
    let is_tests = |part: &std::ffi::OsStr| part == "tests.rs" || part == "tests";
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    path.iter().any(is_tests) || stem.ends_with("_tests")
}
