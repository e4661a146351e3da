//! Placeholders: `{"_placeholder":true,"num":0}` stands for the first attachment.

use std::{cell::Cell, fmt};

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The key by which an object is known to be one.
pub(crate) const PLACEHOLDER: &str = "_placeholder";

/// How many placeholders there are in a JSON text; `None` if one does not stand for one of so many attachments.
pub(super) fn count(json: &str, attachments: usize) -> Option<usize> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let count = Cell::new(0);
    Check { attachments, count: &count }.deserialize(&mut deserializer).ok()?;
    Some(count.get())
}

/// Walks a value; fails at an illegal placeholder.
#[derive(Clone, Copy)]
struct Check<'a> {
    attachments: usize,
    count: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    /// As in node, what else stands in a placeholder is ignored, and the last of several equal keys counts.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let (mut is_named, mut is_placeholder, mut num) = (false, false, Num(None));
        while let Some(key) = members.next_key::<Key>()? {
            match key {
                Key::Placeholder => (is_named, is_placeholder) = (true, members.next_value::<True>()?.0),
                Key::Num => num = members.next_value()?,
                Key::Other => members.next_value_seed(self)?,
            }
        }
        // One that is taken back counts as well: whoever decodes may have believed the first key.
        self.count.set(self.count.get() + usize::from(is_named));
        if is_placeholder && num.0.is_none_or(|num| num >= self.attachments as u64) {
            return Err(de::Error::custom("an illegal placeholder"));
        }
        Ok(())
    }
}

enum Key {
    Placeholder,
    Num,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl Visitor<'_> for Keys {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    PLACEHOLDER => Key::Placeholder,
                    "num" => Key::Num,
                    _ => Key::Other,
                })
            }
        }
        deserializer.deserialize_str(Keys)
    }
}

/// Whether a value is `true`.
struct True(bool);

/// A value, if it is a whole number that is not negative.
struct Num(Option<u64>);

/// Writes visitors of which one method matters: everything else is another value.
macro_rules! value {
    ($name:ident, $other:expr, $($method:ident($type:ty) $make:expr),+) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Values;
                impl<'de> Visitor<'de> for Values {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("any value")
                    }

                    $(fn $method<E>(self, value: $type) -> Result<$name, E> {
                        Ok($make(value))
                    })+

                    fn visit_str<E>(self, _: &str) -> Result<$name, E> {
                        Ok($other)
                    }

                    fn visit_unit<E>(self) -> Result<$name, E> {
                        Ok($other)
                    }

                    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<$name, A::Error> {
                        IgnoredAny.visit_seq(elements).map(|_| $other)
                    }

                    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<$name, A::Error> {
                        IgnoredAny.visit_map(members).map(|_| $other)
                    }
                }
                deserializer.deserialize_any(Values)
            }
        }
    };
}

value!(True, True(false), visit_bool(bool) True, visit_u64(u64) |_| True(false), visit_i64(i64) |_| True(false), visit_f64(f64) |_| True(false));
value!(Num, Num(None), visit_bool(bool) |_| Num(None), visit_u64(u64) |num| Num(Some(num)), visit_i64(i64) |_| Num(None), visit_f64(f64) whole);

/// `1.0` is 1, as numbers are in JavaScript.
fn whole(num: f64) -> Num {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and small")]
    Num((num >= 0.0 && num.fract() == 0.0 && num < 1e9).then_some(num as u64))
}
