//! Limits for one batch, all of whose messages are in memory until they are delivered.

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

/// Estimated size in bytes of a batch's messages in one encoding.
///
/// # Errors
/// The batch has too many events or bytes; the text for the log, with the remedy.
pub(super) fn expected_size(events: &[RawEvent<'_>]) -> Result<usize, String> {
    if events.len() > MAX_EVENTS {
        return Err(format!(
            "a batch of {} events, at most {MAX_EVENTS} are accepted: have the client send smaller \
             batches (MaxItems of the subscription)",
            events.len()
        ));
    }
    let size = |raw: &RawEvent<'_>| raw.xml.len().saturating_mul(2).saturating_add(OVERHEAD);
    let size = events.iter().map(size).fold(0, usize::saturating_add);
    check_size(size).map(|()| size)
}

/// Checks the actual size in bytes of a batch's messages.
pub(super) fn check_size(size: usize) -> Result<(), String> {
    if size <= MAX_BYTES {
        return Ok(());
    }
    Err(format!(
        "a batch whose messages have about {} MiB, at most {} MiB are accepted: have the client \
         send smaller batches (MaxItems of the subscription)",
        size >> 20,
        MAX_BYTES >> 20
    ))
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
