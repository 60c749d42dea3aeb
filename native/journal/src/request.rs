use crate::definition::{Action, Terms};
use crate::kind::Kind;
use crate::names::Names;
use crate::Refusal;

/// A piece of `Requests::text`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    start: u32,
    len: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Balancing {
    No,
    Debit,
    Credit,
    Both,
}

impl Balancing {
    pub const fn as_str(self) -> &'static str {
        match self {
            Balancing::No => "",
            Balancing::Debit => "debit",
            Balancing::Credit => "credit",
            Balancing::Both => "both",
        }
    }

    pub fn parse(text: &str) -> Option<Balancing> {
        [Balancing::Debit, Balancing::Credit, Balancing::Both].into_iter().find(|balancing| balancing.as_str() == text)
    }
}

/// Accounts and asset by their numbers in `Requests`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    pub debit: u32,
    pub credit: u32,
    pub asset: u32,
    pub balancing: Balancing,
    pub amount: u128,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub text: Text,
    /// Microseconds since 1970 UTC.
    pub at: u64,
}

/// What most commands do not have.
#[derive(Clone, Debug, Default)]
pub(crate) struct More {
    /// `pending` or `reverses`.
    pub target: Option<Text>,
    pub amounts: Option<Vec<u128>>,
    pub effective: Option<Moment>,
    pub expires: Option<Moment>,
    pub closed_before: Option<Moment>,
    pub event: Option<Text>,
    pub reason: Option<Text>,
    pub reference: Option<Text>,
    /// In RFC 8785 order of the keys.
    pub metadata: Vec<(Text, Text)>,
    pub account: Option<AccountChange>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct AccountChange {
    /// Number of the account's name in `Requests`.
    pub name: u32,
    pub action: Action,
    /// Assets by their numbers in `Requests`.
    pub terms: Terms,
}

pub(crate) const NO_GROUP: u32 = u32::MAX;

#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub kind: Kind,
    pub caller: u32,
    /// Index in `Requests::groups`, or `NO_GROUP`.
    pub group: u32,
    pub legs: (u32, u32),
    pub id: Option<Text>,
    pub more: Option<Box<More>>,
    /// It is malformed.
    pub refusal: Option<Box<Refusal>>,
}

#[derive(Debug)]
pub(crate) struct Caller {
    pub by: String,
    pub commands: usize,
}

/// Parsed commands of one or more callers, in order; groups are flattened.
#[derive(Debug, Default)]
pub struct Requests {
    pub(crate) text: String,
    pub(crate) accounts: Names,
    pub(crate) assets: Names,
    pub(crate) callers: Vec<Caller>,
    pub(crate) commands: Vec<Command>,
    pub(crate) legs: Vec<Leg>,
    /// First command and number of commands.
    pub(crate) groups: Vec<(usize, usize)>,
}

impl Requests {
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Commands per request, in the order given.
    pub fn counts(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.callers.iter().map(|caller| caller.commands)
    }

    /// The ids of all well-formed commands, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.commands.iter().filter(|command| command.refusal.is_none()).filter_map(|command| self.id(command))
    }

    pub(crate) fn id(&self, command: &Command) -> Option<&str> {
        command.id.map(|id| self.str(id))
    }

    pub(crate) fn by(&self, command: &Command) -> &str {
        &self.callers[command.caller as usize].by
    }

    pub(crate) fn legs(&self, command: &Command) -> &[Leg] {
        &self.legs[command.legs.0 as usize..command.legs.1 as usize]
    }

    pub(crate) fn target(&self, command: &Command) -> Option<&str> {
        command.more.as_ref()?.target.map(|target| self.str(target))
    }

    #[inline]
    pub(crate) fn str(&self, text: Text) -> &str {
        &self.text[text.start as usize..(text.start + text.len) as usize]
    }

    #[inline]
    pub(crate) fn put(&mut self, text: &str) -> Text {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Text { start, len: text.len() as u32 }
    }

    pub(crate) fn push(&mut self, command: Command) {
        self.commands.push(command);
        self.callers.last_mut().expect("a caller has begun").commands += 1;
    }
}
