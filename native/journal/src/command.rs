//! Commands: which members each kind has. docs/reference/entries.md, "Commands".

use std::borrow::Cow;

use json::{Reader, Token};

use crate::definition::{Action, Limit, Side};
use crate::kind::Kind;
use crate::member::shown;
use crate::refusal::Refusal;
use crate::request::{AccountChange, Command, More, Requests, Text, NO_GROUP};
use crate::value::ID_MAX;

const GROUP_MAX: usize = 1_000;

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

pub(crate) enum Bad {
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

pub(crate) struct Parser<'r, 'p> {
    pub requests: &'r mut Requests,
    pub reader: Reader<'p>,
    pub payload: &'p [u8],
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
    /// A text of one command or group or, if it may be, an `array` of them.
    pub fn whole(&mut self, array: bool) -> Result<(), json::Error> {
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
}
