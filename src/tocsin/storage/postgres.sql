-- The hot statements of the log and its deliveries, for PostgreSQL. `postgres_log.py` says in which order they run.
-- Locks are taken in one order: heads, webhooks, endpoints, each by id; what notices heads skips those that are locked,
-- because whoever holds one marks it ahead again.

-- name: append
-- One event at the end of its organization's log: the next sequence, the next ordinal of its type. Both rows stay locked
-- until the commit, which is what makes the order of commits the order of sequences.
WITH log AS (
    UPDATE logs SET sequence = sequence + 1, occurred_at = greatest(occurred_at, :now::bigint)
    WHERE organization_id = :organization_id RETURNING sequence, occurred_at
), head AS (
    UPDATE heads SET ordinal = ordinal + 1, ahead = true
    WHERE organization_id = :organization_id AND event = :event AND EXISTS (SELECT 1 FROM log) RETURNING ordinal
)
INSERT INTO events (organization_id, sequence, event, ordinal, id, resource_id, occurred_at, body)
SELECT :organization_id, log.sequence, :event, head.ordinal, :id::text, :resource_id::text, log.occurred_at, :body::bytea
FROM log, head

-- name: anything_to_take
SELECT EXISTS (SELECT 1 FROM heads WHERE ahead) AS ahead, EXISTS (SELECT 1 FROM endpoints WHERE due_at <= :now::bigint) AS due

