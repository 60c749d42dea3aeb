use std::fmt;

/// Where stored rows contradict themselves or each other, first in sequence order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    pub what: String,
    pub seq: u64,
    /// `seq`, `id`, `stub`, `body` or `hash`.
    pub column: &'static str,
    pub expected: String,
    pub found: String,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Contradiction { what, seq, column, expected, found } = self;
        write!(f, "entry {seq}, column {column}: {what}: expected {expected}, found {found}")
    }
}

impl std::error::Error for Contradiction {}

/// A contradiction of the row at hand.
#[derive(Debug)]
pub(super) struct Blame {
    what: String,
    column: &'static str,
    expected: String,
    found: String,
}

pub(super) type Checked<T> = Result<T, Box<Blame>>;

const SHOWN_MAX: usize = 160;

#[cold]
pub(super) fn blame(
    column: &'static str,
    what: impl Into<String>,
    expected: impl ToString,
    found: impl ToString,
) -> Box<Blame> {
    Box::new(Blame {
        what: what.into(),
        column,
        expected: short(expected.to_string()),
        found: short(found.to_string()),
    })
}

fn short(text: String) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl Blame {
    pub fn at(self, seq: u64) -> Contradiction {
        let Blame { what, column, expected, found } = self;
        Contradiction { what, seq, column, expected, found }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
