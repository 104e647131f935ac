//! Over RELP to a receiver that sometimes rejects a message, for example because it has no
//! space or considers it malformed: a rejected message does not count as delivered until the
//! receiver accepts it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::scene::Scene;
use crate::support::{Random, RelpSink, Tally, Verdict, wait_for_long};

/// One in this number of messages is rejected, each time that it arrives.
const ONE_IN: u64 = 400;

#[test]
fn over_relp_nothing_acknowledged_is_lost_though_messages_are_refused() {
    let tally = Arc::<Tally>::default();
    let refused = Arc::<AtomicU64>::default();
    let receiver = refusing(&tally, &refused);
    let mut scene = Scene::start("relp+refused", |_| receiver.url());
    let mut rounds = 0;
    while !scene.is_enough(rounds) {
        for _ in 0..4 {
            scene.break_relay();
        }
        rounds += 1;
    }
    let hosts = scene.join_hosts();
    scene.end_relay();
    let all = || {
        let mut hosts = hosts.iter();
        hosts
            .all(|&(host, last)| tally.missing(host, last).is_empty())
            .then_some(())
    };
    let _ = wait_for_long("what was acknowledged", all);
    let refused = refused.load(Ordering::Relaxed);
    assert!(refused > 0, "nothing was refused");
    (0..refused).for_each(|_| scene.note("message refused"));
    // Messages after a rejected one are accepted before it.
    scene.check_arrivals(&tally, &hosts, None);
}

fn refusing(tally: &Arc<Tally>, refused: &Arc<AtomicU64>) -> RelpSink {
    let (tally, refused) = (Arc::clone(tally), Arc::clone(refused));
    RelpSink::start(move || {
        let (tally, refused) = (Arc::clone(&tally), Arc::clone(&refused));
        let connection = tally.open();
        let mut random = Random::new(u64::try_from(connection).unwrap() + 1);
        move |message: &[u8]| {
            if random.one_in(ONE_IN) {
                refused.fetch_add(1, Ordering::Relaxed);
                return Verdict::Refuse;
            }
            tally.note(connection, message);
            Verdict::Take
        }
    })
}
