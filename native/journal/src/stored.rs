use json::{Reader, Token, Value};
use merkle::{Hash, Tree};

use crate::entry::BodyTree;
use crate::fault::Fault;
use crate::kind::Kind;

/// A part as it is stored. `value` is its JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Shown { path: String, value: String },
    Destroyed,
}

impl Part {
    pub fn starts_with(&self, prefix: &str) -> bool {
        matches!(self, Part::Shown { path, .. } if path.starts_with(prefix))
    }
}

/// An entry read back.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub seq: u64,
    pub at: u64,
    /// `None`: one that this release does not know.
    pub kind: Option<Kind>,
    pub kind_name: String,
    pub parts: Vec<Part>,
}

impl Stored {
    /// Check that the body is the one that the stub commits to.
    pub fn parse(seq: u64, stub: &[u8], body: &[u8]) -> Result<Stored, Fault> {
        let fault = |message: &str| Fault::contradiction(seq, message);
        let mut stored = Stored { seq, at: 0, kind: None, kind_name: String::new(), parts: Vec::new() };
        let Ok(Value::Object(members)) = Value::parse(stub) else { return Err(fault("the stub is not a JSON object")) };
        let mut root = None;
        for (key, value) in members {
            match (key.as_ref(), value) {
                ("seq", Value::Integer(found)) if u64::try_from(found) != Ok(seq) => {
                    return Err(fault("the stub names another seq"));
                }
                ("at", Value::Integer(at)) => stored.at = at.unsigned_abs(),
                ("kind", Value::String(kind)) => {
                    stored.kind = Kind::parse(&kind);
                    stored.kind_name = kind.into_owned();
                }
                ("body", Value::String(hex)) => {
                    root = Some(unhex(&hex).ok_or_else(|| fault("the stub's body is no hash"))?)
                }
                _ => {}
            }
        }
        let Some(root) = root else { return Ok(stored) };
        let (parts, tree) = parts(body).ok_or_else(|| fault("the body is not an array of parts"))?;
        if tree.root() != root {
            return Err(fault("the body is not the one that the stub commits to"));
        }
        stored.parts = parts;
        Ok(stored)
    }

    pub fn destroyed(&self) -> bool {
        self.parts.contains(&Part::Destroyed)
    }

    /// Whether a part `legs/…` was, or may have been, destroyed. They stand in one run: after `by`, `id` (and, of a post,
    /// `pending`), before `balancing/…` and the balances.
    pub fn may_lack_legs(&self) -> bool {
        let first = if self.kind == Some(Kind::Post) { 3 } else { 2 };
        let end = self.parts.iter().position(|part| part.starts_with("balancing/"));
        self.destroyed_between(first, end.unwrap_or(usize::MAX).min(self.balances()))
    }

    /// Whether a part `balancing/…` was, or may have been, destroyed.
    pub fn may_lack_balancing(&self) -> bool {
        let first = self.parts.iter().rposition(|part| part.starts_with("legs/")).map_or(0, |last| last + 1);
        self.destroyed_between(first, self.balances())
    }

    /// The first position at which no part before the balances can stand.
    fn balances(&self) -> usize {
        let end = self.parts.iter().enumerate().find_map(|(position, part)| match part {
            Part::Shown { path, .. } => match path.strip_prefix("balances/").map(str::parse::<usize>) {
                Some(Ok(index)) => position.checked_sub(index),
                _ => {
                    let later = ["effective", "expires", "reason", "reference"].contains(&path.as_str());
                    (later || path.starts_with("metadata/")).then_some(position)
                }
            },
            Part::Destroyed => None,
        });
        end.unwrap_or(self.parts.len())
    }

    fn destroyed_between(&self, first: usize, end: usize) -> bool {
        self.parts[first.min(end)..end].contains(&Part::Destroyed)
    }

    /// The JSON of a part.
    pub fn part(&self, wanted: &str) -> Option<&str> {
        self.parts.iter().find_map(|part| match part {
            Part::Shown { path, value } if path == wanted => Some(value.as_str()),
            _ => None,
        })
    }
}

/// The parts of a body, and their tree; `None` if it is not one.
pub(crate) fn parts(body: &[u8]) -> Option<(Vec<Part>, BodyTree)> {
    let mut reader = Reader::new(body);
    let (mut parts, mut tree) = (Vec::new(), BodyTree::default());
    if reader.value().ok()? != Token::Array {
        return None;
    }
    while reader.element().ok()? {
        let raw = reader.skip().ok()?;
        if raw.starts_with('"') {
            tree.add(unhex(raw.get(1..raw.len() - 1)?)?);
            parts.push(Part::Destroyed);
        } else {
            tree.add(Tree::Body.leaf(raw.as_bytes()));
            parts.push(part(raw)?);
        }
    }
    reader.end().ok()?;
    Some((parts, tree))
}

fn part(raw: &str) -> Option<Part> {
    let mut reader = Reader::new(raw.as_bytes());
    if reader.value().ok()? != Token::Array || !reader.element().ok()? {
        return None;
    }
    let Token::String(_salt) = reader.value().ok()? else { return None };
    let true = reader.element().ok()? else { return None };
    let Token::String(path) = reader.value().ok()? else { return None };
    let true = reader.element().ok()? else { return None };
    let value = reader.skip().ok()?.to_owned();
    (!reader.element().ok()?).then(|| Part::Shown { path: path.into_owned(), value })
}

/// A hash from 64 lower-case hex digits.
/// The value of each byte that is a lower-case hexadecimal digit; 0x80 for any other.
const DIGIT: [u8; 256] = {
    let mut table = [0x80; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    table
};

pub(crate) fn unhex(text: &str) -> Option<Hash> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let (mut hash, mut bad) = ([0; 32], 0);
    for (byte, pair) in hash.iter_mut().zip(digits.as_chunks::<2>().0) {
        let (high, low) = (DIGIT[pair[0] as usize], DIGIT[pair[1] as usize]);
        bad |= high | low;
        *byte = high << 4 | low;
    }
    (bad < 0x80).then_some(hash)
}
