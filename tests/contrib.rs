//! What `contrib` ships works as it is: the ready subscriptions are read by the relay,
//! and its linter has nothing to say of them.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test code may panic and read files"
)]

use std::fs;
use std::path::Path;

use wecrelay::query;
use wecrelay::subscriptions;

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
        assert_eq!(parsed.subscription.name, name);
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
