//! Whether a text is JSON (RFC 8259), and where its first element ends: all that a packet's payload is asked before a handler
//! wants it. Values are decoded by serde_json; this walks over them, without memory of its own, eight bytes at a time where it
//! can, as what it costs are mostly branches that are foreseen wrongly.

/// How many arrays and objects may be in one another until their ends are kept beside the stack: serde_json decodes no more,
/// but who decodes nothing may pass it on.
const MAX_DEPTH: u32 = 127;

/// A word whose bytes are all 1, and one with their highest bits.
const ONES: u64 = u64::MAX / 0xff;
const HIGH: u64 = ONES << 7;

/// Where an array and its first element are in a text.
pub(super) struct Array {
    pub(super) start: usize,
    /// Where its first element begins and ends, if it has one.
    pub(super) first: Option<(usize, usize)>,
}

/// Whether a text is one value.
pub(super) fn is_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    value(bytes, space(bytes, 0), 0).is_some_and(|at| space(bytes, at) == bytes.len())
}

/// Finds the array that a text is, if it is one.
pub(super) fn array(text: &str) -> Option<Array> {
    let bytes = text.as_bytes();
    let start = space(bytes, 0);
    let begin = space(bytes, expect(bytes, start, b'[')?);
    let (first, end) = match bytes.get(begin)? {
        b']' => (None, begin + 1),
        _ => {
            let first_end = value(bytes, begin, 1)?;
            let at = space(bytes, first_end);
            let end = match bytes.get(at)? {
                b']' => at + 1,
                b',' => some_elements(bytes, space(bytes, at + 1), 1)?,
                _ => return None,
            };
            (Some((begin, first_end)), end)
        }
    };
    (space(bytes, end) == bytes.len()).then_some(Array { start, first })
}

/// Behind a byte, if it is there.
#[inline]
fn expect(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    (bytes.get(at) == Some(&byte)).then_some(at + 1)
}

/// Behind white space.
#[inline]
fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Behind a value that is in so many arrays and objects.
fn value(bytes: &[u8], at: usize, depth: u32) -> Option<usize> {
    match *bytes.get(at)? {
        b'"' => string(bytes, at + 1),
        b'{' | b'[' if depth >= MAX_DEPTH => deep(bytes, at),
        b'{' => object(bytes, space(bytes, at + 1), depth + 1),
        b'[' => elements(bytes, space(bytes, at + 1), depth + 1),
        b'-' | b'0'..=b'9' => number(bytes, at),
        b't' => literal(bytes, at, b"true"),
        b'f' => literal(bytes, at, b"false"),
        b'n' => literal(bytes, at, b"null"),
        _ => None,
    }
}

