//! Why a command was not recorded. docs/reference/entries.md, "Refusals, and which comes first".

use std::fmt;

/// The stable code of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    Malformed,
    IdConflict,
    TargetNotFound,
    TargetDestroyed,
    TargetWrongKind,
    PendingClosed,
    AlreadyReversed,
    PendingExpired,
    AmountsMismatch,
    ExceedsPending,
    ExceedsOriginal,
    PeriodClosed,
    PeriodInFuture,
    AccountNotFound,
    AccountClosed,
    AccountFrozen,
    AccountExists,
    AccountNotFrozen,
    AccountNotClosed,
    AccountNotEmpty,
    AssetScaleConflict,
    AssetNotAllowed,
    NothingAvailable,
    BalanceOverflow,
    InsufficientFunds,
    GroupRefused,
}

impl Code {
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::Malformed => "malformed",
            Code::IdConflict => "id_conflict",
            Code::TargetNotFound => "target_not_found",
            Code::TargetDestroyed => "target_destroyed",
            Code::TargetWrongKind => "target_wrong_kind",
            Code::PendingClosed => "pending_closed",
            Code::AlreadyReversed => "already_reversed",
            Code::PendingExpired => "pending_expired",
            Code::AmountsMismatch => "amounts_mismatch",
            Code::ExceedsPending => "exceeds_pending",
            Code::ExceedsOriginal => "exceeds_original",
            Code::PeriodClosed => "period_closed",
            Code::PeriodInFuture => "period_in_future",
            Code::AccountNotFound => "account_not_found",
            Code::AccountClosed => "account_closed",
            Code::AccountFrozen => "account_frozen",
            Code::AccountExists => "account_exists",
            Code::AccountNotFrozen => "account_not_frozen",
            Code::AccountNotClosed => "account_not_closed",
            Code::AccountNotEmpty => "account_not_empty",
            Code::AssetScaleConflict => "asset_scale_conflict",
            Code::AssetNotAllowed => "asset_not_allowed",
            Code::NothingAvailable => "nothing_available",
            Code::BalanceOverflow => "balance_overflow",
            Code::InsufficientFunds => "insufficient_funds",
            Code::GroupRefused => "group_refused",
        }
    }
}

/// A refused command: the code, a sentence, and those facts that apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub message: String,
    pub member: Option<String>,
    /// Byte of the payload (of the line in NDJSON) at which it is malformed.
    pub position: Option<u64>,
    pub account: Option<String>,
    pub asset: Option<String>,
    pub leg: Option<u32>,
    /// Minor units, as a decimal string.
    pub needed: Option<String>,
    /// Minor units, as a decimal string; may be negative.
    pub available: Option<String>,
    pub expected: Option<String>,
    pub found: Option<String>,
    /// The id of the entry aimed at.
    pub target: Option<String>,
    /// For `group_refused`: the position in the group of the member that has its own code.
    pub culprit: Option<u32>,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Refusal {
            code,
            message: message.into(),
            member: None,
            position: None,
            account: None,
            asset: None,
            leg: None,
            needed: None,
            available: None,
            expected: None,
            found: None,
            target: None,
            culprit: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}
