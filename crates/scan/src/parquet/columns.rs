//! From the rows of a row group to its columns: which encoding each gets.
//!
//! Chosen by measurement (see `examples/encode.rs`) for size first and then for time, among what `DuckDB`,
//! pyarrow, polars and pandas can read:
//!
//! * a dictionary for numbers and names that repeat here and there (tried, and given up early where they do not);
//! * nothing at all for numbers that come in long runs of many values, as times set by one command: zstd makes
//!   less of them than of an encoding of them;
//! * `BYTE_STREAM_SPLIT` for numbers that do not repeat, sizes and times: whole seconds as nanoseconds are multiples
//!   of 512, so one and a half of their eight bytes vanish, and the random bytes are kept from the others;
//! * `DELTA_BINARY_PACKED` for inodes, which rise by small steps;
//! * prefix encoding for paths.

use parquet::basic::Encoding;
use parquet::errors::Result;
use parquet::file::statistics::Statistics;
use pwalk_fs::Kind;

use super::bits;
use super::group::{Column, Levels, RowGroup};
use crate::rows::dictionary::{Dictionary, Effort, FEW, Table, dictionary};
use crate::rows::steady::Steady;
use crate::rows::{Rows, Strings, word};
use pwalk_fs::Accounts;

/// Encodes all columns, in the order of the schema.
pub(super) fn write(rows: &Rows, accounts: &Accounts, group: &mut RowGroup<'_>) -> Result<()> {
    group.push(path(rows))?;
    group.push(names(&rows.names))?;
    group.push(dictionary_text(Levels::Required, &rows.extensions, &rows.extension))?;
    group.push(kind(&rows.kind))?;
    group.push(inode(&rows.ino))?;
    group.push(int64(Levels::Required, &rows.by_run(|run| run.parent_ino), Order::Unsigned))?;
    group.push(int32(&rows.by_run(|run| run.depth.cast_unsigned()), Order::Signed))?;
    group.push(int32(&rows.mode, Order::Unsigned))?;
    let (uids, gids) = (owners(rows, &rows.uid), owners(rows, &rows.gid));
    group.push(int32_dictionary(&uids, Order::Unsigned))?;
    group.push(int32_dictionary(&gids, Order::Unsigned))?;
    account(group, &uids, |uid| accounts.user(uid))?;
    account(group, &gids, |gid| accounts.group(gid))?;
    group.push(int64(Levels::Required, &rows.size, Order::Signed))?;
    group.push(int64(Levels::Required, &rows.blocks, Order::Signed))?;
    group.push(match constant(rows, &rows.nlink) {
        Some(found) => int32_dictionary(&found, Order::Unsigned),
        None => int32(&rows.nlink.expand(rows.len()), Order::Unsigned),
    })?;
    for numbers in [&rows.dev, &rows.rdev] {
        group.push(match constant(rows, numbers) {
            Some(found) => int64_dictionary(Levels::Required, &found, Order::Unsigned),
            None => int64(Levels::Required, &numbers.expand(rows.len()), Order::Unsigned),
        })?;
    }
    for times in [&rows.atime, &rows.mtime, &rows.ctime] {
        group.push(int64(Levels::Required, times, Order::Signed))?;
    }
    let levels = sparse(&rows.no_btime, rows.len(), 0);
    group.push(int64(present(&levels, rows.btime.len(), rows.len()), &rows.btime, Order::Signed))?;
    let levels = sparse(&rows.dir_rows, rows.len(), 1);
    let orders = [Order::Signed, Order::Unsigned, Order::Signed, Order::Unsigned, Order::Signed];
    for (values, order) in rows.dir_columns.iter().zip(orders) {
        group.push(int64(present(&levels, values.len(), rows.len()), values, order))?;
    }
    let levels = sparse(&rows.raw_rows, rows.len(), 1);
    group.push(text(present(&levels, rows.raw_paths.len(), rows.len()), &rows.raw_paths))
}

/// How the bits of a number are compared, for the statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Signed,
    Unsigned,
}

/// Definition levels of a column in which some rows differ from the others: `level` for those.
fn sparse(some: &[u32], rows: usize, level: u32) -> Vec<u8> {
    if some.is_empty() || some.len() == rows {
        return Vec::new();
    }
    let mut levels = vec![1 - level; rows];
    for &row in some {
        levels[row as usize] = level;
    }
    let mut out = Vec::new();
    bits::hybrid(&mut out, &levels, 1);
    out
}

fn present(levels: &[u8], values: usize, rows: usize) -> Levels<'_> {
    match values {
        0 => Levels::None,
        n if n == rows => Levels::All,
        _ => Levels::Some(levels),
    }
}

