//! Engines in files.

use std::sync::Arc;

use super::markov::MarkovSolution;
use super::toeplitz::ToeplitzSolution;
use super::{Engine, Solution};
use crate::save::{FromValue, Node, Place, Reader, Value, Writer, named};
use crate::{Result, Scalar};

impl Value for Engine {
    fn node(&self) -> Result<Node> {
        Writer::map(|to| match self {
            Self::Auto => to.put("name", "auto"),
            Self::Dense => to.put("name", "dense"),
            Self::Toeplitz => to.put("name", "toeplitz"),
            Self::Markov { tolerance } => {
                to.put("name", "markov")?;
                to.put_optional("tolerance", tolerance.as_ref())
            }
        })
    }
}

impl FromValue for Engine {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Reader::map(place, |from| {
            let (name, tolerance): (String, Option<f64>) = (from.take("name")?, from.take_optional("tolerance")?);
            let markov = Self::Markov { tolerance };
            let known =
                [("auto", Self::Auto), ("dense", Self::Dense), ("markov", markov), ("toeplitz", Self::Toeplitz)];
            let engine = named(&name, "the engine", &known)?;
            engine.check()?;
            Ok(engine)
        })
    }
}

impl<T: Scalar> Value for dyn Solution<T> {
    fn node(&self) -> Result<Node> {
        Writer::map(|to| {
            to.put("engine", self.engine())?;
            self.write(to)
        })
    }
}

/// What reads the solution of an engine.
type Read<T> = fn(&mut Reader<'_>) -> Result<Arc<dyn Solution<T>>>;

impl<T: Scalar> FromValue for Arc<dyn Solution<T>> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Reader::map(place, |from| {
            let engine: String = from.take("engine")?;
            let known: [(&str, Read<T>); 2] = [("Markov", MarkovSolution::read), ("Toeplitz", ToeplitzSolution::read)];
            named(&engine, "the engine", &known)?(from)
        })
    }
}
