use std::fmt;

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    NotUtf8,
    ByteOrderMark,
    UnexpectedEnd,
    ValueExpected,
    KeyExpected,
    ColonExpected,
    CommaOrEndExpected,
    TrailingBytes,
    TooDeep,
    DuplicateKey,
    LoneSurrogate,
    BadEscape,
    ControlCharacter,
    NotAnInteger,
    NegativeZero,
    LeadingZero,
    IntegerOutOfRange,
    /// RFC 8785: white space between tokens.
    WhiteSpace,
    /// RFC 8785: keys are not in the order of their UTF-16 code units.
    KeyOrder,
    /// RFC 8785: an escape for a character that has a shorter form.
    NeedlessEscape,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NotUtf8 => "not UTF-8",
            Reason::ByteOrderMark => "byte order mark",
            Reason::UnexpectedEnd => "unexpected end",
            Reason::ValueExpected => "value expected",
            Reason::KeyExpected => "key expected",
            Reason::ColonExpected => "colon expected",
            Reason::CommaOrEndExpected => "comma or closing bracket expected",
            Reason::TrailingBytes => "bytes after the value",
            Reason::TooDeep => "nested more than 64 deep",
            Reason::DuplicateKey => "duplicate key",
            Reason::LoneSurrogate => "lone surrogate",
            Reason::BadEscape => "bad escape",
            Reason::ControlCharacter => "control character in a string",
            Reason::NotAnInteger => "number is not an integer",
            Reason::NegativeZero => "negative zero",
            Reason::LeadingZero => "leading zero",
            Reason::IntegerOutOfRange => "integer out of range",
            Reason::WhiteSpace => "not canonical: white space",
            Reason::KeyOrder => "not canonical: key order",
            Reason::NeedlessEscape => "not canonical: escape",
        }
    }
}

/// A refusal and the byte it happened at: for keys their opening quote, for escapes their backslash, for all else the
/// first byte that no accepted text could have there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    pub reason: Reason,
    pub position: usize,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason.as_str(), self.position)
    }
}

impl std::error::Error for Error {}
