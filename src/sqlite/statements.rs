//! The statements for bookmarks.

pub(super) const SELECT: &str = "
    SELECT latest, weak, last_event, previous, aside, aside_reason, updated FROM bookmark
    WHERE subscription = ?1 AND authenticated = ?2 AND identity = ?3 AND machine_id = ?4";

// A batch that was sent twice must not push the previous bookmark out.
pub(super) const PUT_LATEST: &str = "
    INSERT INTO bookmark
        (subscription, authenticated, identity, machine_id, latest, weak, last_event, updated)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT DO UPDATE SET
        previous = iif(latest IS NULL OR latest = excluded.latest, previous, latest),
        latest = excluded.latest, weak = excluded.weak,
        last_event = excluded.last_event, updated = excluded.updated";

pub(super) const PUT_ASIDE: &str = "
    INSERT INTO bookmark
        (subscription, authenticated, identity, machine_id, aside, aside_reason, updated)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT DO UPDATE SET
        aside = excluded.aside, aside_reason = excluded.aside_reason, updated = excluded.updated";

pub(super) const RENAME: &str = "
    UPDATE OR REPLACE bookmark
    SET subscription = ?5, authenticated = ?6, identity = ?7, machine_id = ?8
    WHERE subscription = ?1 AND authenticated = ?2 AND identity = ?3 AND machine_id = ?4";
