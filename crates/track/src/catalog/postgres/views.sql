-- The views and functions of the PostgreSQL catalog. Run after schema.sql in the same transaction, which has set search_path.
--
-- Functions that use ltree's operators keep that search_path, because theirs is the caller's otherwise.

create or replace function filesystem.timestamp_of(ns bigint) returns timestamptz
    language sql immutable strict parallel safe
    as $$ select timestamptz 'epoch' + (ns / 1000) * interval '1 microsecond' $$;

create or replace function filesystem.kind_word(kind "char") returns text
    language sql immutable strict parallel safe
    as $$ select case kind when 'f' then 'file' when 'd' then 'directory' when 'l' then 'symlink' when 'p' then 'fifo'
                           when 's' then 'socket' when 'b' then 'block' when 'c' then 'char' else 'unknown' end $$;

-- The path of a directory in bytes, '' for `/`. It climbs to the nearest directory whose stored path says the bytes.
create or replace function filesystem.path_bytes(directory bigint) returns bytea
    language sql stable strict parallel safe
    as $$
    with recursive up as (
        select d.dir_id, d.parent_id, d.name, d.depth, case when d.exact then d.path end as path
          from filesystem.directories d where d.dir_id = directory
        union all
        select d.dir_id, d.parent_id, d.name, d.depth, case when d.exact then d.path end
          from up join filesystem.directories d on d.dir_id = up.parent_id
         where up.path is null
    )
    select string_agg(case when path is not null then convert_to(path, 'UTF8')
                           -- A root's path is not in UTF-8: its bytes are with the roots.
                           when parent_id is null then (select r.path from filesystem.roots r where r.dir_id = up.dir_id)
                           else '/'::bytea || name end, ''::bytea order by depth)
      from up
    $$;

-- The same as text.
create or replace function filesystem.path_text(directory bigint) returns text
    language sql stable strict parallel safe
    as $$
    with recursive up as (
        select d.parent_id, d.name, d.shown, d.depth, d.path from filesystem.directories d where d.dir_id = directory
        union all
        select d.parent_id, d.name, d.shown, d.depth, d.path
          from up join filesystem.directories d on d.dir_id = up.parent_id
         where up.path is null
    )
    select string_agg(coalesce(path, '/' || coalesce(shown, convert_from(name, 'UTF8'))), '' order by depth) from up
    $$;

-- The current state, bytes and numbers as they are.
create or replace view filesystem.current_entries as
    select root_id, dir_id, name, shown, kind, child_id, inode, device, size, mtime_ns, ctime_ns, btime_ns, mode, uid, gid,
           fingerprint, hashed_at_ns, racy, changed_in
      from filesystem.entries e
     where not exists (select from filesystem.recent r
                        where r.root_id = e.root_id and r.dir_id = e.dir_id and r.name = e.name)
    union all
    select root_id, dir_id, name, shown, kind, child_id, inode, device, size, mtime_ns, ctime_ns, btime_ns, mode, uid, gid,
           fingerprint, hashed_at_ns, racy, changed_in
      from filesystem.recent
     where not gone;

-- The classic columns first.
create or replace view filesystem.files as
    select case when e.name = '' then r.shown
                else coalesce(d.path, filesystem.path_text(d.dir_id)) || '/' || coalesce(e.shown, convert_from(e.name, 'UTF8'))
           end as file_path,
           case when e.name = '' then r.shown else coalesce(e.shown, convert_from(e.name, 'UTF8')) end as file_name,
           filesystem.kind_word(e.kind) as file_type,
           e.size as file_size_bytes,
           filesystem.timestamp_of(e.mtime_ns) as file_mtime,
           e.fingerprint as file_fingerprint,
           coalesce(u.last_seen, r.last_run) as last_seen_scan,
           run.finished_at as last_updated,
           -- Only where the text does not say the bytes.
           case when e.name <> '' and (e.shown is not null or not d.exact)
                then filesystem.path_bytes(d.dir_id) || '/'::bytea || e.name end as path_bytes,
           e.root_id, e.dir_id, e.name, e.child_id, e.inode, e.device, e.mtime_ns, e.ctime_ns, e.btime_ns, e.mode, e.uid, e.gid,
           filesystem.timestamp_of(e.hashed_at_ns) as hashed_at, e.changed_in as last_changed_scan
      from filesystem.current_entries e
      join filesystem.directories d on d.dir_id = e.dir_id
      join filesystem.roots r on r.root_id = e.root_id
      left join filesystem.unseen u on u.root_id = e.root_id and u.dir_id = e.dir_id
      left join filesystem.scan_runs run on run.run_id = e.changed_in;

