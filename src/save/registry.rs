//! Parts whose type is known at run time.

use std::any::{Any, TypeId};
use std::sync::{PoisonError, RwLock};

use super::reader::Place;
use super::{FromValue, Load, Node, Reader, TYPE, Value};
use crate::{Error, Result};

/// A type of parts, as a `D` has it: a box for any type of a kind.
#[derive(Debug)]
pub(crate) struct Part<D> {
    id: TypeId,
    name: &'static str,
    node: fn(&dyn Any) -> Result<Node>,
    read: fn(&Place<'_>) -> Result<D>,
}

impl<D> Clone for Part<D> {
    fn clone(&self) -> Self {
        Self { id: self.id, name: self.name, node: self.node, read: self.read }
    }
}

/// A kind of parts: likelihoods, mean functions, inducing features.
pub(crate) trait Kind: Sized + 'static {
    /// What errors call one.
    const WHAT: &'static str;
    /// The path of the function that registers one.
    const REGISTER: &'static str;

    /// Those of this crate.
    fn built_in() -> Vec<Part<Self>>;

    /// Those of others.
    fn registered() -> &'static RwLock<Vec<Part<Self>>>;
}

/// A part that goes into a `D`.
pub(crate) trait PartOf<D> {
    fn boxed(self) -> D;
}

impl<D: Kind> Part<D> {
    pub(crate) fn of<P: Load + PartOf<D> + 'static>() -> Self {
        let node = |part: &dyn Any| part.downcast_ref::<P>().map_or(Ok(Node::None), P::node);
        let read = |place: &Place<'_>| P::from_place(place).map(P::boxed);
        Self { id: TypeId::of::<P>(), name: P::NAME, node, read }
    }
}

/// Has files know a type of parts.
pub(crate) fn register<D: Kind, P: Load + PartOf<D> + 'static>() -> Result<()> {
    let new = Part::<D>::of::<P>();
    let mut registered = D::registered().write().unwrap_or_else(PoisonError::into_inner);
    match D::built_in().iter().chain(registered.iter()).find(|part| part.name == new.name) {
        Some(part) if part.id == new.id => Ok(()),
        Some(_) => {
            let name = format!("the name of the {}", D::WHAT);
            Err(Error::setting(&name, format!("`{}`", P::NAME), "stands for something else already"))
        }
        None => {
            registered.push(new);
            Ok(())
        }
    }
}

fn find<D: Kind>(is: impl Fn(&Part<D>) -> bool) -> Option<Part<D>> {
    let registered = D::registered().read().unwrap_or_else(PoisonError::into_inner);
    D::built_in().iter().chain(registered.iter()).find(|part| is(part)).cloned()
}

/// A part, by what it is.
pub(crate) fn node<D: Kind>(part: &dyn Any, name: &str) -> Result<Node> {
    let Some(found) = find::<D>(|known| known.id == part.type_id()) else {
        let expected = format!("must be known to files to be saved: register its type by `{}`", D::REGISTER);
        return Err(Error::setting(&format!("the {}", D::WHAT), format!("`{name}`"), &expected));
    };
    (found.node)(part)
}

/// A part that says what it is.
pub(crate) fn read<D: Kind>(place: &Place<'_>) -> Result<D> {
    let name: String = Reader::untyped(place)?.take(TYPE)?;
    let Some(found) = find::<D>(|known| known.name == name) else {
        let reason = format!("is the {} `{name}`, which is not known: register its type by `{}`", D::WHAT, D::REGISTER);
        return Err(place.error(reason));
    };
    (found.read)(place)
}
