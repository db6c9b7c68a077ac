-- Positions of a journal whose shards change owners rise within one owner's tenure: a cursor is the epoch of the record and its position.
-- An embedded journal has positions of its own that rise for ever; there the position alone says where to resume.
ALTER TABLE applied_shard ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