/// Behind an object's members, and its end.
fn object(bytes: &[u8], mut at: usize, depth: u32) -> Option<usize> {
    if bytes.get(at) == Some(&b'}') {
        return Some(at + 1);
    }
    loop {
        at = space(bytes, value(bytes, space(bytes, key(bytes, at)?), depth)?);
        match *bytes.get(at)? {
            b',' => at = space(bytes, at + 1),
            b'}' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// Behind an array's elements, and its end.
fn elements(bytes: &[u8], at: usize, depth: u32) -> Option<usize> {
    if bytes.get(at) == Some(&b']') { Some(at + 1) } else { some_elements(bytes, at, depth) }
}

/// Behind one element or more, and the array's end.
fn some_elements(bytes: &[u8], mut at: usize, depth: u32) -> Option<usize> {
    loop {
        at = space(bytes, value(bytes, at, depth)?);
        match *bytes.get(at)? {
            b',' => at = space(bytes, at + 1),
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// Behind an array or an object that is in very many others: a byte of memory for each that is in it, and no stack.
#[cold]
fn deep(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut ends = Vec::new();
    loop {
        at = match *bytes.get(at)? {
            open @ (b'{' | b'[') => {
                ends.push(open + 2);
                let inside = space(bytes, at + 1);
                match *bytes.get(inside)? {
                    // The end is seen below.
                    close if close == open + 2 => inside,
                    _ if open == b'{' => {
                        at = space(bytes, key(bytes, inside)?);
                        continue;
                    }
                    _ => {
                        at = inside;
                        continue;
                    }
                }
            }
            _ => space(bytes, value(bytes, at, MAX_DEPTH)?),
        };
        // What is behind it: the ends of those that it is the last in, or a comma.
        loop {
            let end = *ends.last()?;
            match *bytes.get(at)? {
                b',' => break,
                close if close == end => {
                    ends.pop();
                    if ends.is_empty() {
                        return Some(at + 1);
                    }
                    at = space(bytes, at + 1);
                }
                _ => return None,
            }
        }
        at = space(bytes, at + 1);
        if ends.last() == Some(&b'}') {
            at = space(bytes, key(bytes, at)?);
        }
    }
}

/// Behind a member's name, and the colon.
#[inline]
fn key(bytes: &[u8], at: usize) -> Option<usize> {
    let at = string(bytes, expect(bytes, at, b'"')?)?;
    expect(bytes, space(bytes, at), b':')
}

/// Behind a string, whose first quote is behind us.
#[inline]
fn string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = plain(bytes, at);
        match *bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = escape(bytes, at)?,
            _ => return None,
        }
    }
}

#[cold]
fn escape(bytes: &[u8], at: usize) -> Option<usize> {
    Some(
        at + match bytes.get(at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            b'u' if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return None,
        },
    )
}

#[inline]
fn number(bytes: &[u8], mut at: usize) -> Option<usize> {
    at += usize::from(bytes[at] == b'-');
    if bytes.get(at) == Some(&b'0') {
        at += 1;
    } else {
        at = digits(bytes, at)?;
    }
    match bytes.get(at) {
        Some(b'.' | b'e' | b'E') => fraction(bytes, at),
        _ => Some(at),
    }
}

fn fraction(bytes: &[u8], mut at: usize) -> Option<usize> {
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        at = digits(bytes, at)?;
    }
    Some(at)
}

/// Behind digits, of which there is one at least.
#[inline]
fn digits(bytes: &[u8], begin: usize) -> Option<usize> {
    let mut at = begin;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word) ^ (ONES * 0x30);
        // The high bit of each byte that is more than 9.
        let other = ((word & !HIGH).wrapping_add(ONES * 0x76) | word) & HIGH;
        if other != 0 {
            at += other.trailing_zeros() as usize / 8;
            return (at > begin).then_some(at);
        }
        at += 8;
    }
    while let Some(b'0'..=b'9') = bytes.get(at) {
        at += 1;
    }
    (at > begin).then_some(at)
}

#[inline]
fn literal(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    bytes.get(at..)?.starts_with(word).then_some(at + word.len())
}

/// The next quote, backslash or control character, or the end.
#[inline]
fn plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        if let Some(found) = first_special(*word) {
            return at + found;
        }
        at += word.len();
    }
    // The quotes behind the end are the end.
    let mut word = [b'"'; 8];
    let rest = bytes.get(at..).unwrap_or_default();
    word[..rest.len()].copy_from_slice(rest);
    at + first_special(word).unwrap_or(rest.len())
}

