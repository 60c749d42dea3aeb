//! The forms of values. docs/reference/entries.md, "Vocabulary of values".
//!
//! ```text
//! amount  = [1-9][0-9]*                          below 2^127
//! total   = "0" | amount
//! asset   = [A-Z][A-Z0-9]{0,15} "/" scale        scale 0..18 without leading zero
//! account = segment *(":" segment)               segment [A-Za-z0-9_.-]{1,64}, at most 255 bytes
//! text    = characters from U+0020 on, without U+007F
//! time    = YYYY-MM-DDTHH:MM:SS[.f{1,6}]Z        1970..9999, the fraction does not end in 0
//! ```

/// Amounts and totals stay below this.
pub const TOTAL_END: u128 = 1 << 127;

const SCALE_MAX: u8 = 18;
const MICROS_PER_SECOND: u64 = 1_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

pub fn amount(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    if !matches!(bytes.first(), Some(b'1'..=b'9')) || bytes.len() > 39 {
        return None;
    }
    // 19 digits always fit 64 bits, which are several times faster.
    let (head, tail) = bytes.split_at(bytes.len().min(19));
    let mut low = 0u64;
    for &byte in head {
        if !byte.is_ascii_digit() {
            return None;
        }
        low = low * 10 + u64::from(byte - b'0');
    }
    let mut value = u128::from(low);
    for &byte in tail {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u128::from(byte - b'0'))?;
    }
    (value < TOTAL_END).then_some(value)
}

pub fn total(text: &str) -> Option<u128> {
    if text == "0" {
        Some(0)
    } else {
        amount(text)
    }
}

pub fn write_total(out: &mut Vec<u8>, value: u128) {
    match u64::try_from(value) {
        Ok(small) => out.extend_from_slice(itoa::Buffer::new().format(small).as_bytes()),
        Err(_) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
    }
}

/// The code of an asset and its scale.
pub fn asset(text: &str) -> Option<(&str, u8)> {
    let (code, scale) = text.split_once('/')?;
    let code_ok = matches!(code.as_bytes(), [b'A'..=b'Z', rest @ ..]
        if rest.len() <= 15 && rest.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));
    let scale = match scale.as_bytes() {
        [digit @ b'0'..=b'9'] => digit - b'0',
        [b'1', digit @ b'0'..=b'9'] => 10 + digit - b'0',
        _ => return None,
    };
    (code_ok && scale <= SCALE_MAX).then_some((code, scale))
}

const SEGMENT_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let value = byte as u8;
        table[byte] = value.is_ascii_alphanumeric() || matches!(value, b'_' | b'.' | b'-');
        byte += 1;
    }
    table
};

pub fn is_account(name: &str) -> bool {
    let mut length = 0;
    for &byte in name.as_bytes() {
        if SEGMENT_BYTE[byte as usize] {
            length += 1;
        } else if byte == b':' && (1..=64).contains(&length) {
            length = 0;
        } else {
            return false;
        }
    }
    (1..=64).contains(&length) && name.len() <= 255
}

/// 1 to `max` characters, none of them a control character.
pub fn is_text(text: &str, max: usize) -> bool {
    !text.is_empty() && is_text_or_empty(text, max)
}

pub fn is_text_or_empty(text: &str, max: usize) -> bool {
    text.bytes().all(|byte| byte >= 0x20 && byte != 0x7f) && (text.len() <= max || text.chars().count() <= max)
}

pub const ID_MAX: usize = 128;

pub fn is_by(text: &str) -> bool {
    let named = ["user:", "service:", "capture:", "system:"].iter().find_map(|prefix| text.strip_prefix(prefix));
    named.is_some_and(|name| !name.is_empty()) && is_text(text, 128)
}

/// Microseconds since 1970 UTC.
pub fn time(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0u64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0')))
    };
    if bytes.len() < 20 {
        return None;
    }
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| bytes[at] != mark) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros = match &bytes[19..] {
        [b'Z'] => 0,
        [b'.', digits @ .., b'Z'] if (1..=6).contains(&digits.len()) && !digits.ends_with(b"0") => {
            number(20, 20 + digits.len())? * 10u64.pow(6 - digits.len() as u32)
        }
        _ => return None,
    };
    let seconds = days_before(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    Some(seconds * MICROS_PER_SECOND + micros)
}