-- name: notice
-- Wake the endpoints that have a webhook for what occurred. Idle ones are leased at once, as far as there is room: being
-- due first would cost one more version of the row. Others become due, no earlier than their breaker or Retry-After
-- allows; leased ones are told to look `again`. Settling reads `again` from the row that it releases.
-- The first row tells how many heads were noticed, and how many endpoints have to do with them.
WITH noticed AS (
    UPDATE heads SET ahead = false
    WHERE (organization_id, event) IN (
        SELECT organization_id, event FROM heads WHERE ahead ORDER BY organization_id, event
        LIMIT :heads::int FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING organization_id, event, ordinal
), found AS (
    SELECT DISTINCT w.endpoint_id FROM noticed AS n CROSS JOIN LATERAL (
        SELECT endpoint_id FROM webhooks
        WHERE organization_id = n.organization_id AND event = n.event AND enabled AND cursor < n.ordinal OFFSET 0) AS w
), locked AS MATERIALIZED (
    SELECT id, lease_token IS NULL AND due_at IS NULL AND NOT uncertain AND consecutive_failures = 0
        AND not_before <= :now::bigint AS idle
    FROM endpoints WHERE id IN (SELECT endpoint_id FROM found) ORDER BY id FOR NO KEY UPDATE
), chosen AS MATERIALIZED (
    SELECT id, idle AND row_number() OVER (PARTITION BY idle ORDER BY id) <= :room::int AS is_taken FROM locked
), woken AS (
    UPDATE endpoints AS e SET
        lease_owner = CASE WHEN c.is_taken THEN :owner::text ELSE e.lease_owner END,
        lease_token = CASE WHEN c.is_taken THEN :token::text ELSE e.lease_token END,
        due_at = CASE
            WHEN c.is_taken THEN :until::bigint
            WHEN e.lease_token IS NOT NULL THEN e.due_at
            ELSE least(coalesce(e.due_at, greatest(:now::bigint, e.not_before)), greatest(:now::bigint, e.not_before)) END,
        again = e.lease_token IS NOT NULL
    FROM chosen AS c WHERE e.id = c.id
    RETURNING e.id, c.is_taken, e.organization_id, false AS is_uncertain, e.consecutive_failures,
        e.failing_resources, e.failing_since, e.opened_at, e.probes, e.probed_sequence, e.not_before, e."window", e.rate_at
)
SELECT counted.*, woken.*, EXISTS (SELECT 1 FROM retries AS r
                                   WHERE r.endpoint_id = woken.id AND r.state IN ('retrying', 'held')) AS has_retries
FROM (SELECT (SELECT count(*) FROM noticed) AS heads, (SELECT count(*) FROM locked) AS endpoints) AS counted
LEFT JOIN woken ON woken.is_taken

-- name: lease
-- Longest due first. A lease that ran out is due at its end. Failing endpoints have a limit of their own, so that many of
-- them never keep a healthy one waiting. What is returned is what was there before.
WITH healthy AS MATERIALIZED (
    SELECT id FROM endpoints WHERE due_at <= :now::bigint AND consecutive_failures = 0
    ORDER BY due_at LIMIT :limit::int FOR NO KEY UPDATE SKIP LOCKED
), failing AS MATERIALIZED (
    SELECT id FROM endpoints WHERE due_at <= :now::bigint AND consecutive_failures > 0
    ORDER BY due_at LIMIT :failing_limit::int FOR NO KEY UPDATE SKIP LOCKED
), due AS MATERIALIZED (
    SELECT e.id, e.lease_token IS NOT NULL OR e.uncertain AS uncertain FROM endpoints AS e
    WHERE e.id IN (SELECT id FROM healthy UNION ALL SELECT id FROM failing)
), taken AS (
    UPDATE endpoints AS e SET lease_owner = :owner::text, lease_token = :token::text, due_at = :until::bigint,
        again = false, uncertain = false
    FROM due WHERE e.id = due.id
    RETURNING e.id, e.organization_id, due.uncertain AS is_uncertain, e.consecutive_failures, e.failing_resources,
        e.failing_since, e.opened_at, e.probes, e.probed_sequence, e.not_before, e."window", e.rate_at
)
SELECT taken.*, EXISTS (SELECT 1 FROM retries AS r
                        WHERE r.endpoint_id = taken.id AND r.state IN ('retrying', 'held')) AS has_retries
FROM taken

-- name: live_subscriptions
-- The columns are the members of records.Subscription.
SELECT w.id AS webhook_id, '' AS replay_id, w.organization_id, w.endpoint_id, w.event, w.payload_url AS url, w.revision,
       w.epoch, w.cursor, NULL::bigint AS last_ordinal, false AS only_failed, w.max_in_flight, w.rate_per_second, w.signature,
       w.headers, w.secret, w.previous_secret, w.previous_secret_until
FROM webhooks AS w
WHERE w.endpoint_id = ANY(:endpoint_ids::text[]) AND w.enabled
UNION ALL
SELECT w.id, p.id, w.organization_id, w.endpoint_id, p.event, w.payload_url, w.revision + p.revision,
       w.epoch + p.revision, p.cursor, p.last_ordinal, p.only_failed, w.max_in_flight, w.rate_per_second, w.signature,
       w.headers, w.secret, w.previous_secret, w.previous_secret_until
FROM replays AS p JOIN webhooks AS w ON w.id = p.webhook_id
WHERE p.endpoint_id = ANY(:endpoint_ids::text[]) AND p.state = 'running' AND w.enabled AND w.endpoint_id = p.endpoint_id

-- name: revisions
SELECT w.endpoint_id, w.id, '' AS replay_id, w.revision FROM webhooks AS w
WHERE w.endpoint_id = ANY(:endpoint_ids::text[]) AND w.enabled
UNION ALL
SELECT p.endpoint_id, w.id, p.id, w.revision + p.revision FROM replays AS p JOIN webhooks AS w ON w.id = p.webhook_id
WHERE p.endpoint_id = ANY(:endpoint_ids::text[]) AND p.state = 'running' AND w.enabled AND w.endpoint_id = p.endpoint_id

-- name: settled_beyond
-- Ordinals beyond the cursor that are delivered or parked already: the last holder could not move the cursor over them.
SELECT e.ordinal FROM attempts AS a
JOIN events AS e ON e.organization_id = :organization_id AND e.sequence = a.sequence
WHERE a.webhook_id = :webhook_id AND a.replay_id = :replay_id AND a.delivered AND e.event = :event AND e.ordinal > :cursor::bigint
  AND a.sequence > coalesce((SELECT sequence FROM events
      WHERE organization_id = :organization_id AND event = :event AND ordinal = :cursor::bigint), 0)
UNION
SELECT r.ordinal FROM retries AS r
JOIN events AS e ON e.organization_id = :organization_id AND e.sequence = r.sequence
WHERE r.webhook_id = :webhook_id AND r.replay_id = :replay_id AND e.event = :event AND r.ordinal > :cursor::bigint

-- name: stretches
-- Each stretch is one probe of the index of (organization, event, ordinal): LATERAL, or the planner scans the log.
SELECT s.number, e.sequence, e.event, e.ordinal, e.id, e.resource_id, e.occurred_at, e.body, e.erased_at
FROM unnest(:numbers::int[], :organizations::text[], :events::text[], :after::bigint[], :limits::int[])
    AS s(number, organization_id, event, after, wanted)
CROSS JOIN LATERAL (
    SELECT * FROM events AS e WHERE e.organization_id = s.organization_id AND e.event = s.event AND e.ordinal > s.after
    ORDER BY e.ordinal LIMIT s.wanted) AS e
ORDER BY s.number, e.ordinal

-- name: failed_stretch
-- As a stretch, of the events that were given up for one webhook, and not delivered by a replay since.
SELECT e.sequence, e.event, e.ordinal, e.id, e.resource_id, e.occurred_at, e.body, e.erased_at FROM events AS e
WHERE e.organization_id = :organization_id AND e.event = :event AND e.ordinal > :after::bigint
  AND EXISTS (SELECT 1 FROM retries AS r
              WHERE r.webhook_id = :failed_of AND r.sequence = e.sequence AND r.replay_id = '' AND r.state = 'failed')
  AND NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.webhook_id = :failed_of AND a.sequence = e.sequence AND a.delivered)
