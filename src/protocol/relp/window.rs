//! The transactions of one session: which message has which number, and which wait.
//!
//! An answer finds its message by its place: numbers go up by one. A message that stays
//! without an answer must not make all later places stay, so it moves aside once enough
//! came after it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::WINDOW;

/// The transaction number after which they start with 1 again.
const LAST_TRANSACTION: u32 = 999_999_999;
/// Places that are kept in a row: answers that come in any order within a few windows
/// are found at once.
const ROW: usize = 4 * WINDOW;
/// Messages given up whose late answer is still understood. One that comes later than
/// this ends the session, and everything is sent again.
const GIVEN_UP_MAX: usize = 1024;

/// A message without an answer.
#[derive(Clone, Copy, Debug)]
struct Sent {
    key: u64,
    at: Instant,
    size: usize,
}

#[derive(Debug, Default)]
pub(super) struct Window {
    /// How many transactions were begun: the last one's serial, which never starts over.
    begun: u64,
    /// The last of them, up to `begun`; `None` for those that are answered and those that
    /// are no messages.
    row: VecDeque<Option<Sent>>,
    /// Messages from before the row, by serial.
    aside: BTreeMap<u64, Sent>,
    /// Keys of messages without an answer whose place was taken away, by serial.
    given_up: BTreeMap<u64, u64>,
    /// Messages in `row` and `aside`.
    waiting: usize,
    /// Bytes of those that were sent after the last one that is answered.
    ahead: usize,
    /// The last message, by serial, that is answered.
    answered: u64,
}

impl Window {
    /// Messages that wait for an answer.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes of messages that the receiver has not come to: they were sent after the last
    /// one that it has answered.
    pub(super) fn ahead(&self) -> usize {
        self.ahead
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        let row = self.row.iter().flatten();
        self.aside.values().chain(row).map(|sent| sent.key)
    }

    /// Begins a transaction; gives its number.
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

    /// The transaction that was begun last carries this message of `size` bytes.
    pub(super) fn open(&mut self, key: u64, at: Instant, size: usize) {
        if let Some(last) = self.row.back_mut() {
            *last = Some(Sent { key, at, size });
            self.waiting += 1;
            self.ahead += size;
        }
    }

    /// An answer has come: the key of its message, if there is one that waits.
    pub(super) fn answer(&mut self, number: u32) -> Option<u64> {
        let serial = self.serial(number)?;
        if let Some(key) = self.given_up.remove(&serial) {
            return Some(key);
        }
        self.sent(serial)?;
        self.pass(serial);
        Some(self.take(serial)?.key)
    }

    /// The last transaction that had this number.
    fn serial(&self, asked: u32) -> Option<u64> {
        let last = number(self.begun);
        let ago = match last.checked_sub(asked) {
            Some(ago) => ago,
            None => LAST_TRANSACTION.checked_sub(asked)?.checked_add(last)?,
        };
        let valid = (1..=LAST_TRANSACTION).contains(&asked);
        self.begun.checked_sub(u64::from(ago)).filter(|_| valid)
    }

    /// The serial of the first place in the row.
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

    /// The receiver has come as far as this message.
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

    /// The first message that waits, and its serial.
    fn oldest(&self) -> Option<(u64, Sent)> {
        if let Some((serial, sent)) = self.aside.first_key_value() {
            return Some((*serial, *sent));
        }
        let place = self.row.iter().position(Option::is_some)?;
        let sent = self.row.get(place).copied().flatten()?;
        Some((self.first() + u64::try_from(place).ok()?, sent))
    }

    /// When the first message was sent that waits while a later one is answered.
    pub(super) fn oldest_overtaken(&self) -> Option<Instant> {
        let (serial, sent) = self.oldest()?;
        (serial < self.answered).then_some(sent.at)
    }

    /// Takes the place of such a message away, if it was sent at `before` or earlier.
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

/// The number of a transaction on the wire.
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
