//! Strict JSON and its canonical form.
//!
//! ```text
//! text    = value                    UTF-8, no byte order mark, at most 64 containers deep
//! value   = null | true | false | integer | string | array | object
//! integer = "0" | ["-"] [1-9] [0-9]* |n| < 2^53, no fraction, no exponent, no "-0"
//! string  = RFC 8259 section 7       no lone surrogate
//! object  = RFC 8259 section 4       no key twice, compared after unescaping
//! ```
//!
//! The canonical form is RFC 8785: no white space, keys in order of their UTF-16 code units, the shortest escapes.
//!
//! ```
//! assert_eq!(json::canonical(br#" {"b":1,"a":"\u00e9"} "#).unwrap(), r#"{"a":"é","b":1}"#.as_bytes());
//! let error = json::canonical(br#"{"a":1,"a":2}"#).unwrap_err();
//! assert_eq!((error.reason, error.position), (json::Reason::DuplicateKey, 7));
//! ```

mod error;
mod print;
mod reader;
mod scan;
mod value;

pub use error::{Error, Reason};
pub use print::{compare_keys, write_integer, write_string};
pub use reader::{Reader, Token};
pub use value::Value;

/// Containers may be nested this deep.
pub const DEPTH_MAX: usize = 64;

/// The largest integer, 2^53 - 1; the smallest is its negative.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// The RFC 8785 form of a strictly parsed text.
pub fn canonical(data: &[u8]) -> Result<Vec<u8>, Error> {
    // Cheap: it either saves building the value, or fails at the first byte that is not canonical.
    if check_canonical(data).is_ok() {
        return Ok(data.to_vec());
    }
    let value = Value::parse(data)?;
    let mut out = Vec::with_capacity(data.len());
    value.write(&mut out);
    Ok(out)
}

/// `Ok` if `data` is strict JSON in RFC 8785 form, else the first byte that either forbids.
pub fn check_canonical(data: &[u8]) -> Result<(), Error> {
    let mut reader = Reader::canonical(data);
    reader.skip()?;
    reader.end()
}
