-- The obvious way to keep a catalog in PostgreSQL, as a baseline for benchmarks: paths as text in one table, the whole scan
-- staged each time, one statement of many CTEs that compares and merges on the server, and last_seen_scan bumped everywhere.
-- It is in no program. It was measured to take 20 s and to write 1,040 MB of WAL for 1,000 changes of a million entries, where
-- the catalog takes 19 to 90 ms and writes 0.6 MB.
--
-- It lives in a schema of its own beside a catalog with one root, whose state it starts from:
--
--   psql -X -A -t -q -d URL -f bench/obvious.sql      prints the time of the merge, and its WAL in bytes for each kind of change
--
-- `cargo xtask bench track` runs it beside the catalog's own. A checkpoint before each makes both pay for whole pages.

\set ON_ERROR_STOP on
set jit = off;
drop schema if exists obvious cascade;
create schema obvious;
set search_path = obvious;

create table files (
    file_path text primary key, file_name text not null, file_type text, file_size_bytes bigint, file_mtime timestamptz,
    file_fingerprint text, last_seen_scan bigint, last_updated timestamptz);
create table file_changes (
    scan_id bigint, file_path text, change_type text, old_size_bytes bigint, new_size_bytes bigint, old_mtime timestamptz,
    new_mtime timestamptz, recorded_at timestamptz default now());
create unlogged table staging_files (
    file_path text, file_name text, file_type text, file_size_bytes bigint, file_mtime timestamptz, file_fingerprint text);

insert into files
select file_path, file_name, file_type, file_size_bytes, file_mtime, file_fingerprint, 1, now() from filesystem.files;
insert into staging_files
select file_path, file_name, file_type, file_size_bytes, file_mtime, file_fingerprint from files;
-- A thousand changes: 800 files grew, 100 are gone, 100 are new.
update staging_files set file_size_bytes = file_size_bytes + 1
 where file_path in (select file_path from files where file_type = 'file' order by hashtext(file_path) limit 800);
delete from staging_files
 where file_path in (select file_path from files where file_type = 'file' order by hashtext(file_path) desc limit 100);
insert into staging_files
select file_path || '.new', file_name || '.new', file_type, file_size_bytes, file_mtime, file_fingerprint
  from files where file_type = 'file' order by hashtext(file_path) offset 5000 limit 100;
vacuum analyze staging_files;
vacuum analyze files;
checkpoint;
select pg_current_wal_lsn() as before \gset

\timing on
with changed as (
    select s.*, f.file_size_bytes as old_size, f.file_mtime as old_mtime
      from staging_files s join files f using (file_path)
     where (s.file_size_bytes, s.file_mtime, s.file_type) is distinct from (f.file_size_bytes, f.file_mtime, f.file_type)
), updated as (
    update files f
       set file_name = s.file_name, file_type = s.file_type, file_size_bytes = s.file_size_bytes, file_mtime = s.file_mtime,
           file_fingerprint = s.file_fingerprint, last_seen_scan = 2,
           last_updated = case when (s.file_size_bytes, s.file_mtime, s.file_type)
                                    is distinct from (f.file_size_bytes, f.file_mtime, f.file_type)
                               then now() else f.last_updated end
      from staging_files s where f.file_path = s.file_path
    returning 1
), inserted as (
    insert into files
    select s.file_path, s.file_name, s.file_type, s.file_size_bytes, s.file_mtime, s.file_fingerprint, 2, now()
      from staging_files s where not exists (select from files f where f.file_path = s.file_path)
    returning file_path, file_size_bytes, file_mtime
), deleted as (
    delete from files f where not exists (select from staging_files s where s.file_path = f.file_path)
    returning file_path, file_size_bytes, file_mtime
)
insert into file_changes (scan_id, file_path, change_type, old_size_bytes, new_size_bytes, old_mtime, new_mtime)
select 2, file_path, 'modified', old_size, file_size_bytes, old_mtime, file_mtime from changed
union all
select 2, file_path, 'added', null, file_size_bytes, null, file_mtime from inserted
union all
select 2, file_path, 'removed', file_size_bytes, null, file_mtime, null from deleted;
\timing off

select pg_current_wal_lsn() - :'before' as wal, change_type, count(*) from file_changes group by 2 order by 2;
drop schema obvious cascade;
