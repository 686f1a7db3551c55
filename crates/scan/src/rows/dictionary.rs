//! Dictionaries: the distinct values of a column and, for each row, which of them it has.

/// The distinct values of a column in order of appearance, and each row's index.
#[derive(Debug)]
pub(crate) struct Dictionary<T> {
    pub(crate) values: Vec<T>,
    pub(crate) indexes: Vec<u32>,
}

impl<T> Default for Dictionary<T> {
    fn default() -> Self {
        Self { values: Vec::new(), indexes: Vec::new() }
    }
}

/// How far a column may look unlike a dictionary before the attempt is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// As long as there are very few values.
    WhileFew,
    /// Until it is clear that most values are new: an index costs up to two bytes, so a dictionary of
    /// every second value still pays. So many values are tried in any case.
    WhilePaying(usize),
    /// To the end.
    Always,
}

/// Distinct values that are always worth a try: their indexes fit a byte.
pub(crate) const FEW: usize = 256;

impl Effort {
    /// Whether to go on after `distinct` values were found in `rows` rows.
    pub(crate) fn goes_on(self, distinct: usize, rows: usize) -> bool {
        match self {
            Self::WhileFew => distinct <= FEW,
            Self::WhilePaying(tried) => distinct <= tried || distinct * 2 <= rows,
            Self::Always => true,
        }
    }
}

/// The dictionary of `values`, or `None` where the effort ended.
pub(crate) fn dictionary<T: Copy + Eq>(values: &[T], word: impl Fn(T) -> u64, effort: Effort) -> Option<Dictionary<T>> {
    let mut dictionary = Dictionary { values: Vec::new(), indexes: Vec::with_capacity(values.len()) };
    let (mut table, mut last) = (Table::new(), None);
    for (at, &value) in values.iter().enumerate() {
        let index = match last {
            Some((v, index)) if v == value => index,
            _ => {
                let known = &mut dictionary.values;
                table.index(word(value), |i| known[i] == value).unwrap_or_else(|slot| {
                    known.push(value);
                    table.insert(slot, known.iter().map(|&v| word(v)))
                })
            }
        };
        last = Some((value, index));
        dictionary.indexes.push(index);
        if !effort.goes_on(dictionary.values.len(), at) {
            return None;
        }
    }
    Some(dictionary)
}

/// An open hash table of indexes, keyed by 64-bit words that the caller makes from its values.
/// Nobody gains from making it slow with chosen values: a row group bounds what it holds.
#[derive(Debug)]
pub(crate) struct Table {
    /// Index + 1, or 0.
    slots: Vec<u32>,
    used: usize,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { slots: vec![0; 1024], used: 0 }
    }

    /// The index of what `word` stands for, or the slot where it belongs.
    #[inline]
    pub(crate) fn index(&self, word: u64, is_it: impl Fn(usize) -> bool) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = home(word, mask);
        loop {
            match self.slots[slot] {
                0 => return Err(slot),
                index if is_it(index as usize - 1) => return Ok(index - 1),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// Puts the next index into `slot`, and makes room when half is full. `words` are those of all indexes.
    pub(crate) fn insert(&mut self, slot: usize, words: impl Iterator<Item = u64>) -> u32 {
        self.used += 1;
        let index = u32::try_from(self.used).unwrap_or(u32::MAX);
        self.slots[slot] = index;
        if self.used * 2 > self.slots.len() {
            let size = self.slots.len() * 4;
            self.slots.clear();
            self.slots.resize(size, 0);
            for (i, word) in (1_u32..).zip(words) {
                let mut slot = home(word, size - 1);
                while self.slots[slot] != 0 {
                    slot = (slot + 1) & (size - 1);
                }
                self.slots[slot] = i;
            }
        }
        index - 1
    }
}

#[inline]
fn home(word: u64, mask: usize) -> usize {
    (word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & mask
}