ORDER BY e.ordinal LIMIT :limit::int

-- name: due_retries
SELECT r.webhook_id, r.replay_id, r.attempts, e.organization_id, e.sequence, e.event, e.ordinal, e.id, e.resource_id,
       e.occurred_at, e.body, e.erased_at
FROM retries AS r JOIN events AS e ON e.organization_id = r.organization_id AND e.sequence = r.sequence
WHERE r.endpoint_id = :endpoint_id AND r.state = 'retrying' AND r.next_attempt_at <= :now::bigint
ORDER BY r.next_attempt_at, r.sequence LIMIT :limit::int

-- name: probe_candidates
-- While the breaker is open: what heads the queue of each resource, the next in turn after the last probe first.
SELECT r.webhook_id, r.replay_id, r.attempts, e.organization_id, e.sequence, e.event, e.ordinal, e.id, e.resource_id,
       e.occurred_at, e.body, e.erased_at
FROM retries AS r JOIN events AS e ON e.organization_id = r.organization_id AND e.sequence = r.sequence
WHERE r.endpoint_id = :endpoint_id AND r.state = 'retrying'
ORDER BY r.sequence <= :after::bigint, r.sequence LIMIT :limit::int

-- name: blocked
SELECT DISTINCT replay_id, resource_id FROM retries
WHERE endpoint_id = :endpoint_id AND state IN ('retrying', 'held') AND resource_id = ANY(:resources::text[])

-- name: lock_webhooks
-- Before the endpoints, as their owners lock them.
SELECT id FROM webhooks WHERE id = ANY(:ids::text[]) ORDER BY id FOR NO KEY UPDATE

-- name: lock_held
-- The endpoints whose leases are still what the holder believes. Here and below, `= ANY` says what the join says, too: it
-- makes the planner use the index, where it would rather read the whole table for a few hundred rows.
SELECT e.id FROM endpoints AS e JOIN unnest(:ids::text[], :tokens::text[]) AS h(id, token) ON h.id = e.id
WHERE e.id = ANY(:ids::text[]) AND e.lease_token = h.token ORDER BY e.id FOR NO KEY UPDATE OF e

-- name: move_cursors
UPDATE webhooks AS w SET cursor = greatest(w.cursor, m.cursor)
FROM unnest(:webhook_ids::text[], :epochs::int[], :endpoint_ids::text[], :cursors::bigint[])
    AS m(webhook_id, epoch, endpoint_id, cursor)
WHERE w.id = ANY(:webhook_ids::text[]) AND w.id = m.webhook_id AND w.epoch = m.epoch AND w.endpoint_id = m.endpoint_id
RETURNING w.id

-- name: make_uncertain
-- A cursor was not moved over what was delivered, because its webhook was changed: whoever leases next must ask.
UPDATE endpoints SET uncertain = true WHERE id = :endpoint_id

-- name: move_replay
-- A replay's revision counts with its webhook's epoch, so that a change of either drops what an older one produced.
UPDATE replays SET cursor = greatest(cursor, :cursor::bigint), updated_at = :now::bigint
WHERE id = :replay_id AND state = 'running'
  AND revision + (SELECT w.epoch FROM webhooks AS w WHERE w.id = webhook_id) = :epoch::int
RETURNING id

