//! Digest nonces: valid for a limited time, and no request count is accepted twice (RFC
//! 7616 3.3, 5.4, 5.5).

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How long a nonce is valid. Clients retry without asking anyone when it expires, so this
/// costs one round trip.
pub(super) const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// Maximum number of used nonces to remember. Beyond it the oldest is dropped, and its
/// client is asked to use a new one.
const MOST: usize = 20_000;

/// When a nonce was made, in nanoseconds since 1970, and a random salt that makes it
/// unique.
type Stamp = (u64, [u8; 8]);

/// Issues nonces and verifies them.
///
/// A nonce contains its own time and a MAC under a local secret, so that unauthenticated
/// requests for one cost no memory. Only nonces that an account has used are remembered.
#[derive(Default)]
pub(super) struct Nonces {
    /// Drawn with the first nonce; a restart invalidates all earlier ones.
    secret: Option<Zeroizing<[u8; 64]>>,
    /// The highest request count accepted for each nonce in use.
    used: BTreeMap<Stamp, u32>,
    /// Nonces made up to this time that are not in `used` have been dropped and must not be
    /// accepted again.
    given_up: u64,
}

impl Nonces {
    /// Issues a nonce: URL-safe base64 of time, salt, and MAC.
    pub(super) fn issue(&mut self, wall: SystemTime, random: &mut dyn FnMut(&mut [u8])) -> String {
        let secret = self.secret.get_or_insert_with(|| {
            let mut secret = Zeroizing::new([0; 64]);
            random(secret.as_mut_slice());
            secret
        });
        let mut salt = [0; 8];
        random(&mut salt);
        let stamp = (nanoseconds(wall), salt);
        let mac = mac(secret, stamp).finalize().into_bytes();
        let bytes = [&stamp.0.to_be_bytes()[..], &salt, &mac].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Accepts a request count for a nonce. Returns false if the nonce is forged or
    /// expired, or if this count or a later one was accepted before.
    pub(super) fn take(&mut self, nonce: &str, count: u32, wall: SystemTime) -> bool {
        let now = nanoseconds(wall);
        let lifetime = u64::try_from(LIFETIME.as_nanos()).unwrap_or(u64::MAX);
        let Some(stamp) = self.read(nonce) else {
            return false;
        };
        if now.checked_sub(stamp.0).is_none_or(|age| age > lifetime) {
            return false;
        }
        match self.used.get_mut(&stamp) {
            Some(highest) if count <= *highest => return false,
            Some(highest) => *highest = count,
            None if count == 0 || stamp.0 <= self.given_up => return false,
            None => {
                self.used.insert(stamp, count);
            }
        }
        self.forget(now.saturating_sub(lifetime));
        true
    }

    /// Drops nonces made before `oldest`, and the oldest ones beyond the limit.
    fn forget(&mut self, oldest: u64) {
        while let Some(first) = self.used.first_entry() {
            let made = first.key().0;
            let crowded = self.used.len() > MOST;
            if made >= oldest && !crowded {
                return;
            }
            self.used.pop_first();
            self.given_up = self.given_up.max(made);
        }
    }

    /// Verifies the MAC and returns what the nonce contains; `None` if it was not issued
    /// here.
    fn read(&self, nonce: &str) -> Option<Stamp> {
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (time, rest) = bytes.split_first_chunk()?;
        let (salt, tag) = rest.split_first_chunk()?;
        let stamp = (u64::from_be_bytes(*time), *salt);
        mac(self.secret.as_ref()?, stamp).verify_slice(tag).ok()?;
        Some(stamp)
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonces({} used)", self.used.len())
    }
}

fn mac(secret: &[u8; 64], (time, salt): Stamp) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new(&(*secret).into());
    mac.update(&time.to_be_bytes());
    mac.update(&salt);
    mac
}

fn nanoseconds(wall: SystemTime) -> u64 {
    let since = wall.duration_since(SystemTime::UNIX_EPOCH);
    let nanoseconds = since.unwrap_or_default().as_nanos();
    u64::try_from(nanoseconds).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
    }

    /// A different byte with each call.
    fn counter() -> impl FnMut(&mut [u8]) {
        let mut count = 0_u64;
        move |bytes| {
            count += 1;
            let source = count.to_le_bytes();
            bytes
                .iter_mut()
                .zip(source.iter().cycle())
                .for_each(|(b, s)| *b = *s);
        }
    }

    #[test]
    fn a_count_is_taken_once_and_only_upwards() {
        let (mut nonces, mut random) = (Nonces::default(), counter());
        let nonce = nonces.issue(at(0), &mut random);
        assert!(!nonces.take(&nonce, 0, at(0)));
        assert!(nonces.take(&nonce, 1, at(0)));
        assert!(!nonces.take(&nonce, 1, at(1)));
        assert!(nonces.take(&nonce, 7, at(1)));
        assert!(!nonces.take(&nonce, 6, at(1)));
        let other = nonces.issue(at(1), &mut random);
        assert_ne!(nonce, other);
        assert!(nonces.take(&other, 1, at(1)));
    }

    #[test]
    fn a_nonce_ends_with_its_lifetime_and_has_not_begun_before_it_was_made() {
        let (mut nonces, mut random) = (Nonces::default(), counter());
        let nonce = nonces.issue(at(10), &mut random);
        let last = 10 + LIFETIME.as_secs();
        assert!(!nonces.take(&nonce, 1, at(9)));
        assert!(nonces.take(&nonce, 1, at(last)));
        assert!(!nonces.take(&nonce, 2, at(last + 1)));
    }

    #[test]
    fn what_is_none_of_ours_is_not_taken() {
        let (mut nonces, mut random) = (Nonces::default(), counter());
        assert!(!nonces.take("", 1, at(0)), "no secret yet");
        let nonce = nonces.issue(at(0), &mut random);
        let mut other = Nonces::default();
        let foreign = other.issue(at(0), &mut |bytes| bytes.fill(9));
        for wrong in ["", "AAAA", "é", &foreign, &nonce[1..], &format!("{nonce}A")] {
            assert!(!nonces.take(wrong, 1, at(0)), "{wrong}");
        }
        for index in 0..nonce.len() {
            let mut changed = nonce.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(!nonces.take(&changed, 1, at(0)), "{changed}");
        }
        assert!(nonces.take(&nonce, 1, at(0)));
    }

    #[test]
    fn memory_is_bounded_and_what_was_given_up_cannot_be_replayed() {
        let (mut nonces, mut random) = (Nonces::default(), counter());
        let first = nonces.issue(at(0), &mut random);
        let unused = nonces.issue(at(0), &mut random);
        assert!(nonces.take(&first, 1, at(0)));
        for _ in 0..MOST {
            let nonce = nonces.issue(at(1), &mut random);
            assert!(nonces.take(&nonce, 1, at(1)));
        }
        assert_eq!(nonces.used.len(), MOST);
        assert!(!nonces.take(&first, 1, at(1)));
        assert!(!nonces.take(&first, 2, at(1)));
        assert!(!nonces.take(&unused, 1, at(1)), "as old as one given up");
        let fresh = nonces.issue(at(2), &mut random);
        assert!(nonces.take(&fresh, 1, at(2)));
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let (mut nonces, mut random) = (Nonces::default(), counter());
        for second in 0..100 {
            let nonce = nonces.issue(at(second), &mut random);
            assert!(nonces.take(&nonce, 1, at(second)));
        }
        let late = at(50 + LIFETIME.as_secs());
        let nonce = nonces.issue(late, &mut random);
        assert!(nonces.take(&nonce, 1, late));
        assert_eq!(nonces.used.len(), 51);
    }
}
