//! Arguments of events, to and from Rust's types: a tuple is several arguments, anything else is one.

mod binary;
mod decode;
mod encode;
mod value;

use std::{any::type_name, fmt};

use serde::{Serialize, de::DeserializeOwned};

pub use self::value::Value;
use super::packet::Arguments;

/// What can be sent as the arguments of an event: whatever serde can serialize.
///
/// A tuple is several arguments, `()` is none, and anything else, arrays and structs among it, is one. What is serialized as
/// bytes, such as [`Bytes`](bytes::Bytes), becomes an attachment, wherever it stands; a `Vec<u8>` is a list of numbers to
/// serde. [`Arguments`] go on as they came.
pub trait ToArguments {
    /// The arguments.
    ///
    /// # Errors
    ///
    /// If it cannot be said in JSON, such as a map whose keys are no texts.
    fn to_arguments(&self) -> Result<Arguments, ArgumentsError>;

    /// As [`to_arguments`](Self::to_arguments), where the value is not needed any more.
    ///
    /// # Errors
    ///
    /// As there.
    fn into_arguments(self) -> Result<Arguments, ArgumentsError>
    where
        Self: Sized,
    {
        self.to_arguments()
    }
}

/// What the arguments of an event can be decoded to: whatever serde can deserialize.
///
/// A tuple is several arguments, and anything else is the first one. What is missing is as good as `null`, and what is left
/// over is ignored, as in JavaScript. Attachments become bytes, as [`Bytes`](bytes::Bytes) takes them, which takes texts
/// and lists of numbers as well; a `Vec<u8>` takes nothing but a list. [`Arguments`] are what came, undecoded.
pub trait FromArguments: Sized {
    /// Decodes the arguments.
    ///
    /// # Errors
    ///
    /// If they are not what is wanted.
    fn from_arguments(arguments: &Arguments) -> Result<Self, ArgumentsError>;

    /// As [`from_arguments`](Self::from_arguments), where the arguments are not needed any more.
    ///
    /// # Errors
    ///
    /// As there.
    fn take_arguments(arguments: Arguments) -> Result<Self, ArgumentsError> {
        Self::from_arguments(&arguments)
    }
}

/// Arguments that are not what is wanted, or cannot be sent.
#[derive(Debug, thiserror::Error)]
pub struct ArgumentsError(#[from] serde_json::Error);

impl fmt::Display for ArgumentsError {
    /// Without serde_json's line and column: nobody sees the text that they are about.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, place) = (self.0.to_string(), format!(" at line {} column {}", self.0.line(), self.0.column()));
        f.write_str(whole.strip_suffix(&place).unwrap_or(&whole))
    }
}

impl<T: Serialize + ?Sized> ToArguments for T {
    fn to_arguments(&self) -> Result<Arguments, ArgumentsError> {
        Ok(encode::encode(self, is_tuple::<T>())?)
    }
}

impl ToArguments for Arguments {
    fn to_arguments(&self) -> Result<Arguments, ArgumentsError> {
        Ok(self.clone())
    }

    fn into_arguments(self) -> Result<Arguments, ArgumentsError> {
        Ok(self)
    }
}

impl<T: DeserializeOwned> FromArguments for T {
    fn from_arguments(arguments: &Arguments) -> Result<Self, ArgumentsError> {
        Ok(decode::decode(arguments, is_tuple::<T>())?)
    }
}

impl FromArguments for Arguments {
    fn from_arguments(arguments: &Arguments) -> Result<Self, ArgumentsError> {
        Ok(arguments.clone())
    }

    fn take_arguments(arguments: Arguments) -> Result<Self, ArgumentsError> {
        Ok(arguments)
    }
}

impl Arguments {
    /// So many arguments as there are values, where that is known only then: a tuple knows it before.
    ///
    /// # Errors
    ///
    /// If one cannot be said in JSON.
    pub fn from_values<T: Serialize>(values: &[T]) -> Result<Self, ArgumentsError> {
        Ok(encode::encode(values, true)?)
    }

    /// All of them, with their bytes where they stand.
    ///
    /// # Errors
    ///
    /// If a number is none that fits.
    pub fn values(&self) -> Result<Vec<Value>, ArgumentsError> {
        Ok(decode::decode_all(self)?)
    }
}

/// Whether a type is a tuple. serde does not tell one from an array; its name does.
fn is_tuple<T: ?Sized>() -> bool {
    type_name::<T>().trim_start_matches('&').trim_start_matches("mut ").starts_with('(')
}

impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Message {
        text: String,
        image: Bytes,
    }

    fn json(arguments: impl ToArguments) -> String {
        arguments.to_arguments().expect("it can be sent").json()
    }

    /// Sends and receives.
    fn passed<T: ToArguments + FromArguments>(arguments: &T) -> T {
        T::from_arguments(&arguments.to_arguments().expect("it can be sent")).expect("it is what was sent")
    }

    #[test]
    fn a_tuple_is_several_arguments_and_anything_else_one() {
        assert_eq!(json(()), "[]");
        assert_eq!(json((1,)), "[1]");
        assert_eq!(json((1, "two", [3, 4])), r#"[1,"two",[3,4]]"#);
        let borrowed: &(u8, u8) = &(1, 2);
        assert_eq!(json(borrowed), "[1,2]");
        assert_eq!(json([1, 2]), "[[1,2]]");
        assert_eq!(json(vec![1, 2]), "[[1,2]]");
        assert_eq!(json("one"), r#"["one"]"#);
        assert_eq!(json(Some((1, 2))), "[[1,2]]");
        assert_eq!(json(vec![(1, 2)]), "[[[1,2]]]");
    }

    #[test]
    fn what_was_sent_is_received() {
        passed(&());
        assert_eq!(passed(&(1, String::from("two"))), (1, "two".into()));
        assert_eq!(passed(&vec![1, 2]), [1, 2]);
        assert_eq!(passed(&[1, 2]), [1, 2]);
        assert_eq!(passed(&String::from("ä\n")), "ä\n");
        let message = Message { text: "a".into(), image: Bytes::from_static(&[1, 2]) };
        assert_eq!(passed(&message), message);
        let nested = BTreeMap::from([(String::from("a"), vec![Some(Bytes::from_static(b"x")), None])]);
        assert_eq!(passed(&(nested.clone(), 7)), (nested, 7));
    }

    #[test]
    fn bytes_become_attachments_in_order() {
        let arguments = (Bytes::from_static(b"a"), (1, Bytes::from_static(b"b"))).to_arguments().expect("bytes");
        assert_eq!(arguments.json(), r#"[{"_placeholder":true,"num":0},[1,{"_placeholder":true,"num":1}]]"#);
        assert_eq!(arguments.attachments(), [Bytes::from_static(b"a"), Bytes::from_static(b"b")]);
    }

    #[test]
    fn a_value_holds_anything() {
        let message = Message { text: "a".into(), image: vec![1].into() };
        let value = Value::from_arguments(&message.to_arguments().expect("bytes")).expect("anything");
        assert_eq!(value["image"], Value::Binary(vec![1].into()));
        assert_eq!(passed(&value), value);
    }

    #[test]
    fn of_members_of_one_name_the_last_one_counts() {
        let arguments = Arguments::from_json(r#"[{"token":"x","token":"y"}]"#, Vec::new()).expect("arguments");
        assert_eq!(Value::from_arguments(&arguments).expect("an object")["token"], Value::from("y"));
    }

    #[test]
    fn what_is_missing_is_null_and_what_is_left_over_ignored() {
        let arguments = (1,).to_arguments().expect("a number");
        assert_eq!(<(u8, Option<u8>)>::from_arguments(&arguments).expect("one number"), (1, None));
        assert!(<(u8, u8)>::from_arguments(&arguments).is_err());
        assert_eq!(Option::<u8>::from_arguments(&().to_arguments().expect("nothing")).expect("nothing"), None);
        let arguments = (1, 2, 3).to_arguments().expect("numbers");
        assert_eq!(u8::from_arguments(&arguments).expect("a number"), 1);
        assert_eq!(<(u8, u8)>::from_arguments(&arguments).expect("two numbers"), (1, 2));
        <()>::from_arguments(&arguments).expect("nothing is wanted");
    }

    #[test]
    fn arguments_are_taken_apart_and_put_together() {
        let arguments = (1, "two", [Bytes::from_static(b"3")]).to_arguments().expect("bytes");
        let values = arguments.values().expect("any values");
        assert_eq!(values[1..], [Value::from("two"), Value::Array(vec![Value::Binary(Bytes::from_static(b"3"))])]);
        assert_eq!(Arguments::from_values(&values).expect("values"), arguments);
        assert_eq!(Arguments::from_values::<Value>(&[]).expect("none").json(), "[]");
        assert_eq!(().to_arguments().expect("none").values().expect("none"), []);
        let again = Arguments::from_json(arguments.json(), arguments.attachments().to_vec()).expect("arguments");
        assert_eq!(again.values().expect("any values"), values);
        for (json, attachments) in [("{}", 0), ("[1", 0), ("", 0), (r#"[{"_placeholder":true,"num":1}]"#, 1)] {
            Arguments::from_json(json, vec![Bytes::new(); attachments]).expect_err("no arguments");
        }
    }

    #[test]
    fn arguments_go_on_as_they_came() {
        let arguments = (1, Bytes::from_static(b"a")).to_arguments().expect("bytes");
        assert_eq!(passed(&arguments), arguments);
    }

    #[test]
    fn an_error_says_which_argument_is_wrong_and_what_was_wanted() {
        fn error<T: FromArguments>(sent: impl ToArguments) -> String {
            let arguments = sent.to_arguments().expect("it can be sent");
            T::from_arguments(&arguments).err().expect("it is not what is wanted").to_string()
        }
        let bytes = Bytes::from_static(b"a");
        assert_eq!(error::<(u8, u8)>((1, "text")), r#"argument 2: invalid type: string "text", expected u8"#);
        assert_eq!(error::<(u8, Bytes)>(("text", &bytes)), r#"argument 1: invalid type: string "text", expected u8"#);
        assert_eq!(error::<u8>("text"), r#"argument 1: invalid type: string "text", expected u8"#);
        assert_eq!(error::<(u8, u8)>((1,)), "argument 2 is missing");
        assert_eq!(error::<u8>(()), "argument 1 is missing");
        for told in [error::<String>(&bytes), error::<(String, u8)>((&bytes, 1))] {
            assert_eq!(told, "argument 1: invalid type: binary data, expected a string");
        }
        assert_eq!(error::<Vec<u8>>(&bytes), "argument 1: invalid type: binary data, expected a sequence");
        let told = error::<(u8, Message)>((1, BTreeMap::from([("text", &bytes), ("image", &bytes)])));
        assert_eq!(told, "argument 2: invalid type: binary data, expected a string");
        assert_eq!(error::<Message>(&bytes), "argument 1: invalid type: binary data, expected struct Message");
    }
}