-- name: end_replays
-- A replay is done when its cursor is at the end of its range and none of its deliveries waits any more.
UPDATE replays SET state = 'done', updated_at = :now::bigint
WHERE endpoint_id = :endpoint_id AND state = 'running' AND cursor >= last_ordinal
  AND NOT EXISTS (SELECT 1 FROM retries AS r WHERE r.webhook_id = replays.webhook_id AND r.replay_id = replays.id
                  AND r.state IN ('retrying', 'held', 'paused'))

-- name: park
-- Only for a webhook that is still here, at this endpoint, in the epoch that was leased; of a replay, only while it runs.
-- What is dropped here is still ahead of the cursor, or parked already.
INSERT INTO retries (webhook_id, sequence, replay_id, organization_id, endpoint_id, ordinal, resource_id, state, attempts,
                     next_attempt_at, reason, created_at)
SELECT :webhook_id::text, :sequence::bigint, :replay_id::text, :organization_id::text, :endpoint_id::text, :ordinal::bigint,
       :resource_id::text, :state::text, :attempts::int, :next_attempt_at::bigint, :reason::text, :now::bigint
WHERE EXISTS (
    SELECT 1 FROM webhooks AS w WHERE w.id = :webhook_id::text AND w.endpoint_id = :endpoint_id::text
      AND :epoch::int = w.epoch + CASE WHEN :replay_id::text = '' THEN 0 ELSE
          (SELECT p.revision FROM replays AS p WHERE p.id = :replay_id::text AND p.state = 'running') END)
ON CONFLICT (webhook_id, sequence, replay_id) DO UPDATE SET
    state = excluded.state, attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at, reason = excluded.reason

-- name: unpark
DELETE FROM retries WHERE webhook_id = :webhook_id AND replay_id = :replay_id AND sequence = :sequence::bigint

-- name: promote
-- The first delivery of a resource in a series at an endpoint is never `held`: there is nothing before it to wait for.
UPDATE retries SET state = 'retrying', next_attempt_at = :now::bigint
WHERE endpoint_id = :endpoint_id AND resource_id = :resource_id AND replay_id = :replay_id AND state = 'held'
  AND (sequence, webhook_id) = (
      SELECT f.sequence, f.webhook_id FROM retries AS f
      WHERE f.endpoint_id = :endpoint_id AND f.resource_id = :resource_id AND f.replay_id = :replay_id
        AND f.state IN ('retrying', 'held')
      ORDER BY f.sequence, f.webhook_id LIMIT 1)

-- name: still_blocked
SELECT 1 AS found FROM retries
WHERE endpoint_id = :endpoint_id AND resource_id = :resource_id AND replay_id = :replay_id
  AND state IN ('retrying', 'held') LIMIT 1

-- name: write_health
UPDATE endpoints AS e SET consecutive_failures = h.consecutive_failures, failing_resources = h.failing_resources,
    failing_since = h.failing_since, opened_at = h.opened_at, probes = h.probes, probed_sequence = h.probed_sequence,
    not_before = h.not_before, "window" = h."window", rate_at = h.rate_at
FROM unnest(:ids::text[], :consecutive_failures::int[], :failing_resources::text[], :failing_since::bigint[],
            :opened_at::bigint[], :probes::int[], :probed_sequence::bigint[], :not_before::bigint[], :window::int[],
            :rate_at::bigint[])
    AS h(id, consecutive_failures, failing_resources, failing_since, opened_at, probes, probed_sequence, not_before,
         "window", rate_at)
WHERE e.id = ANY(:ids::text[]) AND e.id = h.id

-- name: pause_parked
UPDATE retries SET state = 'paused' WHERE endpoint_id = :endpoint_id AND state IN ('retrying', 'held')

-- name: disable
UPDATE webhooks SET enabled = false, disabled_reason = :reason::text, revision = revision + 1, epoch = epoch + 1,
    updated_at = :now::bigint
