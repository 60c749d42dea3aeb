use std::fmt;

/// Why a call could not be carried out at all; no command is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What is stored contradicts itself: evidence of tampering, or of a fault of the store.
    Contradiction { seq: Option<u64>, message: String },
    /// `by` does not have its form.
    By(String),
    /// The body of an entry of the log itself is not what its kind asks for.
    Body(String),
    /// The caller left out a step.
    Misuse(String),
}

impl Fault {
    pub(crate) fn contradiction(seq: impl Into<Option<u64>>, message: impl Into<String>) -> Fault {
        Fault::Contradiction { seq: seq.into(), message: message.into() }
    }

    pub(crate) fn misuse(message: impl Into<String>) -> Fault {
        Fault::Misuse(message.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Contradiction { seq: Some(seq), message } => write!(f, "entry {seq}: {message}"),
            Fault::Contradiction { seq: None, message } | Fault::Body(message) | Fault::Misuse(message) => {
                f.write_str(message)
            }
            Fault::By(by) => {
                write!(f, "by: expected user:…, service:…, capture:… or system:…, at most 128 characters, found {by:?}")
            }
        }
    }
}

impl std::error::Error for Fault {}
