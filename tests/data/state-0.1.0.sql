-- The state of version 0.1.0: an anonymous host with two channels, and one whose only bookmark is from event 111.
CREATE TABLE bookmark (
    subscription BLOB NOT NULL,
    authenticated INTEGER NOT NULL,
    identity TEXT NOT NULL,
    machine_id TEXT NOT NULL,
    latest TEXT,
    weak INTEGER NOT NULL DEFAULT 0,
    last_event INTEGER,
    previous TEXT,
    aside TEXT,
    aside_reason TEXT,
    updated INTEGER NOT NULL,
    PRIMARY KEY (subscription, authenticated, identity, machine_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE host (
    authenticated INTEGER NOT NULL,
    identity TEXT NOT NULL,
    machine TEXT NOT NULL,
    last_seen INTEGER NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (authenticated, identity, machine)
) STRICT, WITHOUT ROWID;
CREATE TABLE refusal (facts TEXT NOT NULL) STRICT;
CREATE TABLE relay (
    started INTEGER NOT NULL,
    written INTEGER NOT NULL,
    stopped INTEGER NOT NULL
) STRICT;
INSERT INTO bookmark (subscription, authenticated, identity, machine_id, latest, weak, last_event, updated) VALUES
(x'00000000000000000000000000000001', 0, '', 'old.example',
 '<BookmarkList>
  <Bookmark Channel=''Security'' RecordId=''41'' IsCurrent=''true''/><!-- as it came --><Bookmark RecordId="7" Channel="System"/>
</BookmarkList>', 0, 134164736000000000, 1771000000),
(x'00000000000000000000000000000001', 1, 'acme\host$', 'weak.example',
 '<BookmarkList Direction="backward"><Bookmark Channel="Security" RecordId="60" IsCurrent="true"/></BookmarkList>', 1, NULL, 1771000000);
INSERT INTO host VALUES (0, '', 'old.example', 1771900000,
 '{"machine":"old.example","address":"192.0.2.7","method":"ntlm-anonymous","first_seen":1770000000,"last_seen":1771900000,"subscriptions":[],"reported_until":0}');
INSERT INTO relay VALUES (1771000000, 1772000000, 1);
PRAGMA user_version = 2;
