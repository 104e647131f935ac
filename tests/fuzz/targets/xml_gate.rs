//! Any markup, repeated many times: the time to parse it is linear in its size.
//!
//! One document contains the text four times as often as the other. Four times the time is
//! linear, sixteen times is not.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use rustix::time::{ClockId, clock_gettime};
use wecrelay::base::xml::{self, Limits};
use wecrelay::event;
use wecrelay::protocol::wsman;
use wecrelay::protocol::wsman::xml::Skeleton;

const SMALL: usize = 64 * 1024;
const TIMES: usize = 4;
/// Below this, caches and other load on the machine dominate.
const NOISE: Duration = Duration::from_millis(20);

// The repeated text is between two NULs.
fuzz_target!(|data: &str| {
    let mut parts = data.splitn(3, '\0').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    let (front, text, back) = (part(), part(), part());
    if text.is_empty() || front.len() + text.len() + back.len() > SMALL {
        return;
    }
    let often = SMALL / text.len();
    let of = |often: usize| [&*front, &text.repeat(often), &*back].concat();
    let (small, large) = (of(often), of(often * TIMES));
    law("event", &small, &large, |text| drop(event::parse(text)));
    law("file", &small, &large, |text| {
        drop(xml::parse(text, &Limits::FILE))
    });
    law("envelope", &small, &large, |text| drop(wsman::parse(text)));
    law("skeleton", &small, &large, |text| {
        let skeleton = Skeleton::whole(text);
        let _ = skeleton
            .as_ref()
            .map(|skeleton| skeleton.document().is_ok());
    });
});

/// Measures the time of this thread; repeated, because caches may have been evicted.
fn law(what: &str, small: &str, large: &str, read: impl Fn(&str)) {
    let time = |text: &str| {
        let began = used();
        read(text);
        used().saturating_sub(began)
    };
    let mut seen = Vec::new();
    for _ in 0..4 {
        let (short, long) = (time(small), time(large));
        if long <= short * 8 + NOISE {
            return;
        }
        seen.push((short, long));
    }
    panic!(
        "{what}: {} and {} bytes took {seen:?}",
        small.len(),
        large.len()
    );
}

fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}
