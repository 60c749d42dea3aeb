use std::borrow::Cow;
use std::ops::Range;

use json::{compare_keys, Reader, Token, Value};
use merkle::{Hash, Tree};

use super::blame::{blame, hex, Blame, Checked};
use super::place::{malformed, Gaps, Layout, Place, LEGS_MAX};
use super::stub::{Content, Stub};
use super::StoredRow;
use crate::definition::Action;
use crate::entry::BodyTree;
use crate::request::Balancing;
use crate::stored::unhex;
use crate::value::{self, ID_MAX};
use crate::{Balance, Kind};

const BODY_BYTES_MAX: usize = 16 << 20;
const METADATA_MAX: usize = 64;

/// Rows read together; legs and balances of all of them in one list each.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    pub rows: Vec<Checked<Facts<'a>>>,
    pub legs: Vec<Leg<'a>>,
    pub stated: Vec<Stated<'a>>,
}

/// What one row says, and that it is in itself sound.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub stub: Stub<'a>,
    pub hash: Hash,
    pub id: Seen<Cow<'a, str>>,
    /// `pending` or `reverses`.
    pub target: Seen<Cow<'a, str>>,
    /// Microseconds since 1970 UTC.
    pub expires: Seen<u64>,
    /// Name and definition.
    pub account: Seen<(String, &'a str)>,
    /// Microseconds since 1970 UTC.
    pub closed_before: Seen<u64>,
    /// Positions of destroyed parts.
    pub destroyed: Vec<u32>,
    pub gaps: Option<Box<Gaps>>,
    pub legs: Range<usize>,
    pub stated: Range<usize>,
}

/// A part that an entry has or may have.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen<T> {
    Absent,
    /// It was destroyed, or may have been.
    Hidden,
    Shown(T),
}

#[derive(Debug)]
pub(super) struct Leg<'a> {
    pub index: u32,
    pub debit: &'a str,
    pub credit: &'a str,
    pub asset: &'a str,
    pub amount: u128,
    /// Position among the legs of the target.
    pub of: Option<u32>,
}

/// A balance as an entry states it.
#[derive(Debug)]
pub(super) struct Stated<'a> {
    pub index: u32,
    pub account: &'a str,
    pub asset: &'a str,
    pub balance: Balance,
}

/// Reads rows one after the other; what it allocates is used again.
#[derive(Default)]
pub(super) struct RowReader {
    tree: BodyTree,
    layout: Layout,
}

impl RowReader {
    pub fn read<'a>(&mut self, row: &StoredRow<'a>, ledger: &str, block: &mut Block<'a>) -> Checked<Facts<'a>> {
        let stub = Stub::read(row.stub, ledger)?;
        let hash = Tree::Log.leaf(row.stub);
        if row.hash != hash {
            return Err(blame("hash", "stub and hash do not belong together", hex(&hash), hex(row.hash)));
        }
        let (legs, stated) = (block.legs.len(), block.stated.len());
        let mut facts = Facts {
            stub,
            hash,
            id: Seen::Absent,
            target: Seen::Absent,
            expires: Seen::Absent,
            account: Seen::Absent,
            closed_before: Seen::Absent,
            destroyed: Vec::new(),
            gaps: None,
            legs: legs..legs,
            stated: stated..stated,
        };
        match facts.stub.content {
            Content::Object(_) if row.body.is_empty() => {}
            Content::Object(_) => {
                return Err(blame(
                    "body",
                    "the body stands in the stub",
                    "nothing",
                    format!("{} bytes", row.body.len()),
                ));
            }
            Content::Root(root) => self.body(row.body, root, &mut facts, block)?,
        }
        (facts.legs.end, facts.stated.end) = (block.legs.len(), block.stated.len());
        check_id_column(row.id, &facts.id)?;
        Ok(facts)
    }

