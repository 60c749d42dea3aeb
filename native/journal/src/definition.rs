use std::sync::Arc;

use json::{write_string, Value};

use crate::value::{amount, write_total};

/// Which side of an account must not run ahead of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    DebitsMustNotExceedCredits,
    CreditsMustNotExceedDebits,
}

impl Limit {
    pub const fn as_str(self) -> &'static str {
        match self {
            Limit::DebitsMustNotExceedCredits => "debits_must_not_exceed_credits",
            Limit::CreditsMustNotExceedDebits => "credits_must_not_exceed_debits",
        }
    }

    pub fn parse(text: &str) -> Option<Limit> {
        let all = [Limit::DebitsMustNotExceedCredits, Limit::CreditsMustNotExceedDebits];
        all.into_iter().find(|limit| limit.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Debit,
    Credit,
}

impl Side {
    pub const fn as_str(self) -> &'static str {
        match self {
            Side::Debit => "debit",
            Side::Credit => "credit",
        }
    }

    pub fn parse(text: &str) -> Option<Side> {
        [Side::Debit, Side::Credit].into_iter().find(|side| side.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    #[default]
    Open,
    Frozen,
    Closed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    #[default]
    Open,
    Update,
    Freeze,
    Unfreeze,
    Close,
    Reopen,
}

impl Action {
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Open => "open",
            Action::Update => "update",
            Action::Freeze => "freeze",
            Action::Unfreeze => "unfreeze",
            Action::Close => "close",
            Action::Reopen => "reopen",
        }
    }

    pub fn parse(text: &str) -> Option<Action> {
        let all = [Action::Open, Action::Update, Action::Freeze, Action::Unfreeze, Action::Close, Action::Reopen];
        all.into_iter().find(|action| action.as_str() == text)
    }
}

/// What an account may do. Assets are numbers of a table that the owner knows; both lists are in byte order of the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    pub limit: Option<Limit>,
    pub normal: Option<Side>,
    pub overdraft: Vec<(u32, u128)>,
    /// Empty: all assets.
    pub assets: Vec<u32>,
}

/// An account's recorded definition.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub terms: Terms,
    pub standing: Standing,
    /// The value of the `account` part.
    pub json: Arc<str>,
}

impl Definition {
    pub fn new<'a>(name: &str, terms: Terms, standing: Standing, asset: impl Fn(u32) -> &'a str) -> Definition {
        let json = write(name, &terms, standing, asset);
        Definition { terms, standing, json: json.into() }
    }

    /// From the stored value of an `account` part; `None` if it is not one.
    pub fn parse(name: &str, text: &str, mut asset: impl FnMut(&str) -> Option<u32>) -> Option<Definition> {
        let Value::Object(members) = Value::parse(text.as_bytes()).ok()? else { return None };
        let mut definition = Definition { terms: Terms::default(), standing: Standing::Open, json: text.into() };
        let mut named = false;
        for (key, value) in members {
            match (key.as_ref(), value) {
                ("assets", Value::Array(items)) => {
                    for item in items {
                        let Value::String(text) = item else { return None };
                        definition.terms.assets.push(asset(&text)?);
                    }
                }
                ("limit", Value::String(text)) => definition.terms.limit = Some(Limit::parse(&text)?),
                ("name", Value::String(text)) => named = text == name,
                ("normal", Value::String(text)) => definition.terms.normal = Some(Side::parse(&text)?),
                ("overdraft", Value::Object(amounts)) => {
                    for (text, value) in amounts {
                        let Value::String(value) = value else { return None };
                        definition.terms.overdraft.push((asset(&text)?, amount(&value)?));
                    }
                }
                ("state", Value::String(text)) => {
                    definition.standing = match text.as_ref() {
                        "frozen" => Standing::Frozen,
                        "closed" => Standing::Closed,
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        named.then_some(definition)
    }
}

/// The value of the `account` part: members in RFC 8785 order, defaults left out.
pub(crate) fn write<'a>(name: &str, terms: &Terms, standing: Standing, asset: impl Fn(u32) -> &'a str) -> String {
    let mut out = Vec::with_capacity(128);
    out.push(b'{');
    if !terms.assets.is_empty() {
        out.extend_from_slice(b"\"assets\":[");
        for (index, &number) in terms.assets.iter().enumerate() {
            separate(&mut out, index);
            write_string(&mut out, asset(number));
        }
        out.extend_from_slice(b"],");
    }
    if let Some(limit) = terms.limit {
        out.extend_from_slice(b"\"limit\":");
        write_string(&mut out, limit.as_str());
        out.push(b',');
    }
    out.extend_from_slice(b"\"name\":");
    write_string(&mut out, name);
    if let Some(normal) = terms.normal {
        out.extend_from_slice(b",\"normal\":");
        write_string(&mut out, normal.as_str());
    }
    if !terms.overdraft.is_empty() {
        out.extend_from_slice(b",\"overdraft\":{");
        for (index, &(number, amount)) in terms.overdraft.iter().enumerate() {
            separate(&mut out, index);
            write_string(&mut out, asset(number));
            out.extend_from_slice(b":\"");
            write_total(&mut out, amount);
            out.push(b'"');
        }
        out.push(b'}');
    }
    out.extend_from_slice(match standing {
        Standing::Open => b"",
        Standing::Frozen => b",\"state\":\"frozen\"",
        Standing::Closed => b",\"state\":\"closed\"",
    });
    out.push(b'}');
    String::from_utf8(out).expect("text was written")
}

fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}
