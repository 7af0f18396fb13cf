-- The hot statements of the log and its deliveries, for SQLite. `sqlite_log.py` says in which order they run.
-- Everything below runs inside one write transaction (SQLite has one writer), or inside one snapshot for reads.

-- name: advance_log
-- The organization's next sequence. occurred_at never goes backwards.
UPDATE logs SET sequence = sequence + 1, occurred_at = max(occurred_at, :now)
WHERE organization_id = :organization_id
RETURNING sequence, occurred_at

-- name: advance_head
-- The next ordinal of one event type; the head is ahead of what workers noticed.
UPDATE heads SET ordinal = ordinal + 1, ahead = 1
WHERE organization_id = :organization_id AND event = :event
RETURNING ordinal

-- name: append
INSERT INTO events (organization_id, sequence, event, ordinal, id, resource_id, occurred_at, body)
VALUES (:organization_id, :sequence, :event, :ordinal, :id, :resource_id, :occurred_at, :body)

-- name: any_ahead
SELECT EXISTS (SELECT 1 FROM heads WHERE ahead = 1) AS found

-- name: anything_to_take
SELECT EXISTS (SELECT 1 FROM heads WHERE ahead = 1) OR EXISTS (SELECT 1 FROM endpoints WHERE due_at <= :now) AS found

-- name: notice
-- Wake the endpoints that have a webhook for what occurred: idle ones become due, no earlier than their breaker or
-- Retry-After allows; leased ones are told to look `again`. Settling reads `again` from the row that it releases.
UPDATE endpoints SET
    due_at = CASE WHEN lease_token IS NULL THEN min(ifnull(due_at, max(:now, not_before)), max(:now, not_before)) ELSE due_at END,
    again = CASE WHEN lease_token IS NULL THEN again ELSE 1 END
WHERE id IN (
    SELECT w.endpoint_id FROM heads AS h
    JOIN webhooks AS w ON w.organization_id = h.organization_id AND w.event = h.event
    WHERE h.ahead = 1 AND w.enabled = 1 AND w.cursor < h.ordinal
)

-- name: noticed
UPDATE heads SET ahead = 0 WHERE ahead = 1

-- name: due_endpoints
-- Longest due first. A lease that ran out is due at its end. Failing endpoints have a limit of their own, so that many of
-- them never keep a healthy one waiting.
SELECT id, organization_id, lease_token IS NOT NULL AS abandoned, uncertain, consecutive_failures, failing_resources,
       failing_since, opened_at, probes, probed_sequence, not_before, "window", rate_at,
       EXISTS (SELECT 1 FROM retries AS r WHERE r.endpoint_id = endpoints.id AND r.state IN ('retrying', 'held')) AS has_retries
FROM endpoints WHERE due_at <= :now AND (consecutive_failures > 0) = :failing ORDER BY due_at LIMIT :limit

-- name: take
UPDATE endpoints SET lease_owner = :owner, lease_token = :token, due_at = :until, again = 0, uncertain = 0
WHERE id IN (SELECT value FROM json_each(:ids))

-- name: live_subscriptions
-- The columns are the members of records.Subscription.
SELECT w.id AS webhook_id, '' AS replay_id, w.organization_id, w.endpoint_id, w.event, w.payload_url AS url, w.revision,
       w.epoch, w.cursor,
       NULL AS last_ordinal, 0 AS only_failed, w.max_in_flight, w.rate_per_second, w.signature, w.headers, w.secret,
       w.previous_secret, w.previous_secret_until
FROM webhooks AS w
WHERE w.endpoint_id IN (SELECT value FROM json_each(:endpoint_ids)) AND w.enabled = 1
UNION ALL
SELECT w.id, p.id, w.organization_id, w.endpoint_id, p.event, w.payload_url, w.revision + p.revision,
       w.epoch + p.revision, p.cursor,
       p.last_ordinal, p.only_failed, w.max_in_flight, w.rate_per_second, w.signature, w.headers, w.secret,
       w.previous_secret, w.previous_secret_until
