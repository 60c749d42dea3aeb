//! Whether a command asks for what an entry with its id already says.
//!
//! Members are compared in the order of the parts. `by` is not content. A post or reversal without `amounts` is the same
//! as one whose amounts were all that remained, so they are compared only if given. What was destroyed is not compared.

use json::{compare_keys, write_string, Value};

use crate::apply::planned_parts;
use crate::definition::{self, Action, Standing};
use crate::kind::Kind;
use crate::plan::Plan;
use crate::refusal::{Code, Refusal};
use crate::request::{Balancing, Command, Leg, More, Requests, Text};
use crate::stored::{Part, Stored};

const SHOWN_MAX: usize = 64;

/// An entry that is only planned, as if it had been stored.
pub(crate) fn planned(plan: &Plan, index: usize) -> Stored {
    let kind = plan.entries[index].kind;
    Stored {
        seq: plan.seq(index),
        at: plan.at(index),
        kind: Some(kind),
        kind_name: kind.as_str().into(),
        parts: planned_parts(plan, index),
    }
}

/// `id_conflict`, naming the first member that differs.
pub(crate) fn compare(requests: &Requests, command: &Command, stored: &Stored) -> Result<(), Box<Refusal>> {
    let compare = Compare { requests, stored, destroyed: stored.destroyed() };
    compare.all(command).map_err(|Differs { member, stored: expected, asked }| {
        let shown = |text: Option<String>| text.unwrap_or("nothing".into()).chars().take(SHOWN_MAX).collect::<String>();
        let message = format!("the id is that of entry {}, which has another {member}", stored.seq);
        let mut refusal = Refusal::new(Code::IdConflict, message);
        refusal.member = Some(member);
        refusal.expected = Some(shown(expected));
        refusal.found = Some(shown(asked));
        Box::new(refusal)
    })
}

/// Values as JSON.
struct Differs {
    member: String,
    stored: Option<String>,
    asked: Option<String>,
}

struct Compare<'a> {
    requests: &'a Requests,
    stored: &'a Stored,
    destroyed: bool,
}