/// The first quote, backslash or control character of eight bytes.
#[inline]
fn first_special(word: [u8; 8]) -> Option<usize> {
    let word = u64::from_le_bytes(word);
    // The high bit of a byte that is found, and maybe of some above it, which come later.
    let less = |word: u64, than: u64| word.wrapping_sub(ONES * than) & !word;
    let found = (less(word, 0x20) | less(word ^ (ONES * 0x22), 1) | less(word ^ (ONES * 0x5c), 1)) & HIGH;
    (found != 0).then_some(found.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;
    use serde_json::Value;

    use super::*;

    /// Texts on both sides of each rule, and whether serde_json takes them is what counts.
    const TEXTS: [&str; 88] = [
        "",
        " ",
        "null",
        " null ",
        "nul",
        "nulll",
        "true",
        "false",
        "fals",
        "0",
        "-0",
        "-",
        "00",
        "01",
        "-01",
        "10",
        "1.",
        ".1",
        "1.5",
        "1.5e",
        "1e5",
        "1E+5",
        "1e-5",
        "1e+",
        "1e5.5",
        "+1",
        "0x1",
        "1 2",
        "\"\"",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\\"\"",
        "\"\\u12aF\"",
        "\"\\u12a\"",
        "\"\\u12ag\"",
        "\"\\x\"",
        "\"\\/\\b\\f\\n\\r\\t\\\\\"",
        "\"\n\"",
        "\"\u{1f}\"",
        "\"\u{7f}\"",
        "\"ä€🐟\"",
        "\"0123456\"",
        "\"01234567\"",
        "\"012345678901234567\"",
        "\"0123456\u{1}\"",
        "\"01234567\u{1}\"",
        "\"0123456\\\"",
        "\"01234567\\n9\"",
        "\"é\u{1}\"",
        "[]",
        "[ ]",
        "[",
        "]",
        "[1",
        "[1]",
        "[1,]",
        "[,1]",
        "[1,2]",
        "[1 2]",
        "[[],[]]",
        "[[]",
        "[]]",
        "[1}",
        "{}",
        "{ }",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" : 1 , \"b\":{}}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1]",
        "{\"a\":[{\"b\":[1,{}]}]}",
        "\t[\r\n1\n]\t",
        "\u{b}1",
        "\u{a0}1",
        "[1]x",
        "{}{}",
        "[\"a\\\\\"]",
        "NaN",
        "Infinity",
        "undefined",
        "'a'",
    ];

    #[test]
    fn what_is_json_is_what_serde_json_takes() {
        for text in TEXTS {
            assert_eq!(is_value(text), serde_json::from_str::<Value>(text).is_ok(), "{text:?}");
            let array = array(text);
            assert_eq!(array.is_some(), serde_json::from_str::<Vec<Value>>(text).is_ok(), "{text:?}");
        }
    }

    /// At any depth; serde_json walks as deep as it likes where it decodes nothing.
    #[test]
    fn what_is_deep_is_json_as_well() {
        let walks = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
        let shapes = [
            ("[", "", "]"),
            ("[", "1", "]"),
            ("{\"a\":", "{}", "}"),
            ("[ {\"a\" : ", "1", " } ]"),
            ("[[],", "0", ",{} ]"),
        ];
        for depth in [1, 62, 63, 64, 126, 127, 128, 129, 300, 100_000] {
            for (open, inside, close) in shapes {
                let whole = open.repeat(depth) + inside + &close.repeat(depth);
                assert!(walks(&whole) && is_value(&whole), "{depth} {open}");
                assert_eq!(array(&whole).is_some(), open.starts_with('['), "{depth} {open}");
                for (at, other) in
                    [(whole.len() - 1, ""), (whole.len() - 1, ","), (whole.len() / 2, ","), (whole.len() / 2, "}")]
                {
                    let broken = [&whole[..at], other, &whole[at + 1..]].concat();
                    assert_eq!(is_value(&broken), walks(&broken), "{depth} {open} {at} {other:?}");
                }
            }
        }
    }

    #[test]
    fn the_first_element_is_found() {
        for (text, first) in [
            (" [ \"a\" , 1]", "\"a\""),
            ("[\"a\\\"b\"]", "\"a\\\"b\""),
            ("[12]", "12"),
            ("[{\"a\":[]},1]", "{\"a\":[]}"),
            ("[[1],2]", "[1]"),
        ] {
            let array = array(text).expect("an array");
            assert!(text[array.start..].starts_with('['), "{text}");
            assert_eq!(array.first.map(|(begin, end)| &text[begin..end]), Some(first));
        }
        assert!(array("[ ]").is_some_and(|array| array.first.is_none()));
    }

    #[test]
    fn each_place_of_a_special_byte_is_found() {
        for len in 0..40 {
            for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
                for at in 0..len {
                    let mut bytes = vec![0xc3; len];
                    bytes[at] = special;
                    // One below and one above are none.
                    bytes[..at]
                        .iter_mut()
                        .enumerate()
                        .for_each(|(nth, byte)| *byte = [b'!', b'#', b'[', b']', 0x20, 0x80, 0xff][nth % 7]);
                    assert_eq!(plain(&bytes, 0), at, "{bytes:?}");
                }
            }
            assert_eq!(plain(&vec![0xa2; len], 0), len);
        }
    }

    #[test]
    fn each_end_of_digits_is_found() {
        for len in 1..20 {
            for other in [b'/', b':', b'.', 0, 0x7f, 0xb0, 0xff] {
                let mut bytes = vec![b'0'; len];
                bytes.iter_mut().zip(b'0'..=b'9').for_each(|(digit, value)| *digit = value);
                assert_eq!(digits(&bytes, 0), Some(len));
                bytes.extend([other, b'1', b'2', b'3', b'4', b'5', b'6', b'7', b'8']);
                assert_eq!((digits(&bytes, 0), digits(&bytes, len)), (Some(len), None), "{bytes:?}");
            }
        }
    }
}