FROM replays AS p JOIN webhooks AS w ON w.id = p.webhook_id
WHERE p.endpoint_id IN (SELECT value FROM json_each(:endpoint_ids)) AND p.state = 'running' AND w.enabled = 1
  AND w.endpoint_id = p.endpoint_id

-- name: revisions
SELECT w.endpoint_id, w.id, '' AS replay_id, w.revision FROM webhooks AS w
WHERE w.endpoint_id IN (SELECT value FROM json_each(:endpoint_ids)) AND w.enabled = 1
UNION ALL
SELECT p.endpoint_id, w.id, p.id, w.revision + p.revision FROM replays AS p JOIN webhooks AS w ON w.id = p.webhook_id
WHERE p.endpoint_id IN (SELECT value FROM json_each(:endpoint_ids)) AND p.state = 'running' AND w.enabled = 1
  AND w.endpoint_id = p.endpoint_id

-- name: settled_beyond
-- Ordinals beyond the cursor that are delivered or parked already: the last holder could not move the cursor over them.
SELECT e.ordinal FROM attempts AS a
JOIN events AS e ON e.organization_id = :organization_id AND e.sequence = a.sequence
WHERE a.webhook_id = :webhook_id AND a.replay_id = :replay_id AND a.delivered = 1 AND e.event = :event AND e.ordinal > :cursor
  AND a.sequence > ifnull((SELECT sequence FROM events WHERE organization_id = :organization_id AND event = :event AND ordinal = :cursor), 0)
UNION
SELECT r.ordinal FROM retries AS r
JOIN events AS e ON e.organization_id = :organization_id AND e.sequence = r.sequence
WHERE r.webhook_id = :webhook_id AND r.replay_id = :replay_id AND e.event = :event AND r.ordinal > :cursor

-- name: stretch
SELECT sequence, event, ordinal, id, resource_id, occurred_at, body, erased_at FROM events
WHERE organization_id = :organization_id AND event = :event AND ordinal > :after
ORDER BY ordinal LIMIT :limit

-- name: failed_stretch
-- As `stretch`, of the events that were given up for one webhook, and not delivered by a replay since.
SELECT e.sequence, e.event, e.ordinal, e.id, e.resource_id, e.occurred_at, e.body, e.erased_at FROM events AS e
WHERE e.organization_id = :organization_id AND e.event = :event AND e.ordinal > :after
  AND EXISTS (SELECT 1 FROM retries AS r
              WHERE r.webhook_id = :failed_of AND r.sequence = e.sequence AND r.replay_id = '' AND r.state = 'failed')
  AND NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.webhook_id = :failed_of AND a.sequence = e.sequence AND a.delivered = 1)
ORDER BY e.ordinal LIMIT :limit

-- name: due_retries
SELECT r.webhook_id, r.replay_id, r.attempts, e.organization_id, e.sequence, e.event, e.ordinal, e.id, e.resource_id,
       e.occurred_at, e.body, e.erased_at
FROM retries AS r JOIN events AS e ON e.organization_id = r.organization_id AND e.sequence = r.sequence
WHERE r.endpoint_id = :endpoint_id AND r.state = 'retrying' AND r.next_attempt_at <= :now
ORDER BY r.next_attempt_at, r.sequence LIMIT :limit

-- name: probe_candidates
-- While the breaker is open: what heads the queue of each resource, the next in turn after the last probe first.
SELECT r.webhook_id, r.replay_id, r.attempts, e.organization_id, e.sequence, e.event, e.ordinal, e.id, e.resource_id,
       e.occurred_at, e.body, e.erased_at
FROM retries AS r JOIN events AS e ON e.organization_id = r.organization_id AND e.sequence = r.sequence
WHERE r.endpoint_id = :endpoint_id AND r.state = 'retrying'
ORDER BY r.sequence <= :after, r.sequence LIMIT :limit

-- name: blocked
SELECT DISTINCT replay_id, resource_id FROM retries
WHERE endpoint_id = :endpoint_id AND state IN ('retrying', 'held') AND resource_id IN (SELECT value FROM json_each(:resources))