    fn body<'a>(&mut self, body: &'a [u8], root: Hash, facts: &mut Facts<'a>, block: &mut Block<'a>) -> Checked<()> {
        let kind = facts.stub.kind;
        self.tree.clear();
        self.layout.clear();
        if body.len() > BODY_BYTES_MAX {
            return Err(blame("body", "the body is too long", format!("at most {BODY_BYTES_MAX} bytes"), body.len()));
        }
        let mut part = Part { reader: Reader::canonical(body), place: Place::By };
        if part.reader.value().map_err(not_canonical)? != Token::Array {
            return Err(blame("body", "the body is no array of parts", "[", String::from_utf8_lossy(&body[..1])));
        }
        let (mut last_key, mut metadata) = (None, 0);
        while part.reader.element().map_err(not_canonical)? {
            let start = part.reader.position();
            match part.reader.value().map_err(not_canonical)? {
                Token::String(text) => {
                    let hash = unhex(&text).ok_or_else(|| {
                        blame("body", "a destroyed part leaves its hash", "64 hexadecimal digits", text)
                    })?;
                    self.layout.destroyed();
                    self.tree.add(hash);
                    continue;
                }
                Token::Array => {}
                _ => {
                    return Err(blame(
                        "body",
                        "an element is neither a part nor its hash",
                        "an array or a string",
                        "another value",
                    ))
                }
            }
            part.salt()?;
            let path = part.path()?;
            self.layout.shown(kind, part.place)?;
            if part.place == Place::Metadata {
                metadata += 1;
                last_key = Some(key_after(path, last_key)?);
            }
            part.value(kind, facts, block)?;
            part.close()?;
            self.tree.add(Tree::Body.leaf(&body[start..part.reader.position()]));
        }
        part.reader.end().map_err(not_canonical)?;
        if self.tree.root() != root {
            return Err(blame(
                "body",
                "the body is not the one that the stub commits to",
                hex(&root),
                hex(&self.tree.root()),
            ));
        }
        if self.tree.count() as u64 != facts.stub.parts {
            return Err(blame("body", "the stub counts other parts", facts.stub.parts, self.tree.count()));
        }
        if metadata > METADATA_MAX {
            return Err(malformed(Place::Metadata, "at most 64", metadata));
        }
        self.layout.finish(kind)?;
        self.note_hidden(kind, facts);
        Ok(())
    }

    fn note_hidden(&self, kind: Kind, facts: &mut Facts<'_>) {
        facts.destroyed.extend(self.layout.hidden());
        if facts.destroyed.is_empty() {
            return;
        }
        fn note<T>(seen: &mut Seen<T>, hidden: bool) {
            if hidden && matches!(seen, Seen::Absent) {
                *seen = Seen::Hidden;
            }
        }
        let may_hide = |place| self.layout.may_hide(kind, place);
        note(&mut facts.id, may_hide(Place::Id));
        note(&mut facts.target, may_hide(Place::Pending) || may_hide(Place::Reverses));
        note(&mut facts.expires, may_hide(Place::Expires));
        note(&mut facts.account, may_hide(Place::Account));
        note(&mut facts.closed_before, may_hide(Place::Policy));
        facts.gaps = self.layout.gaps(kind).map(Box::new);
    }
}

fn check_id_column(column: Option<&str>, id: &Seen<Cow<'_, str>>) -> Checked<()> {
    let part = match id {
        Seen::Hidden => return Ok(()),
        Seen::Shown(id) => Some(id.as_ref()),
        Seen::Absent => None,
    };
    if column == part {
        return Ok(());
    }
    let shown = |id: Option<&str>| id.map_or("NULL".into(), |id| format!("{id:?}"));
    Err(blame("id", "the id column is not the id in the body", shown(part), shown(column)))
}

#[cold]
fn not_canonical(error: json::Error) -> Box<Blame> {
    blame("body", "the body is not canonical JSON", "RFC 8785", error)
}

/// The key of a path, if it comes after the last one.
fn key_after<'a>(path: Cow<'a, str>, last: Option<Cow<'a, str>>) -> Checked<Cow<'a, str>> {
    const PREFIX: usize = "metadata/".len();
    let ordered = last.is_none_or(|last| compare_keys(&last[PREFIX..], &path[PREFIX..]).is_lt());
    if ordered && value::is_text(&path[PREFIX..], 128) {
        Ok(path)
    } else {
        Err(malformed(Place::Metadata, "keys of 1 to 128 characters, in order", path))
    }
}

/// The part at hand: `["<salt>","<path>",<value>]`.
struct Part<'a> {
    reader: Reader<'a>,
    place: Place,
}