-- Every version of every entry that is still known, and until which run it was so.
create or replace view filesystem.all_versions as
    select root_id, dir_id, name, shown, kind, child_id, inode, device, size, mtime_ns, ctime_ns, btime_ns, mode, uid, gid,
           fingerprint, hashed_at_ns, racy, changed_in, null::bigint as to_run
      from filesystem.current_entries
    union all
    select root_id, dir_id, name, shown, kind, child_id, inode, device, size, mtime_ns, ctime_ns, btime_ns, mode, uid, gid,
           fingerprint, hashed_at_ns, racy, changed_in, to_run
      from filesystem.past;

-- What a first run added is what it found.
create or replace view filesystem.file_changes as
    select c.run_id as scan_id, c.path as file_path, c.change_type, c.old_size as old_size_bytes, c.new_size as new_size_bytes,
           filesystem.timestamp_of(c.old_mtime_ns) as old_mtime, filesystem.timestamp_of(c.new_mtime_ns) as new_mtime,
           c.recorded_at, c.old_path, c.path_bytes, c.old_path_bytes, filesystem.kind_word(c.kind) as file_type,
           c.old_fingerprint, c.new_fingerprint, c.old_mtime_ns, c.new_mtime_ns, coalesce(c.new_uid, c.old_uid) as uid,
           coalesce(c.new_gid, c.old_gid) as gid, c.confidence, s.root_id
      from filesystem.changes c join filesystem.scan_runs s using (run_id)
    union all
    select s.run_id,
           case when e.name = '' then r.shown
                else coalesce(d.path, filesystem.path_text(d.dir_id)) || '/' || coalesce(e.shown, convert_from(e.name, 'UTF8'))
           end,
           'added', null, e.size, null, filesystem.timestamp_of(e.mtime_ns), s.finished_at, null,
           case when e.name <> '' and (e.shown is not null or not d.exact)
                then filesystem.path_bytes(d.dir_id) || '/'::bytea || e.name end,
           null, filesystem.kind_word(e.kind), null, e.fingerprint, null, e.mtime_ns, e.uid, e.gid, 'certain', s.root_id
      from filesystem.scan_runs s
      join filesystem.all_versions e on e.root_id = s.root_id and e.changed_in = s.run_id
      join filesystem.directories d on d.dir_id = e.dir_id
      join filesystem.roots r on r.root_id = s.root_id
     where s.baseline and not s.pruned;

-- The directory at an absolute path, '/srv/data/a' in bytes, or null. Of several roots above it, the nearest counts.
create or replace function filesystem.directory_at(path bytea) returns bigint
    language plpgsql stable strict parallel safe
    as $$
declare
    root filesystem.roots;
    here bigint;
    rest bytea;
    slash integer;
    part bytea;
begin
    select r.* into root from filesystem.roots r
     where r.last_run is not null
       and (r.path in (directory_at.path, '/'::bytea)
            or substring(directory_at.path for octet_length(r.path) + 1) = r.path || '/'::bytea)
     order by octet_length(r.path) desc limit 1;
    here := root.dir_id;
    rest := substring(directory_at.path from octet_length(root.path) + 1);
    while here is not null and octet_length(rest) > 0 loop
        slash := position('/'::bytea in rest);
        if slash = 0 then
            part := rest;
            rest := '';
        else
            part := substring(rest for slash - 1);
            rest := substring(rest from slash + 1);
        end if;
        if octet_length(part) > 0 then
            select e.child_id into here from filesystem.current_entries e
             where e.root_id = root.root_id and e.dir_id = here and e.name = part;
        end if;
    end loop;
    return here;
end
    $$;

-- The directories below one, itself included. Labels are digits, which sort before '_'.
create or replace function filesystem.directories_below(directory bigint) returns setof filesystem.directories
    language plpgsql stable strict rows 10000 set search_path from current
    as $$
