//! A column that rarely changes: owners, devices, link counts.

/// The values of a column by where they change, so that a column of one value takes neither memory nor time.
#[derive(Debug)]
pub(crate) struct Steady<T> {
    /// The first row of each stretch, and its value.
    changes: Vec<(u32, T)>,
}

impl<T> Default for Steady<T> {
    fn default() -> Self {
        Self { changes: Vec::new() }
    }
}

impl<T: Copy + PartialEq> Steady<T> {
    /// Appends the value of `row`.
    #[inline]
    pub(crate) fn push(&mut self, row: u32, value: T) {
        if self.changes.last().is_none_or(|(_, last)| *last != value) {
            self.changes.push((row, value));
        }
    }

    /// The value of all rows, if they have the same.
    pub(crate) fn constant(&self) -> Option<T> {
        if let [(_, value)] = self.changes[..] { Some(value) } else { None }
    }

    /// The values of `rows` rows.
    pub(crate) fn expand(&self, rows: usize) -> Vec<T> {
        let mut values = Vec::with_capacity(rows);
        for (i, &(_, value)) in self.changes.iter().enumerate() {
            let end = self.changes.get(i + 1).map_or(rows, |next| next.0 as usize);
            values.resize(end, value);
        }
        values
    }

    pub(crate) fn clear(&mut self) {
        self.changes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_in_comes_out() {
        let mut column = Steady::default();
        assert_eq!((column.constant(), column.expand(0)), (None, vec![]));
        column.push(0, 7);
        column.push(1, 7);
        assert_eq!((column.constant(), column.expand(2)), (Some(7), vec![7, 7]));
        column.push(2, 8);
        column.push(3, 7);
        assert_eq!((column.constant(), column.expand(5)), (None, vec![7, 7, 8, 7, 7]));
    }
}
