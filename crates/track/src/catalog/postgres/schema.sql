-- The PostgreSQL catalog of pwalk, version 1. PostgreSQL 12 and later, database encoding UTF8.
--
-- Tables are made here, the views and functions over them in views.sql. Both are run as one transaction where
-- `schema_version` is missing or older, and not before every scan: replacing a view waits for who reads it. What is there
-- already is left as it is; nothing here drops data. A later version appends its own steps at the end, each guarded
-- by schema_version.
--
-- The current state of a root is `entries` amended by `recent`:
--
--   entries   one row for each entry, a partition for each root, divided again by a hash of the directory. It is written when
--             a root is scanned for the first time, and when `recent` is folded into it.
--   recent    what differs from `entries`, tombstones included. Small, so that its pages are few.
--
-- A thousand changed files are a thousand different pages of `entries`, and PostgreSQL writes each page whole to its log when
-- it is first changed after a checkpoint: 8 MB for 150 kB of changes. In `recent` they are neighbours.
--
--   past      what was once, and until which run. A row goes there when another takes its place, so a tree as it was costs what
--             changed since, and in the order of runs, so that its pages are few as well.
--
-- A directory's number is that of its path: what moves gets other numbers, and numbers of paths that are gone stay, since
-- `past` may speak of them, until they are pruned. So rows of `directories` are added and never changed.
--
-- Names are bytes. `shown` is a name's text where its bytes are not valid UTF-8 and so are not text themselves, else null.
-- Times are nanoseconds since 1970 (bigint: 1677 to 2262); the views show them as timestamptz, rounded to microseconds.
-- A root's own row is in its own directory under the empty name, which no entry can have.

do $$
begin
    if current_setting('server_version_num')::int < 120000 then
        raise exception 'pwalk needs PostgreSQL 12 or later; this server is %', current_setting('server_version');
    end if;
    if current_setting('server_encoding') <> 'UTF8' then
        raise exception 'pwalk needs a database with encoding UTF8, and this one has %', current_setting('server_encoding')
            using hint = 'create one: create database pwalk encoding ''UTF8'' template template0';
    end if;
    if not exists (select from pg_extension where extname = 'ltree') then
        if not exists (select from pg_available_extensions where name = 'ltree') then
            raise exception 'PostgreSQL''s extension ltree is not installed on the server'
                using hint = 'it is part of PostgreSQL''s contrib modules, on many systems the package postgresql-contrib';
        end if;
        begin
            create extension ltree;
        exception when insufficient_privilege then
            raise exception 'this user may not create the extension ltree in this database'
                using hint = 'let an administrator run in this database: create extension ltree';
        end;
    end if;
end
$$;

create schema if not exists filesystem;

-- ltree may be in any schema; what follows finds it there. For this transaction only.
select set_config('search_path', 'filesystem, ' || quote_ident(n.nspname) || ', pg_temp', true)
  from pg_extension x join pg_namespace n on n.oid = x.extnamespace where x.extname = 'ltree';

create table if not exists filesystem.schema_version (
    version     integer primary key,
    applied_at  timestamptz not null default now()
);

-- What is scanned. dev and inode tell another file system in its place.
create table if not exists filesystem.roots (
    root_id     integer generated always as identity primary key,
    path        bytea not null unique check (octet_length(path) between 1 and 2048),
    shown       text not null,
    device      bigint,                 -- unsigned 64 bits, reinterpreted
    inode       bigint,
    btime_ns    bigint,
    mount_source bytea,                 -- what is mounted there: server:/export, /dev/sda1
    mount_type  bytea,
    dir_id      bigint,
    -- The last scan that was published. Rows not named in `unseen` were seen in it.
    last_run    bigint
);

-- A run that says RUNNING while nobody holds its root's advisory lock was killed.
create table if not exists filesystem.scan_runs (
    run_id          bigint generated always as identity primary key,
    root_id         integer not null references filesystem.roots,
    started_at      timestamptz not null default now(),
    finished_at     timestamptz,
    verdict         text not null default 'RUNNING'
                    check (verdict in ('RUNNING', 'COMPLETE', 'PARTIAL', 'FAILED')),
    kind            text not null default 'scan' check (kind in ('scan', 'verify')),
    -- The first run of a root: all entries are new. Its changes are not written a second time: they are the rows of
    -- `current_entries` and `past` that it found.
    baseline        boolean not null default false,
    -- The same times, exactly.
    started_ns      bigint,
    finished_ns     bigint,
    entries         bigint not null default 0,
    bytes           bigint not null default 0,
    errors          bigint not null default 0,
    -- Bytes are the sizes of what is no directory: as they are, or as they were if it is gone.
    added           bigint not null default 0,
    added_bytes     bigint not null default 0,
    modified        bigint not null default 0,
    modified_bytes  bigint not null default 0,
    metadata_changed bigint not null default 0,
    metadata_changed_bytes bigint not null default 0,
    removed         bigint not null default 0,
    removed_bytes   bigint not null default 0,
    moved           bigint not null default 0,
    moved_bytes     bigint not null default 0,
    unseen          bigint not null default 0,
    unseen_bytes    bigint not null default 0,
    bitrot          bigint not null default 0,
    bitrot_bytes    bigint not null default 0,
    hashed_files    bigint not null default 0,
    hashed_bytes    bigint not null default 0,
    -- The options that decide which entries there are.
    extent          jsonb not null default '{}',
    metadata        jsonb not null default '{}',
    -- Whether its changes were forgotten.
    pruned          boolean not null default false
);
create index if not exists scan_runs_root on filesystem.scan_runs (root_id, run_id);

