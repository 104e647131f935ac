//! The transactions of one session: which message has which number, and which are pending.
//!
//! Numbers increase by one, so an answer's message is found by its position. A message that
//! stays unanswered must not keep all later positions alive, so it moves aside once enough
//! others have followed it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::WINDOW;

/// The largest transaction number, after which numbers restart at 1.
const LAST_TRANSACTION: u32 = 999_999_999;
/// Number of positions kept in a row. Answers in any order within a few windows are found
/// in constant time.
const ROW: usize = 4 * WINDOW;
/// Number of abandoned messages whose late answer is still understood. A later answer than
/// that ends the session, and everything is sent again.
const GIVEN_UP_MAX: usize = 1024;

/// A pending message.
#[derive(Clone, Copy, Debug)]
struct Sent {
    key: u64,
    at: Instant,
    size: usize,
}

#[derive(Debug, Default)]
pub(super) struct Window {
    /// Number of transactions started, which is the serial of the last one. Serials never
    /// wrap around.
    begun: u64,
    /// The most recent transactions, up to `begun`; `None` for those that are answered or
    /// not messages.
    row: VecDeque<Option<Sent>>,
    /// Pending messages from before the row, by serial.
    aside: BTreeMap<u64, Sent>,
    /// Keys of abandoned messages, by serial.
    given_up: BTreeMap<u64, u64>,
    /// Number of messages in `row` and `aside`.
    waiting: usize,
    /// Size in bytes of the messages sent after the last answered one.
    ahead: usize,
    /// Serial of the latest message that has been answered.
    answered: u64,
}

impl Window {
    /// Number of pending messages.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Size of the messages that the receiver has not reached: those sent after the last
    /// one that it answered.
    pub(super) fn ahead(&self) -> usize {
        self.ahead
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        let row = self.row.iter().flatten();
        self.aside.values().chain(row).map(|sent| sent.key)
    }

    /// Starts a transaction and returns its number.
    pub(super) fn begin(&mut self) -> u32 {
        self.begun += 1;
        self.row.push_back(None);
        if self.row.len() > ROW {
            let serial = self.first();
            if let Some(Some(sent)) = self.row.pop_front() {
                self.aside.insert(serial, sent);
            }
        }
        number(self.begun)
    }

    /// States that the last transaction is a message of `size` bytes.
    pub(super) fn open(&mut self, key: u64, at: Instant, size: usize) {
        if let Some(last) = self.row.back_mut() {
            *last = Some(Sent { key, at, size });
            self.waiting += 1;
            self.ahead += size;
        }
    }

    /// Handles an answer; returns the key of its message, or `None` if none is pending
    /// under this number.
    pub(super) fn answer(&mut self, number: u32) -> Option<u64> {
        let serial = self.serial(number)?;
        if let Some(key) = self.given_up.remove(&serial) {
            return Some(key);
        }
        self.sent(serial)?;
        self.pass(serial);
        Some(self.take(serial)?.key)
    }

    /// The serial of the latest transaction with this number.
    fn serial(&self, asked: u32) -> Option<u64> {
        let last = number(self.begun);
        let ago = match last.checked_sub(asked) {
            Some(ago) => ago,
            None => LAST_TRANSACTION.checked_sub(asked)?.checked_add(last)?,
        };
        let valid = (1..=LAST_TRANSACTION).contains(&asked);
        self.begun.checked_sub(u64::from(ago)).filter(|_| valid)
    }

    /// The serial of the first position in the row.
    fn first(&self) -> u64 {
        let length = u64::try_from(self.row.len()).unwrap_or(u64::MAX);
        (self.begun + 1).saturating_sub(length)
    }

    fn sent(&self, serial: u64) -> Option<&Sent> {
        match serial.checked_sub(self.first()) {
            Some(place) => self.row.get(usize::try_from(place).ok()?)?.as_ref(),
            None => self.aside.get(&serial),
        }
    }

    /// Notes that the receiver has reached this message, by answering it or a later one.
    fn pass(&mut self, serial: u64) {
        while self.answered < serial {
            self.answered += 1;
            let size = self.sent(self.answered).map_or(0, |sent| sent.size);
            self.ahead -= size;
        }
    }

    fn take(&mut self, serial: u64) -> Option<Sent> {
        let sent = match serial.checked_sub(self.first()) {
            Some(place) => self.row.get_mut(usize::try_from(place).ok()?)?.take()?,
            None => self.aside.remove(&serial)?,
        };
        self.waiting -= 1;
        self.trim();
        Some(sent)
    }

    fn trim(&mut self) {
        while let Some(None) = self.row.front() {
            self.row.pop_front();
        }
    }

    /// The oldest pending message and its serial.
    fn oldest(&self) -> Option<(u64, Sent)> {
        if let Some((serial, sent)) = self.aside.first_key_value() {
            return Some((*serial, *sent));
        }
        let place = self.row.iter().position(Option::is_some)?;
        let sent = self.row.get(place).copied().flatten()?;
        Some((self.first() + u64::try_from(place).ok()?, sent))
    }

