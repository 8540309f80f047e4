-- Which of the queued runs is carried out next. What is here is worked out from the run's action when it is accepted.
ALTER TABLE run ADD COLUMN plugin TEXT;       -- what carries it out
ALTER TABLE run ADD COLUMN places INTEGER;    -- how many runs of its action are carried out at once; NULL: any number
ALTER TABLE run ADD COLUMN serial INTEGER;    -- 1: no other run works on its entity meanwhile; 0: those that are 0 as well do
ALTER TABLE run ADD COLUMN lane TEXT;         -- the queue that it stands in: that of its plugin, or of its action where that has so many places
ALTER TABLE run ADD COLUMN priority INTEGER;  -- the higher, the sooner
ALTER TABLE run ADD COLUMN team TEXT;         -- whose turn it takes: the first team of whoever asked, or the name where there is none
ALTER TABLE run ADD COLUMN round INTEGER;     -- of the turns of its team, which one; NULL: not queued
ALTER TABLE run ADD COLUMN holds INTEGER;     -- 1: its entity is its own, or none is needed; 0: it waits for its entity; NULL: neither
ALTER TABLE run ADD COLUMN place INTEGER;     -- order among those that wait for the same entity

UPDATE run SET
  plugin = json_extract(definition, '$.invocationMethod.plugin'), serial = 1, priority = 0,
  lane = 'p:' || json_extract(definition, '$.invocationMethod.plugin'),
  team = coalesce('t:' || json_extract(created_by_teams, '$[0]'), 'n:' || created_by)
WHERE ended_at IS NULL;
UPDATE run SET holds = 1 WHERE state IN ('running', 'waiting_for_retry');
UPDATE run AS me SET
  place = sequence, round = 0,
  holds = entity IS NULL OR (
    NOT EXISTS (SELECT 1 FROM run WHERE blueprint IS me.blueprint AND entity = me.entity AND state IN ('running', 'waiting_for_retry'))
    AND NOT EXISTS (SELECT 1 FROM run WHERE blueprint IS me.blueprint AND entity = me.entity AND state = 'queued'
                                        AND sequence < me.sequence))
WHERE state = 'queued';

DROP INDEX run_queued;
CREATE INDEX run_queued ON run (created_by) WHERE state = 'queued';
-- The first of each lane, and the one that has waited there for the longest: whatever stands behind them is not looked at.
CREATE INDEX run_first ON run (lane, priority DESC, round, sequence) WHERE state = 'queued' AND holds = 1;
CREATE INDEX run_oldest ON run (lane, sequence) WHERE state = 'queued' AND holds = 1;
CREATE INDEX run_rounds ON run (lane, priority, team, round) WHERE state = 'queued' AND holds = 1;
CREATE INDEX run_at_work_by_action ON run (action) WHERE state = 'running';
CREATE INDEX run_at_work_by_plugin ON run (plugin) WHERE state = 'running';
CREATE INDEX run_holding ON run (blueprint, entity, serial) WHERE holds = 1 AND entity IS NOT NULL;
CREATE INDEX run_waiting ON run (blueprint, entity, place) WHERE holds = 0 AND entity IS NOT NULL;

-- How far each team has come in a lane. Teams that the others have passed are left out: they begin where those are.
CREATE TABLE turn (
  lane     TEXT    NOT NULL,
  priority INTEGER NOT NULL,
  team     TEXT    NOT NULL,
  round    INTEGER NOT NULL,
  PRIMARY KEY (lane, priority, team)
) STRICT, WITHOUT ROWID;
CREATE INDEX turn_by_round ON turn (lane, priority, round);

-- When each team had its last turn, in any lane.
CREATE TABLE served (
  team  TEXT    NOT NULL PRIMARY KEY,
  token INTEGER NOT NULL                  -- number of the attempt
) STRICT, WITHOUT ROWID;

-- Keys with which somebody asked for a run, so that asking again is not asking for another one.
CREATE TABLE start_key (
  caller     TEXT    NOT NULL,
  action     TEXT    NOT NULL,
  key        TEXT    NOT NULL,
  body       BLOB    NOT NULL,             -- SHA-256 of what was asked for
  run_id     TEXT    NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (caller, action, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX start_key_by_expiry ON start_key (expires_at);
