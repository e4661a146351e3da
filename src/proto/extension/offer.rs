use std::fmt;

use crate::proto::http::{
    Malformed,
    grammar::{Cursor, is_token},
};

/// One element of `Sec-WebSocket-Extensions` (RFC 6455 §9.1): an offer in a request, what was accepted in a response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offer {
    name: String,
    params: Vec<Param>,
}

/// A parameter of an [`Offer`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Param {
    name: String,
    value: Option<String>,
}

impl Offer {
    /// Parses the lines of one `Sec-WebSocket-Extensions` header (RFC 6455 §9.1: it may be split over several).
    ///
    /// # Errors
    ///
    /// [`Malformed`] if a line does not follow the grammar, or if there are lines without any element. §9.1: of a
    /// value in quotes, what is between them has to be a token too.
    pub fn parse_list<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Self>, Malformed> {
        let mut offers = Vec::new();
        let mut last = None;
        for line in lines {
            let cursor = last.insert(Cursor::new(line));
            while cursor.next_element() {
                offers.push(Self::parse(cursor)?);
                cursor.end_element()?;
            }
        }
        match last {
            Some(cursor) if offers.is_empty() => Err(cursor.malformed()),
            _ => Ok(offers),
        }
    }

    /// The extension's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its parameters in order.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), params: Vec::new() }
    }

    pub(crate) fn push(&mut self, name: &str, value: Option<u8>) {
        self.params.push(Param { name: name.into(), value: value.map(|value| value.to_string()) });
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let mut offer = Self::new(cursor.token()?);
        loop {
            cursor.skip_ows();
            if !cursor.eat(b';') {
                return Ok(offer);
            }
            cursor.skip_ows();
            offer.params.push(Param::parse(cursor)?);
        }
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for param in &self.params {
            write!(f, "; {}", param.name)?;
            if let Some(value) = &param.value {
                write!(f, "={value}")?;
            }
        }
        Ok(())
    }
}

impl Param {
    /// The parameter's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value, a token, if it has one.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let name = cursor.token()?.into();
        cursor.skip_ows();
        if !cursor.eat(b'=') {
            return Ok(Self { name, value: None });
        }
        cursor.skip_ows();
        if cursor.peek() != Some(b'"') {
            return Ok(Self { name, value: Some(cursor.token()?.into()) });
        }
        let value = cursor.quoted_string()?;
        match String::from_utf8(value) {
            Ok(value) if is_token(value.as_bytes()) => Ok(Self { name, value: Some(value) }),
            _ => Err(cursor.malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&str]) -> Result<Vec<String>, Malformed> {
        let offers = Offer::parse_list(lines.iter().map(|line| line.as_bytes()))?;
        Ok(offers.iter().map(Offer::to_string).collect())
    }

    #[test]
    fn lists_as_the_grammar_has_them() {
        let of = |offers: &[&str]| Ok(offers.iter().map(|offer| (*offer).to_owned()).collect());
        assert_eq!(parse(&[]), of(&[]));
        assert_eq!(parse(&["a"]), of(&["a"]));
        assert_eq!(parse(&["foo", "bar; baz=2"]), of(&["foo", "bar; baz=2"]));
        assert_eq!(parse(&[r#"a;b="1\0" , , c"#]), of(&["a; b=10", "c"]));
        assert_eq!(parse(&["", "a"]), of(&["a"]));
    }

    #[test]
    fn lists_that_are_malformed() {
        let lines = ["", ",", "a b", ";a", "a;", "a;;b", "a; b=", "a; b=1 2", "a; =1", r#"a; b="""#, r#"a; b="c d""#];
        for line in lines.into_iter().chain([r#"a; b="c"#, r#"a; b="c\"#, "a; b=\"\u{e9}\"", "a=1", "a, b\"c\""]) {
            assert!(parse(&[line]).is_err(), "{line:?}");
        }
    }
}
