//! Checks which modules import from which, at the top level and below, which file contains
//! `unsafe`, and the length of files.
//!
//! Imports are read from the text of `src`: `crate::`, `super::` and, in the binary,
//! `wecrelay::` paths outside comments and tests. [`ROOMS`] is the table of top-level modules
//! ("rooms"); a change to it is a change of the architecture.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a test may use files")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Maximum lines of a file without its tests; split longer files by giving a part of the state an owner.
const LONGEST_FILE: usize = 500;
/// The only file that may contain `unsafe`, for system calls without a safe wrapper.
const UNSAFE: &str = "system/sys.rs";

/// A top-level module: a folder or file of `src`.
struct Room {
    name: &'static str,
    /// The modules that it may import from, all of which precede it in the table.
    rooms: &'static [&'static str],
    /// The external crates that it may use.
    crates: &'static [&'static str],
}

const fn room(
    name: &'static str,
    rooms: &'static [&'static str],
    crates: &'static [&'static str],
) -> Room {
    Room {
        name,
        rooms,
        crates,
    }
}

/// The top-level modules, lowest first.
const ROOMS: &[Room] = &[
    room(
        "base",
        &[],
        &["memchr", "roxmltree", "serde", "simdutf8", "wide"],
    ),
    room("windows", &["base"], &["strsim", "uuid"]),
    room(
        "protocol",
        &["base", "windows"],
        &[
            "aes",
            "base64",
            "cbc",
            "crc32c",
            "der",
            "des",
            "flate2",
            "hmac",
            "httparse",
            "httpdate",
            "lz4_flex",
            "md4",
            "md5",
            "memchr",
            "rand",
            "rc4",
            "ruzstd",
            "serde_json",
            "sha1",
            "sha2",
            "subtle",
            "uuid",
            "zeroize",
        ],
    ),
    room("event", &["base"], &["memchr"]),
    room(
        "syslog",
        &["base", "event"],
        &["humantime", "memchr", "sha1", "uuid"],
    ),
    room("record", &["protocol", "event", "syslog"], &["humantime"]),
    room("bookmark", &["base"], &["uuid"]),
    room(
        "system",
        &["base", "syslog"],
        &[
            "env_logger",
            "foreign_types",
            "humantime",
            "libc",
            "listenfd",
            "log",
            "mio",
            "nix",
            "openssl",
            "openssl_sys",
            "rand",
            "resolv_conf",
            "rustix",
            "sd_notify",
            "serde",
            "serde_json",
            "simple_dns",
            "socket2",
        ],
    ),
    room(
        "auth",
        &["base", "windows", "protocol"],
        &[
            "base64", "hmac", "ipnet", "log", "md5", "sha2", "subtle", "zeroize",
        ],
    ),
    room("connection", &["base", "protocol", "auth"], &[]),
    room(
        "hosts",
        &["base", "windows", "protocol", "event", "bookmark"],
        &["log", "serde", "uuid"],
    ),
    room("metrics", &["base", "connection"], &["prometheus_client"]),
    room(
        "output",
        &["base", "protocol", "event", "syslog", "record", "metrics"],
        &["log", "sha2", "zeroize"],
    ),
    room("client", &["base", "protocol"], &["base64", "httparse"]),
    room(
        "store",
        &["base", "bookmark", "hosts"],
        &[
            "bytes",
            "fallible_iterator",
            "log",
            "postgres_protocol",
            "rusqlite",
            "serde",
            "serde_json",
            "uuid",
            "zeroize",
        ],
    ),
    room(
        "collector",
        &[
            "base",
            "windows",
            "protocol",
            "event",
            "syslog",
            "record",
            "bookmark",
            "auth",
            "connection",
            "hosts",
            "metrics",
            "output",
            "store",
        ],
        &["ipnet", "log", "rand", "uuid"],
    ),
    room(
        "files",
        &["base", "windows", "protocol", "auth", "output"],
        &["humantime", "log", "zeroize"],
    ),
    room(
        "tls",
        &["system", "auth", "output", "files"],
        &[
            "der",
            "humantime",
            "log",
            "mio",
            "openssl",
            "openssl_probe",
            "zeroize",
        ],
    ),
    room(
        "server",
        &[
            "base",
            "windows",
            "protocol",
            "syslog",
            "system",
            "auth",
            "connection",
            "hosts",
            "metrics",
            "output",
            "store",
            "collector",
            "tls",
        ],
        &[
            "base64",
            "libc",
            "log",
            "mio",
            "openssl",
            "rand",
            "rustix",
            "serde",
            "serde_json",
            "sha2",
            "signal_hook",
            "signal_hook_mio",
            "socket2",
            "zeroize",
        ],
    ),
    room("cli", &[], &["clap"]),
    room(
        "config",
        &[
            "base",
            "event",
            "syslog",
            "system",
            "auth",
            "output",
            "store",
            "collector",
            "tls",
            "cli",
        ],
        &["clap", "ipnet", "log", "shell_words", "strsim", "toml"],
    ),
    room(
        "commands",
        &[
            "base",
            "windows",
            "protocol",
            "syslog",
            "record",
            "system",
            "auth",
            "connection",
            "hosts",
            "output",
            "client",
            "store",
            "collector",
            "files",
            "tls",
            "server",
            "cli",
            "config",
        ],
        &[
            "clap",
            "clap_complete",
            "humantime",
            "libc",
            "log",
            "mio",
            "openssl",
            "rand",
            "rpassword",
            "rustix",
            "serde",
            "serde_json",
            "uuid",
            "zeroize",
        ],
    ),
    room(
        "main",
        &["system", "output", "cli", "config", "commands"],
        &[],
    ),
    room("lib", &[], &[]),
];

