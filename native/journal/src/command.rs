//! Commands: strict JSON, then the forms of docs/reference/entries.md, "Commands".
//!
//! A text that is not strict JSON is refused as one command; what is JSON but no command is refused alone.

use std::borrow::Cow;

use json::{compare_keys, Reader, Token};

use crate::definition::{Action, Limit, Side};
use crate::fault::Fault;
use crate::kind::Kind;
use crate::refusal::{Code, Refusal};
use crate::request::{AccountChange, Balancing, Caller, Command, Leg, Moment, More, Requests, Text, NO_GROUP};
use crate::value::{self, ID_MAX};

const LEGS_MAX: usize = 1_000;
const GROUP_MAX: usize = 1_000;
const MEMBERS_MAX: usize = 64;
const SHOWN_MAX: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Member {
    Kind,
    Id,
    Legs,
    Pending,
    Reverses,
    Amounts,
    Effective,
    Expires,
    Reason,
    Reference,
    Metadata,
    Event,
    Name,
    Action,
    Limit,
    Normal,
    Overdraft,
    Assets,
    ClosedBefore,
}

const MEMBERS: [(&str, Member); 19] = [
    ("kind", Member::Kind),
    ("id", Member::Id),
    ("legs", Member::Legs),
    ("pending", Member::Pending),
    ("reverses", Member::Reverses),
    ("amounts", Member::Amounts),
    ("effective", Member::Effective),
    ("expires", Member::Expires),
    ("reason", Member::Reason),
    ("reference", Member::Reference),
    ("metadata", Member::Metadata),
    ("event", Member::Event),
    ("name", Member::Name),
    ("action", Member::Action),
    ("limit", Member::Limit),
    ("normal", Member::Normal),
    ("overdraft", Member::Overdraft),
    ("assets", Member::Assets),
    ("closed_before", Member::ClosedBefore),
];

const fn set(members: &[Member]) -> u32 {
    let (mut bits, mut index) = (0, 0);
    while index < members.len() {
        bits |= 1 << members[index] as u32;
        index += 1;
    }
    bits
}

/// Of `open` and `update` alone.
const TERMS: u32 = set(&[Member::Limit, Member::Normal, Member::Overdraft, Member::Assets, Member::Metadata]);

/// (required, optional) members of a kind.
const fn members_of(kind: Kind) -> (u32, u32) {
    use Member::{
        Action, Amounts, ClosedBefore, Effective, Event, Expires, Id, Legs, Metadata, Name, Pending, Reason, Reference,
        Reverses,
    };
    match kind {
        Kind::Transaction => (set(&[Id, Legs]), set(&[Effective, Reference, Metadata])),
        Kind::Pending => (set(&[Id, Legs]), set(&[Expires, Effective, Reference, Metadata])),
        Kind::Post => (set(&[Id, Pending]), set(&[Amounts, Effective, Reference, Metadata])),
        Kind::Void => (set(&[Id, Pending]), set(&[Reason, Reference, Metadata])),
        Kind::Reversal => (set(&[Id, Reverses]), set(&[Amounts, Effective, Reason, Reference, Metadata])),
        Kind::Adjustment => (set(&[Id, Legs, Reason]), set(&[Effective, Reference, Metadata])),
        Kind::Event => (set(&[Id, Event]), set(&[Effective, Reference, Metadata])),
        Kind::Account => (set(&[Name]), TERMS | set(&[Id, Action, Reason])),
        Kind::Policy => (set(&[Id, ClosedBefore]), set(&[Reason])),
        Kind::Genesis | Kind::Key | Kind::Seal | Kind::Expire => (0, 0),
    }
}

enum Bad {
    /// Not strict JSON.
    Text(json::Error),
    /// JSON, but no command.
    Form(Box<Refusal>),
}

impl From<json::Error> for Bad {
    fn from(error: json::Error) -> Self {
        Bad::Text(error)
    }
}

impl Requests {
    pub fn new() -> Self {
        Self::default()
    }

