//! The files in `contrib` work unchanged: the relay accepts the ready subscriptions without
//! warnings; the sample configuration file contains every flag.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use wecrelay::cli::Options;
use wecrelay::config::file;
use wecrelay::files::subscriptions;
use wecrelay::windows::query;
use wecrelay::windows::remedies::{self, EVENTS, Remedy};

fn ready() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/subscriptions");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "xml"))
        .map(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(file).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn ready_subscriptions_are_complete_and_pass_the_linter() {
    let names: Vec<_> = ready().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "baseline",
            "defender",
            "domain-controller",
            "forwarder-health",
            "minimal",
            "powershell",
            "suspect",
            "sysmon"
        ]
    );
    for (name, text) in ready() {
        let parsed = subscriptions::parse(&text, &name).unwrap();
        assert_eq!(*parsed.subscription.name, *name);
        assert_eq!(query::lint(&parsed.subscription.query), [], "{name}");
        assert!(!query::channels(&parsed.subscription.query).is_empty());
    }
}

#[test]
fn ready_subscriptions_say_why_and_how_much() {
    for (name, text) in ready() {
        for word in ["  Why: ", "  Volume: ", "<Description>"] {
            assert_eq!(text.matches(word).count(), 1, "{name}: {word}");
        }
    }
}

/// For hosts with certificates, an administrator removes the comment around the block.
#[test]
fn the_commented_block_for_certificates_of_each_ready_subscription_can_be_read() {
    for (name, text) in ready() {
        let before = subscriptions::parse(&text, &name)
            .unwrap()
            .subscription
            .access;
        assert!(!before.needs_certificate() && before.denied_subjects.is_empty());
        let marker = "<!-- Hosts with a client certificate.";
        let (head, block) = text.split_once(marker).unwrap();
        let (_, block) = block.split_once("\n  <Allowed").unwrap();
        let (block, end) = block.split_once("  -->\n").unwrap();
        let issuer = "4AB167DF00112233445566778899AABBCCDDEEFF";
        let block = block.replace("SHA-1 THUMBPRINT OF THE AUTHORITY", issuer);
        let text = format!("{head}<Allowed{block}{end}");
        let access = subscriptions::parse(&text, &name)
            .unwrap()
            .subscription
            .access;
        assert_eq!(access.allowed_issuers.len(), 1, "{name}");
        assert_eq!(access.allowed_subjects, ["*.dmz.example.com"], "{name}");
        assert_eq!(access.denied_subjects, ["lost.dmz.example.com"], "{name}");
        assert_eq!(access.domain_computers, before.domain_computers, "{name}");
    }
}

/// The sample with its commented keys enabled; only the first of each, as TOML requires.
fn sample_without_comments() -> String {
    let mut known: Vec<String> = Vec::new();
    let mut text = String::new();
    for line in include_str!("../../contrib/wecrelay.toml").lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        let Some((key, _)) = line.split_once(" = ") else {
            continue;
        };
        assert!(
            !key.contains(' '),
            "a comment that looks like a key: {line}"
        );
        // A second value of a key is an alternative.
        let key = if known.iter().any(|k| k == key) {
            continue;
        } else {
            key.to_owned()
        };
        known.push(key);
        text.push_str(&format!("{line}\n"));
    }
    text
}

#[test]
fn the_sample_names_every_flag_with_a_value_that_it_takes() {
    let path = Path::new("/etc/wecrelay/wecrelay.toml");
    let text = sample_without_comments();
    let settings = file::settings(&text, path).unwrap();
    let named: Vec<_> = settings.iter().map(|setting| &setting.name).collect();
    let mut command = Options::command();
    command.build();
    for key in file::keys(&command).filter_map(clap::Arg::get_long) {
        assert!(
            named.iter().any(|name| *name == key),
            "{key} is missing in contrib/wecrelay.toml"
        );
    }
    let empty = settings
        .iter()
        .find(|setting| setting.occurrences.is_empty());
    assert_eq!(empty, None, "says nothing");
    file::settings(include_str!("../../contrib/wecrelay.toml"), path).unwrap();
}

/// Checks the row of the chapter with this key in its first column.
fn assert_row(chapter: &str, key: &str, remedy: &Remedy) {
    let start = format!("| {key} |");
    let row = chapter.lines().find(|line| line.starts_with(&start));
    let row = row.unwrap_or_else(|| panic!("docs/troubleshooting.md has no row {key}"));
    let parts = [remedy.meaning, remedy.remedy].into_iter();
    for part in parts.chain(remedy.on_host.iter().copied()) {
        let part = part.replace('|', "\\|");
        assert!(
            row.contains(&part),
            "{key} is not what src/remedies has: {part}"
        );
    }
}

#[test]
fn the_chapter_on_troubles_says_what_the_relay_says() {
    let chapter = include_str!("../../docs/troubleshooting.md");
    for (id, remedy) in &EVENTS {
        assert_row(chapter, &id.to_string(), remedy);
    }
    for (code, remedy) in remedies::codes() {
        let key = match *code {
            small @ ..=0xFFFF => small.to_string(),
            large => format!("{large} (0x{large:08X})"),
        };
        assert_row(chapter, &key, remedy);
    }
}