-- name: held
-- The endpoints whose leases are still what the holder believes. `tokens`: {endpoint_id: token}.
SELECT e.id FROM json_each(:tokens) AS h JOIN endpoints AS e ON e.id = h.key WHERE e.lease_token = h.value

-- name: record_attempts
-- Always, whoever holds the lease: the POST happened. The places are the members of records.AttemptRecord, repeated for
-- as many as there are.
INSERT INTO attempts (webhook_id, sequence, ordinal, replay_id, delivered, started_at, outcome, status, reason, address,
                      resolve_us, connect_us, tls_us, first_byte_us, total_us, response_body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: move_cursors
-- `moves`: lists of webhook, epoch, endpoint, cursor.
UPDATE webhooks SET cursor = max(webhooks.cursor, m.cursor)
FROM (SELECT json_extract(value, '$[0]') AS webhook_id, json_extract(value, '$[1]') AS epoch,
             json_extract(value, '$[2]') AS endpoint_id, json_extract(value, '$[3]') AS cursor FROM json_each(:moves)) AS m
WHERE webhooks.id = m.webhook_id AND webhooks.epoch = m.epoch AND webhooks.endpoint_id = m.endpoint_id
RETURNING id

-- name: make_uncertain
-- A cursor was not moved over what was delivered, because its webhook was changed: whoever leases next must ask.
UPDATE endpoints SET uncertain = 1 WHERE id = :endpoint_id

-- name: move_replay
-- A replay's revision counts with its webhook's epoch, so that a change of either drops what an older one produced.
UPDATE replays SET cursor = max(cursor, :cursor), updated_at = :now
WHERE id = :replay_id AND state = 'running'
  AND revision + (SELECT w.epoch FROM webhooks AS w WHERE w.id = webhook_id) = :epoch

-- name: end_replays
-- A replay is done when its cursor is at the end of its range and none of its deliveries waits any more.
UPDATE replays SET state = 'done', updated_at = :now
WHERE endpoint_id = :endpoint_id AND state = 'running' AND cursor >= last_ordinal
  AND NOT EXISTS (SELECT 1 FROM retries AS r WHERE r.webhook_id = replays.webhook_id AND r.replay_id = replays.id
                  AND r.state IN ('retrying', 'held', 'paused'))

-- name: park
-- Only for a webhook that is still here, at this endpoint, in the epoch that was leased; of a replay, only while it runs.
-- What is dropped here is still ahead of the cursor, or parked already.
INSERT INTO retries (webhook_id, sequence, replay_id, organization_id, endpoint_id, ordinal, resource_id, state, attempts,
                     next_attempt_at, reason, created_at)
SELECT :webhook_id, :sequence, :replay_id, :organization_id, :endpoint_id, :ordinal, :resource_id, :state, :attempts,
       :next_attempt_at, :reason, :now
WHERE EXISTS (
    SELECT 1 FROM webhooks AS w WHERE w.id = :webhook_id AND w.endpoint_id = :endpoint_id
      AND :epoch = w.epoch + CASE WHEN :replay_id = '' THEN 0 ELSE
          (SELECT p.revision FROM replays AS p WHERE p.id = :replay_id AND p.state = 'running') END)
ON CONFLICT (webhook_id, sequence, replay_id) DO UPDATE SET
    state = excluded.state, attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at, reason = excluded.reason

-- name: unpark
DELETE FROM retries WHERE webhook_id = :webhook_id AND replay_id = :replay_id AND sequence = :sequence

-- name: promote
-- The first delivery of a resource in a series at an endpoint is never `held`: there is nothing before it to wait for.
UPDATE retries SET state = 'retrying', next_attempt_at = :now
WHERE endpoint_id = :endpoint_id AND resource_id = :resource_id AND replay_id = :replay_id AND state = 'held'
  AND (sequence, webhook_id) = (
      SELECT f.sequence, f.webhook_id FROM retries AS f
      WHERE f.endpoint_id = :endpoint_id AND f.resource_id = :resource_id AND f.replay_id = :replay_id
        AND f.state IN ('retrying', 'held')
      ORDER BY f.sequence, f.webhook_id LIMIT 1)

-- name: still_blocked
SELECT 1 FROM retries
WHERE endpoint_id = :endpoint_id AND resource_id = :resource_id AND replay_id = :replay_id
  AND state IN ('retrying', 'held') LIMIT 1

-- name: write_health
UPDATE endpoints SET consecutive_failures = :consecutive_failures, failing_resources = :failing_resources,
    failing_since = :failing_since, opened_at = :opened_at, probes = :probes, probed_sequence = :probed_sequence,
    not_before = :not_before, "window" = :window, rate_at = :rate_at
WHERE id = :endpoint_id

-- name: pause_parked
UPDATE retries SET state = 'paused' WHERE endpoint_id = :endpoint_id AND state IN ('retrying', 'held')

-- name: disable
UPDATE webhooks SET enabled = 0, disabled_reason = :reason, revision = revision + 1, epoch = epoch + 1,
    updated_at = :now
WHERE endpoint_id = :endpoint_id AND enabled = 1
RETURNING id, organization_id

-- name: record_disabled
INSERT INTO audit (organization_id, at, actor, action, subject, details)
VALUES (:organization_id, :now, :actor, :action, :subject, :details)

-- name: notice_disabled
-- For its admins, by mail; one webhook of the endpoint stands for all.
INSERT INTO notices (kind, organization_id, subject_id, details, created_at)
VALUES ('webhookDisabled', :organization_id, :webhook_id, :details, :now)

-- name: release
-- Due again: at once if something came meanwhile, else with the next retry or when the holder said; never earlier than
-- the breaker or Retry-After allows. `again` is read from the very row that is released, so no wake-up is lost.
-- `releases`: lists of endpoint, when it is due, whether it is uncertain.
UPDATE endpoints SET lease_owner = NULL, lease_token = NULL, again = 0, uncertain = max(endpoints.uncertain, r.uncertain),
    due_at = CASE
        WHEN NOT EXISTS (SELECT 1 FROM webhooks AS w WHERE w.endpoint_id = endpoints.id AND w.enabled = 1) THEN NULL
        WHEN again = 1 THEN max(:now, not_before)
        ELSE nullif(min(
            ifnull(max(r.due_at, not_before), 9223372036854775807),
            ifnull((SELECT max(min(t.next_attempt_at), endpoints.not_before) FROM retries AS t
                    WHERE t.endpoint_id = endpoints.id AND t.state = 'retrying'), 9223372036854775807)
        ), 9223372036854775807) END
FROM (SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS due_at,
             json_extract(value, '$[2]') AS uncertain FROM json_each(:releases)) AS r
WHERE endpoints.id = r.id

-- name: renew
UPDATE endpoints SET due_at = :until WHERE id = :endpoint_id AND lease_token = :token

-- name: end_leases
-- Of a local process that is dead. lease_token stays: whoever takes over must ask what was delivered.
UPDATE endpoints SET due_at = :now WHERE lease_owner = :owner AND lease_token IS NOT NULL

-- name: next_due_at
SELECT min(due_at) AS due_at FROM endpoints WHERE due_at IS NOT NULL

-- name: last_of_page
SELECT max(id) AS last FROM (SELECT id FROM attempts WHERE id > :after ORDER BY id LIMIT :limit)

-- name: remove_attempts
-- Those whose event is gone (a ping's, a removed webhook's).
DELETE FROM attempts WHERE id > :after AND id <= :last AND started_at < :before AND NOT EXISTS (
    SELECT 1 FROM webhooks AS w JOIN logs AS l ON l.organization_id = w.organization_id
    WHERE w.id = attempts.webhook_id AND attempts.sequence >= l.oldest_sequence)

-- name: any_younger
SELECT 1 FROM attempts WHERE id > :after AND id <= :last AND started_at >= :before LIMIT 1

-- name: journal_mode
PRAGMA journal_mode

-- name: synchronous
PRAGMA synchronous

-- name: drop_index
DROP INDEX IF EXISTS {name}