/// The form of a time; the inverse of `time` up to the year 9999.
pub fn format_time(at: u64) -> String {
    let (seconds, micros) = (at / MICROS_PER_SECOND, at % MICROS_PER_SECOND);
    let mut days = seconds / SECONDS_PER_DAY;
    let mut year = 1970;
    while days >= 365 + leap(year) {
        days -= 365 + leap(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    let rest = seconds % SECONDS_PER_DAY;
    let mut text = format!("{year:04}-{month:02}-{:02}T", days + 1);
    text.push_str(&format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60));
    if micros > 0 {
        text.push_str(format!(".{micros:06}").trim_end_matches('0'));
    }
    text.push('Z');
    text
}

fn leap(year: u64) -> u64 {
    u64::from(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + leap(year),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date.
fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let past = year - 1;
    let years = past * 365 + past / 4 - past / 100 + past / 400;
    let months: u64 = (1..month).map(|month| days_in(year, month)).sum();
    years + months + day - 1 - 719_162
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        assert_eq!(amount("1"), Some(1));
        assert_eq!(amount("18446744073709551616"), Some(1 << 64));
        assert_eq!(amount(&(TOTAL_END - 1).to_string()), Some(TOTAL_END - 1));
        let big = TOTAL_END.to_string();
        for bad in [
            "",
            "0",
            "01",
            "+1",
            "-1",
            "1.5",
            "1e3",
            " 1",
            "1 ",
            "1_0",
            "٤",
            big.as_str(),
            &"9".repeat(39),
            &"1".repeat(40),
        ] {
            assert_eq!(amount(bad), None, "{bad}");
        }
        assert_eq!((total("0"), total("00"), total("7")), (Some(0), None, Some(7)));
    }

    #[test]
    fn assets() {
        assert_eq!(asset("EUR/2"), Some(("EUR", 2)));
        assert_eq!(asset("X/0"), Some(("X", 0)));
        assert_eq!(asset("A234567890123456/18"), Some(("A234567890123456", 18)));
        for bad in [
            "EUR",
            "EUR/",
            "/2",
            "eur/2",
            "1EUR/2",
            "EUR/02",
            "EUR/19",
            "EUR/2 ",
            "EUR/-1",
            "A2345678901234567/2",
            "E/1/2",
        ] {
            assert_eq!(asset(bad), None, "{bad}");
        }
    }

    #[test]
    fn accounts() {
        let segment = "s".repeat(64);
        assert!(is_account("a") && is_account("customers:alice:eur") && is_account("A_b.c-9") && is_account(&segment));
        assert!(is_account(&format!("{segment}:{segment}:{segment}:{}", "s".repeat(60))));
        for bad in ["", ":", "a:", ":a", "a::b", "a b", "é", &format!("{segment}s"), &[segment.as_str(); 4].join(":")]
        {
            assert!(!is_account(bad), "{bad}");
        }
    }

    #[test]
    fn texts() {
        assert!(is_text("é", 1) && is_text("€€", 2) && !is_text("€€", 1) && !is_text("", 1));
        assert!(!is_text("a\u{7f}", 9) && !is_text("a\u{1f}", 9) && is_text("a\u{80}", 9));
        assert!(is_by("user:7f3a") && !is_by("user:") && !is_by("root:x") && !is_by("user:\n"));
    }

    #[test]
    fn times() {
        for (text, at) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-24T00:00:00Z", 1_795_478_400_000_000),
            ("2024-02-29T23:59:59.000001Z", 1_709_251_199_000_001),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
            ("2000-03-01T00:00:00.5Z", 951_868_800_500_000),
        ] {
            assert_eq!(time(text), Some(at), "{text}");
            assert_eq!(format_time(at), text);
        }
        for bad in [
            "1969-12-31T23:59:59Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00.0Z",
            "2026-01-01T00:00:00.10Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1234567Z",
            "2026-01-01T00:00:00+00:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01",
            "２026-01-01T00:00:00Z",
        ] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }
}
