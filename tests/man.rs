//! Checks that the options in the manual match those of the command line.
//!
//! `man/wecrelay.8` and `man/wecrelay.toml.5` are written by hand, except for the parts between
//! "begin generated" and "end generated" comments, which are generated from `src/cli/mod.rs`.
//! `UPDATE_MAN=1 cargo test --test man` regenerates them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a test may use files")]

use std::fmt::Write;

use clap::CommandFactory;
use wecrelay::cli::Options;
use wecrelay::config::file;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/man");
const PAGE: &str = include_str!("../man/wecrelay.8");
const PAGES: [(&str, &str); 2] = [
    ("wecrelay.8", PAGE),
    ("wecrelay.toml.5", include_str!("../man/wecrelay.toml.5")),
];
const BEGIN: &str = ".\\\" begin generated: ";
const END: &str = ".\\\" end generated";

#[test]
fn the_options_are_those_of_the_command_line() {
    for (name, page) in PAGES {
        let fresh = regenerate(page);
        if std::env::var_os("UPDATE_MAN").is_some() {
            std::fs::write(format!("{FOLDER}/{name}"), fresh).unwrap();
            continue;
        }
        let differing = page
            .lines()
            .zip(fresh.lines())
            .find(|(page, fresh)| page != fresh);
        assert!(
            page == fresh,
            "man/{name} is not what src/cli/mod.rs says; first difference: {differing:?}; \
             UPDATE_MAN=1 cargo test --test man writes it anew"
        );
    }
}

#[test]
fn the_list_of_flags_is_that_of_the_command_line() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/flags.md");
    let fresh = flags();
    if std::env::var_os("UPDATE_MAN").is_some() {
        std::fs::write(file, fresh).unwrap();
        return;
    }
    assert!(
        std::fs::read_to_string(file).unwrap() == fresh,
        "docs/flags.md is not what src/cli says; UPDATE_MAN=1 cargo test --test man writes it"
    );
}

/// All commands with their flags, as Markdown.
fn flags() -> String {
    let mut relay = Options::command();
    relay.build();
    let mut out = "# All flags\n\nGenerated from the definitions of the flags, as \
        `wecrelay(8)` is. Every flag of the relay is also a key of its configuration file, \
        without the dashes: `wecrelay.toml(5)`.\n"
        .to_owned();
    list(&relay, &relay, "wecrelay", &mut out);
    out
}

fn list(relay: &clap::Command, command: &clap::Command, name: &str, out: &mut String) {
    writeln!(out, "\n## {name}\n").unwrap();
    let about = command.get_long_about().or(command.get_about());
    writeln!(out, "{}", markdown(about)).unwrap();
    let command = match name {
        "wecrelay" => command.clone(),
        _ => without_those_of(relay, command.clone()),
    };
    for argument in command.get_arguments().filter(|found| !found.is_hide_set()) {
        if ["help", "version"].contains(&argument.get_id().as_str()) {
            continue;
        }
        let values = argument.get_possible_values();
        let values: Vec<_> = values
            .iter()
            .map(clap::builder::PossibleValue::get_name)
            .collect();
        let help = argument.get_long_help().or(argument.get_help());
        // This contains the value names, but not the short form.
        let short = argument.get_short().map(|short| format!("-{short}, "));
        let plain = argument.clone().short(None).to_string();
        writeln!(out, "\n### `{}{plain}`\n", short.unwrap_or_default()).unwrap();
        writeln!(out, "{}", markdown(help)).unwrap();
        if !values.is_empty() && !values.contains(&"true") {
            writeln!(out, "\nPossible values: `{}`.", values.join("`, `")).unwrap();
        }
        let defaults = argument.get_default_values().iter();
        let defaults: Vec<_> = defaults.map(|value| value.to_string_lossy()).collect();
        if !defaults.is_empty() && argument.get_action().takes_values() {
            writeln!(out, "\nDefault: `{}`.", defaults.join(" ")).unwrap();
        }
    }
    for below in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
    {
        list(relay, below, &format!("{name} {}", below.get_name()), out);
    }
}

