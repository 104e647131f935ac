//! Limits for one batch, all of whose messages are in memory until they are delivered.

use std::fmt;

use crate::protocol::wsman::RawEvent;

/// Maximum number of events in a batch. Windows sends at most 512,000 bytes
/// (`MaxEnvelopeSize`), which 3,500 one-letter events fill.
pub(super) const MAX_EVENTS: usize = 16_384;

/// Maximum size in bytes of a batch's messages in one encoding. Batches from Windows need
/// about 2 MB.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// Size in bytes of a message apart from the event's values, which occur twice: in
/// structured data and in `MSG`. A high estimate, which saves reallocations.
const OVERHEAD: usize = 512;

/// Why a batch is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooLarge {
    /// It has that many events.
    Events(usize),
    /// Its messages have that many bytes.
    Bytes(usize),
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events(count) => write!(
                f,
                "a batch of {count} events, at most {MAX_EVENTS} are accepted"
            ),
            Self::Bytes(size) => write!(
                f,
                "a batch whose messages have about {} MiB, at most {} MiB are accepted",
                size >> 20,
                MAX_BYTES >> 20
            ),
        }?;
        f.write_str(": have the client send smaller batches (MaxItems of the subscription)")
    }
}

/// Estimated size in bytes of a batch's messages in one encoding.
///
/// # Errors
/// The batch has too many events or bytes.
pub(super) fn expected_size(events: &[RawEvent<'_>]) -> Result<usize, TooLarge> {
    if events.len() > MAX_EVENTS {
        return Err(TooLarge::Events(events.len()));
    }
    let size = |raw: &RawEvent<'_>| raw.xml.len().saturating_mul(2).saturating_add(OVERHEAD);
    let size = events.iter().map(size).fold(0, usize::saturating_add);
    check_size(size).map(|()| size)
}

/// Checks the actual size in bytes of a batch's messages.
pub(super) fn check_size(size: usize) -> Result<(), TooLarge> {
    if size > MAX_BYTES {
        return Err(TooLarge::Bytes(size));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(count: usize, length: usize) -> Vec<RawEvent<'static>> {
        let xml = "x".repeat(length).into();
        vec![
            RawEvent {
                xml,
                repaired: false
            };
            count
        ]
    }

    #[test]
    fn events_are_limited_on_both_sides() {
        assert!(expected_size(&events(MAX_EVENTS, 1)).is_ok());
        let refused = expected_size(&events(MAX_EVENTS + 1, 1)).unwrap_err();
        let refused = refused.to_string();
        assert!(
            refused.contains("16385 events") && refused.contains("MaxItems"),
            "{refused}"
        );
    }

    #[test]
    fn bytes_are_limited_on_both_sides() {
        let half = (MAX_BYTES / 64 - OVERHEAD) / 2;
        assert_eq!(expected_size(&events(64, half)), Ok(MAX_BYTES));
        let refused = expected_size(&events(64, half + 1)).unwrap_err();
        let refused = refused.to_string();
        assert!(
            refused.contains("64 MiB") && refused.contains("MaxItems"),
            "{refused}"
        );
    }

    #[test]
    fn a_batch_that_fills_what_windows_sends_is_far_within() {
        let item =
            "<w:Event Action=\"http://schemas.dmtf.org/wbem/wsman/1/wsman/Event\"></w:Event>";
        let most = usize::try_from(crate::protocol::wsman::subscribe::MAX_ENVELOPE_SIZE).unwrap();
        assert!(2 * most / item.len() < MAX_EVENTS);
    }
}
