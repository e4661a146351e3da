use std::{fmt, ops::Index, sync::Arc};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::Number;

/// Any value that can be an argument: JSON, or bytes, or JSON with bytes somewhere inside.
///
/// ```
/// use sockeye::socketio::Value;
/// let value = Value::from("a text");
/// assert_eq!(value.as_str(), Some("a text"));
/// assert_eq!(value["no such member"], Value::Null);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`, and what JavaScript calls undefined.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    String(String),
    /// An array.
    Array(Vec<Self>),
    /// An object's members, in order. Those of the same name in one text share it.
    Object(Vec<(Arc<str>, Self)>),
    /// Bytes: a Buffer in node, an ArrayBuffer in a browser.
    Binary(Bytes),
}

static NULL: Value = Value::Null;

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if it is some.
    pub const fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The member of this name, if it is an object that has it; the last one, if several have the name, as in JavaScript.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().rev().find_map(|(other, value)| (**other == *name).then_some(value))
            }
            _ => None,
        }
    }
}

/// The member of this name, or `Null`.
impl Index<&str> for Value {
    type Output = Self;

    fn index(&self, name: &str) -> &Self {
        self.get(name).unwrap_or(&NULL)
    }
}

/// The element at this place, or `Null`.
impl Index<usize> for Value {
    type Output = Self;

    fn index(&self, place: usize) -> &Self {
        match self {
            Self::Array(elements) => elements.get(place).unwrap_or(&NULL),
            _ => &NULL,
        }
    }
}

macro_rules! from {
    ($($type:ty => $make:expr),+ $(,)?) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                $make(value)
            }
        })+
    };
}

from! {
    () => |()| Self::Null,
    bool => Self::Bool,
    &str => |text: &str| Self::String(text.into()),
    String => Self::String,
    Bytes => Self::Binary,
    i32 => |number: i32| Self::Number(number.into()),
    u32 => |number: u32| Self::Number(number.into()),
    i64 => |number: i64| Self::Number(number.into()),
    u64 => |number: u64| Self::Number(number.into()),
    f64 => |number: f64| Number::from_f64(number).map_or(Self::Null, Self::Number),
    Vec<Self> => Self::Array,
}

impl<K: Into<Arc<str>>, V: Into<Self>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(elements) => elements.serialize(serializer),
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(&**name, value)?;
                }
                map.end()
            }
            Self::Binary(bytes) => serializer.serialize_bytes(bytes),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Anything(&mut Scratch::default()).deserialize(deserializer)
    }
}

/// What the values of one text have in common while they are read.
#[derive(Default)]
struct Scratch {
    /// The elements and the members of all arrays and objects that are not at their end, the innermost behind the others:
    /// each has the memory that it needs, and no more, when it is.
    elements: Vec<Value>,
    members: Vec<(Arc<str>, Value)>,
    /// Names that have come, and which one was the last: lists of objects have the same ones over and over.
    names: Vec<Arc<str>>,
    last: usize,
}

/// How many names are remembered.
const NAMES: usize = 32;

impl Scratch {
    fn name(&mut self, name: &str) -> Arc<str> {
        let (before, behind) = self.names.split_at((self.last + 1).min(self.names.len()));
        let mut known = behind.iter().chain(before);
        if let Some(place) = known.position(|known| **known == *name) {
            self.last = (before.len() + place) % self.names.len();
            return Arc::clone(&self.names[self.last]);
        }
        let name = Arc::from(name);
        if self.names.len() < NAMES {
            self.last = self.names.len();
            self.names.push(Arc::clone(&name));
        }
        name
    }
}

struct Anything<'a>(&'a mut Scratch);

impl<'de> DeserializeSeed<'de> for Anything<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The name of a member.
struct Name<'a>(&'a mut Scratch);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Arc<str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Arc<str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Arc<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Arc<str>, E> {
        Ok(self.0.name(name))
    }
}

impl<'de> Visitor<'de> for Anything<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Binary(bytes.into()))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Binary(Bytes::copy_from_slice(bytes)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let begin = self.0.elements.len();
        while let Some(element) = elements.next_element_seed(Anything(self.0))? {
            self.0.elements.push(element);
        }
        Ok(Value::Array(self.0.elements.drain(begin..).collect()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let begin = self.0.members.len();
        while let Some(name) = members.next_key_seed(Name(self.0))? {
            let value = members.next_value_seed(Anything(self.0))?;
            self.0.members.push((name, value));
        }
        Ok(Value::Object(self.0.members.drain(begin..).collect()))
    }
}
