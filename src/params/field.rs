//! What a declared field becomes.

use super::{Constraint, OneOrEach, Parameter, ParameterArray, PerDimension, Shape};
use crate::{Error, Result};

/// Which values a field of [`declare!`](crate::declare!) takes.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    Within(Constraint),
    /// Any finite number, and positive ones only if it starts so.
    BySign,
}

impl From<Constraint> for Rule {
    fn from(constraint: Constraint) -> Self {
        Self::Within(constraint)
    }
}

/// What a field of [`declare!`](crate::declare!) is kept as.
#[doc(hidden)]
pub trait Field: Sized {
    type Given;

    fn declared(name: &str, given: Self::Given, rule: impl Into<Rule>) -> Result<Self>;
}

impl Field for Parameter {
    type Given = f64;

    fn declared(name: &str, given: f64, rule: impl Into<Rule>) -> Result<Self> {
        match rule.into() {
            Rule::Within(constraint) => Self::new(name, given, constraint),
            Rule::BySign => Self::by_sign(name, given),
        }
    }
}

impl Field for ParameterArray {
    type Given = Vec<f64>;

    fn declared(name: &str, given: Vec<f64>, rule: impl Into<Rule>) -> Result<Self> {
        array(name, given, Shape::Vector, rule.into())
    }
}

fn array(name: &str, given: Vec<f64>, shape: fn(usize) -> Shape, rule: Rule) -> Result<ParameterArray> {
    let shape = shape(given.len());
    match rule {
        _ if given.is_empty() => Err(Error::Empty { what: format!("the list of {name}") }),
        Rule::Within(constraint) => ParameterArray::new(name, given, shape, constraint),
        Rule::BySign => ParameterArray::by_sign(name, given, shape),
    }
}

impl Field for PerDimension {
    type Given = OneOrEach;

    fn declared(name: &str, given: OneOrEach, rule: impl Into<Rule>) -> Result<Self> {
        match (given, rule.into()) {
            (given, Rule::Within(constraint)) => Self::new(name, given, constraint),
            (OneOrEach::One(value), rule) => Parameter::declared(name, value, rule).map(Self::One),
            (OneOrEach::Each(values), rule) => array(name, values, Shape::PerDimension, rule).map(Self::Each),
        }
    }
}
