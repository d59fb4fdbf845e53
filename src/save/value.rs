//! What files are made of.

use std::sync::Arc;

use faer::{Mat, MatRef};

use super::numbers::{Array, precision};
use super::reader::Place;
use super::{Load, Reader, Save, Writer};
use crate::linalg::Jitter;
use crate::{Error, Result, Scalar};

/// What a [`Writer`] takes: numbers, flags, texts, lists, matrices, what is there or not, and all that implements [`Save`].
///
/// [`Writer`] has an example.
pub trait Value {
    /// As a file has it.
    #[doc(hidden)]
    fn node(&self) -> Result<Node>;
}

/// What a [`Reader`] gives: all that is a [`Value`], owned.
///
/// [`Save`] has an example.
pub trait FromValue: Sized {
    /// From what a file has.
    #[doc(hidden)]
    fn from_place(place: &Place<'_>) -> Result<Self>;
}

/// What a file has in a place.
#[derive(Clone, Debug)]
pub enum Node {
    /// Nothing, of what may be there.
    None,
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Count(u64),
    /// A number.
    Number(f64),
    /// Words.
    Text(String),
    /// Numbers, in the head or beside it.
    Array(Array),
    /// Several of something.
    List(Vec<Node>),
    /// What has a name each, in order.
    Map(Vec<(String, Node)>),
}

/// A saved part: what it is, and what it has.
impl<P: Save> Value for P {
    fn node(&self) -> Result<Node> {
        let mut writer = Writer::new(P::NAME);
        self.write(&mut writer)?;
        Ok(writer.into_node())
    }
}

impl<P: Load> FromValue for P {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        let mut reader = Reader::of(place, P::NAME)?;
        let part = P::read(&mut reader).map_err(|error| place.within(error))?;
        reader.finish()?;
        Ok(part)
    }
}

impl Value for f64 {
    fn node(&self) -> Result<Node> {
        Ok(Node::Number(*self))
    }
}

impl FromValue for f64 {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        place.number().ok_or_else(|| place.expected("a number"))
    }
}

impl Value for bool {
    fn node(&self) -> Result<Node> {
        Ok(Node::Flag(*self))
    }
}

impl FromValue for bool {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        place.json().as_bool().ok_or_else(|| place.expected("true or false"))
    }
}

impl Value for u64 {
    fn node(&self) -> Result<Node> {
        Ok(Node::Count(*self))
    }
}

impl FromValue for u64 {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        place.json().as_u64().ok_or_else(|| place.expected("a whole number, not below 0"))
    }
}

impl Value for usize {
    fn node(&self) -> Result<Node> {
        Ok(Node::Count(*self as u64))
    }
}

impl FromValue for usize {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        let count = u64::from_place(place)?;
        Self::try_from(count).map_err(|_| place.expected("a number that this machine can count to"))
    }
}

impl Value for str {
    fn node(&self) -> Result<Node> {
        Ok(Node::Text(self.to_owned()))
    }
}

impl Value for String {
    fn node(&self) -> Result<Node> {
        self.as_str().node()
    }
}

impl FromValue for String {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        place.json().as_str().map(str::to_owned).ok_or_else(|| place.expected("a text"))
    }
}

impl Value for [f64] {
    fn node(&self) -> Result<Node> {
        Ok(Node::Array(Array::list(self)))
    }
}

impl<T: Scalar> Value for MatRef<'_, T> {
    fn node(&self) -> Result<Node> {
        Ok(Node::Array(Array::matrix(*self)))
    }
}

impl<T: Scalar> Value for Mat<T> {
    fn node(&self) -> Result<Node> {
        self.as_ref().node()
    }
}

impl<T: Scalar> FromValue for Mat<T> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        place.matrix()
    }
}

/// The lower half of a square matrix whose upper half is 0.
#[derive(Clone, Debug)]
pub(crate) struct Lower<M>(pub(crate) M);

impl<T: Scalar> Value for Lower<&Mat<T>> {
    fn node(&self) -> Result<Node> {
        Ok(Node::Array(Array::lower(self.0.as_ref())))
    }
}

impl<T: Scalar> FromValue for Lower<Mat<T>> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        let matrix = super::numbers::from_lower(&place.list()?);
        matrix.map(Self).ok_or_else(|| place.expected("the numbers of a lower triangle"))
    }
}

/// The numbers of a list.
#[derive(Clone, Debug)]
pub(crate) struct Numbers(pub(crate) Vec<f64>);

impl FromValue for Numbers {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Ok(Self(place.list()?))
    }
}

impl<V: Value> Value for Vec<V> {
    fn node(&self) -> Result<Node> {
        Ok(Node::List(self.iter().map(V::node).collect::<Result<_>>()?))
    }
}

impl<V: FromValue> FromValue for Vec<V> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        place.items()?.iter().map(V::from_place).collect()
    }
}

impl<V: Value> Value for Option<V> {
    fn node(&self) -> Result<Node> {
        self.as_ref().map_or(Ok(Node::None), V::node)
    }
}

impl<V: FromValue> FromValue for Option<V> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        if place.json().is_null() { Ok(None) } else { V::from_place(place).map(Some) }
    }
}

impl<V: Value + ?Sized> Value for Arc<V> {
    fn node(&self) -> Result<Node> {
        V::node(self)
    }
}

/// Which precision the numbers of something are of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Precision<T>(std::marker::PhantomData<T>);

impl<T> Precision<T> {
    pub(crate) fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T: Scalar> Value for Precision<T> {
    fn node(&self) -> Result<Node> {
        precision::<T>().node()
    }
}

impl<T: Scalar> FromValue for Precision<T> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        let (found, expected) = (String::from_place(place)?, precision::<T>());
        if found == expected {
            return Ok(Self::new());
        }
        Err(place.error(format!("holds numbers of the type {found}, not {expected}: load it as what it is")))
    }
}

impl Value for Jitter {
    fn node(&self) -> Result<Node> {
        Writer::map(|to| match self {
            Self::Adaptive { first, growth, largest } => {
                to.put("first", first)?;
                to.put("growth", growth)?;
                to.put("largest", largest)
            }
            Self::Fixed(amount) => to.put("fixed", amount),
        })
    }
}

impl FromValue for Jitter {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Reader::map(place, |from| {
            Ok(match from.take_optional("fixed")? {
                Some(amount) => Self::Fixed(amount),
                None => Self::Adaptive {
                    first: from.take("first")?,
                    growth: from.take("growth")?,
                    largest: from.take("largest")?,
                },
            })
        })
    }
}

/// One of the names that stand for the values of a type.
pub(crate) fn named<V: Copy>(name: &str, what: &str, values: &[(&str, V)]) -> Result<V> {
    values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = values.iter().map(|(name, _)| format!("`{name}`")).collect();
        Error::setting(what, format!("`{name}`"), &format!("must be one of {}", names.join(", ")))
    })
}
