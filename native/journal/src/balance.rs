/// Totals in minor units, each below 2^127.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    pub debits: u128,
    pub credits: u128,
    pub pending_debits: u128,
    pub pending_credits: u128,
}

/// The last state of one (account, asset) that a batch touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceRow<'a> {
    pub account: &'a str,
    pub asset: &'a str,
    pub balance: Balance,
}

/// What remains of a pending or reversible entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemainderRow {
    pub id: String,
    /// `pending` or `reversible`.
    pub kind: &'static str,
    /// JSON array of decimal strings, one per leg.
    pub remaining: String,
    /// Microseconds since 1970 UTC; only of open pending entries with a time-out.
    pub expires: Option<u64>,
    /// The entry's position.
    pub seq: u64,
}
