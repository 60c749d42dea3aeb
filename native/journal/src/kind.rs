/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Genesis,
    Key,
    Seal,
    Account,
    Transaction,
    Pending,
    Post,
    Void,
    Expire,
    Reversal,
    Adjustment,
    Event,
    Policy,
}

impl Kind {
    pub const ALL: [Kind; 13] = [
        Kind::Genesis,
        Kind::Key,
        Kind::Seal,
        Kind::Account,
        Kind::Transaction,
        Kind::Pending,
        Kind::Post,
        Kind::Void,
        Kind::Expire,
        Kind::Reversal,
        Kind::Adjustment,
        Kind::Event,
        Kind::Policy,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Genesis => "genesis",
            Kind::Key => "key",
            Kind::Seal => "seal",
            Kind::Account => "account",
            Kind::Transaction => "transaction",
            Kind::Pending => "pending",
            Kind::Post => "post",
            Kind::Void => "void",
            Kind::Expire => "expire",
            Kind::Reversal => "reversal",
            Kind::Adjustment => "adjustment",
            Kind::Event => "event",
            Kind::Policy => "policy",
        }
    }

    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Written by the log itself, with its body in the stub.
    pub const fn is_log(self) -> bool {
        matches!(self, Kind::Genesis | Kind::Key | Kind::Seal)
    }

    pub const fn is_reversible(self) -> bool {
        matches!(self, Kind::Transaction | Kind::Post | Kind::Adjustment)
    }
}
