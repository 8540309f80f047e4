-- The words of the index one by one, without counting who has them: to find those that begin in some way.
CREATE VIRTUAL TABLE entity_term USING fts5vocab (entity_text, instance);
