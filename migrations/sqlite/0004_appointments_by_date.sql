-- A start asks for everybody's appointments to come, and reads them from this index from end to end, without looking up a row of
-- the table, where those of one day lie scattered. It takes the place of an index by doctor and date: a question for one
-- day's appointments names both.
DROP INDEX appointment_by_day;

CREATE INDEX appointment_by_date
    ON appointment (date, doctor, start_ms, id, status, end_ms, patient, hold_expires_ms, version);
