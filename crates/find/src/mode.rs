//! Permissions as `chmod` writes them: octal, or `u=rw,g+x`.
//!
//! `-perm` applies them to no permissions at all and compares with what comes out. That depends on what they are applied to in
//! one way only: `X` is `x` for a directory.

/// The twelve permission bits.
const ALL: u32 = 0o7777;

/// What a mode comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// For anything but a directory.
    pub file: u32,
    /// For a directory.
    pub directory: u32,
}

impl Mode {
    /// Reads an octal or a symbolic mode.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.first()?.is_ascii_digit() {
            let mode = octal(text)?;
            return Some(Self { file: mode, directory: mode });
        }
        let mut mode = Self { file: 0, directory: 0 };
        for clause in text.split(|b| *b == b',') {
            let clause = Clause::parse(clause)?;
            mode.file = clause.apply(mode.file, false);
            mode.directory = clause.apply(mode.directory, true);
        }
        Some(mode)
    }

    /// The one for a directory, or for anything else.
    pub fn of(self, is_dir: bool) -> u32 {
        if is_dir { self.directory } else { self.file }
    }
}

fn octal(digits: &[u8]) -> Option<u32> {
    let mut value = 0_u32;
    for digit in digits {
        value = value.checked_mul(8)? + char::from(*digit).to_digit(8)?;
    }
    (!digits.is_empty() && value <= ALL).then_some(value)
}

/// Whose permissions, and what is done to them, in order.
struct Clause {
    /// Bits that may change; none: nobody was named, which means all.
    affected: u32,
    steps: Vec<Step>,
}

struct Step {
    operator: u8,
    /// Bits that are named.
    value: u32,
    /// `X`: `x`, if it is a directory or anybody has it.
    execute_if_any: bool,
    /// `g=u`: whose permissions are copied.
    copied: u32,
}

impl Clause {
    fn parse(text: &[u8]) -> Option<Self> {
        let who = text.iter().take_while(|b| b"ugoa".contains(b)).count();
        let affected = text[..who].iter().fold(0, |bits, who| {
            bits | match who {
                b'u' => 0o4700,
                b'g' => 0o2070,
                b'o' => 0o1007,
                _ => ALL,
            }
        });
        let mut rest = &text[who..];
        let mut steps = Vec::new();
        while let [operator @ (b'+' | b'-' | b'='), tail @ ..] = rest {
            let end = tail.iter().position(|b| b"+-=".contains(b)).unwrap_or(tail.len());
            steps.push(Step::parse(*operator, &tail[..end], affected)?);
            rest = &tail[end..];
        }
        (rest.is_empty() && !steps.is_empty()).then_some(Self { affected, steps })
    }

    fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let affected = if self.affected == 0 { ALL } else { self.affected };
        self.steps.iter().fold(mode, |mode, step| {
            let value = step.value(mode, is_dir) & affected;
            match step.operator {
                b'+' => mode | value,
                b'-' => mode & !value,
                _ => mode & !affected | value,
            }
        })
    }
}

impl Step {
    fn parse(operator: u8, letters: &[u8], affected: u32) -> Option<Self> {
        let mut step = Self { operator, value: 0, execute_if_any: false, copied: 0 };
        match letters {
            [b'u'] => step.copied = 0o700,
            [b'g'] => step.copied = 0o070,
            [b'o'] => step.copied = 0o007,
            [first, ..] if first.is_ascii_digit() => {
                if affected != 0 {
                    return None;
                }
                step.value = octal(letters)?;
            }
            _ => {
                for letter in letters {
                    match letter {
                        b'r' => step.value |= 0o444,
                        b'w' => step.value |= 0o222,
                        b'x' => step.value |= 0o111,
                        b's' => step.value |= 0o6000,
                        b't' => step.value |= 0o1000,
                        b'X' => step.execute_if_any = true,
                        _ => return None,
                    }
                }
            }
        }
        Some(step)
    }

    fn value(&self, mode: u32, is_dir: bool) -> u32 {
        let mut value = self.value;
        if self.execute_if_any && (is_dir || mode & 0o111 != 0) {
            value |= 0o111;
        }
        // Each of r, w and x goes to everybody; who is affected is cut out later.
        for bits in [0o444, 0o222, 0o111] {
            if mode & self.copied & bits != 0 {
                value |= bits;
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_chmod_reads_them() {
        let mode = |text: &str| Mode::parse(text.as_bytes()).map(|m| (m.file, m.directory));
        let both = |bits| Some((bits, bits));
        assert_eq!(mode("755"), both(0o755));
        assert_eq!(mode("u=rwx,go=rx"), both(0o755));
        assert_eq!(mode("u+s,+t"), both(0o5000));
        assert_eq!(mode("u=rw,g=u,o=g-w"), both(0o664));
        assert_eq!(mode("a+X"), Some((0, 0o111)));
        assert_eq!(mode("u+x,g+X"), both(0o110));
        assert_eq!(mode("=644"), both(0o644));
        assert_eq!(mode("+"), both(0));
        for bad in ["", "888", "10000", "u", "u=z", "u+x,,g+x", "u=6", ",", "z", "u+x,"] {
            assert_eq!(mode(bad), None, "{bad}");
        }
    }
}