    /// When the oldest message was sent that is pending although a later one is answered.
    pub(super) fn oldest_overtaken(&self) -> Option<Instant> {
        let (serial, sent) = self.oldest()?;
        (serial < self.answered).then_some(sent.at)
    }

    /// Abandons such a message if it was sent at `before` or earlier, and returns its key.
    pub(super) fn give_up(&mut self, before: Instant) -> Option<u64> {
        let (serial, sent) = self.oldest()?;
        if serial >= self.answered || sent.at > before {
            return None;
        }
        self.take(serial);
        self.given_up.insert(serial, sent.key);
        if self.given_up.len() > GIVEN_UP_MAX {
            self.given_up.pop_first();
        }
        Some(sent.key)
    }
}

#[cfg(test)]
impl Window {
    /// As if so many transactions had been begun and answered.
    pub(super) fn skip_to(&mut self, begun: u64) {
        *self = Self {
            begun,
            answered: begun,
            ..Self::default()
        };
    }
}

/// Converts a serial to the transaction number on the wire.
fn number(serial: u64) -> u32 {
    let last = u64::from(LAST_TRANSACTION);
    let number = serial.checked_sub(1).map_or(0, |before| before % last + 1);
    u32::try_from(number).unwrap_or(LAST_TRANSACTION)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn numbers_start_over_and_still_find_their_message() {
        let mut window = Window::default();
        window.skip_to(999_999_997);
        let at = start();
        let sent: Vec<u32> = (0..5)
            .map(|key| {
                let number = window.begin();
                window.open(key, at, 10);
                number
            })
            .collect();
        assert_eq!(sent, [999_999_998, 999_999_999, 1, 2, 3]);
        assert_eq!(window.answer(4), None);
        assert_eq!(window.answer(0), None);
        assert_eq!(window.answer(999_999_997), None);
        for (key, number) in sent.into_iter().enumerate().rev() {
            assert_eq!(window.answer(number), Some(u64::try_from(key).unwrap()));
            assert_eq!(window.answer(number), None, "once only");
        }
        assert_eq!(window.waiting(), 0);
    }

    #[test]
    fn what_waits_for_ever_keeps_no_place_of_others() {
        let mut window = Window::default();
        let at = start();
        let never = window.begin();
        window.open(7, at, 10);
        for key in 100..100_000 {
            let number = window.begin();
            window.open(key, at, 10);
            assert_eq!(window.answer(number), Some(key));
            assert!(window.row.len() <= ROW && window.aside.len() <= 1);
        }
        assert_eq!(window.waiting(), 1);
        assert_eq!(window.keys().collect::<Vec<_>>(), [7]);
        assert_eq!(window.answer(never), Some(7));
    }

    #[test]
    fn only_what_was_overtaken_is_given_up_and_may_still_be_answered() {
        let mut window = Window::default();
        let at = start();
        let later = at + Duration::from_secs(1);
        let numbers = [(1, at), (2, at), (3, later)].map(|(key, at)| {
            let number = window.begin();
            window.open(key, at, 10);
            number
        });
        assert_eq!(window.give_up(later), None, "none is answered yet");
        assert_eq!(window.oldest_overtaken(), None);
        assert_eq!(window.answer(numbers[1]), Some(2));
        assert_eq!(window.oldest_overtaken(), Some(at));
        assert_eq!(window.give_up(at - Duration::from_nanos(1)), None);
        assert_eq!(window.give_up(at), Some(1));
        assert_eq!(
            window.give_up(later),
            None,
            "the last one was not overtaken"
        );
        assert_eq!(window.waiting(), 1);
        assert_eq!(window.answer(numbers[0]), Some(1), "late, but it counts");
        assert_eq!(window.answer(numbers[0]), None);
    }

    #[test]
    fn late_answers_are_understood_up_to_a_bound() {
        let mut window = Window::default();
        let at = start();
        let mut numbers = Vec::new();
        for key in 0..=u64::try_from(GIVEN_UP_MAX).unwrap() {
            numbers.push(window.begin());
            window.open(key, at, 10);
            let next = window.begin();
            window.open(key, at, 10);
            window.answer(next);
            assert_eq!(window.give_up(at), Some(key));
        }
        assert_eq!(window.given_up.len(), GIVEN_UP_MAX);
        assert_eq!(window.answer(numbers[0]), None);
        assert_eq!(window.answer(numbers[1]), Some(1));
        assert_eq!(window.waiting(), 0);
    }

    #[test]
    fn the_receiver_has_come_as_far_as_its_last_answer() {
        let (mut window, at) = (Window::default(), start());
        for (key, size) in [(1, 10), (2, 200), (3, 3_000)] {
            window.begin();
            window.open(key, at, size);
        }
        assert_eq!(window.ahead(), 3_210);
        window.answer(2);
        assert_eq!(window.ahead(), 3_000, "the first is passed over");
        window.answer(1);
        assert_eq!(window.ahead(), 3_000);
        window.answer(3);
        assert_eq!((window.ahead(), window.waiting()), (0, 0));
        window.answer(3);
        assert_eq!(window.ahead(), 0);
    }
}
