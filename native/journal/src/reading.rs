//! What entries amount to for whoever reads them: which balances an entry touched, which metadata it carries.
//!
//! Read leniently and without proof: hashes, order and balances are for `Replay`. Destroyed parts give nothing.
//!
//! ```text
//! posting  (account, asset, seq, effective, debits, credits)   one for each balance that a leg names; totals of the legs
//!                                                              of kinds that post, 0 of the others
//! metadata (key, value, seq)                                   one for each part metadata/<key>
//! ```
//!
//! `effective` is that part, else the entry's `at`. `value` is what a database can index: 256 characters, without U+0000.

use std::borrow::Cow;

use json::{Error, Reader, Token};
use merkle::parallel;

use crate::effect::Effect;
use crate::{value, Fault, Kind, StoredRow};

/// Rows read by one task.
const ROWS_PER_TASK: usize = 64;

const SEARCHABLE_MAX: usize = 256;

/// What an entry posted to one balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting<'a> {
    pub account: Cow<'a, str>,
    pub asset: Cow<'a, str>,
    pub seq: i64,
    /// Microseconds since 1970 UTC.
    pub effective: u64,
    pub debits: u128,
    pub credits: u128,
}

/// A metadata value of an entry, as it can be searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadatum<'a> {
    pub key: Cow<'a, str>,
    pub value: Cow<'a, str>,
    pub seq: i64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Derived<'a> {
    /// Of each entry in byte order of (account, asset).
    pub postings: Vec<Posting<'a>>,
    /// Of each entry in byte order of the keys.
    pub metadata: Vec<Metadatum<'a>>,
}

/// What the rows amount to, in their order. On all cores.
pub fn derive<'a>(rows: &[StoredRow<'a>]) -> Result<Derived<'a>, Fault> {
    let tasks = rows.chunks(ROWS_PER_TASK);
    let mut blocks: Vec<Result<Derived<'a>, Fault>> = tasks.clone().map(|_| Ok(Derived::default())).collect();
    let bytes = rows.iter().map(|row| row.stub.len() + row.body.len()).sum();
    parallel::for_each(bytes, tasks.zip(&mut blocks), |(rows, block)| *block = read(rows));
    let mut all = Derived::default();
    for block in blocks {
        let mut block = block?;
        all.postings.append(&mut block.postings);
        all.metadata.append(&mut block.metadata);
    }
    Ok(all)
}

fn read<'a>(rows: &[StoredRow<'a>]) -> Result<Derived<'a>, Fault> {
    let mut derived = Derived::default();
    for row in rows {
        let fault = |message: String| Fault::contradiction(u64::try_from(row.seq).ok(), message);
        let stub = Stub::read(row.stub).map_err(|error| fault(format!("the stub: {error}")))?;
        if stub.seq != row.seq {
            return Err(fault("the stub names another seq".into()));
        }
        if !row.body.is_empty() {
            body(row.body, &stub, &mut derived).map_err(|error| fault(format!("the body: {error}")))?;
        }
    }
    Ok(derived)
}

/// What is of use here, of a stub.
struct Stub {
    seq: i64,
    at: u64,
    posts: bool,
}

impl Stub {
    fn read(stub: &[u8]) -> Result<Stub, Unreadable> {
        let (mut seq, mut at, mut kind) = (None, None, None);
        let mut reader = Reader::new(stub);
        expect(reader.value()? == Token::Object, "an object")?;
        while let Some(key) = reader.key()? {
            match (key.as_ref(), reader.value()?) {
                ("seq", Token::Integer(value)) => seq = Some(value),
                ("at", Token::Integer(value)) => at = u64::try_from(value).ok(),
                ("kind", Token::String(value)) => kind = Some(Kind::parse(&value)),
                (_, _) => reader.leave(1)?,
            }
        }
        reader.end()?;
        let (Some(seq), Some(at), Some(kind)) = (seq, at, kind) else {
            return Err(Unreadable::Expected("seq, at and kind"));
        };
        let effect = kind.and_then(Effect::of);
        Ok(Stub { seq, at, posts: matches!(effect, Some(Effect::Posts | Effect::Settles)) })
    }
}

