-- How many runs are queued, of each person and, under the empty name that nobody has, in all: so that a run can be refused
-- where too many wait without counting them.
CREATE TABLE queue_length (
  caller TEXT    NOT NULL PRIMARY KEY,
  runs   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO queue_length VALUES ('', (SELECT count(*) FROM run WHERE state = 'queued'));
INSERT INTO queue_length SELECT created_by, count(*) FROM run WHERE state = 'queued' AND created_by <> '' GROUP BY created_by;

CREATE TRIGGER run_accepted AFTER INSERT ON run WHEN NEW.state = 'queued'
BEGIN
  INSERT INTO queue_length VALUES (NEW.created_by, 1) ON CONFLICT (caller) DO UPDATE SET runs = runs + 1;
  UPDATE queue_length SET runs = runs + 1 WHERE caller = '' AND NEW.created_by <> '';
END;

CREATE TRIGGER run_queued_again AFTER UPDATE OF state ON run WHEN NEW.state = 'queued' AND OLD.state <> 'queued'
BEGIN
  INSERT INTO queue_length VALUES (NEW.created_by, 1) ON CONFLICT (caller) DO UPDATE SET runs = runs + 1;
  UPDATE queue_length SET runs = runs + 1 WHERE caller = '' AND NEW.created_by <> '';
END;

CREATE TRIGGER run_left_queue AFTER UPDATE OF state ON run WHEN OLD.state = 'queued' AND NEW.state <> 'queued'
BEGIN
  UPDATE queue_length SET runs = runs - 1 WHERE caller IN (OLD.created_by, '');
  DELETE FROM queue_length WHERE caller = OLD.created_by AND runs = 0 AND caller <> '';
END;

CREATE TRIGGER run_removed AFTER DELETE ON run WHEN OLD.state = 'queued'
BEGIN
  UPDATE queue_length SET runs = runs - 1 WHERE caller IN (OLD.created_by, '');
  DELETE FROM queue_length WHERE caller = OLD.created_by AND runs = 0 AND caller <> '';
END;
