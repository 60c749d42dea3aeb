/// Where a ledger stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of entries.
    pub size: u64,
    /// Hash of entry `size - 1`.
    pub hash: [u8; 32],
    /// Time of entry `size - 1`, microseconds since 1970 UTC.
    pub at: u64,
    /// The open batch and the seq of its first entry.
    pub batch: u64,
    pub batch_first: u64,
    /// Microseconds since 1970 UTC.
    pub closed_before: Option<u64>,
}
