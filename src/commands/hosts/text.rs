//! The hosts as text for people.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::table::{Table, state_color};
use super::{View, counts, latest};
use crate::base::clock::UnixSeconds;
use crate::commands::terminal::{Color, Paint};
use crate::commands::words::{age, count, plain};
use crate::hosts::{Followed, Moment, Saved};

/// Maximum number of names in one line.
const NAMES: usize = 5;
/// Maximum number of lines about gaps, about bookmarks, and about refusals. `--json` prints
/// all.
const LINES: usize = 20;
/// Indexes of the columns with numbers.
const NUMBERS: [usize; 5] = [3, 4, 5, 6, 7];

pub(super) fn print(
    out: &mut impl Write,
    paint: Paint,
    saved: &Saved,
    hosts: &[View<'_>],
    now: UnixSeconds,
) -> io::Result<()> {
    let pulse = saved.pulse;
    let at = pulse.moment(now);
    print_relays(out, paint, saved)?;
    if pulse.is_gone(now) {
        let ago = age(now.since(pulse.written));
        writeln!(
            out,
            "{} not running; this is the state of {ago} ago.\n",
            match saved.relays.len() {
                0 | 1 => "The relay does",
                _ => "The relays do",
            }
        )?;
    }
    print_hosts(out, paint, (hosts, at), !saved.relays.is_empty())?;
    print_reasons(out, paint, hosts)?;
    print_gaps(out, hosts, at)?;
    print_asides(out, hosts)?;
    print_refusals(out, saved, at)?;
    let states = counts(hosts).filter(|(_, count)| *count > 0);
    let states: Vec<_> = states
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    let events: u64 = hosts.iter().map(|view| view.events).sum();
    let (hosts, states) = (count(hosts.len(), "host"), states.join(", "));
    let colon = if states.is_empty() { "" } else { ": " };
    writeln!(out, "{hosts}{colon}{states}; {events} events")
}

/// Prints the relays that share a database.
fn print_relays(out: &mut impl Write, paint: Paint, saved: &Saved) -> io::Result<()> {
    if saved.relays.is_empty() {
        return Ok(());
    }
    let mut table = Table::default();
    table.push(["RELAY", "STATE", "LAST SEEN"].map(str::to_owned).to_vec());
    for relay in &saved.relays {
        let life = relay.life().name().to_owned();
        table.push(vec![plain(&relay.name), life, age(relay.age)]);
    }
    table.print(out, paint, &[2])?;
    writeln!(out)
}

fn print_hosts(
    out: &mut impl Write,
    paint: Paint,
    (hosts, at): (&[View<'_>], Moment),
    has_relays: bool,
) -> io::Result<()> {
    if hosts.is_empty() {
        return Ok(());
    }
    let mut table = Table::default();
    let heads = [
        "HOST",
        "STATE",
        "SUBSCRIPTION",
        "EVENTS",
        "LAST EVENT",
        "HEARTBEAT",
        "LAG",
        "MISSING",
        "ADDRESS",
        "METHOD",
        "IDENTITY",
    ];
    let relay = has_relays.then_some("RELAY");
    table.push(heads.into_iter().chain(relay).map(str::to_owned).collect());
    for view in hosts {
        let mut push = |followed| {
            let mut cells = row(view, followed, at);
            cells.extend(view.host.relay.as_deref().map(plain));
            table.push(cells);
        };
        if view.host.subscriptions.is_empty() {
            push(None);
        }
        view.host.subscriptions.iter().for_each(|it| push(Some(it)));
    }
    table.print(out, paint, &NUMBERS)?;
    writeln!(out)
}

fn row(view: &View<'_>, followed: Option<&Followed>, at: Moment) -> Vec<String> {
    let none = || "-".to_owned();
    let since = |time: Option<UnixSeconds>| time.map_or_else(none, |time| age(at.now.since(time)));
    let host = view.host;
    let state = followed.map_or(view.state, |followed| match view.state {
        "refused" => "refused",
        _ => followed.state(at).name(),
    });
    let missing: u64 = followed.map_or(0, |f| f.gaps.iter().map(|gaps| gaps.missing).sum());
    vec![
        plain(&host.machine),
        state.to_owned(),
        followed.map_or_else(none, |f| plain(&f.name)),
        followed.map_or(0, |f| f.events).to_string(),
        since(followed.and_then(|f| f.last_event)),
        since(followed.and_then(|f| f.last_heartbeat)),
        followed.and_then(|f| f.lag(at.now)).map_or_else(none, age),
        missing.to_string(),
        host.address.to_string(),
        host.method.to_string(),
        host.identity.as_deref().map_or_else(none, plain),
    ]
}

/// Prints the reasons, each once for all hosts that have it.
fn print_reasons(out: &mut impl Write, paint: Paint, hosts: &[View<'_>]) -> io::Result<()> {
    let mut reasons: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for view in hosts {
        if let Some(why) = &view.why {
            let names = reasons.entry((view.state, why)).or_default();
            names.push(&view.host.machine);
        }
    }
    for ((state, why), names) in &reasons {
        let first: Vec<_> = names.iter().take(NAMES).map(|name| plain(name)).collect();
        let more = match names.len().saturating_sub(NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let state = paint.paint(state_color(state).unwrap_or(Color::Bold), state);
        writeln!(out, "{state}: {}{more}\n  {}", first.join(", "), plain(why))?;
    }
    if reasons.is_empty() {
        Ok(())
    } else {
        writeln!(out)
    }
}

fn print_gaps(out: &mut impl Write, hosts: &[View<'_>], at: Moment) -> io::Result<()> {
    let gaps = hosts.iter().flat_map(|view| {
        let subscriptions = view.host.subscriptions.iter();
        subscriptions.flat_map(move |s| s.gaps.iter().map(move |gaps| (view.host, gaps)))
    });
    let gaps: Vec<_> = gaps.collect();
    if gaps.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "Missing record ids (overwritten on the host before it could send them, or filtered there):"
    )?;
    for (host, gaps) in gaps.iter().take(LINES) {
        writeln!(
            out,
            "  {}, {}: {} in {}, the last one {}-{}, {} ago",
            plain(&host.machine),
            plain(&gaps.channel),
            gaps.missing,
            count(usize::try_from(gaps.count).unwrap_or(usize::MAX), "gap"),
            gaps.from,
            gaps.to,
            age(at.now.since(gaps.at)),
        )?;
    }
    print_more(out, gaps.len())
}

fn print_asides(out: &mut impl Write, hosts: &[View<'_>]) -> io::Result<()> {
    let asides = hosts.iter().flat_map(|view| {
        let asides = view.kept_aside.iter();
        asides.map(move |aside| (view.host, aside))
    });
    let asides: Vec<_> = asides.collect();
    if asides.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "Bookmarks kept aside, since the events that came with them do not account for them (the \
         last of each; the host resumes from the one before):"
    )?;
    for (host, aside) in asides.iter().take(LINES) {
        let (machine, name) = (plain(&host.machine), plain(&aside.subscription));
        writeln!(out, "  {machine}, {name}: {}", plain(&aside.reason))?;
    }
    print_more(out, asides.len())
}

fn print_refusals(out: &mut impl Write, saved: &Saved, at: Moment) -> io::Result<()> {
    let refusals = latest(&saved.refusals);
    if refusals.is_empty() {
        return Ok(());
    }
    writeln!(out, "Rejected requests, latest first:")?;
    for refusal in refusals.iter().take(LINES) {
        let method = refusal.method.as_deref();
        let method = method.map_or_else(String::new, |method| format!(", {method}"));
        writeln!(
            out,
            "  {} ({}{method}) {}, {} ago: {}",
            refusal.address,
            refusal.kind,
            count(usize::try_from(refusal.count).unwrap_or(usize::MAX), "time"),
            age(at.now.since(refusal.last)),
            plain(&refusal.reason),
        )?;
    }
    print_more(out, refusals.len())
}

fn print_more(out: &mut impl Write, all: usize) -> io::Result<()> {
    match all.saturating_sub(LINES) {
        0 => writeln!(out),
        more => writeln!(out, "  and {more} more, see --json\n"),
    }
}
