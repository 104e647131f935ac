//! The values that `wecrelay init` needs: from flags, or else from prompts on the terminal.

use std::io::{self, BufRead, Write};
use std::path::Path;

use super::{Error, check_text, name};
use crate::cli::{HostKind, SetupOptions};

const CHANNELS: [&str; 3] = ["Application", "Security", "System"];
const OUTPUT: &str = "tcp://127.0.0.1:601?max=256K";
const KINDS: [HostKind; 3] = [HostKind::Domain, HostKind::Certificate, HostKind::Workgroup];

/// All values of a setup.
#[derive(Debug)]
pub(super) struct Answers {
    pub kind: HostKind,
    pub hostname: String,
    pub channels: Vec<String>,
    pub output: String,
    /// The network of workgroup hosts; empty for other kinds of hosts.
    pub network: String,
}

impl Answers {
    /// Takes the values from flags only. Flags with a default may be missing.
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
        .completed()
    }

    /// Prompts for values that no flag gives, and repeats a prompt after an invalid answer.
    /// An empty line selects the default in brackets.
    pub(super) fn ask(
        options: &SetupOptions,
        input: &mut impl BufRead,
        output: &mut impl Write,
    ) -> Result<Self, Error> {
        let mut terminal = Questions { input, output };
        // Relative paths in answers start at the folder of the configuration file.
        let valid = |key: &str, value: String| is_valid(key, value, &options.folder);
        let kind = match options.hosts {
            Some(kind) => kind,
            None => terminal.ask(
                "Which hosts: domain (Kerberos), certificate (DMZ), or workgroup (trial, no credentials)?",
                "domain",
                |answer| kind_of(&answer),
            )?,
        };
        let hostname = match &options.hostname {
            Some(hostname) => hostname.clone(),
            None => terminal.ask("Name of this relay, as hosts reach it?", "", |name| {
                valid("hostname", name)
            })?,
        };
        let network = match (kind, &options.anonymous) {
            (HostKind::Workgroup, None) => {
                terminal.ask("Network of the hosts (192.0.2.0/24)?", "", |network| {
                    valid("anonymous", network)
                })?
            }
            (_, given) => given.clone().unwrap_or_default(),
        };
        let channels = match options.channel.as_slice() {
            [] => terminal.ask(
                "Channels, separated by commas?",
                &CHANNELS.join(","),
                |names| channels_of(&names),
            )?,
            given => given.to_vec(),
        };
        let to = match &options.output {
            Some(to) => to.clone(),
            None => terminal.ask(
                "Where to send events (tcp://, tls://, relp://, ...)?",
                OUTPUT,
                |url| valid("output", url),
            )?,
        };
        Self {
            kind,
            hostname,
            channels,
            output: to,
            network,
        }
        .completed()
    }

    /// Fills in the defaults, and rejects characters that the files cannot contain. The
    /// meaning of the values is checked later, as part of the whole configuration.
    fn completed(mut self) -> Result<Self, Error> {
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
        for text in [&self.hostname, &self.output, &self.network] {
            fits_toml(text)?;
        }
        self.channels = channels_of(&self.channels.join(","))?;
        Ok(self)
    }
}

fn kind_of(answer: &str) -> Result<HostKind, Error> {
    let found = KINDS.into_iter().find(|kind| name(*kind) == answer);
    found.ok_or_else(|| {
        Error::Answer(format!(
            "{answer:?} is not one of domain, certificate, and workgroup"
        ))
    })
}

/// Splits the names and removes duplicates, because two queries for a channel would deliver
/// each event twice.
fn channels_of(names: &str) -> Result<Vec<String>, Error> {
    let mut channels = Vec::new();
    for channel in names.split(',').map(|name| name.trim().to_owned()) {
        fits_toml(&channel)?;
        if channel.is_empty() {
            return Err(Error::Answer("a channel has no name".to_owned()));
        }
        if channel.contains(['<', '>', '&', '\'']) {
            return Err(not_allowed(&channel));
        }
        if !channels.contains(&channel) {
            channels.push(channel);
        }
    }
    Ok(channels)
}

/// Returns the value if the relay accepts it for this key.
fn is_valid(key: &str, value: String, folder: &Path) -> Result<String, Error> {
    fits_toml(&value)?;
    let listed = match key {
        "hostname" => format!("\"{value}\""),
        _ => format!("[\"{value}\"]"),
    };
    // A configuration is valid only with an authentication method.
    let method = match key {
        "anonymous" => "",
        _ => "anonymous = [\"127.0.0.1\"]\n",
    };
    check_text(&format!("{method}{key} = {listed}\n"), folder)?;
    Ok(value)
}

fn fits_toml(text: &str) -> Result<(), Error> {
    if text.contains(|c: char| c.is_control() || "\"\\".contains(c)) {
        return Err(not_allowed(text));
    }
    Ok(())
}

fn not_allowed(text: &str) -> Error {
    Error::Answer(format!("{text:?} has a character that is not allowed here"))
}

/// The terminal, or a substitute in tests.
struct Questions<'a, I, O> {
    input: &'a mut I,
    output: &'a mut O,
}

impl<I: BufRead, O: Write> Questions<'_, I, O> {
    fn ask<T>(
        &mut self,
        question: &str,
        default: &str,
        parse: impl Fn(String) -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            match parse(self.answer(question, default)?) {
                Ok(value) => return Ok(value),
                Err(error) => writeln!(self.output, "{error}").map_err(Error::Terminal)?,
            }
        }
    }

    fn answer(&mut self, question: &str, default: &str) -> Result<String, Error> {
        let shown = match default {
            "" => String::new(),
            default => format!(" [{default}]"),
        };
        write!(self.output, "{question}{shown} ").map_err(Error::Terminal)?;
        self.output.flush().map_err(Error::Terminal)?;
        let mut line = String::new();
        // End of input (Ctrl-D). An empty answer would accept each default, or repeat a
        // prompt forever.
        match self.input.read_line(&mut line).map_err(Error::Terminal)? {
            0 => Err(Error::Terminal(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(match line.trim() {
                "" => default.to_owned(),
                answer => answer.to_owned(),
            }),
        }
    }
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
        let given = options(&["--hostname", "wec.example.com"]);
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
    fn a_question_is_repeated_until_its_answer_can_be_used() {
        let typed = "dmain\nworkgroup\n\nhttps://wec:5985\nwec.example.com\n\n10.0.0.0/99\n10.0.0.0/8\n\
                     Security,,\nSecurity,Security\nsyslog\ntcp://log.example.com\n";
        let mut asked = Vec::new();
        let answers = Answers::ask(&options(&[]), &mut typed.as_bytes(), &mut asked).unwrap();
        assert_eq!(answers.hostname, "wec.example.com");
        assert_eq!(answers.network, "10.0.0.0/8");
        assert_eq!(answers.channels, ["Security"]);
        assert_eq!(answers.output, "tcp://log.example.com");
        let asked = String::from_utf8(asked).unwrap();
        for (question, times) in [
            ("Which hosts", 2),
            ("Name of this relay", 3),
            ("Network", 3),
            ("Channels", 2),
            ("Where to send", 2),
        ] {
            assert_eq!(asked.matches(question).count(), times, "{asked}");
        }
        assert!(
            asked.contains("--hostname https://wec:5985: allowed is"),
            "{asked}"
        );

        let mut ended = &b"workgroup\n"[..];
        let error = Answers::ask(&options(&[]), &mut ended, &mut Vec::new());
        assert!(matches!(error, Err(Error::Terminal(_))));
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