#[test]
fn each_import_stands_in_the_table_of_rooms() {
    let mut wrong = Vec::new();
    for file in files() {
        let room = row(&file.room);
        for import in file.imports() {
            if import != file.room && !room.rooms.contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", file.name));
            }
        }
        for name in file.crates() {
            if !room.crates.contains(&name.as_str()) {
                wrong.push(format!("{} names the crate {name}", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "not in the table of rooms: {wrong:#?}");
}

#[test]
fn the_table_of_rooms_points_downwards_and_holds_nothing_stale() {
    let mut wrong = Vec::new();
    let files = files();
    for (at, room) in ROOMS.iter().enumerate() {
        let mut imports = BTreeSet::new();
        let mut crates = BTreeSet::new();
        for file in files.iter().filter(|file| file.room == room.name) {
            imports.extend(file.imports());
            crates.extend(file.crates());
        }
        for below in room.rooms {
            let is_lower = ROOMS.iter().take(at).any(|lower| lower.name == *below);
            let is_used = imports.contains(*below);
            if !is_lower || !is_used {
                wrong.push(format!("{}: {below}", room.name));
            }
        }
        for name in room.crates {
            if !crates.contains(*name) {
                wrong.push(format!("{}: the crate {name}", room.name));
            }
        }
    }
    assert!(wrong.is_empty(), "above the room, or unused: {wrong:#?}");
}

/// A file and the files in its folder, `a.rs` and `a/b.rs`, are one unit and may import each other.
#[test]
fn files_of_a_room_do_not_import_each_other_in_a_circle() {
    let files = files();
    let circles = circles(&files);
    assert!(circles.is_empty(), "in a circle: {circles:#?}");
}

#[test]
fn circles_are_found_over_several_files_and_in_all_forms_of_imports() {
    let file = |name: &str, text: &str| File::new(name, text);
    let circle = [
        file("x/mod.rs", "mod a;\nmod b;\nmod c;\nuse a::A;"),
        file(
            "x/a.rs",
            "use super::{\n    b::{self as other, B},\n    X,\n};",
        ),
        file("x/b.rs", "fn f() { crate::x::c::g() }"),
        file("x/c/mod.rs", "mod d;"),
        file("x/c/d.rs", "use super::super::a::A;"),
    ];
    assert_eq!(
        circles(&circle),
        Vec::<String>::new(),
        "x::c does not import"
    );
    let mut closed = Vec::from(circle);
    closed[3] = file("x/c/mod.rs", "mod d;\nuse super::a::A;");
    assert_eq!(
        circles(&closed),
        ["x::a <-> x::b", "x::a <-> x::c", "x::b <-> x::c"]
    );
    assert_eq!(
        paths("a::{b::{self, C as D}, e::F, G};"),
        ["a::b::self", "a::b::C", "a::e::F", "a::G"]
    );
    assert_eq!(paths("a::b(c)"), ["a::b"]);
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
    for file in files()
        .iter()
        .filter(|file| !file.name.starts_with("base/xml/"))
    {
        for word in ["roxmltree", "Document::parse"] {
            assert!(!file.code.contains(word), "{} says {word}", file.name);
        }
    }
    // Other XML parsers would need limits of their own.
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

/// `std`, then external crates, then this crate, then re-exports, separated by blank lines.
#[test]
fn imports_stand_in_one_order() {
    let mut paths = Vec::new();
    for folder in ["src", "tests"] {
        collect(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut paths,
        );
    }
    let wrong: Vec<_> = paths
        .iter()
        .filter(|path| !is_ordered(&fs::read_to_string(path).unwrap()))
        .collect();
    assert!(
        wrong.is_empty(),
        "not in the order std, crates, own, re-exports: {wrong:#?}"
    );
}

#[test]
fn the_order_of_imports_is_found_in_all_their_forms() {
    let right = "//! Doc.\n\nmod a;\n\nuse std::fmt;\n\nuse log::{\n    info,\n};\n\n\
                 use crate::base;\nuse a::A;\n\npub use a::B;\n\nfn f() {}\n";
    assert!(is_ordered(right));
    assert!(is_ordered("fn f() {}\n"));
    for (from, to) in [
        ("use std::fmt;\n\nuse log", "use std::fmt;\nuse log"),
        ("use a::A;\n", "use a::A;\nuse uuid::Uuid;\n"),
        ("use a::A;\n", "use a::A;\n\nuse super::b;\n"),
        ("fn f()", "use std::io;\n\nfn f()"),
    ] {
        assert!(right.contains(from));
        assert!(!is_ordered(&right.replace(from, to)), "{to}");
    }
}

#[test]
fn imports_are_found_in_all_their_forms() {
    let file = |name: &str, text: &str| File::new(name, text);
    let imports = |file: File| file.imports().into_iter().collect::<Vec<_>>();
    let grouped =
        "use crate::{\n    auth::{self, Identity},\n    base,\n};\nfn f() { crate::event::g() }";
    assert_eq!(
        imports(file("collector/mod.rs", grouped)),
        ["auth", "base", "event"]
    );
    let commented =
        "// crate::auth\n/// [`crate::auth`]\n//! crate::auth\nuse crate::base::wire::Reader;";
    assert_eq!(imports(file("event.rs", commented)), ["base"]);
    let tests = "use crate::base::wire;\n#[cfg(test)]\nmod tests {\n    use crate::auth;\n}";
    assert_eq!(imports(file("event.rs", tests)), ["base"]);
    let declared = "#[cfg(test)]\nmod tests;\n\nuse crate::auth;";
    assert_eq!(imports(file("event.rs", declared)), ["auth"]);
    assert_eq!(
        imports(file("main.rs", "use wecrelay::{cli::Options, config};")),
        ["cli", "config"]
    );
    assert_eq!(imports(file("event.rs", "use super::base;")), ["base"]);
    assert!(imports(file("protocol/http.rs", "use super::Limits;")).is_empty());
    assert_eq!(
        imports(file("protocol/http.rs", "use super::super::base;")),
        ["base"]
    );
    let crates = file(
        "event.rs",
        "use memchr::memchr;\nfn f() { x::log::info!() }",
    )
    .crates();
    assert_eq!(crates.into_iter().collect::<Vec<_>>(), ["memchr"]);
}

/// One file of `src`.
struct File {
    /// Path below `src`, with slashes.
    name: String,
    /// Its top-level module.
    room: String,
    /// Its text before its tests.
    text: String,
    /// The same without comments.
    code: String,
}

impl File {
    fn new(name: &str, text: &str) -> Self {
        let text = match text.find("\n#[cfg(test)]\nmod tests {") {
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

    /// The top-level modules that it names.
    fn imports(&self) -> BTreeSet<String> {
        let mut roots = vec!["crate::".to_owned(), "super::".repeat(self.depth())];
        if self.name == "main.rs" {
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

    /// Its module path.
    fn module(&self) -> String {
        let name = self.name.trim_end_matches(".rs");
        name.trim_end_matches("/mod").replace('/', "::")
    }

    /// The modules of its top-level module that it names, except its parents and children.
    fn modules(&self, all: &BTreeSet<String>) -> BTreeSet<String> {
        let own = self.module();
        let mut found = BTreeSet::new();
        for root in ["crate::", "super::"] {
            for (at, _) in self.code.match_indices(root) {
                let before = self.code.get(..at).unwrap_or_default();
                if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                    continue;
                }
                let rest = self.code.get(at..).unwrap_or_default();
                let ups = rest.len() - rest.trim_start_matches("super::").len();
                let ups = ups / "super::".len();
                let base: Vec<_> = own.split("::").collect();
                let base = match ups {
                    0 => &[][..],
                    _ => base
                        .get(..base.len().saturating_sub(ups))
                        .unwrap_or_default(),
                };
                let rest = rest
                    .trim_start_matches("super::")
                    .trim_start_matches("crate::");
                for path in paths(rest) {
                    let path = base.iter().copied().chain(path.split("::"));
                    found.extend(longest(&path.collect::<Vec<_>>(), all));
                }
            }
        }
        let holds = |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.starts_with("::"));
        let room = |module: &str| module.split("::").next().map(str::to_owned);
        found.retain(|module| {
            *module != own
                && room(module) == room(&own)
                && !holds(module, &own)
                && !holds(&own, module)
        });
        found
    }

    /// The external crates that it names.
    fn crates(&self) -> BTreeSet<String> {
        let mut named = dependencies().to_vec();
        named.retain(|name| {
            self.code
                .match_indices(&format!("{name}::"))
                .any(|(at, _)| {
                    let before = self.code.get(..at).unwrap_or_default();
                    !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                })
        });
        named.into_iter().collect()
    }

    /// Number of `super` up to the root: its folders, plus one unless it is a `mod.rs`.
    fn depth(&self) -> usize {
        let folders = self.name.matches('/').count();
        folders + usize::from(!self.name.ends_with("/mod.rs"))
    }
}

/// The pairs of files that import each other, directly or through others in their module.
fn circles(files: &[File]) -> Vec<String> {
    let modules: BTreeSet<String> = files.iter().map(File::module).collect();
    let imported = |file: &File| (file.module(), file.modules(&modules));
    let imports: BTreeMap<_, _> = files.iter().map(imported).collect();
    let reach = |module: &str| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![module.to_owned()]);
        while let Some(module) = next.pop() {
            for import in imports.get(&module).into_iter().flatten() {
                if reached.insert(import.clone()) {
                    next.push(import.clone());
                }
            }
        }
        reached
    };
    let reached: BTreeMap<_, _> = modules
        .iter()
        .map(|module| (module, reach(module)))
        .collect();
    let reaches = |a: &String, b: &String| reached.get(a).is_some_and(|all| all.contains(b));
    let pairs = modules
        .iter()
        .flat_map(|a| modules.iter().map(move |b| (a, b)));
    let pairs = pairs.filter(|(a, b)| a < b && reaches(a, b) && reaches(b, a));
    pairs.map(|(a, b)| format!("{a} <-> {b}")).collect()
}

/// The longest prefix of a path that is a module.
fn longest(path: &[&str], all: &BTreeSet<String>) -> Option<String> {
    let beginnings = (1..=path.len()).rev();
    let mut beginnings = beginnings.filter_map(|end| Some(path.get(..end)?.join("::")));
    beginnings.find(|beginning| all.contains(beginning))
}

/// The path, or all paths in its `{...}`.
fn paths(text: &str) -> Vec<String> {
    let (mut found, mut groups) = (Vec::new(), Vec::<String>::new());
    let (mut path, mut has_ended) = (String::new(), false);
    for c in text.chars() {
        match c {
            '{' => groups.push(path.clone()),
            ',' | '}' if !groups.is_empty() => {
                if !path.is_empty() && !path.ends_with("::") {
                    found.push(std::mem::take(&mut path));
                }
                if c == '}' {
                    groups.pop();
                    path.clear();
                } else {
                    path = groups.last().cloned().unwrap_or_default();
                }
                has_ended = false;
            }
            c if c.is_alphanumeric() || matches!(c, '_' | ':') => {
                if !has_ended {
                    path.push(c);
                }
            }
            c if c.is_whitespace() && !groups.is_empty() => {
                has_ended = !path.is_empty() && !path.ends_with("::");
            }
            _ => break,
        }
        if groups.is_empty() && c == '}' {
            break;
        }
    }
    found.extend(Some(path).filter(|path| !path.is_empty()));
    found
}

/// The first segments of a path, or of each path in a `{...}` group, that are modules.
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
    heads.retain(|head| is_room(head));
    heads
}

fn is_room(name: &str) -> bool {
    ROOMS.iter().any(|room| room.name == name)
}

#[track_caller]
fn row(name: &str) -> &'static Room {
    let row = ROOMS.iter().find(|room| room.name == name);
    row.unwrap_or_else(|| panic!("{name}: no row in the table of rooms"))
}

/// The crates of the manifest, by their names in code.
fn dependencies() -> &'static [String] {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(read_dependencies);
    &NAMES
}

fn read_dependencies() -> Vec<String> {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let (_, after) = manifest.split_once("\n[dependencies]\n").unwrap();
    let list = after.split("\n[").next().unwrap();
    let names = list.lines().filter_map(|line| line.split_once(" = "));
    names
        .map(|(name, _)| match name {
            "md-5" => "md5".to_owned(),
            _ => name.replace('-', "_"),
        })
        .collect()
}

fn without_comment(line: &str) -> &str {
    match line.find("//") {
        // Two slashes after a colon or a quotation mark belong to a URL.
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

/// Whether the imports of a file are in separate blocks, and the blocks in order.
fn is_ordered(text: &str) -> bool {
    let modules: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'))
        .collect();
    let (mut last, mut before) = (None, "");
    for line in text.lines() {
        let (is_export, path) = match line.split_once("use ") {
            Some(("", path)) => (false, path),
            // Not a constant whose text contains the word.
            Some((export, path))
                if export.starts_with("pub") && export.ends_with(' ') && !export.contains('=') =>
            {
                (true, path)
            }
            _ => {
                before = line;
                continue;
            }
        };
        let root = path.split([':', ';', ' ']).next().unwrap_or_default();
        let block = match root {
            _ if is_export => 3,
            "std" => 0,
            "crate" | "super" | "self" => 2,
            root if modules.contains(root) => 2,
            _ => 1,
        };
        let is_apart = before.is_empty();
        let is_right = match last {
            None => true,
            Some(last) if last == block => !is_apart,
            Some(last) => last < block && is_apart,
        };
        if !is_right {
            return false;
        }
        (last, before) = (Some(block), line);
    }
    true
}

/// All files of `src` except tests.
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