/// `DELTA_BYTE_ARRAY` with the directory as the shared part: within a run the suffixes are the names.
fn path(rows: &Rows) -> Column<'static> {
    let (mut shared, mut lengths) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    let mut suffixes = Vec::with_capacity(rows.names.bytes().len() + rows.prefixes.bytes().len() / 4);
    let mut last = Vec::new();
    for (i, run) in rows.runs.iter().enumerate() {
        let end = rows.runs.get(i + 1).map_or(rows.len(), |next| next.first);
        let prefix = rows.prefixes.get(i);
        let common = prefix.iter().zip(&last).take_while(|(a, b)| a == b).count();
        for row in run.first..end {
            let name = rows.names.get(row);
            let from = if row == run.first { common } else { prefix.len() };
            let before = suffixes.len();
            suffixes.extend_from_slice(&prefix[from..]);
            suffixes.extend_from_slice(name);
            shared.push(from);
            lengths.push(suffixes.len() - before);
        }
        last.clear();
        last.extend_from_slice(prefix);
    }
    let mut values = Vec::with_capacity(suffixes.len() + 4 * rows.len());
    delta_lengths(&mut values, &shared);
    delta_lengths(&mut values, &lengths);
    values.append(&mut suffixes);
    Column {
        levels: Levels::Required,
        encoding: Encoding::DELTA_BYTE_ARRAY,
        values,
        dictionary: None,
        statistics: None,
    }
}

fn delta_lengths(out: &mut Vec<u8>, lengths: &[usize]) {
    bits::delta_binary_packed(out, lengths.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)));
}

/// `DELTA_LENGTH_BYTE_ARRAY`: all lengths, then all bytes.
fn text<'a>(levels: Levels<'a>, strings: &Strings) -> Column<'a> {
    let mut values = Vec::with_capacity(strings.bytes().len() + 2 * strings.len());
    delta_lengths(&mut values, &strings.iter().map(<[u8]>::len).collect::<Vec<_>>());
    values.extend_from_slice(strings.bytes());
    Column { levels, encoding: Encoding::DELTA_LENGTH_BYTE_ARRAY, values, dictionary: None, statistics: None }
}

/// Names that are tried: a directory tree shows its habits only after hundreds of directories.
const NAMES_TRIED: usize = 8192;

/// Names repeat where many directories were filled by the same program. Their dictionary is sorted, because
/// neighbours that are alike compress better.
fn names(names: &Strings) -> Column<'static> {
    let (mut known, mut table) = (Strings::default(), Table::new());
    let mut indexes = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        indexes.push(table.index(word(name), |i| known.get(i) == name).unwrap_or_else(|slot| {
            known.push(name);
            table.insert(slot, known.iter().map(word))
        }));
        if !Effort::WhilePaying(NAMES_TRIED).goes_on(known.len(), at) {
            return text(Levels::Required, names);
        }
    }
    let mut order: Vec<usize> = (0..known.len()).collect();
    order.sort_unstable_by_key(|&i| known.get(i));
    let (mut sorted, mut rank) = (Strings::default(), vec![0; known.len()]);
    for (to, from) in (0_u32..).zip(order) {
        sorted.push(known.get(from));
        rank[from] = to;
    }
    indexes.iter_mut().for_each(|index| *index = rank[*index as usize]);
    dictionary_text(Levels::Required, &sorted, &indexes)
}

fn dictionary_text<'a>(levels: Levels<'a>, values: &Strings, indexes: &[u32]) -> Column<'a> {
    let mut plain = Vec::new();
    for value in values.iter() {
        plain.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
        plain.extend_from_slice(value);
    }
    with_dictionary(levels, (plain, values.len()), indexes, None)
}

/// A column whose rows are indexes into a dictionary page.
fn with_dictionary<'a>(
    levels: Levels<'a>,
    dictionary: (Vec<u8>, usize),
    indexes: &[u32],
    statistics: Option<Statistics>,
) -> Column<'a> {
    let width = bits::bit_width((dictionary.1 as u64).saturating_sub(1));
    let mut values = vec![width];
    if width == 0 && !indexes.is_empty() {
        bits::hybrid_run(&mut values, 0, indexes.len(), 0);
    } else {
        bits::hybrid(&mut values, indexes, width);
    }
    let encoding = Encoding::RLE_DICTIONARY;
    Column { levels, encoding, values, dictionary: Some(dictionary), statistics }
}

fn kind(kinds: &[Kind]) -> Column<'static> {
    let found = dictionary(kinds, |kind| kind as u64, Effort::Always).unwrap_or_default();
    let mut names = Strings::default();
    found.values.iter().for_each(|kind| names.push(kind.name().as_bytes()));
    dictionary_text(Levels::Required, &names, &found.indexes)
}

fn inode(values: &[u64]) -> Column<'static> {
    let mut encoded = Vec::new();
    bits::delta_binary_packed(&mut encoded, values.iter().map(|v| v.cast_signed()));
    Column {
        levels: Levels::Required,
        encoding: Encoding::DELTA_BINARY_PACKED,
        values: encoded,
        dictionary: None,
        statistics: statistics64(values, Order::Unsigned),
    }
}

