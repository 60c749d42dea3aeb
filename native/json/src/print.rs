use std::cmp::Ordering;

use crate::scan::plain_end;

/// RFC 8785 section 3.2.3: the order of UTF-16 code units, on UTF-8 bytes.
///
/// The two orders differ only where a supplementary character (first byte F0..F4, in UTF-16 a surrogate D800..DFFF)
/// meets one of U+E000..U+FFFF (first byte EE, EF): lifting the latter above the former gives UTF-16's order.
pub fn compare_keys(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let lift = |byte: u8| if matches!(byte, 0xee | 0xef) { byte + 0x10 } else { byte };
    match left.iter().zip(right).find(|(l, r)| l != r) {
        Some((&l, &r)) => lift(l).cmp(&lift(r)),
        None => left.len().cmp(&right.len()),
    }
}

/// Append a string with its quotes. RFC 8785 section 3.2.2.2.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut from = 0;
    loop {
        let end = plain_end(bytes, from);
        out.extend_from_slice(&bytes[from..end]);
        let Some(&byte) = bytes.get(end) else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]);
            }
        }
        from = end + 1;
    }
    out.push(b'"');
}

/// Append an integer in decimal.
pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}