impl<'a> Part<'a> {
    fn salt(&mut self) -> Checked<()> {
        let salt = self.member("a salt")?;
        if salt.len() == 32 && salt.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(())
        } else {
            Err(blame("body", "a part does not start with its salt", "32 hexadecimal digits", salt))
        }
    }

    fn path(&mut self) -> Checked<Cow<'a, str>> {
        let path = self.member("a path")?;
        self.place = Place::parse(&path).ok_or_else(|| blame("body", "no kind has such a part", "a path", &path))?;
        Ok(path)
    }

    /// The next element of the part's array.
    fn member(&mut self, what: &str) -> Checked<Cow<'a, str>> {
        if let (true, Token::String(text)) =
            (self.reader.element().map_err(not_canonical)?, self.reader.value().map_err(not_canonical)?)
        {
            return Ok(text);
        }
        Err(blame("body", "a part is [salt, path, value]", what, "no string"))
    }

    fn value(&mut self, kind: Kind, facts: &mut Facts<'a>, block: &mut Block<'a>) -> Checked<()> {
        if !self.reader.element().map_err(not_canonical)? {
            return Err(malformed(self.place, "a value", "none"));
        }
        match self.place {
            Place::Leg(index) => block.legs.push(self.leg(index, kind)?),
            Place::Balancing(index) => {
                let requested = self.balancing()?;
                let legs = &block.legs[facts.legs.start..];
                let leg = legs.binary_search_by_key(&index, |leg| leg.index).map(|at| &legs[at]);
                if let Some(leg) = leg.ok().filter(|leg| leg.amount > requested) {
                    return Err(malformed(self.place, "no less requested than moved", leg.amount));
                }
            }
            Place::Balance(index) => block.stated.push(self.balance(index)?),
            Place::By => {
                let by = self.string()?;
                if !value::is_by(&by) || (kind == Kind::Expire && by != "system:expiry") {
                    return Err(malformed(self.place, "who asked", by));
                }
            }
            Place::Id => facts.id = Seen::Shown(self.text(ID_MAX)?),
            Place::Pending | Place::Reverses => facts.target = Seen::Shown(self.text(ID_MAX)?),
            Place::Event => drop(self.text(128)?),
            Place::Reason => drop(self.text(1024)?),
            Place::Reference => drop(self.text(256)?),
            Place::Metadata => {
                let text = self.string()?;
                if text.len() > 4096 && text.chars().count() > 4096 {
                    return Err(malformed(self.place, "at most 4096 characters", text.chars().count()));
                }
            }
            Place::Effective => drop(self.time()?),
            Place::Expires => facts.expires = Seen::Shown(self.time()?),
            Place::Action => {
                let action = self.string()?;
                if Action::parse(&action).is_none_or(|action| action == Action::Open) {
                    return Err(malformed(self.place, "an action that is not open", action));
                }
            }
            Place::Account => facts.account = Seen::Shown(self.account()?),
            Place::Policy => {
                self.object()?;
                if self.reader.key().map_err(not_canonical)?.as_deref() != Some("closed_before") {
                    return Err(malformed(self.place, "closed_before", "another member, or none"));
                }
                facts.closed_before = Seen::Shown(self.time()?);
                if let Some(key) = self.reader.key().map_err(not_canonical)? {
                    return Err(malformed(self.place, "closed_before alone", key));
                }
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Checked<()> {
        if self.reader.element().map_err(not_canonical)? {
            return Err(malformed(self.place, "[salt, path, value]", "a fourth element"));
        }
        Ok(())
    }

    fn leg(&mut self, index: u32, kind: Kind) -> Checked<Leg<'a>> {
        let (mut debit, mut credit, mut asset, mut amount) = (None, None, None, None);
        let mut of = None;
        self.object()?;
        while let Some(key) = self.reader.key().map_err(not_canonical)? {
            match &*key {
                "amount" => amount = Some(self.total(value::amount)?),
                "asset" => asset = Some(self.asset()?),
                "credit" => credit = Some(self.name()?),
                "debit" => debit = Some(self.name()?),
                "of" => of = Some(self.index()?),
                _ => return Err(malformed(self.place, "members of a leg", key)),
            }
        }
        let (Some(debit), Some(credit), Some(asset), Some(amount)) = (debit, credit, asset, amount) else {
            return Err(malformed(self.place, "amount, asset, credit and debit", "less"));
        };
        if debit == credit {
            return Err(malformed(self.place, "two accounts", debit));
        }
        let aims = matches!(kind, Kind::Post | Kind::Void | Kind::Expire | Kind::Reversal);
        if aims != of.is_some() {
            return Err(malformed(self.place, "of in legs of post, void, expire and reversal", kind.as_str()));
        }
        Ok(Leg { index, debit, credit, asset, amount, of })
    }

    /// What was asked for.
    fn balancing(&mut self) -> Checked<u128> {
        let (mut requested, mut side) = (None, None);
        self.object()?;
        while let Some(key) = self.reader.key().map_err(not_canonical)? {
            match &*key {
                "requested" => requested = Some(self.total(value::amount)?),
                "side" => {
                    let text = self.string()?;
                    side = Some(
                        Balancing::parse(&text).ok_or_else(|| malformed(self.place, "debit, credit or both", text))?,
                    );
                }
                _ => return Err(malformed(self.place, "requested and side", key)),
            }
        }
        match (requested, side) {
            (Some(requested), Some(_)) => Ok(requested),
            _ => Err(malformed(self.place, "requested and side", "less")),
        }
    }

    fn balance(&mut self, index: u32) -> Checked<Stated<'a>> {
        let (mut account, mut asset, mut balance, mut members) = (None, None, Balance::default(), 0);
        self.object()?;
        while let Some(key) = self.reader.key().map_err(not_canonical)? {
            members += 1;
            match &*key {
                "account" => account = Some(self.name()?),
                "asset" => asset = Some(self.asset()?),
                "credits" => balance.credits = self.total(value::total)?,
                "debits" => balance.debits = self.total(value::total)?,
                "pending_credits" => balance.pending_credits = self.total(value::total)?,
                "pending_debits" => balance.pending_debits = self.total(value::total)?,
                _ => return Err(malformed(self.place, "members of a balance", key)),
            }
        }
        match (account, asset) {
            (Some(account), Some(asset)) if members == 6 => Ok(Stated { index, account, asset, balance }),
            _ => Err(malformed(self.place, "the six members of a balance", members)),
        }
    }

    fn account(&mut self) -> Checked<(String, &'a str)> {
        let definition = self.reader.skip().map_err(not_canonical)?;
        if let Ok(Value::Object(members)) = Value::parse(definition.as_bytes()) {
            for (key, value) in members {
                match value {
                    Value::String(name) if key == "name" && value::is_account(&name) => {
                        return Ok((name.into_owned(), definition));
                    }
                    _ => {}
                }
            }
        }
        Err(malformed(self.place, "a definition with a name", definition))
    }

    fn object(&mut self) -> Checked<()> {
        match self.reader.value().map_err(not_canonical)? {
            Token::Object => Ok(()),
            _ => Err(malformed(self.place, "an object", "another value")),
        }
    }

    #[inline]
    fn string(&mut self) -> Checked<Cow<'a, str>> {
        match self.reader.value().map_err(not_canonical)? {
            Token::String(text) => Ok(text),
            _ => Err(malformed(self.place, "a string", "another value")),
        }
    }

    fn text(&mut self, max: usize) -> Checked<Cow<'a, str>> {
        let text = self.string()?;
        if value::is_text(&text, max) {
            Ok(text)
        } else {
            Err(malformed(self.place, &format!("1 to {max} characters"), text))
        }
    }

    fn time(&mut self) -> Checked<u64> {
        let text = self.string()?;
        value::time(&text).ok_or_else(|| malformed(self.place, "a time", text))
    }

    fn index(&mut self) -> Checked<u32> {
        match self.reader.value().map_err(not_canonical)? {
            Token::Integer(index) if (0..LEGS_MAX as i64).contains(&index) => Ok(index as u32),
            _ => Err(malformed(self.place, "the position of a leg", "another value")),
        }
    }

    fn total(&mut self, parse: fn(&str) -> Option<u128>) -> Checked<u128> {
        let text = self.string()?;
        parse(&text).ok_or_else(|| malformed(self.place, "a decimal string below 2^127", text))
    }

    fn name(&mut self) -> Checked<&'a str> {
        match self.string()? {
            Cow::Borrowed(name) if value::is_account(name) => Ok(name),
            other => Err(malformed(self.place, "an account name", other)),
        }
    }

    fn asset(&mut self) -> Checked<&'a str> {
        match self.string()? {
            Cow::Borrowed(asset) if value::asset(asset).is_some() => Ok(asset),
            other => Err(malformed(self.place, "CODE/SCALE", other)),
        }
    }
}