declare
    top filesystem.directories;
    head ltree;
begin
    select * into top from filesystem.directories d where d.dir_id = directory;
    head := subltree(top.lineage, 0, least(nlevel(top.lineage), 64));
    return query select d.* from filesystem.directories d
                  where d.root_id = top.root_id
                    and subltree(d.lineage, 0, least(nlevel(d.lineage), 64)) between head and head || '_'::ltree
                    and d.lineage <@ top.lineage;
end
    $$;

-- The entry at an absolute path and, if that is a directory, all below it.
create or replace function filesystem.subtree(path bytea) returns setof filesystem.files
    language plpgsql stable strict rows 10000
    as $$
declare
    here bigint := filesystem.directory_at(subtree.path);
    top filesystem.directories;
    few bigint[];
    above bigint;
    last bytea;
begin
    if here is not null then
        select d.* into top from filesystem.directories d where d.dir_id = here;
        -- Few directories are looked up one by one. For many all entries are read, which is sooner done.
        select array_agg(b.dir_id) into few
          from (select dir_id from filesystem.directories_below(top.dir_id) limit 10001) b;
        if cardinality(few) <= 10000 then
            return query select f.* from filesystem.files f where f.root_id = top.root_id and f.dir_id = any (few);
        else
            return query select f.* from filesystem.files f
                          where f.root_id = top.root_id
                            and f.dir_id in (select b.dir_id from filesystem.directories_below(top.dir_id) b);
        end if;
        above := top.parent_id;
        last := top.name;
    else
        -- Not a directory: the last component, a name of at most 255 bytes.
        select substring(subtree.path from slash + 1), filesystem.directory_at(substring(subtree.path for slash - 1))
          into last, above
          from generate_series(octet_length(subtree.path), greatest(octet_length(subtree.path) - 256, 1), -1) slash
         where get_byte(subtree.path, slash - 1) = 47 limit 1;
        select d.* into top from filesystem.directories d where d.dir_id = above;
    end if;
    return query select f.* from filesystem.files f
                  where f.root_id = top.root_id and f.dir_id = above and f.name = last;
end
    $$;

create or replace function filesystem.subtree(path text) returns setof filesystem.files
    language sql stable strict
    as $$ select * from filesystem.subtree(convert_to(path, 'UTF8')) $$;

-- Begins a run. The caller holds the root's advisory lock, so a run that is still said to be RUNNING was killed.
create or replace function filesystem.begin_run(root integer, first boolean, note jsonb) returns bigint
    language plpgsql
    as $$
declare
    killed bigint[];
    begun bigint;
begin
    update filesystem.scan_runs set verdict = 'FAILED', finished_at = now() where root_id = root and verdict = 'RUNNING';
    -- A connection of a killed client may have gone on for a while, so rows of those that are long known as FAILED may be there.
    select array_agg(run_id) into killed from filesystem.scan_runs where root_id = root and verdict = 'FAILED';
    if killed is not null then
        delete from filesystem.staging_files where run_id = any (killed);
        delete from filesystem.staging_directories where run_id = any (killed);
        delete from filesystem.staging_changes where run_id = any (killed);
    end if;
    insert into filesystem.scan_runs (root_id, baseline, metadata) values (root, first, note) returning run_id into begun;
    return begun;
end
    $$;

-- A partition for the first load of a root, without indexes and not yet part of `entries`.
create or replace function filesystem.prepare_load(root integer, partitions integer) returns void
    language plpgsql
    as $$
begin
    -- What a killed load left is not part of `entries`. What is part of it is data and stays.
    if exists (select from pg_inherits where inhrelid = to_regclass(format('filesystem.entries_%s', root))
                                         and inhparent = 'filesystem.entries'::regclass) then
        raise exception 'root % was loaded already', root;
    end if;
    if to_regclass(format('filesystem.entries_%s', root)) is not null then
        execute format('drop table filesystem.entries_%s', root);
    end if;
    execute format('create table filesystem.entries_%s (like filesystem.entries including defaults,
                        check (root_id = %s)) partition by hash (dir_id)', root, root);
    execute format('alter table filesystem.entries_%s alter root_id set default %s', root, root);
    for part in 0 .. partitions - 1 loop
        execute format('create table filesystem.entries_%s_%s partition of filesystem.entries_%s
                            for values with (modulus %s, remainder %s) with (fillfactor = 90)',
                       root, part, root, partitions, part);
    end loop;
