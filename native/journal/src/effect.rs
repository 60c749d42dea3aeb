use crate::definition::Side;
use crate::value::TOTAL_END;
use crate::{Balance, Kind};

/// What a leg does to the balances of its two accounts. docs/reference/entries.md, "State".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Posts,
    Reserves,
    /// Posts what was reserved.
    Settles,
    Releases,
}

impl Effect {
    /// `None`: entries of this kind have no legs.
    pub const fn of(kind: Kind) -> Option<Effect> {
        match kind {
            Kind::Transaction | Kind::Adjustment | Kind::Reversal => Some(Effect::Posts),
            Kind::Pending => Some(Effect::Reserves),
            Kind::Post => Some(Effect::Settles),
            Kind::Void | Kind::Expire => Some(Effect::Releases),
            Kind::Genesis | Kind::Key | Kind::Seal | Kind::Account | Kind::Event | Kind::Policy => None,
        }
    }

    /// `None`, and nothing changed, when a total would reach 2^127 or fall below 0.
    #[inline]
    #[must_use]
    pub fn apply(self, side: Side, balance: &mut Balance, amount: u128) -> Option<()> {
        let (posted, pending) = match side {
            Side::Debit => (&mut balance.debits, &mut balance.pending_debits),
            Side::Credit => (&mut balance.credits, &mut balance.pending_credits),
        };
        let (more, less) = (|total: u128| add(total, amount), |total: u128| total.checked_sub(amount));
        match self {
            Effect::Posts => *posted = more(*posted)?,
            Effect::Reserves => *pending = more(*pending)?,
            Effect::Settles => (*posted, *pending) = (more(*posted)?, less(*pending)?),
            Effect::Releases => *pending = less(*pending)?,
        }
        Some(())
    }
}

#[inline]
fn add(total: u128, amount: u128) -> Option<u128> {
    total.checked_add(amount).filter(|&sum| sum < TOTAL_END)
}