-- A client takes 1,000 numbers at once: from nextval to nextval + 999.
create sequence if not exists filesystem.directory_ids increment by 1000;

create table if not exists filesystem.directories (
    dir_id      bigint primary key,
    root_id     integer not null,
    parent_id   bigint,                 -- null for a root
    depth       integer not null,
    name        bytea not null,         -- for a root empty
    shown       text,
    -- The path from `/`, as text; '' for the root `/` itself; null if it has more than 16,384 bytes. A root has one.
    path        text,
    -- Whether all names of the path are valid UTF-8.
    exact       boolean not null,
    -- The directory's number after those of all directories above it.
    lineage     ltree not null
);
-- A B-tree takes 2,704 bytes at most, and a GiST page 8 kB; the lineage of a directory 2,000 levels deep has up to
-- 48 kB. The first 64 levels have at most 1,544, are in order, and leave few directories to look through.
create index if not exists directories_lineage
    on filesystem.directories (root_id, subltree(lineage, 0, least(nlevel(lineage), 64)));

create table if not exists filesystem.entries (
    root_id     integer not null,
    dir_id      bigint not null,
    inode       bigint not null,        -- unsigned 64 bits, reinterpreted
    device      bigint not null,
    size        bigint not null,
    mtime_ns    bigint not null,
    ctime_ns    bigint not null,
    btime_ns    bigint,
    child_id    bigint,                 -- of a directory: its dir_id
    uid         bigint not null,
    gid         bigint not null,
    hashed_at_ns bigint,
    changed_in  bigint not null,        -- the run that found it as it is
    mode        integer not null,
    kind        "char" not null,        -- f d l p s b c, as find's %y has them
    racy        boolean not null,       -- so young when seen that it must be looked at again
    name        bytea not null,
    shown       text,
    fingerprint text,
    primary key (root_id, dir_id, name)
) partition by list (root_id);

create table if not exists filesystem.recent (
    like filesystem.entries,
    gone        boolean not null default false,
    primary key (root_id, dir_id, name)
);

-- Rows that were once, each with the run that found it so (changed_in) and the first that did not any more.
create table if not exists filesystem.past (
    like filesystem.entries,
    to_run      bigint not null
);
create index if not exists past_of_root on filesystem.past (root_id, to_run);

-- What a run could not read.
create table if not exists filesystem.scan_errors (
    run_id      bigint not null,
    path        bytea not null,
    shown       text not null,
    operation   text not null,
    class       text not null,
    errno       integer,
    message     text not null
);
create index if not exists scan_errors_of_run on filesystem.scan_errors (run_id);

-- Directories that the last run could not list, and the run that last could. All directories below them as well.
create table if not exists filesystem.unseen (
    root_id     integer not null,
    dir_id      bigint not null,
    last_seen   bigint,
    primary key (root_id, dir_id)
);

-- Paths are written out: what a change was about must stay as it was when directories move or go.
create table if not exists filesystem.changes (
    run_id          bigint not null,
    seq             bigint not null,
    change_type     text not null,      -- added removed modified metadata moved unseen bitrot
    kind            "char" not null,
    path            text not null,
    path_bytes      bytea,              -- only where the bytes are not valid UTF-8
    old_path        text,
    old_path_bytes  bytea,
    old_size        bigint,
    new_size        bigint,
    old_mtime_ns    bigint,
    new_mtime_ns    bigint,
    old_ctime_ns    bigint,
    new_ctime_ns    bigint,
    old_inode       bigint,
    new_inode       bigint,
    old_uid         bigint,
    new_uid         bigint,
    old_gid         bigint,
    new_gid         bigint,
    old_mode        integer,            -- with the bits that say the type; null where there was nothing
    new_mode        integer,
    old_fingerprint text,
    new_fingerprint text,
    confidence      text not null,
    recorded_at     timestamptz not null default now(),
    primary key (run_id, seq)
);

-- What a rescan found, filled by several connections at once. A crash of the server empties them, so rows are counted
-- before they are used.
create unlogged table if not exists filesystem.staging_files (
    like filesystem.recent,
    run_id      bigint not null
);
create unlogged table if not exists filesystem.staging_changes (
    like filesystem.changes
);
create unlogged table if not exists filesystem.staging_directories (
    run_id      bigint not null,
    dir_id      bigint not null,
    parent_id   bigint,
    depth       integer,
    name        bytea not null,
    shown       text,
    path        text,
    exact       boolean,
    lineage     text                    -- PostgreSQL 12 cannot COPY an ltree in binary
);

insert into filesystem.schema_version (version) values (1) on conflict do nothing;