/// Terminal text with the characters escaped that are markup in Markdown.
fn markdown(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    let mut out = String::new();
    for c in text.trim_end().chars() {
        if "\\`*_[]<>".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[test]
fn the_title_has_the_version() {
    for (_, page) in PAGES {
        let title = page.lines().find(|line| line.starts_with(".TH ")).unwrap();
        let version = concat!("\"wecrelay ", env!("CARGO_PKG_VERSION"), "\"");
        assert!(title.contains(version), "{title}");
    }
}

#[test]
fn every_flag_that_the_prose_names_exists() {
    let page = PAGE.replace("\\-", "-");
    let command = Options::command();
    let known = |flag: &str| {
        let subcommands = command.get_subcommands();
        let all = subcommands.flat_map(|sub| sub.get_subcommands().chain([sub]));
        all.chain([&command])
            .flat_map(clap::Command::get_arguments)
            .any(|argument| argument.get_long() == Some(flag))
    };
    let prose = page.lines().filter(|line| !line.starts_with(".\\\""));
    let after_dashes = prose.flat_map(|line| line.split("--").skip(1));
    let is_flag = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let flags = after_dashes.map(|rest| rest.split(|c| !is_flag(c)).next().unwrap_or_default());
    // The last one is an option of ntlm_auth.
    let others = ["help", "version", "helper-protocol"];
    for flag in flags.filter(|flag| !others.contains(flag)) {
        assert!(known(flag), "the manual names --{flag}");
    }
}

/// The page with its generated parts regenerated.
fn regenerate(page: &str) -> String {
    let mut fresh = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        writeln!(fresh, "{line}").unwrap();
        if let Some(name) = line.strip_prefix(BEGIN) {
            fresh.push_str(&options(name));
            let end = lines
                .find(|line| *line == END)
                .expect("an end for each begin");
            writeln!(fresh, "{end}").unwrap();
        }
    }
    fresh
}

/// The options of the command with this name, as roff.
fn options(name: &str) -> String {
    let relay = Options::command();
    if name == "keys" {
        return keys(relay);
    }
    if name == "wecrelay" {
        return render(relay);
    }
    // "ca host" is the command host of ca.
    let command = name.split(' ').fold(&relay, |command, name| {
        command
            .find_subcommand(name)
            .expect("a command of that name")
    });
    let command = without_those_of(&relay, command.clone().disable_help_flag(true));
    let about = command
        .get_long_about()
        .or(command.get_about())
        .map(ToString::to_string);
    let about = about.unwrap_or_default().replace('-', "\\-");
    paragraphs(&about, ".PP") + &render(command)
}

/// Commands that also accept the relay's flags do not list them again.
fn without_those_of(relay: &clap::Command, command: clap::Command) -> clap::Command {
    let has = |command: &clap::Command, id: &clap::Id| {
        command
            .get_arguments()
            .any(|argument| argument.get_id() == id)
    };
    if !has(&command, &"listen".into()) {
        return command;
    }
    command.mut_args(|argument| {
        if has(relay, argument.get_id()) {
            argument.hide(true)
        } else {
            argument
        }
    })
}

/// The keys of the file of `--config`, as roff.
fn keys(mut relay: clap::Command) -> String {
    relay.build();
    let mut out = String::new();
    for heading in ["Sources", "Events", "Relay"] {
        writeln!(out, ".SS {heading}").unwrap();
        let here = |arg: &&clap::Arg| arg.get_help_heading() == Some(heading);
        for arg in file::keys(&relay).filter(here) {
            let values = arg.get_possible_values();
            let values: Vec<_> = values
                .iter()
                .map(clap::builder::PossibleValue::get_name)
                .collect();
            let of = match values.as_slice() {
                [] | ["true", "false"] => String::new(),
                values => format!(" of {}", values.join(", ")),
            };
            let (name, kind) = (arg.get_long().unwrap(), file::allowed(arg));
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let text = format!(".TP\n.B {name}\n{help}.\n.br\n{kind}{of}.\n");
            out.push_str(
                &capital_after_break(&text)
                    .replace('-', "\\-")
                    .replace('\'', "\\(aq"),
            );
        }
    }
    out
}

/// Text after a line break begins with a capital letter, like a sentence.
fn capital_after_break(text: &str) -> String {
    let (before, after) = text.split_once(".br\n").unwrap();
    format!("{before}.br\n{}{}", after[..1].to_uppercase(), &after[1..])
}

fn render(command: clap::Command) -> String {
    let mut roff = Vec::new();
    let page = clap_mangen::Man::new(command);
    page.render_options_section(&mut roff).unwrap();
    let roff = String::from_utf8(roff).unwrap();
    let mut out = String::new();
    for line in roff.lines().filter(|line| !is_preamble(line)) {
        // Its headings are sections; here they are subsections.
        match line.strip_prefix(".SH ") {
            Some(heading) => writeln!(out, ".SS {}", capitalised(heading)).unwrap(),
            None => out.push_str(&paragraphs(line, ".IP")),
        }
    }
    // The first is defined only in the preamble; the second is a superfluous gap.
    out.replace("\\*(Aq", "\\(aq")
        .replace(".br\n.IP\n.br\n", ".IP\n")
}

/// The beginning of each fragment from clap_mangen, and its heading for options.
fn is_preamble(line: &str) -> bool {
    line == ".SH OPTIONS" || line.starts_with(".ie ") || line.starts_with(".el ")
}

/// In roff, paragraphs are separated by `request`, not by blank lines.
fn paragraphs(text: &str, request: &str) -> String {
    if text.is_empty() {
        return format!("{request}\n");
    }
    let lines = text
        .lines()
        .map(|line| if line.is_empty() { request } else { line });
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn capitalised(heading: &str) -> String {
    let (first, rest) = heading.split_at(1);
    first.to_owned() + &rest.to_lowercase()
}
