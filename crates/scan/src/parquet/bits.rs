//! The encodings of Parquet pages, from plain slices into bytes.
//!
//! Written here rather than taken from the `parquet` crate, whose column writers pay for generality with a hash or a
//! branch per value and per column; with 27 columns that alone was the budget of a row. These work on a
//! whole column at a time. The specification is `Encodings.md` of apache/parquet-format; tests read
//! everything back with the `parquet` crate.

/// Appends a ULEB128 number.
pub(super) fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(low_byte(n) | 0x80);
        n >>= 7;
    }
    out.push(low_byte(n));
}

fn zigzag(out: &mut Vec<u8>, n: i64) {
    varint(out, ((n << 1) ^ (n >> 63)).cast_unsigned());
}

#[expect(clippy::cast_possible_truncation, reason = "the low byte is what is asked for")]
#[inline]
fn low_byte(n: u64) -> u8 {
    n as u8
}

/// Bits that `max` needs.
pub(super) fn bit_width(max: u64) -> u8 {
    low_byte(u64::from(u64::BITS - max.leading_zeros()))
}

/// Packs `width`-bit values, the first into the lowest bits, and fills the last byte with zeros.
fn pack(out: &mut Vec<u8>, values: impl Iterator<Item = u64>, width: u8) {
    let (mut bits, mut held) = (0_u128, 0_u32);
    for value in values {
        bits |= u128::from(value) << held;
        held += u32::from(width);
        if held >= 64 {
            #[expect(clippy::cast_possible_truncation, reason = "the low word is taken, the rest stays")]
            out.extend_from_slice(&(bits as u64).to_le_bytes());
            bits >>= 64;
            held -= 64;
        }
    }
    let rest = bits.to_le_bytes();
    out.extend_from_slice(&rest[..held.div_ceil(8) as usize]);
}

/// The RLE and bit-packing hybrid: runs of eight and more as runs, the rest packed in groups of eight.
pub(super) fn hybrid(out: &mut Vec<u8>, values: &[u32], width: u8) {
    let (mut literals, mut at) = (0, 0);
    while at < values.len() {
        let value = values[at];
        let run = values[at..].iter().take_while(|&&v| v == value).count();
        // Only whole groups can be packed before a run, so the run gives up what completes the last.
        let pad = (at - literals).next_multiple_of(8) - (at - literals);
        if run >= pad + 8 {
            pack_groups(out, &values[literals..at + pad], width);
            hybrid_run(out, value, run - pad, width);
            literals = at + run;
        }
        at += run;
    }
    pack_groups(out, &values[literals..], width);
}

fn pack_groups(out: &mut Vec<u8>, values: &[u32], width: u8) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    varint(out, (groups as u64) << 1 | 1);
    let padding = groups * 8 - values.len();
    pack(out, values.iter().map(|&v| u64::from(v)).chain(std::iter::repeat_n(0, padding)), width);
}

/// One run of the hybrid.
pub(super) fn hybrid_run(out: &mut Vec<u8>, value: u32, run: usize, width: u8) {
    varint(out, (run as u64) << 1);
    out.extend_from_slice(&value.to_le_bytes()[..usize::from(width.div_ceil(8))]);
}

/// Values in a block of [`delta_binary_packed`], and in each of its four miniblocks.
const DELTA_BLOCK: usize = 128;
const DELTA_MINI: usize = 32;

/// `DELTA_BINARY_PACKED` of 64-bit values; differences wrap, as the specification has it.
///
/// Each takes whole bytes, although the encoding could pack bits: the codec that follows finds the likely values of a byte, and
/// finds nothing in bits that begin anywhere.
pub(super) fn delta_binary_packed(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = i64>) {
    let count = values.len();
    let mut values = values;
    varint(out, DELTA_BLOCK as u64);
    varint(out, (DELTA_BLOCK / DELTA_MINI) as u64);
    varint(out, count as u64);
    let mut last = values.next().unwrap_or(0);
    zigzag(out, last);
    let mut deltas = [0_i64; DELTA_BLOCK];
    loop {
        let mut n = 0;
        for value in values.by_ref().take(DELTA_BLOCK) {
            deltas[n] = value.wrapping_sub(last);
            last = value;
            n += 1;
        }
        if n == 0 {
            return;
        }
        let min = deltas[..n].iter().copied().min().unwrap_or(0);
        zigzag(out, min);
        let mut packed = [0_u64; DELTA_BLOCK];
        for (p, d) in packed.iter_mut().zip(&deltas[..n]) {
            *p = d.wrapping_sub(min).cast_unsigned();
        }
        let widths = [0, 1, 2, 3]
            .map(|m| bit_width(packed[m * DELTA_MINI..(m + 1) * DELTA_MINI].iter().fold(0, |all, p| all | p)))
            .map(|width| width.next_multiple_of(8));
        out.extend_from_slice(&widths);
        for (mini, width) in packed.chunks(DELTA_MINI).zip(widths) {
            match width {
                0 => {}
                8 => out.extend(mini.iter().map(|&value| low_byte(value))),
                _ => pack(out, mini.iter().copied(), width),
            }
        }
    }
}

/// `BYTE_STREAM_SPLIT`: the first bytes of all values, then the second bytes ….
pub(super) fn byte_stream_split<const N: usize, T: Copy>(
    out: &mut Vec<u8>,
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) {
    let (start, n) = (out.len(), values.len());
    out.resize(start + n * N, 0);
    let mut streams = out[start..].chunks_exact_mut(n.max(1));
    for k in 0..N {
        if let Some(stream) = streams.next() {
            for (to, &value) in stream.iter_mut().zip(values) {
                *to = bytes(value)[k];
            }
        }
    }
}
