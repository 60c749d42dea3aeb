use json::Value;

use crate::fault::Fault;
use crate::kind::Kind;
use crate::state::State;
use crate::stored::{Part, Stored};
use crate::value::amount;

/// Accounts and asset by their numbers in `State`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TargetLeg {
    pub debit: u32,
    pub credit: u32,
    pub asset: u32,
    pub amount: u128,
}

/// An entry that commands of the batch at hand aim at, or that is due to expire.
#[derive(Debug)]
pub(crate) struct Target {
    pub id: String,
    pub seq: u64,
    pub kind: Option<Kind>,
    pub kind_name: String,
    pub legs: Vec<TargetLeg>,
    /// One total per leg.
    pub remaining: Vec<u128>,
    /// Only of open pending entries.
    pub expires: Option<u64>,
    /// A part that was, or may have been, a leg was destroyed.
    pub destroyed: bool,
}

impl Target {
    pub fn is_closed(&self) -> bool {
        self.remaining.iter().all(|&remaining| remaining == 0)
    }

    /// From the stored entry and its remainder row, if there is one.
    pub fn load(
        id: &str,
        stored: &Stored,
        remainder: Option<(&[u128], Option<u64>)>,
        state: &mut State,
    ) -> Result<Target, Fault> {
        let fault = |message: &str| Fault::contradiction(stored.seq, message);
        let mut target = Target {
            id: id.into(),
            seq: stored.seq,
            kind: stored.kind,
            kind_name: stored.kind_name.clone(),
            legs: Vec::new(),
            remaining: Vec::new(),
            expires: None,
            destroyed: false,
        };
        let has_legs = stored.kind == Some(Kind::Pending) || stored.kind.is_some_and(Kind::is_reversible);
        if !has_legs {
            return Ok(target);
        }
        // A destroyed part that may have been a leg was none if all the legs of which the remainder tells are shown.
        let shown = stored.parts.iter().filter(|part| part.starts_with("legs/")).count();
        let all_shown = remainder.is_some_and(|(remaining, _)| remaining.len() == shown);
        target.destroyed = stored.may_lack_legs() && !all_shown;
        if target.destroyed {
            return Ok(target);
        }
        for part in &stored.parts {
            let Part::Shown { path, value } = part else { continue };
            if let Some(index) = path.strip_prefix("legs/") {
                if index != target.legs.len().to_string() {
                    return Err(fault("the legs are not in sequence"));
                }
                target.legs.push(leg(value, state).ok_or_else(|| fault(&format!("{path} is not a leg")))?);
            }
        }
        target.remaining = match remainder {
            Some((remaining, expires)) => {
                target.expires = expires;
                remaining.to_vec()
            }
            None if stored.kind == Some(Kind::Pending) => {
                return Err(fault("the remainder of this pending entry is missing"))
            }
            None => target.legs.iter().map(|leg| leg.amount).collect(),
        };
        if target.remaining.len() != target.legs.len() {
            return Err(fault("its remainder has another number of legs"));
        }
        if target.remaining.iter().zip(&target.legs).any(|(&remaining, leg)| remaining > leg.amount) {
            return Err(fault("more remains of a leg than it moved"));
        }
        Ok(target)
    }
}

fn leg(value: &str, state: &mut State) -> Option<TargetLeg> {
    let Value::Object(members) = Value::parse(value.as_bytes()).ok()? else { return None };
    let (mut debit, mut credit, mut asset, mut moved) = (None, None, None, None);
    for (key, value) in &members {
        match (key.as_ref(), value) {
            ("debit", Value::String(name)) => debit = Some(state.account(name)),
            ("credit", Value::String(name)) => credit = Some(state.account(name)),
            ("asset", Value::String(text)) => asset = Some(state.asset(text)?),
            ("amount", Value::String(text)) => moved = Some(amount(text)?),
            _ => {}
        }
    }
    Some(TargetLeg { debit: debit?, credit: credit?, asset: asset?, amount: moved? })
}