/// How hard to try a dictionary: values in long runs compress best as they are, unless they are very few.
fn effort<T: Copy + Eq>(values: &[T]) -> Effort {
    let changes = values.iter().zip(values.iter().skip(1)).filter(|(a, b)| a != b).count();
    if changes * 8 < values.len() { Effort::WhileFew } else { Effort::WhilePaying(FEW) }
}

/// The dictionary of a steady column that has one value.
fn constant<T: Copy + PartialEq>(rows: &Rows, column: &Steady<T>) -> Option<Dictionary<T>> {
    column.constant().map(|value| Dictionary { values: vec![value], indexes: vec![0; rows.len()] })
}

fn int64<'a>(levels: Levels<'a>, values: &[u64], order: Order) -> Column<'a> {
    let effort = effort(values);
    if let Some(found) = dictionary(values, |v| v, effort) {
        return int64_dictionary(levels, &found, order);
    }
    let statistics = statistics64(values, order);
    let mut encoded = Vec::with_capacity(values.len() * 8);
    let encoding = if effort == Effort::WhileFew {
        values.iter().for_each(|v| encoded.extend_from_slice(&v.to_le_bytes()));
        Encoding::PLAIN
    } else {
        bits::byte_stream_split(&mut encoded, values, u64::to_le_bytes);
        Encoding::BYTE_STREAM_SPLIT
    };
    Column { levels, encoding, values: encoded, dictionary: None, statistics }
}

fn int64_dictionary<'a>(levels: Levels<'a>, found: &Dictionary<u64>, order: Order) -> Column<'a> {
    let plain = found.values.iter().flat_map(|v| v.to_le_bytes()).collect();
    with_dictionary(levels, (plain, found.values.len()), &found.indexes, statistics64(&found.values, order))
}

fn int32(values: &[u32], order: Order) -> Column<'static> {
    if let Some(found) = dictionary(values, u64::from, Effort::WhilePaying(FEW)) {
        return int32_dictionary(&found, order);
    }
    let mut split = Vec::new();
    bits::byte_stream_split(&mut split, values, u32::to_le_bytes);
    let statistics = statistics32(values, order);
    let levels = Levels::Required;
    Column { levels, encoding: Encoding::BYTE_STREAM_SPLIT, values: split, dictionary: None, statistics }
}

fn int32_dictionary(found: &Dictionary<u32>, order: Order) -> Column<'static> {
    let plain = found.values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let statistics = statistics32(&found.values, order);
    with_dictionary(Levels::Required, (plain, found.values.len()), &found.indexes, statistics)
}

fn owners(rows: &Rows, ids: &Steady<u32>) -> Dictionary<u32> {
    let all = || dictionary(&ids.expand(rows.len()), u64::from, Effort::Always);
    constant(rows, ids).or_else(all).unwrap_or_default()
}

/// The names of owners. Several numbers may have one name, and some have none.
fn account(group: &mut RowGroup<'_>, ids: &Dictionary<u32>, name: impl Fn(u32) -> Option<String>) -> Result<()> {
    let (mut names, mut table) = (Strings::default(), Table::new());
    let of_id: Vec<Option<u32>> = ids
        .values
        .iter()
        .map(|&id| {
            let name = name(id)?;
            let name = name.as_bytes();
            Some(table.index(word(name), |i| names.get(i) == name).unwrap_or_else(|slot| {
                names.push(name);
                table.insert(slot, names.iter().map(word))
            }))
        })
        .collect();
    let of_row = ids.indexes.iter().map(|&index| of_id[index as usize]);
    let indexes: Vec<u32> = of_row.clone().flatten().collect();
    let rows = ids.indexes.len();
    let mut levels = Vec::new();
    if !indexes.is_empty() && indexes.len() < rows {
        bits::hybrid(&mut levels, &of_row.map(|name| u32::from(name.is_some())).collect::<Vec<_>>(), 1);
    }
    group.push(dictionary_text(present(&levels, indexes.len(), rows), &names, &indexes))
}

fn statistics64(values: &[u64], order: Order) -> Option<Statistics> {
    let (min, max) = match order {
        Order::Unsigned => (*values.iter().min()?, *values.iter().max()?),
        Order::Signed => {
            let signed = || values.iter().map(|v| v.cast_signed());
            (signed().min()?.cast_unsigned(), signed().max()?.cast_unsigned())
        }
    };
    Some(Statistics::int64(Some(min.cast_signed()), Some(max.cast_signed()), None, None, false))
}

fn statistics32(values: &[u32], order: Order) -> Option<Statistics> {
    let (min, max) = match order {
        Order::Unsigned => (values.iter().min()?.cast_signed(), values.iter().max()?.cast_signed()),
        Order::Signed => {
            let signed = || values.iter().map(|v| v.cast_signed());
            (signed().min()?, signed().max()?)
        }
    };
    Some(Statistics::int32(Some(min), Some(max), None, None, false))
}