end
    $$;

-- Makes it part. Its leaves have their primary keys by then, so that nothing is read here.
create or replace function filesystem.publish_load(root integer) returns void
    language plpgsql
    as $$
begin
    execute format('alter table filesystem.entries_%s add primary key (root_id, dir_id, name)', root);
    execute format('alter table filesystem.entries attach partition filesystem.entries_%s for values in (%s)', root, root);
end
    $$;

-- Moves what is recent of a root into its entries. Changes nothing that can be seen. Returns the number of rows.
create or replace function filesystem.fold(root integer) returns bigint
    language plpgsql
    as $$
declare
    folded bigint;
begin
    delete from filesystem.entries e using filesystem.recent r
     where r.root_id = root and r.gone and e.root_id = root and e.dir_id = r.dir_id and e.name = r.name;
    insert into filesystem.entries
        (root_id, dir_id, name, shown, kind, child_id, inode, device, size, mtime_ns, ctime_ns, btime_ns, mode, uid, gid,
         fingerprint, hashed_at_ns, racy, changed_in)
    select root_id, dir_id, name, shown, kind, child_id, inode, device, size, mtime_ns, ctime_ns, btime_ns, mode, uid, gid,
           fingerprint, hashed_at_ns, racy, changed_in
      from filesystem.recent where root_id = root and not gone order by dir_id, name
    on conflict (root_id, dir_id, name) do update set
        shown = excluded.shown, kind = excluded.kind, child_id = excluded.child_id, inode = excluded.inode,
        device = excluded.device, size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,
        btime_ns = excluded.btime_ns, mode = excluded.mode, uid = excluded.uid, gid = excluded.gid,
        fingerprint = excluded.fingerprint, hashed_at_ns = excluded.hashed_at_ns, racy = excluded.racy,
        changed_in = excluded.changed_in;
    delete from filesystem.recent where root_id = root;
    get diagnostics folded = row_count;
    return folded;
end
    $$;

-- What was staged for a run becomes the current state. To be run in the transaction that ends the run.
create or replace function filesystem.publish_changes(run bigint, files bigint, directories bigint, changes bigint) returns void
    language plpgsql set search_path from current
    as $$
declare
    root integer := (select r.root_id from filesystem.scan_runs r where r.run_id = run);
    staged bigint;