fn body<'a>(body: &'a [u8], stub: &Stub, derived: &mut Derived<'a>) -> Result<(), Unreadable> {
    let (first_posting, first_metadatum) = (derived.postings.len(), derived.metadata.len());
    let mut effective = stub.at;
    let mut reader = Reader::new(body);
    expect(reader.value()? == Token::Array, "an array of parts")?;
    while reader.element()? {
        match reader.value()? {
            Token::String(_destroyed) => continue,
            Token::Array => {}
            _ => return Err(Unreadable::Expected("a part or its hash")),
        }
        expect(reader.element()?, "a salt")?;
        reader.skip()?;
        expect(reader.element()?, "a path")?;
        let path = text(&mut reader)?;
        expect(reader.element()?, "a value")?;
        if path.starts_with("legs/") {
            leg(&mut reader, stub, &mut derived.postings)?;
        } else if let Some(key) = path.strip_prefix("metadata/") {
            let key = match &path {
                Cow::Borrowed(path) => Cow::Borrowed(&path["metadata/".len()..]),
                Cow::Owned(_) => Cow::Owned(key.to_owned()),
            };
            let value = searchable(text(&mut reader)?);
            derived.metadata.push(Metadatum { key, value, seq: stub.seq });
        } else if path == "effective" {
            effective = value::time(&text(&mut reader)?).ok_or(Unreadable::Expected("a time"))?;
        } else {
            reader.skip()?;
        }
        expect(!reader.element()?, "[salt, path, value]")?;
    }
    reader.end()?;
    derived.metadata[first_metadatum..].sort_by(|a, b| a.key.cmp(&b.key));
    let postings = &mut derived.postings;
    postings[first_posting..].sort_by(|a, b| (&a.account, &a.asset).cmp(&(&b.account, &b.asset)));
    merge(postings, first_posting)?;
    postings[first_posting..].iter_mut().for_each(|posting| posting.effective = effective);
    Ok(())
}

/// The two sides of a leg.
fn leg<'a>(reader: &mut Reader<'a>, stub: &Stub, postings: &mut Vec<Posting<'a>>) -> Result<(), Unreadable> {
    let (mut debit, mut credit, mut asset, mut amount) = (None, None, None, None);
    expect(reader.value()? == Token::Object, "a leg")?;
    while let Some(key) = reader.key()? {
        match key.as_ref() {
            "amount" if stub.posts => amount = value::amount(&text(reader)?),
            "asset" => asset = Some(text(reader)?),
            "credit" => credit = Some(text(reader)?),
            "debit" => debit = Some(text(reader)?),
            _ => drop(reader.skip()?),
        }
    }
    let amount = if stub.posts { amount } else { Some(0) };
    let (Some(debit), Some(credit), Some(asset), Some(amount)) = (debit, credit, asset, amount) else {
        return Err(Unreadable::Expected("amount, asset, credit and debit of a leg"));
    };
    let side =
        |account, asset, debits, credits| Posting { account, asset, seq: stub.seq, effective: 0, debits, credits };
    postings.extend([side(debit, asset.clone(), amount, 0), side(credit, asset, 0, amount)]);
    Ok(())
}

/// Add up neighbours that are of one balance, from `first` on.
fn merge(postings: &mut Vec<Posting<'_>>, first: usize) -> Result<(), Unreadable> {
    let mut kept = first;
    for next in first + 1..postings.len() {
        let (before, after) = postings.split_at_mut(next);
        let (last, this) = (&mut before[kept], &mut after[0]);
        if (&last.account, &last.asset) == (&this.account, &this.asset) {
            let sum = last.debits.checked_add(this.debits).zip(last.credits.checked_add(this.credits));
            (last.debits, last.credits) = sum.ok_or(Unreadable::Expected("totals below 2^127"))?;
        } else {
            kept += 1;
            postings.swap(kept, next);
        }
    }
    postings.truncate(kept + 1);
    Ok(())
}

/// What an index holds of a value: enough to find candidates.
pub fn searchable(value: Cow<'_, str>) -> Cow<'_, str> {
    let end = value.char_indices().nth(SEARCHABLE_MAX).map_or(value.len(), |(end, _)| end);
    if value[..end].contains('\0') {
        return Cow::Owned(value[..end].replace('\0', "\u{fffd}"));
    }
    match value {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

fn text<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, Unreadable> {
    match reader.value()? {
        Token::String(text) => Ok(text),
        _ => Err(Unreadable::Expected("a string")),
    }
}

enum Unreadable {
    Json(Error),
    Expected(&'static str),
}

impl From<Error> for Unreadable {
    fn from(error: Error) -> Self {
        Unreadable::Json(error)
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unreadable::Json(error) => error.fmt(f),
            Unreadable::Expected(what) => write!(f, "expected {what}"),
        }
    }
}

fn expect(found: bool, what: &'static str) -> Result<(), Unreadable> {
    if found {
        Ok(())
    } else {
        Err(Unreadable::Expected(what))
    }
}