impl Compare<'_> {
    fn all(&self, command: &Command) -> Result<(), Differs> {
        self.same("kind", Some(quoted(&self.stored.kind_name)), Some(quoted(command.kind.as_str())))?;
        let none = More::default();
        let more = command.more.as_deref().unwrap_or(&none);
        self.account(more)?;
        self.text("event", more.event)?;
        if let Some(moment) = more.closed_before {
            let stored = self.stored.part("policy").and_then(|policy| member(policy, "closed_before"));
            self.same("closed_before", stored, Some(quoted(self.requests.str(moment.text))))?;
        }
        let target = if command.kind == Kind::Reversal { "reverses" } else { "pending" };
        self.text(target, more.target)?;
        match (command.kind, &more.amounts) {
            (Kind::Post | Kind::Reversal, Some(amounts)) => self.amounts(amounts)?,
            (Kind::Post | Kind::Void | Kind::Reversal, _) => {}
            _ => self.legs(self.requests.legs(command))?,
        }
        self.text("effective", more.effective.map(|moment| moment.text))?;
        self.text("expires", more.expires.map(|moment| moment.text))?;
        self.text("reason", more.reason)?;
        self.text("reference", more.reference)?;
        self.metadata(&more.metadata)
    }

    fn same(&self, name: &str, stored: Option<String>, asked: Option<String>) -> Result<(), Differs> {
        let unknown = stored.is_none() && self.destroyed;
        if stored == asked || unknown {
            Ok(())
        } else {
            Err(Differs { member: name.into(), stored, asked })
        }
    }

    fn text(&self, path: &str, asked: Option<Text>) -> Result<(), Differs> {
        self.same(path, self.stored.part(path).map(str::to_owned), asked.map(|text| quoted(self.requests.str(text))))
    }

    /// All but the state, which is not asked for; of actions other than `open` and `update` the name alone.
    fn account(&self, more: &More) -> Result<(), Differs> {
        let Some(change) = &more.account else { return Ok(()) };
        let name = self.requests.accounts.get(change.name);
        let asked = definition::write(name, &change.terms, Standing::Open, |asset| self.requests.assets.get(asset));
        let changes_terms = matches!(change.action, Action::Open | Action::Update);
        let members: &[&str] =
            if changes_terms { &["assets", "limit", "name", "normal", "overdraft"] } else { &["name"] };
        for &name in members {
            let Some(stored) = self.stored.part("account") else { break };
            self.same(name, member(stored, name), member(&asked, name))?;
        }
        let action = (change.action != Action::Open).then(|| quoted(change.action.as_str()));
        self.same("action", self.stored.part("action").map(str::to_owned), action)
    }

    fn legs(&self, asked: &[Leg]) -> Result<(), Differs> {
        let stored = self
            .stored
            .parts
            .iter()
            .filter(|part| matches!(part, Part::Shown { path, .. } if path.starts_with("legs/")));
        let balancing_destroyed = self.stored.may_lack_balancing();
        for index in 0..asked.len().max(stored.count()) {
            let path = format!("legs/{index}");
            let (stored, asked) = match (self.stored.part(&path), asked.get(index)) {
                (Some(stored), Some(asked)) => (stored, asked),
                (None, _) if self.destroyed => continue,
                (stored, _) => {
                    let stored = stored.map(str::to_owned);
                    let asked = if stored.is_some() { None } else { Some("a leg".into()) };
                    return Err(Differs { member: path, stored, asked });
                }
            };
            let moved = member(stored, "amount");
            let amount = Some(quoted(&asked.amount.to_string()));
            let side = (asked.balancing != Balancing::No).then(|| quoted(asked.balancing.as_str()));
            let (stored_amount, stored_side) = match self.stored.part(&format!("balancing/{index}")) {
                Some(part) if side.is_some() => (member(part, "requested"), member(part, "side")),
                Some(part) => (moved, member(part, "side")),
                // What was asked for is not known any more; a leg that is not balancing asks for what was moved.
                None if balancing_destroyed => (if side.is_some() { amount.clone() } else { moved }, side.clone()),
                None => (moved, None),
            };
            for (name, stored, asked) in [
                ("amount", stored_amount, amount),
                ("asset", member(stored, "asset"), Some(quoted(self.requests.assets.get(asked.asset)))),
                ("balancing", stored_side, side),
                ("credit", member(stored, "credit"), Some(quoted(self.requests.accounts.get(asked.credit)))),
                ("debit", member(stored, "debit"), Some(quoted(self.requests.accounts.get(asked.debit)))),
            ] {
                if stored != asked {
                    return Err(Differs { member: format!("{path}/{name}"), stored, asked });
                }
            }
        }
        Ok(())
    }

    fn amounts(&self, asked: &[u128]) -> Result<(), Differs> {
        let zero = || quoted("0");
        let mut stored: Vec<Option<String>> = vec![None; asked.len()];
        for part in &self.stored.parts {
            let Part::Shown { path, value } = part else { continue };
            if !path.starts_with("legs/") {
                continue;
            }
            let of = member(value, "of").and_then(|of| of.parse::<usize>().ok()).unwrap_or(usize::MAX);
            match stored.get_mut(of) {
                Some(place) => *place = member(value, "amount"),
                None => {
                    return Err(Differs {
                        member: format!("amounts/{of}"),
                        stored: member(value, "amount"),
                        asked: None,
                    })
                }
            }
        }
        for (index, (stored, asked)) in stored.into_iter().zip(asked).enumerate() {
            let stored = if self.destroyed { stored } else { Some(stored.unwrap_or_else(zero)) };
            self.same(&format!("amounts/{index}"), stored, Some(quoted(&asked.to_string())))?;
        }
        Ok(())
    }

    fn metadata(&self, asked: &[(Text, Text)]) -> Result<(), Differs> {
        let asked = asked.iter().map(|&(key, value)| (self.requests.str(key), quoted(self.requests.str(value))));
        let asked: Vec<(&str, String)> = asked.collect();
        let stored = self.stored.parts.iter().filter_map(|part| match part {
            Part::Shown { path, .. } => path.strip_prefix("metadata/"),
            Part::Destroyed => None,
        });
        let mut keys: Vec<&str> = stored.chain(asked.iter().map(|(key, _)| *key)).collect();
        keys.sort_unstable_by(|left, right| compare_keys(left, right));
        keys.dedup();
        for key in keys {
            let path = format!("metadata/{key}");
            let asked = asked.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
            self.same(&path, self.stored.part(&path).map(str::to_owned), asked)?;
        }
        Ok(())
    }
}

fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    String::from_utf8(out).expect("text was written")
}

/// A member of an object, as JSON.
fn member(object: &str, name: &str) -> Option<String> {
    let Ok(Value::Object(members)) = Value::parse(object.as_bytes()) else { return None };
    let (_, value) = members.into_iter().find(|(key, _)| key == name)?;
    let mut out = Vec::new();
    value.write(&mut out);
    String::from_utf8(out).ok()
}
