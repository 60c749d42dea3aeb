//! The values of the members of commands. docs/reference/entries.md, "Vocabulary of values".

use std::borrow::Cow;

use json::{compare_keys, Token};

use crate::command::{Bad, Parser};
use crate::refusal::{Code, Refusal};
use crate::request::{Balancing, Leg, Moment, Text};
use crate::value;

const LEGS_MAX: usize = 1_000;
const MEMBERS_MAX: usize = 64;
const SHOWN_MAX: usize = 64;

impl<'p> Parser<'_, 'p> {
    pub fn legs(&mut self) -> Result<(), Bad> {
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

    pub fn account(&mut self, member: &str, leg: Option<usize>) -> Result<u32, Bad> {
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

    pub fn amounts(&mut self) -> Result<Vec<u128>, Bad> {
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

    pub fn metadata(&mut self) -> Result<Vec<(Text, Text)>, Bad> {
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

    pub fn overdraft(&mut self) -> Result<Vec<(u32, u128)>, Bad> {
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

    pub fn assets(&mut self) -> Result<Vec<u32>, Bad> {
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

    pub fn text(&mut self, member: &str, max: usize) -> Result<Text, Bad> {
        let (text, at) = self.string(|| member.into())?;
        if value::is_text(&text, max) {
            Ok(self.requests.put(&text))
        } else {
            Err(self.bad(member, &format!("1 to {max} characters, no control characters"), &text, at))
        }
    }

    pub fn moment(&mut self, member: &str) -> Result<Moment, Bad> {
        let (text, at) = self.string(|| member.into())?;
        match value::time(&text) {
            Some(micros) => Ok(Moment { text: self.requests.put(&text), at: micros }),
            None => Err(self.bad(member, "YYYY-MM-DDTHH:MM:SS[.ffffff]Z", &text, at)),
        }
    }

    pub fn word<T>(&mut self, member: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Bad> {
        let (text, at) = self.string(|| member.into())?;
        parse(&text).ok_or_else(|| self.bad(member, expected, &text, at))
    }

    /// `near`: a position no further than white space before what is wrong.
    #[cold]
    pub fn bad(&self, member: &str, expected: &str, found: &str, near: usize) -> Bad {
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

pub(crate) fn shown<'t>(token: &'t Token<'_>) -> &'t str {
    match token {
        Token::Null => "null",
        Token::Bool(_) => "a boolean",
        Token::Integer(_) => "a number",
        Token::String(text) => text,
        Token::Array => "an array",
        Token::Object => "an object",
    }
}