WHERE endpoint_id = :endpoint_id AND enabled
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
-- the breaker or Retry-After allows. `again` is read from the very row that is released, so no wake-up is lost. Health is
-- written with it where the holder changed it: a lease costs two versions of its row, not three.
UPDATE endpoints AS e SET lease_owner = NULL, lease_token = NULL, again = false, uncertain = e.uncertain OR r.uncertain,
    due_at = CASE
        WHEN (SELECT true FROM webhooks AS w WHERE w.endpoint_id = e.id AND w.enabled LIMIT 1) IS NULL THEN NULL
        WHEN e.again THEN greatest(:now::bigint, CASE WHEN r.changed THEN r.not_before ELSE e.not_before END)
        ELSE (SELECT greatest(min(due.at), CASE WHEN r.changed THEN r.not_before ELSE e.not_before END)
              FROM (SELECT r.due_at AS at UNION ALL
                    (SELECT t.next_attempt_at FROM retries AS t WHERE t.endpoint_id = e.id AND t.state = 'retrying'
                     ORDER BY t.next_attempt_at LIMIT 1)) AS due
              HAVING min(due.at) IS NOT NULL) END,
    consecutive_failures = CASE WHEN r.changed THEN r.consecutive_failures ELSE e.consecutive_failures END,
    failing_resources = CASE WHEN r.changed THEN r.failing_resources ELSE e.failing_resources END,
    failing_since = CASE WHEN r.changed THEN r.failing_since ELSE e.failing_since END,
    opened_at = CASE WHEN r.changed THEN r.opened_at ELSE e.opened_at END,
    probes = CASE WHEN r.changed THEN r.probes ELSE e.probes END,
    probed_sequence = CASE WHEN r.changed THEN r.probed_sequence ELSE e.probed_sequence END,
    not_before = CASE WHEN r.changed THEN r.not_before ELSE e.not_before END,
    "window" = CASE WHEN r.changed THEN r."window" ELSE e."window" END,
    rate_at = CASE WHEN r.changed THEN r.rate_at ELSE e.rate_at END
FROM unnest(:ids::text[], :due::bigint[], :uncertain::boolean[], :changed::boolean[], :consecutive_failures::int[],
            :failing_resources::text[], :failing_since::bigint[], :opened_at::bigint[], :probes::int[],
            :probed_sequence::bigint[], :not_before::bigint[], :window::int[], :rate_at::bigint[])
    AS r(id, due_at, uncertain, changed, consecutive_failures, failing_resources, failing_since, opened_at, probes,
         probed_sequence, not_before, "window", rate_at)
WHERE e.id = ANY(:ids::text[]) AND e.id = r.id

-- name: renew
UPDATE endpoints AS e SET due_at = :until::bigint
FROM (SELECT e.id FROM endpoints AS e JOIN unnest(:ids::text[], :tokens::text[]) AS h(id, token) ON h.id = e.id
      WHERE e.id = ANY(:ids::text[]) AND e.lease_token = h.token ORDER BY e.id FOR NO KEY UPDATE OF e) AS held
WHERE e.id = held.id
RETURNING e.id

-- name: end_leases
-- Of a local process that is dead. lease_token stays: whoever takes over must ask what was delivered.
UPDATE endpoints SET due_at = :now::bigint WHERE lease_owner = :owner AND lease_token IS NOT NULL

-- name: next_due_at
SELECT min(due_at) AS due_at FROM endpoints WHERE due_at IS NOT NULL

-- name: partitions
-- Of attempts, one for each day; postgres_partitions.py names them.
SELECT c.relname AS name FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'attempts'::regclass

-- name: lock_partitions
-- One at a time; and who waits longer than a second for a table's lock gives up, because others would wait behind it.
SELECT set_config('lock_timeout', '1s', true), pg_advisory_xact_lock(hashtext('tocsin attempts'))

-- name: make_partition
CREATE TABLE {name} (LIKE attempts INCLUDING DEFAULTS INCLUDING INDEXES)

-- name: attach_partition
ALTER TABLE attempts ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})

-- name: drop_partition
DROP TABLE {name}

-- name: oldest_event
-- Of every log. An attempt is never older than its event.
SELECT min(e.occurred_at) AS occurred_at FROM logs AS l
JOIN events AS e ON e.organization_id = l.organization_id AND e.sequence = l.oldest_sequence

-- name: clock
-- Microseconds since 1970, as they pass also inside of a transaction.
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint

-- name: examine
-- What durability rests on, as this role's sessions have it. Standbys are those that are connected now.
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS version_num,
       current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('synchronous_standby_names') AS standby_names, pg_is_in_recovery() AS is_standby,
       (SELECT count(*) FROM pg_stat_replication) AS standbys,
       current_setting('max_connections')::int - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
           AS connections_left

-- name: valid_indexes
SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indisvalid AND relnamespace = current_schema()::regnamespace

-- name: try_to_build
SELECT pg_try_advisory_lock(:key)

-- name: stop_building
SELECT pg_advisory_unlock(:key)

-- name: drop_index
DROP INDEX CONCURRENTLY IF EXISTS {name}
