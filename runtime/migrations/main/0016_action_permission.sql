-- Who may start and who may approve runs of an action, where somebody has said so. By name, and not with the action: one
-- that is removed and made anew is not open to everybody meanwhile, and runs that wait for an approval keep who may give it.
CREATE TABLE action_permission (
  action   TEXT NOT NULL PRIMARY KEY,
  document TEXT NOT NULL                  -- JSON
) STRICT, WITHOUT ROWID;
