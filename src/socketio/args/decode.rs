use std::fmt;

use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor,
    value::UnitDeserializer,
};

use super::binary::Attached;
use crate::socketio::packet::Arguments;

/// Deserializes arguments: all of them into a tuple, or the first one.
pub(super) fn decode<T: DeserializeOwned>(arguments: &Arguments, is_tuple: bool) -> serde_json::Result<T> {
    if is_tuple {
        return T::deserialize(Several(arguments));
    }
    let elements = arguments.elements();
    if elements == "]" {
        return T::deserialize(UnitDeserializer::<serde_json::Error>::new()).map_err(|_| missing(1));
    }
    // What follows the first one is not looked at.
    let mut json = serde_json::Deserializer::from_str(elements);
    let decoded = match &*arguments.attachments {
        [] => T::deserialize(&mut json),
        attachments => T::deserialize(Attached::new(&mut json, attachments)),
    };
    decoded.map_err(|error| wrong(1, error))
}

fn wrong<E: de::Error>(number: usize, error: E) -> E {
    E::custom(format_args!("argument {number}: {error}"))
}

fn missing<E: de::Error>(number: usize) -> E {
    E::custom(format_args!("argument {number} is missing"))
}

/// Deserializes all arguments, however many they are.
pub(super) fn decode_all<T: DeserializeOwned>(arguments: &Arguments) -> serde_json::Result<Vec<T>> {
    let array = arguments.json();
    let mut json = serde_json::Deserializer::from_str(&array);
    match &*arguments.attachments {
        [] => Vec::deserialize(&mut json),
        attachments => Vec::deserialize(Attached::new(&mut json, attachments)),
    }
}

/// All arguments, for a tuple.
#[derive(Clone, Copy)]
struct Several<'de>(&'de Arguments);

impl<'de> Deserializer<'de> for Several<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        let mut json = serde_json::Deserializer::from_str(&self.0.array);
        (&mut json).deserialize_seq(Tuple { visitor, arguments: self.0 })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Has a tuple's visitor see the arguments, and nothing else of the array.
struct Tuple<'de, V> {
    visitor: V,
    arguments: &'de Arguments,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Tuple<'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<V::Value, A::Error> {
        if self.arguments.name_end.is_some() {
            elements.next_element::<IgnoredAny>()?;
        }
        let value = self.visitor.visit_seq(Padded { elements: &mut elements, arguments: self.arguments, count: 0 })?;
        IgnoredAny.visit_seq(elements)?;
        Ok(value)
    }
}

/// The arguments, and `null` behind the last one for as long as more are wanted.
struct Padded<'a, 'de, A> {
    elements: &'a mut A,
    arguments: &'de Arguments,
    /// How many there were so far.
    count: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Padded<'_, 'de, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let mut seed = Some(seed);
        let element = Element { seed: &mut seed, arguments: self.arguments };
        self.count += 1;
        let number = self.count;
        match self.elements.next_element_seed(element) {
            Ok(Some(value)) => Ok(Some(value)),
            Ok(None) => {
                let seed = seed.take().ok_or_else(|| missing(number))?;
                seed.deserialize(UnitDeserializer::<A::Error>::new()).map(Some).map_err(|_| missing(number))
            }
            Err(error) => Err(wrong(number, error)),
        }
    }
}

/// One of them, with its attachments.
struct Element<'a, 'de, T> {
    seed: &'a mut Option<T>,
    arguments: &'de Arguments,
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Element<'_, 'de, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        let seed = self.seed.take().ok_or_else(|| D::Error::custom("an element is read once"))?;
        match &*self.arguments.attachments {
            [] => seed.deserialize(deserializer),
            attachments => seed.deserialize(Attached::new(deserializer, attachments)),
        }
    }
}
