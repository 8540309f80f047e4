-- A walk backwards asks for the edges of one name that end somewhere.
DROP INDEX relation_by_target;
CREATE INDEX relation_by_target ON relation (target_id, name, source_id);