    /// The commands that follow are asked for by `by`.
    pub fn begin(&mut self, by: &str) -> Result<(), Fault> {
        if !value::is_by(by) {
            return Err(Fault::By(by.into()));
        }
        self.callers.push(Caller { by: by.into(), commands: 0 });
        Ok(())
    }

    /// A command, a group or an array of them.
    pub fn json(&mut self, payload: &[u8]) {
        self.parse(payload, true, None);
    }

    /// A command or a group on each line; lines of white space alone are skipped.
    pub fn ndjson(&mut self, payload: &[u8]) {
        for (number, line) in payload.split(|&byte| byte == b'\n').enumerate() {
            if !line.trim_ascii().is_empty() {
                self.parse(line, false, Some(number + 1));
            }
        }
    }

    /// As `json`, of a text that the caller never saw: positions in it would say nothing.
    pub fn written(&mut self, payload: &[u8]) {
        let first = self.commands.len();
        self.parse(payload, true, None);
        self.commands[first..]
            .iter_mut()
            .filter_map(|command| command.refusal.as_mut())
            .for_each(|refusal| refusal.position = None);
    }

    /// A command that could not even be written as JSON.
    pub fn malformed(&mut self, message: &str) {
        self.refuse(Box::new(Refusal::new(Code::Malformed, message)));
    }

    fn parse(&mut self, payload: &[u8], array: bool, line: Option<usize>) {
        let (commands, legs, groups) = (self.commands.len(), self.legs.len(), self.groups.len());
        // Texts and legs are counted in 32 bits.
        let bad = if u32::try_from(self.text.len() + payload.len()).is_err() {
            Some(Refusal::new(Code::Malformed, "the requests of one call are together larger than 4 GiB"))
        } else {
            self.commands.reserve(payload.len() / 160);
            self.legs.reserve(payload.len() / 160);
            let mut parser = Parser { requests: self, reader: Reader::new(payload), payload };
            parser.whole(array).err().map(|error| not_json(error, payload))
        };
        if let Some(refusal) = bad {
            let pushed = self.commands.len() - commands;
            self.commands.truncate(commands);
            self.legs.truncate(legs);
            self.groups.truncate(groups);
            self.callers.last_mut().expect("a caller has begun").commands -= pushed;
            self.refuse(Box::new(refusal));
        }
        if let Some(line) = line {
            for refusal in self.commands[commands..].iter_mut().filter_map(|command| command.refusal.as_mut()) {
                refusal.message = format!("line {line}: {}", refusal.message);
            }
        }
    }

    fn refuse(&mut self, refusal: Box<Refusal>) {
        let caller = self.callers.len() as u32 - 1;
        let refusal = Some(refusal);
        self.push(Command {
            kind: Kind::Transaction,
            caller,
            group: NO_GROUP,
            legs: (0, 0),
            id: None,
            more: None,
            refusal,
        });
    }
}

fn not_json(error: json::Error, payload: &[u8]) -> Refusal {
    let mut refusal = Refusal::new(Code::Malformed, format!("not strict JSON: {error}"));
    refusal.position = Some(error.position as u64);
    refusal.expected = Some("strict JSON".into());
    let from = error.position.min(payload.len());
    let near = String::from_utf8_lossy(&payload[from..payload.len().min(from + 16)]).into_owned();
    refusal.found = Some(if near.is_empty() { "the end".into() } else { near });
    refusal
}

struct Parser<'r, 'p> {
    requests: &'r mut Requests,
    reader: Reader<'p>,
    payload: &'p [u8],
}

/// The members of the command at hand.
#[derive(Default)]
struct Draft {
    seen: u32,
    id: Option<Text>,
    more: Option<Box<More>>,
    kind: Option<Kind>,
}

impl Draft {
    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    fn account(&mut self) -> &mut AccountChange {
        self.more().account.get_or_insert_default()
    }

    fn has(&self, member: Member) -> bool {
        self.seen & set(&[member]) != 0
    }
}

