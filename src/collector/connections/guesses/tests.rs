use std::time::UNIX_EPOCH;

use super::*;

fn now() -> Now {
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant has no other beginning"
    )]
    let monotonic = Instant::now();
    let wall = UNIX_EPOCH;
    Now { monotonic, wall }
}

fn guesses() -> Guesses {
    Guesses::new(now())
}

fn address(number: u32) -> IpAddr {
    IpAddr::from(number.to_be_bytes())
}

fn guess(account: &str, number: u32) -> Guess {
    Guess::new(account, address(number))
}

fn fail(guesses: &mut Guesses, account: &str, number: u32, times: u32) {
    for _ in 0..times {
        guesses.fail(&guess(account, number));
    }
}

#[test]
fn one_address_fails_ten_times_with_one_account_or_with_many() {
    let mut one = guesses();
    fail(&mut one, "ws7", 1, OF_ADDRESS - 1);
    assert!(!one.is_held(&guess("ws7", 1)));
    fail(&mut one, "ws7", 1, 1);
    assert!(one.is_held(&guess("ws7", 1)));
    assert!(!one.is_held(&guess("ws7", 2)), "another address");

    let mut many = guesses();
    for account in 0..OF_ADDRESS {
        assert!(!many.is_held(&guess("new", 1)));
        fail(&mut many, &account.to_string(), 1, 1);
    }
    assert!(many.is_held(&guess("new", 1)));
}

#[test]
fn the_way_that_an_account_is_written_makes_it_no_other() {
    let same = guess("ws7", 1);
    for written in ["WS7", "CORP\\ws7", "x\\y\\Ws7", "ws7@CORP.EXAMPLE", " ws7 "] {
        assert_eq!(guess(written, 1), same, "{written}");
    }
    assert_ne!(guess("ws8", 1), same);
}

#[test]
fn an_account_is_held_back_everywhere_but_where_it_was_proved() {
    let mut guesses = guesses();
    guesses.prove(guess("CORP\\ws7", 1));
    for number in 100..100 + OF_ACCOUNT {
        assert!(!guesses.is_held(&guess("ws7", 2)));
        fail(&mut guesses, "ws7", number, 1);
    }
    assert!(guesses.is_held(&guess("ws7", 2)));
    assert!(!guesses.is_held(&guess("ws7", 1)), "its own address");
    assert!(!guesses.is_held(&guess("ws8", 2)), "another account");
    // Failures of others at that address do not affect it either, but its own do.
    fail(&mut guesses, "ws9", 1, OF_ADDRESS);
    assert!(guesses.is_held(&guess("ws8", 1)));
    assert!(!guesses.is_held(&guess("ws7", 1)));
    fail(&mut guesses, "ws7", 1, OF_ADDRESS);
    assert!(guesses.is_held(&guess("ws7", 1)));
}

#[test]
fn all_failures_together_have_a_bound_and_so_has_what_is_remembered() {
    let mut guesses = guesses();
    guesses.prove(guess("ws7", 1));
    for number in 0..OF_ALL {
        assert!(!guesses.is_held(&guess("new", 7)));
        fail(&mut guesses, &number.to_string(), 1000 + number, 1);
    }
    assert!(guesses.is_held(&guess("new", 7)));
    assert!(!guesses.is_held(&guess("ws7", 1)));
    fail(&mut guesses, "more", 8, 1000);
    let most = usize::try_from(OF_ALL).unwrap();
    assert_eq!(guesses.failed.pairs.len(), most);
    // Accounts that were held back still are.
    fail(&mut guesses, "ws7", 1, OF_ADDRESS);
    assert!(guesses.is_held(&guess("ws7", 1)));
}

#[test]
fn a_minute_later_all_begin_anew_and_not_before() {
    let start = now();
    let mut guesses = Guesses::new(start);
    fail(&mut guesses, "ws7", 1, OF_ADDRESS);
    guesses.sweep(start + Duration::from_secs(59));
    assert!(guesses.is_held(&guess("ws7", 1)));
    guesses.sweep(start + MINUTE);
    assert!(!guesses.is_held(&guess("ws7", 1)));
}

#[test]
fn questions_under_way_count_and_others_wait_for_them() {
    let mut guesses = guesses();
    let leaves = |guesses: &mut Guesses| {
        let ask = |id| guesses.ask(ConnId(id), guess("ws7", 1));
        (0..12).map(ask).collect::<Vec<_>>()
    };
    let mut wanted = vec![Leave::Granted; 10];
    wanted.extend([Leave::Waiting; 2]);
    assert_eq!(leaves(&mut guesses), wanted);
    assert_eq!(guesses.next(), None);
    // One was right, so the next one is verified.
    let right = guesses.answered(ConnId(3)).unwrap();
    guesses.prove(right);
    assert_eq!(guesses.next(), Some((ConnId(10), Leave::Granted)));
    assert_eq!(guesses.next(), None);
    // The others were wrong, so the last one is not verified.
    for id in [0, 1, 2, 4, 5, 6, 7, 8, 9, 10] {
        let wrong = guesses.answered(ConnId(id)).unwrap();
        guesses.fail(&wrong);
    }
    assert_eq!(guesses.next(), Some((ConnId(11), Leave::Held)));
    assert_eq!(guesses.next(), None);
    assert_eq!(guesses.answered(ConnId(11)), None);
    assert!(guesses.asking.pairs.is_empty() && guesses.asking.all == 0);
}

#[test]
fn one_that_has_gone_is_not_asked_about() {
    let mut guesses = guesses();
    for id in 0..11 {
        let _ = guesses.ask(ConnId(id), guess("ws7", 1));
    }
    guesses.forget(ConnId(10));
    assert!(guesses.answered(ConnId(0)).is_some());
    assert_eq!(guesses.next(), None);
}

#[test]
fn whoever_has_one_account_pushes_out_no_other() {
    let mut proven = Proven::new(3);
    proven.add(guess("own", 1));
    for number in 10..100 {
        proven.add(guess("wide", number));
        proven.add(guess("wide", number));
    }
    assert!(proven.has(&guess("own", 1)));
    assert!(proven.has(&guess("wide", 99)) && proven.has(&guess("wide", 98)));
    assert!(!proven.has(&guess("wide", 97)));
    assert_eq!((proven.count, proven.pairs.len()), (3, 3));
}
