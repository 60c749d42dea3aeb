//! Parsed commands. A text that is not strict JSON is refused as one command; what is JSON but no command is refused
//! alone.

use json::Reader;

use crate::command::Parser;
use crate::definition::{Action, Terms};
use crate::fault::Fault;
use crate::kind::Kind;
use crate::names::Names;
use crate::refusal::{Code, Refusal};
use crate::value;

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

    pub(crate) fn refuse(&mut self, refusal: Box<Refusal>) {
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

fn not_json(error: json::Error, payload: &[u8]) -> Refusal {
    let mut refusal = Refusal::new(Code::Malformed, format!("not strict JSON: {error}"));
    refusal.position = Some(error.position as u64);
    refusal.expected = Some("strict JSON".into());
    let from = error.position.min(payload.len());
    let near = String::from_utf8_lossy(&payload[from..payload.len().min(from + 16)]).into_owned();
    refusal.found = Some(if near.is_empty() { "the end".into() } else { near });
    refusal
}