begin
    select count(*) into staged from filesystem.staging_files s where s.run_id = run;
    if staged <> files then
        raise exception 'of % staged entries % are there: the server was restarted during the scan', files, staged;
    end if;
    select count(*) into staged from filesystem.staging_directories s where s.run_id = run;
    if staged <> directories then
        raise exception 'of % staged directories % are there: the server was restarted during the scan', directories, staged;
    end if;
    select count(*) into staged from filesystem.staging_changes s where s.run_id = run;
    if staged <> changes then
        raise exception 'of % staged changes % are there: the server was restarted during the scan', changes, staged;
    end if;
    insert into filesystem.directories (dir_id, root_id, parent_id, depth, name, shown, path, exact, lineage)
    select s.dir_id, r.root_id, s.parent_id, s.depth, s.name, s.shown, s.path, s.exact, s.lineage::ltree
      from filesystem.staging_directories s join filesystem.scan_runs r on r.run_id = s.run_id
     where s.run_id = run order by s.dir_id;
    -- What was so until now, before anything takes its place.
    insert into filesystem.past
        (root_id, dir_id, name, shown, kind, child_id, inode, device, size, mtime_ns, ctime_ns, btime_ns, mode, uid, gid,
         fingerprint, hashed_at_ns, racy, changed_in, to_run)
    select r.root_id, r.dir_id, r.name, r.shown, r.kind, r.child_id, r.inode, r.device, r.size, r.mtime_ns, r.ctime_ns, r.btime_ns,
           r.mode, r.uid, r.gid, r.fingerprint, r.hashed_at_ns, r.racy, r.changed_in, run
      from filesystem.staging_files s
      join filesystem.recent r on r.root_id = root and r.dir_id = s.dir_id and r.name = s.name
     where s.run_id = run and not r.gone;
    insert into filesystem.past
        (root_id, dir_id, name, shown, kind, child_id, inode, device, size, mtime_ns, ctime_ns, btime_ns, mode, uid, gid,
         fingerprint, hashed_at_ns, racy, changed_in, to_run)
    select e.root_id, e.dir_id, e.name, e.shown, e.kind, e.child_id, e.inode, e.device, e.size, e.mtime_ns, e.ctime_ns, e.btime_ns,
           e.mode, e.uid, e.gid, e.fingerprint, e.hashed_at_ns, e.racy, e.changed_in, run
      from filesystem.staging_files s
      join filesystem.entries e on e.root_id = root and e.dir_id = s.dir_id and e.name = s.name
     where s.run_id = run
       and not exists (select from filesystem.recent r where r.root_id = root and r.dir_id = s.dir_id and r.name = s.name);
    insert into filesystem.recent
        (root_id, dir_id, name, shown, kind, child_id, inode, device, size, mtime_ns, ctime_ns, btime_ns, mode, uid, gid,
         fingerprint, hashed_at_ns, racy, changed_in, gone)
    select root_id, dir_id, name, shown, kind, child_id, inode, device, size, mtime_ns, ctime_ns, btime_ns, mode, uid, gid,
           fingerprint, hashed_at_ns, racy, changed_in, gone
      from filesystem.staging_files s where s.run_id = run order by dir_id, name
    on conflict (root_id, dir_id, name) do update set
        shown = excluded.shown, kind = excluded.kind, child_id = excluded.child_id, inode = excluded.inode,
        device = excluded.device, size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,
        btime_ns = excluded.btime_ns, mode = excluded.mode, uid = excluded.uid, gid = excluded.gid,
        fingerprint = excluded.fingerprint, hashed_at_ns = excluded.hashed_at_ns, racy = excluded.racy,
        changed_in = excluded.changed_in, gone = excluded.gone;
    insert into filesystem.changes select * from filesystem.staging_changes s where s.run_id = run order by s.seq;
    delete from filesystem.staging_files s where s.run_id = run;
    delete from filesystem.staging_directories s where s.run_id = run;
    delete from filesystem.staging_changes s where s.run_id = run;
end
    $$;

-- Forgets what runs of a root before this one found. How things are, and how they were since, stays known.
create or replace function filesystem.prune(root integer, before bigint) returns void
    language plpgsql
    as $$
begin
    delete from filesystem.past p where p.root_id = root and p.to_run <= before;
    delete from filesystem.changes c using filesystem.scan_runs s
     where s.root_id = root and s.run_id < before and c.run_id = s.run_id;
    -- Those of the last scan say what is not known of the state.
    delete from filesystem.scan_errors e using filesystem.scan_runs s
     where s.root_id = root and s.run_id < before and e.run_id = s.run_id
       and s.run_id <> (select r.last_run from filesystem.roots r where r.root_id = root);
    update filesystem.scan_runs set pruned = true
     where root_id = root and run_id < before and verdict in ('COMPLETE', 'PARTIAL') and not pruned;
    -- Directories that nothing speaks of any more, nor of anything below.
    delete from filesystem.directories d
     where d.root_id = root and d.parent_id is not null
       and d.dir_id not in (
            select unnest(string_to_array(n.lineage::text, '.'))::bigint from filesystem.directories n
             where n.dir_id in (select v.dir_id from filesystem.all_versions v where v.root_id = root
                                union select v.child_id from filesystem.all_versions v
                                       where v.root_id = root and v.child_id is not null));
end
    $$;

-- Notes the directories that a scan could not list, by their numbers, and all below them. To be run in the transaction that ends it,
-- before it is the root's last.
create or replace function filesystem.note_unseen(root integer, directories bigint[]) returns void
    language plpgsql
    as $$
declare
    below bigint[];
begin
    select array_agg(distinct b.dir_id) into below from unnest(directories) top, filesystem.directories_below(top) b;
    delete from filesystem.unseen u
     where u.root_id = root and not exists (select from unnest(below) n where n = u.dir_id);
    insert into filesystem.unseen (root_id, dir_id, last_seen)
    select root, n, r.last_run from unnest(below) n, filesystem.roots r where r.root_id = root
    on conflict do nothing;
end
    $$;
