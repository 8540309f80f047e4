-- Which trace a run belongs to, where traces are collected: whoever carries it out goes on with it, after a restart too.
CREATE TABLE run_trace (
  run_id TEXT NOT NULL PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
  parent TEXT NOT NULL                    -- as in the header `traceparent`
) STRICT, WITHOUT ROWID;

-- What people said of runs that had ended.
CREATE TABLE feedback (
  run_id  TEXT    NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  person  TEXT    NOT NULL,
  score   INTEGER NOT NULL CHECK (score BETWEEN 1 AND 5),
  comment TEXT,
  at      INTEGER NOT NULL,
  PRIMARY KEY (run_id, person)
) STRICT, WITHOUT ROWID;

-- What statistics need of each run that has ended, narrow and in the order in which they read it: to go through a million
-- runs themselves takes seconds.
CREATE TABLE run_figure (
  action   TEXT    NOT NULL,
  ended_at INTEGER NOT NULL,
  sequence INTEGER NOT NULL REFERENCES run (sequence) ON DELETE CASCADE,
  state    TEXT    NOT NULL,
  waited   INTEGER,                       -- milliseconds from its acceptance to its first worker; absent: it had none
  took     INTEGER,                       -- milliseconds from there to its end
  manual   REAL,                          -- minutes that the action says it takes by hand
  score    INTEGER,                       -- sum of the scores that people gave
  scores   INTEGER,                       -- how many did
  PRIMARY KEY (action, ended_at, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_figure_run ON run_figure (sequence);

INSERT INTO run_figure (action, ended_at, sequence, state, waited, took)
SELECT run.action, run.ended_at, run.sequence, run.state,
       max(0, attempt.started_at - run.created_at), max(0, run.ended_at - attempt.started_at)
FROM run LEFT JOIN attempt ON attempt.run_id = run.id AND attempt.number = 1
WHERE run.ended_at IS NOT NULL;

-- A run whose end is replaced has one figure all the same.
CREATE TRIGGER run_ended AFTER UPDATE OF state, ended_at ON run WHEN NEW.ended_at IS NOT NULL
BEGIN
  DELETE FROM run_figure WHERE sequence = NEW.sequence;
  INSERT INTO run_figure (action, ended_at, sequence, state, waited, took, manual, score, scores)
  SELECT NEW.action, NEW.ended_at, NEW.sequence, NEW.state,
         max(0, first.started_at - NEW.created_at), max(0, NEW.ended_at - first.started_at),
         CASE json_type(NEW.definition, '$.engine.manualMinutes')
           WHEN 'integer' THEN CAST(json_extract(NEW.definition, '$.engine.manualMinutes') AS REAL)
           WHEN 'real' THEN json_extract(NEW.definition, '$.engine.manualMinutes')
         END,
         (SELECT sum(score) FROM feedback WHERE run_id = NEW.id),
         (SELECT count(*) FROM feedback WHERE run_id = NEW.id)
  FROM (SELECT 1) LEFT JOIN (SELECT started_at FROM attempt WHERE run_id = NEW.id AND number = 1) AS first;
END;

CREATE TRIGGER feedback_given AFTER INSERT ON feedback
BEGIN
  UPDATE run_figure SET
    score = (SELECT sum(score) FROM feedback WHERE run_id = NEW.run_id),
    scores = (SELECT count(*) FROM feedback WHERE run_id = NEW.run_id)
  WHERE sequence = (SELECT sequence FROM run WHERE id = NEW.run_id);
END;

CREATE TRIGGER feedback_replaced AFTER UPDATE ON feedback
BEGIN
  UPDATE run_figure SET score = (SELECT sum(score) FROM feedback WHERE run_id = NEW.run_id)
  WHERE sequence = (SELECT sequence FROM run WHERE id = NEW.run_id);
END;
