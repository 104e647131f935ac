//! What `wecrelay init` has to know: from flags, else asked for on the terminal.

use std::io::{BufRead, Write};

use super::{Error, name};
use crate::cli::{HostKind, SetupOptions};

const CHANNELS: [&str; 3] = ["Application", "Security", "System"];
const OUTPUT: &str = "tcp://127.0.0.1:601?max=256K";
const KINDS: [HostKind; 3] = [HostKind::Domain, HostKind::Certificate, HostKind::Workgroup];

/// A setup that can be written down.
#[derive(Debug)]
pub(super) struct Answers {
    pub kind: HostKind,
    pub hostname: String,
    pub channels: Vec<String>,
    pub output: String,
    /// The network of workgroup hosts; empty for other kinds.
    pub network: String,
}

impl Answers {
    /// Without questions: what has a default may be left out.
    pub(super) fn of_flags(options: &SetupOptions) -> Result<Self, Error> {
        let kind = options.hosts.ok_or(Error::Missing("--for"))?;
        let hostname = options.hostname.clone();
        let network = match (kind, &options.anonymous) {
            (HostKind::Workgroup, None) => return Err(Error::Missing("--anonymous")),
            (HostKind::Workgroup, Some(network)) => network.clone(),
            (_, None) => String::new(),
            (_, Some(_)) => {
                let why = "--anonymous is for --for workgroup only".to_owned();
                return Err(Error::Answer(why));
            }
        };
        Self {
            kind,
            hostname: hostname.ok_or(Error::Missing("--hostname"))?,
            channels: options.channel.clone(),
            output: options.output.clone().unwrap_or_default(),
            network,
        }
        .checked()
    }

    /// Asks for what no flag gives; an empty line takes the default in brackets.
    pub(super) fn ask(
        options: &SetupOptions,
        input: &mut impl BufRead,
        output: &mut impl Write,
    ) -> Result<Self, Error> {
        let mut ask =
            |question: &str, default: &str| question_and_answer(input, output, question, default);
        let kind = match options.hosts {
            Some(kind) => kind,
            None => {
                let answer = ask(
                    "Which hosts: domain (Kerberos), certificate (DMZ), or workgroup (trial, no credentials)?",
                    "domain",
                )?;
                let found = KINDS.into_iter().find(|kind| name(*kind) == answer);
                found.ok_or_else(|| {
                    Error::Answer(format!(
                        "{answer:?} is not one of domain, certificate and workgroup"
                    ))
                })?
            }
        };
        let hostname = match &options.hostname {
            Some(hostname) => hostname.clone(),
            None => ask("Name of this relay, as hosts reach it?", "")?,
        };
        let network = match (kind, &options.anonymous) {
            (HostKind::Workgroup, None) => ask("Network of the hosts (192.0.2.0/24)?", "")?,
            (_, given) => given.clone().unwrap_or_default(),
        };
        let channels = match options.channel.as_slice() {
            [] => ask("Channels, separated by commas?", &CHANNELS.join(","))?
                .split(',')
                .map(|channel| channel.trim().to_owned())
                .collect(),
            given => given.to_vec(),
        };
        let to = match &options.output {
            Some(to) => to.clone(),
            None => ask(
                "Where to send events (tcp://, tls://, relp://, ...)?",
                OUTPUT,
            )?,
        };
        Self {
            kind,
            hostname,
            channels,
            output: to,
            network,
        }
        .checked()
    }

    /// Defaults filled in; nothing that a file could not hold. What values mean is checked
    /// in the written file, as the relay does it.
    fn checked(mut self) -> Result<Self, Error> {
        if self.hostname.is_empty() {
            return Err(Error::Missing("--hostname"));
        }
        if self.kind == HostKind::Workgroup && self.network.is_empty() {
            return Err(Error::Missing("--anonymous"));
        }
        if self.channels.is_empty() {
            self.channels = CHANNELS.map(str::to_owned).to_vec();
        }
        if self.output.is_empty() {
            OUTPUT.clone_into(&mut self.output);
        }
        let texts = [&self.hostname, &self.output, &self.network];
        for text in texts.into_iter().chain(&self.channels) {
            let is_bad = |c: char| c.is_control() || "\"\\<>&'".contains(c);
            if text.contains(is_bad) && text != &self.output || text.contains(['"', '\\']) {
                return Err(Error::Answer(format!(
                    "{text:?} has a character that is not allowed here"
                )));
            }
        }
        if self.channels.iter().any(String::is_empty) {
            return Err(Error::Answer("a channel has no name".to_owned()));
        }
        Ok(self)
    }
}

fn question_and_answer(
    input: &mut impl BufRead,
    output: &mut impl Write,
    question: &str,
    default: &str,
) -> Result<String, Error> {
    let shown = match default {
        "" => String::new(),
        default => format!(" [{default}]"),
    };
    write!(output, "{question}{shown} ").map_err(Error::Terminal)?;
    output.flush().map_err(Error::Terminal)?;
    let mut line = String::new();
    input.read_line(&mut line).map_err(Error::Terminal)?;
    Ok(match line.trim() {
        "" => default.to_owned(),
        answer => answer.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn options(arguments: &[&str]) -> SetupOptions {
        let command = SetupOptions::augment_args(clap::Command::new("init"));
        let all = [&["init"], arguments].concat();
        SetupOptions::from_arg_matches(&command.get_matches_from(all)).unwrap()
    }

    #[test]
    fn questions_are_for_what_no_flag_gives() {
        let mut asked = Vec::new();
        let mut typed = &b"workgroup\n\n192.0.2.0/24\nSecurity, Setup\n\n"[..];
        let given = options(&["--hostname", "wec.example.com"]);
        // The empty line would be the name, had it been asked for.
        let answers = Answers::ask(&given, &mut typed, &mut asked);
        assert!(matches!(answers, Err(Error::Missing("--anonymous"))));

        let mut typed = &b"workgroup\n192.0.2.0/24\nSecurity, Setup\n\n"[..];
        let answers = Answers::ask(&given, &mut typed, &mut asked).unwrap();
        assert_eq!(answers.network, "192.0.2.0/24");
        assert_eq!(answers.channels, ["Security", "Setup"]);
        assert_eq!(answers.output, OUTPUT);
        assert_eq!(answers.kind, HostKind::Workgroup);
        let asked = String::from_utf8(asked).unwrap();
        assert!(!asked.contains("Name of this relay"), "{asked}");
        assert!(asked.contains("[Application,Security,System]"), "{asked}");
    }

    #[test]
    fn what_no_file_can_hold_is_refused() {
        let refused = |arguments: &[&str]| Answers::of_flags(&options(arguments)).unwrap_err();
        let flags = ["--for", "domain", "--hostname"];
        let bad = |name: &'static str| refused(&[&flags[..], &[name]].concat());
        assert!(matches!(bad("a\"b"), Error::Answer(_)));
        assert!(matches!(bad("a\nb"), Error::Answer(_)));
        assert!(matches!(
            refused(&["--for", "domain"]),
            Error::Missing("--hostname")
        ));
        assert!(matches!(refused(&[]), Error::Missing("--for")));
    }
}