impl<'p> Parser<'_, 'p> {
    fn whole(&mut self, array: bool) -> Result<(), json::Error> {
        if array && self.payload.trim_ascii_start().first() == Some(&b'[') {
            self.reader.value()?;
            while self.reader.element()? {
                self.item(false)?;
            }
        } else {
            self.item(false)?;
        }
        self.reader.end()
    }

    /// One command or, unless in one, a group. What is wrong with its form becomes its refusal.
    fn item(&mut self, in_group: bool) -> Result<(), json::Error> {
        let (depth, commands, legs) = (self.reader.depth(), self.requests.commands.len(), self.requests.legs.len());
        match self.command_or_group(in_group) {
            Ok(()) => Ok(()),
            Err(Bad::Text(error)) => Err(error),
            Err(Bad::Form(refusal)) => {
                self.reader.leave(depth)?;
                let pushed = self.requests.commands.len() - commands;
                self.requests.commands.truncate(commands);
                self.requests.legs.truncate(legs);
                self.requests.callers.last_mut().expect("a caller has begun").commands -= pushed;
                self.requests.refuse(refusal);
                Ok(())
            }
        }
    }

    fn command_or_group(&mut self, in_group: bool) -> Result<(), Bad> {
        let at = self.reader.position();
        let token = self.reader.value()?;
        if token != Token::Object {
            return Err(self.bad("", "an object", shown(&token), at));
        }
        let first = self.reader.key()?;
        match first.as_deref() {
            Some("group") if in_group => Err(self.bad("group", "no group inside a group", "group", at)),
            Some("group") => self.group(),
            _ => self.command(first),
        }
    }

    fn group(&mut self) -> Result<(), Bad> {
        let at = self.reader.position();
        let token = self.reader.value()?;
        if token != Token::Array {
            return Err(self.bad("group", "an array of commands", shown(&token), at));
        }
        let first = self.requests.commands.len();
        while self.reader.element()? {
            if self.requests.commands.len() - first == GROUP_MAX {
                return Err(self.bad("group", "1 to 1000 commands", "more", at));
            }
            self.item(true)?;
        }
        let count = self.requests.commands.len() - first;
        if count == 0 {
            return Err(self.bad("group", "1 to 1000 commands", "none", at));
        }
        if let Some(key) = self.reader.key()? {
            return Err(self.bad(&key, "no member beside group", &key, self.reader.position()));
        }
        let number = self.requests.groups.len() as u32;
        self.requests.groups.push((first, count));
        self.requests.commands[first..].iter_mut().for_each(|command| command.group = number);
        Ok(())
    }

    fn command(&mut self, first: Option<Cow<'p, str>>) -> Result<(), Bad> {
        let start = self.reader.position();
        let legs = self.requests.legs.len() as u32;
        let mut draft = Draft::default();
        let mut next = first;
        while let Some(key) = next {
            match MEMBERS.iter().find(|(name, _)| *name == key) {
                Some(&(_, member)) => {
                    draft.seen |= set(&[member]);
                    self.member(member, &mut draft)?;
                }
                None => return Err(self.bad(&key, "a member of a command", &key, self.reader.position())),
            }
            next = self.reader.key()?;
        }
        let kind = draft.kind.unwrap_or(Kind::Transaction);
        self.check_members(kind, &mut draft, start)?;
        self.requests.push(Command {
            kind,
            caller: self.requests.callers.len() as u32 - 1,
            group: NO_GROUP,
            legs: (legs, self.requests.legs.len() as u32),
            id: draft.id,
            more: draft.more,
            refusal: None,
        });
        Ok(())
    }

    fn check_members(&self, kind: Kind, draft: &mut Draft, start: usize) -> Result<(), Bad> {
        let name = |bits: u32| MEMBERS[bits.trailing_zeros() as usize].0;
        let (required, optional) = members_of(kind);
        let missing = required & !draft.seen;
        if missing != 0 {
            return Err(self.bad(name(missing), &format!("a member of every {}", kind.as_str()), "nothing", start));
        }
        let excess = draft.seen & !(required | optional | set(&[Member::Kind]));
        if excess != 0 {
            return Err(self.bad(name(excess), &format!("no such member in {}", kind.as_str()), name(excess), start));
        }
        if kind == Kind::Account {
            let changes_terms = matches!(draft.account().action, Action::Open | Action::Update);
            if !changes_terms && draft.seen & TERMS != 0 {
                let excess = name(draft.seen & TERMS);
                return Err(self.bad(excess, "only with action open or update", excess, start));
            }
            if draft.has(Member::Overdraft) && draft.account().terms.limit.is_none() {
                return Err(self.bad("overdraft", "a limit beside it", "limit none", start));
            }
        }
        Ok(())
    }

    fn member(&mut self, member: Member, draft: &mut Draft) -> Result<(), Bad> {
        match member {
            Member::Kind => {
                draft.kind = Some(self.word("kind", "a kind that may be asked for", |text| {
                    Kind::parse(text).filter(|kind| !kind.is_log() && *kind != Kind::Expire)
                })?);
            }
            Member::Id => draft.id = Some(self.text("id", ID_MAX)?),
            Member::Legs => self.legs()?,
            Member::Pending => draft.more().target = Some(self.text("pending", ID_MAX)?),
            Member::Reverses => draft.more().target = Some(self.text("reverses", ID_MAX)?),
            Member::Amounts => draft.more().amounts = Some(self.amounts()?),
            Member::Effective => draft.more().effective = Some(self.moment("effective")?),
            Member::Expires => draft.more().expires = Some(self.moment("expires")?),
            Member::ClosedBefore => draft.more().closed_before = Some(self.moment("closed_before")?),
            Member::Reason => draft.more().reason = Some(self.text("reason", 1024)?),
            Member::Reference => draft.more().reference = Some(self.text("reference", 256)?),
            Member::Event => draft.more().event = Some(self.text("event", 128)?),
            Member::Metadata => draft.more().metadata = self.metadata()?,
            Member::Name => draft.account().name = self.account("name", None)?,
            Member::Action => draft.account().action = self.word("action", "an action on an account", Action::parse)?,
            Member::Limit => {
                draft.account().terms.limit = self.word("limit", "a limit or none", |text| match text {
                    "none" => Some(None),
                    _ => Limit::parse(text).map(Some),
                })?;
            }
            Member::Normal => {
                draft.account().terms.normal = Some(self.word("normal", "debit or credit", Side::parse)?)
            }
            Member::Overdraft => draft.account().terms.overdraft = self.overdraft()?,
            Member::Assets => draft.account().terms.assets = self.assets()?,
        }
        Ok(())
    }

    fn legs(&mut self) -> Result<(), Bad> {
        let at = self.reader.position();
        self.open(Token::Array, "legs", "an array of legs")?;
        let mut count = 0;
        while self.reader.element()? {
            if count == LEGS_MAX {
                return Err(self.bad("legs", "1 to 1000 legs", "more", at));
            }
            self.leg(count)?;
            count += 1;
        }
        if count == 0 {
            return Err(self.bad("legs", "1 to 1000 legs", "none", at));
        }
        Ok(())
    }

    fn leg(&mut self, index: usize) -> Result<(), Bad> {
        let at = self.reader.position();
        let token = self.reader.value()?;
        if token != Token::Object {
            return Err(self.bad(&format!("legs/{index}"), "an object", shown(&token), at));
        }
        let (mut debit, mut credit, mut asset, mut amount, mut balancing) = (None, None, None, None, Balancing::No);
        while let Some(key) = self.reader.key()? {
            match key.as_ref() {
                "debit" => debit = Some(self.account("debit", Some(index))?),
                "credit" => credit = Some(self.account("credit", Some(index))?),
                "asset" => asset = Some(self.asset(|| format!("legs/{index}/asset"))?),
                "amount" => amount = Some(self.amount(|| format!("legs/{index}/amount"))?),
                "balancing" => {
                    let member = format!("legs/{index}/balancing");
                    balancing = self.word(&member, "debit, credit or both", Balancing::parse)?;
                }
                _ => {
                    return Err(self.bad(
                        &format!("legs/{index}/{key}"),
                        "a member of a leg",
                        &key,
                        self.reader.position(),
                    ))
                }
            }
        }
        let (Some(debit), Some(credit), Some(asset), Some(amount)) = (debit, credit, asset, amount) else {
            let missing = match (debit, credit, asset) {
                (None, ..) => "debit",
                (_, None, _) => "credit",
                (.., None) => "asset",
                _ => "amount",
            };
            return Err(self.bad(&format!("legs/{index}/{missing}"), "a member of every leg", "nothing", at));
        };
        if debit == credit {
            let name = self.requests.accounts.get(debit).to_owned();
            return Err(self.bad(&format!("legs/{index}/credit"), "another account than debit", &name, at));
        }
        self.requests.legs.push(Leg { debit, credit, asset, balancing, amount });
        Ok(())
    }

    fn account(&mut self, member: &str, leg: Option<usize>) -> Result<u32, Bad> {
        let (text, at) = self.string(|| path(leg, member))?;
        match self.requests.accounts.intern(&text, value::is_account) {
            Some(number) => Ok(number),
            None => Err(self.bad(&path(leg, member), "an account name", &text, at)),
        }
    }

    fn asset(&mut self, member: impl Fn() -> String) -> Result<u32, Bad> {
        let (text, at) = self.string(&member)?;
        match self.requests.assets.intern(&text, |text| value::asset(text).is_some()) {
            Some(number) => Ok(number),
            None => Err(self.bad(&member(), "CODE/SCALE", &text, at)),
        }
    }

    fn amount(&mut self, member: impl Fn() -> String) -> Result<u128, Bad> {
        let (text, at) = self.string(&member)?;
        value::amount(&text)
            .ok_or_else(|| self.bad(&member(), "a decimal string of minor units, 0 < n < 2^127", &text, at))
    }

    fn amounts(&mut self) -> Result<Vec<u128>, Bad> {
        let start = self.reader.position();
        self.open(Token::Array, "amounts", "an array of totals")?;
        let mut amounts = Vec::new();
        while self.reader.element()? {
            if amounts.len() == LEGS_MAX {
                return Err(self.bad("amounts", "at most 1000 totals", "more", start));
            }
            let index = amounts.len();
            let (text, at) = self.string(|| format!("amounts/{index}"))?;
            match value::total(&text) {
                Some(total) => amounts.push(total),
                None => {
                    return Err(self.bad(&format!("amounts/{index}"), "0, or a decimal string below 2^127", &text, at))
                }
            }
        }
        if amounts.iter().all(|&amount| amount == 0) {
            return Err(self.bad("amounts", "an amount that is not zero", "none", start));
        }
        Ok(amounts)
    }

    fn metadata(&mut self) -> Result<Vec<(Text, Text)>, Bad> {
        let start = self.reader.position();
        self.open(Token::Object, "metadata", "an object of strings")?;
        let mut members = Vec::new();
        while let Some(key) = self.reader.key()? {
            if members.len() == MEMBERS_MAX {
                return Err(self.bad("metadata", "at most 64 members", "more", start));
            }
            if !value::is_text(&key, 128) {
                return Err(self.bad("metadata", "keys of 1 to 128 characters, no control characters", &key, start));
            }
            let (text, at) = self.string(|| format!("metadata/{key}"))?;
            if text.len() > 4096 && text.chars().count() > 4096 {
                return Err(self.bad(&format!("metadata/{key}"), "at most 4096 characters", "more", at));
            }
            let value = self.requests.put(&text);
            members.push((self.requests.put(&key), value));
        }
        let requests = &*self.requests;
        members.sort_unstable_by(|left, right| compare_keys(requests.str(left.0), requests.str(right.0)));
        Ok(members)
    }

    fn overdraft(&mut self) -> Result<Vec<(u32, u128)>, Bad> {
        let start = self.reader.position();
        self.open(Token::Object, "overdraft", "an object of amounts")?;
        let mut members = Vec::new();
        while let Some(key) = self.reader.key()? {
            if members.len() == MEMBERS_MAX {
                return Err(self.bad("overdraft", "1 to 64 members", "more", start));
            }
            let Some(asset) = self.requests.assets.intern(&key, |text| value::asset(text).is_some()) else {
                return Err(self.bad("overdraft", "CODE/SCALE", &key, start));
            };
            members.push((asset, self.amount(|| format!("overdraft/{key}"))?));
        }
        if members.is_empty() {
            return Err(self.bad("overdraft", "1 to 64 members", "none", start));
        }
        let assets = &self.requests.assets;
        members.sort_unstable_by(|left, right| assets.get(left.0).cmp(assets.get(right.0)));
        Ok(members)
    }

    fn assets(&mut self) -> Result<Vec<u32>, Bad> {
        let start = self.reader.position();
        self.open(Token::Array, "assets", "an array of assets")?;
        let mut assets = Vec::new();
        while self.reader.element()? {
            let index = assets.len();
            let asset = self.asset(|| format!("assets/{index}"))?;
            if assets.contains(&asset) {
                let name = self.requests.assets.get(asset).to_owned();
                return Err(self.bad(&format!("assets/{index}"), "no duplicates", &name, start));
            }
            assets.push(asset);
            if assets.len() > MEMBERS_MAX {
                return Err(self.bad("assets", "1 to 64 assets", "more", start));
            }
        }
        if assets.is_empty() {
            return Err(self.bad("assets", "1 to 64 assets", "none", start));
        }
        let names = &self.requests.assets;
        assets.sort_unstable_by(|&left, &right| names.get(left).cmp(names.get(right)));
        Ok(assets)
    }

    fn open(&mut self, opening: Token<'_>, member: &str, expected: &str) -> Result<(), Bad> {
        let at = self.reader.position();
        let token = self.reader.value()?;
        if token == opening {
            Ok(())
        } else {
            Err(self.bad(member, expected, shown(&token), at))
        }
    }

    /// A string, and where it starts.
    #[inline]
    fn string(&mut self, member: impl Fn() -> String) -> Result<(Cow<'p, str>, usize), Bad> {
        let at = self.reader.position();
        match self.reader.value()? {
            Token::String(text) => Ok((text, at)),
            other => Err(self.bad(&member(), "a string", shown(&other), at)),
        }
    }

    fn text(&mut self, member: &str, max: usize) -> Result<Text, Bad> {
        let (text, at) = self.string(|| member.into())?;
        if value::is_text(&text, max) {
            Ok(self.requests.put(&text))
        } else {
            Err(self.bad(member, &format!("1 to {max} characters, no control characters"), &text, at))
        }
    }

    fn moment(&mut self, member: &str) -> Result<Moment, Bad> {
        let (text, at) = self.string(|| member.into())?;
        match value::time(&text) {
            Some(micros) => Ok(Moment { text: self.requests.put(&text), at: micros }),
            None => Err(self.bad(member, "YYYY-MM-DDTHH:MM:SS[.ffffff]Z", &text, at)),
        }
    }

    fn word<T>(&mut self, member: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Bad> {
        let (text, at) = self.string(|| member.into())?;
        parse(&text).ok_or_else(|| self.bad(member, expected, &text, at))
    }

    /// `near`: a position no further than white space before what is wrong.
    #[cold]
    fn bad(&self, member: &str, expected: &str, found: &str, near: usize) -> Bad {
        let white = self.payload[near..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let shown: String = found.chars().take(SHOWN_MAX).collect();
        let name = if member.is_empty() { "the command" } else { member };
        let mut refusal = Refusal::new(Code::Malformed, format!("{name}: expected {expected}, found {shown}"));
        refusal.member = (!member.is_empty()).then(|| member.to_owned());
        refusal.expected = Some(expected.into());
        refusal.found = Some(shown);
        refusal.position = Some((near + white) as u64);
        Bad::Form(Box::new(refusal))
    }
}

fn path(leg: Option<usize>, member: &str) -> String {
    match leg {
        Some(index) => format!("legs/{index}/{member}"),
        None => member.into(),
    }
}

fn shown<'t>(token: &'t Token<'_>) -> &'t str {
    match token {
        Token::Null => "null",
        Token::Bool(_) => "a boolean",
        Token::Integer(_) => "a number",
        Token::String(text) => text,
        Token::Array => "an array",
        Token::Object => "an object",
    }
}
