//! Kernels of one structure, with hyperparameters that are shared or their own.

use std::fmt;
use std::str::FromStr;

use super::shared::{Part, PartMut};
use crate::kernel::{AnyKernel, Argument, FromArgument, Limits, from_text};
use crate::params::{Label, Parameterized, ParameterizedExt, Visitor, VisitorMut, positions};
use crate::{Error, Result};

/// Kernels of one structure: what [`batched`](crate::batch::IntoBatch::batched) makes. Each member
/// is an ordinary kernel, or a batch of its own; a hyperparameter is shared by all, or has a value for each.
///
/// # Parameters
///
/// A shared parameter has the path that it has in a member, below `batch`:
/// `batch.periodic.period`. One that is not has a path for each: `batch[2].periodic.lengthscale`.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let mut batch = Periodic::new(0.8, 1.7).batched(3)?.per_batch("periodic.lengthscale", &[0.5, 1.1, 2.4])?;
/// assert_eq!(batch.get(1)?, &Periodic::new(1.1, 1.7));
///
/// batch.set("batch.periodic.period", 2.0)?;
/// batch.set("batch[2].periodic.lengthscale", 3.0)?;
/// assert_eq!(batch.get(2)?, &Periodic::new(3.0, 2.0));
/// assert_eq!(batch.num_params(), 4);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Batched<K> {
    members: Vec<K>,
    /// Which scalars of a member all members share, in visiting order; the same for all elements of a
    /// parameter.
    shared: Vec<bool>,
}

impl<K: Parameterized + Clone> Batched<K> {
    /// So many members that share all hyperparameters.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there are none.
    pub fn new(kernel: K, size: usize) -> Result<Self> {
        if size == 0 {
            return Err(Error::setting("the size of a batch", size, "must be at least 1"));
        }
        Ok(Self::of_copies(kernel, size))
    }

    /// As [`new`](Self::new), for a size that is known to be at least 1.
    /// Members of which these scalars are shared.
    #[cfg(feature = "serde")]
    pub(crate) fn with_shared(members: Vec<K>, shared: Vec<bool>) -> Result<Self> {
        let mut batch = Self::of(members, &[])?;
        let first = batch.members[0].values();
        if shared.len() != first.len() {
            let expected = format!("{} value(s), one for each scalar of a member", first.len());
            return Err(Error::shape("the list of what members share", expected, (shared.len(), 1)));
        }
        let differs = |member: &K| {
            let values = member.values();
            (0..first.len()).any(|at| shared[at] && values[at].to_bits() != first[at].to_bits())
        };
        if let Some(member) = batch.members.iter().position(differs) {
            let expected = "must agree with the first in what it shares";
            return Err(Error::setting("a member of the batch", format!("number {member}"), expected));
        }
        batch.shared = shared;
        Ok(batch)
    }

    pub(crate) fn of_copies(kernel: K, size: usize) -> Self {
        let shared = vec![true; kernel.num_params()];
        Self { members: vec![kernel; size], shared }
    }

    /// These kernels, which share the parameters at or below the paths given (paths of a member, as in
    /// `rbf.lengthscale`).
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without members; [`Error::Setting`] if the members differ in structure or in the
    /// value of a parameter that they are to share; [`Error::UnknownPath`] for a path that no parameter is at.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::batch::Batched;
    /// use mercer::prelude::*;
    ///
    /// let members = vec![Periodic::new(0.5, 2.0), Periodic::new(1.1, 2.0)];
    /// let batch = Batched::of(members, &["periodic.period"])?;
    /// assert_eq!(batch.num_params(), 3);
    /// assert!(Batched::of(vec![Periodic::new(0.5, 2.0), Periodic::new(0.5, 3.0)], &["periodic.period"]).is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn of(members: Vec<K>, shared: &[&str]) -> Result<Self> {
        let Some(first) = members.first() else { return Err(Error::Empty { what: "the batch".to_owned() }) };
        let structure = |member: &K| {
            member.parameters().into_iter().map(|entry| (entry.path, entry.constraint)).collect::<Vec<_>>()
        };
        let expected = structure(first);
        if let Some(other) = members.iter().position(|member| structure(member) != expected) {
            let found = format!("of one structure up to member {other}, which differs");
            return Err(Error::setting(
                "the batch",
                found,
                "all members must have the same parameters under the same constraints",
            ));
        }
        let mut batch = Self { shared: vec![false; expected.len()], members };
        for path in shared {
            let positions = positions(&batch.members[0], path)?;
            for &position in &positions {
                let value = |member: &K| member.values()[position];
                let first = value(&batch.members[0]);
                if let Some(other) = batch.members.iter().find(|member| value(member) != first) {
                    let found = format!("{first} in one member and {} in another", value(other));
                    return Err(Error::setting(&expected[position].0, found, "members that share it must agree"));
                }
            }
            batch.mark(&positions, true);
        }
        Ok(batch)
    }

    /// The batch with values of their own for the members, for the parameter at a path (of a member), or
    /// all below it: the values of the first member, then those of the second, and so on.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`] with the nearest names; [`Error::Shape`] for the wrong number of
    /// values; [`Error::Parameter`] for one that its constraint refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let batch = Rbf::new([1.0, 1.0]).batched(2)?.per_batch("rbf.lengthscale", &[0.5, 1.0, 2.0, 4.0])?;
    /// assert_eq!(batch.get(1)?.lengthscale(), [2.0, 4.0]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn per_batch(mut self, path: &str, values: &[f64]) -> Result<Self> {
        let positions = positions(&self.members[0], path)?;
        let expected = positions.len() * self.members.len();
        if values.len() != expected {
            let expected =
                format!("{expected} value(s): {} for each of {} members", positions.len(), self.members.len());
            return Err(Error::shape(&format!("the values of `{path}`"), expected, (values.len(), 1)));
        }
        for (member, values) in self.members.iter_mut().zip(values.chunks_exact(positions.len())) {
            let mut all = member.values();
            positions.iter().zip(values).for_each(|(&position, &value)| all[position] = value);
            member.set_values(&all)?;
        }
        self.mark(&positions, false);
        Ok(self)
    }

    /// A batch of so many copies of this one.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn batched(self, size: usize) -> Result<Batched<Self>> {
        Batched::new(self, size)
    }

    /// Marks the parameters that these scalars belong to, all elements alike.
    fn mark(&mut self, positions: &[usize], shared: bool) {
        struct Spans(Vec<(usize, usize)>);
        impl Visitor for Spans {
            fn parameter(&mut self, parameter: crate::params::ParameterRef<'_>) {
                let start = self.0.last().map_or(0, |(_, end)| *end);
                self.0.push((start, start + parameter.values().len()));
            }
            fn child(&mut self, _: Label, child: &dyn Parameterized) {
                child.visit(self);
            }
        }
        let mut spans = Spans(Vec::new());
        self.members[0].visit(&mut spans);
        for (start, end) in spans.0 {
            if positions.iter().any(|position| (start..end).contains(position)) {
                self.shared[start..end].fill(shared);
            }
        }
    }
}

impl<K> Batched<K> {
    /// The members, in order.
    pub fn members(&self) -> &[K] {
        &self.members
    }

    /// A member: an ordinary kernel, or a batch in a batch of batches. (To read a parameter of the batch by
    /// its path, say `ParameterizedExt::get(&batch, path)`.)
    ///
    /// # Errors
    ///
    /// [`Error::Rows`] if there is no such member.
    pub fn get(&self, member: usize) -> Result<&K> {
        self.members.get(member).ok_or_else(|| Error::rows("the batch", member..member + 1, self.members.len()))
    }

    /// Whether the members share all parameters, so that they are one.
    /// Which scalars all members share.
    #[cfg(feature = "serde")]
    pub(crate) fn shared(&self) -> &[bool] {
        &self.shared
    }

    pub(crate) fn is_one(&self) -> bool {
        self.shared.iter().all(|&shared| shared)
    }

    /// The gradient in visiting order from those of the members: shared parameters get the sum.
    pub(crate) fn fold(&self, of_members: &[Vec<f64>]) -> Vec<f64> {
        let kept = |shared: bool| (0..self.shared.len()).filter(move |&at| self.shared[at] == shared);
        let sums = kept(true).map(|at| of_members.iter().map(|gradient| gradient[at]).sum());
        let own = of_members.iter().flat_map(|gradient| kept(false).map(|at| gradient[at]));
        sums.chain(own).collect()
    }
}

impl<K: Parameterized> Parameterized for Batched<K> {
    fn name(&self) -> &str {
        "batch"
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        let own: Vec<bool> = self.shared.iter().map(|shared| !shared).collect();
        visitor.child(Label::Only, &Part { of: &self.members[0], keep: &self.shared, start: 0 });
        for (index, member) in self.members.iter().enumerate() {
            visitor.child(Label::Index(index), &Part { of: member, keep: &own, start: 0 });
        }
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        let own: Vec<bool> = self.shared.iter().map(|shared| !shared).collect();
        for (index, member) in self.members.iter_mut().enumerate() {
            if index == 0 {
                visitor.child(Label::Only, &mut PartMut { of: member, keep: &self.shared, start: 0 });
            }
            visitor.child(Label::Index(index), &mut PartMut { of: member, keep: &own, start: 0 });
        }
        // The first member stands for all in what is shared.
        let Some((first, others)) = self.members.split_first_mut() else { return };
        let values = first.values();
        for member in others {
            let mut all = member.values();
            for (value, (&of_first, _)) in
                all.iter_mut().zip(values.iter().zip(&self.shared)).filter(|(_, (_, shared))| **shared)
            {
                *value = of_first;
            }
            // Members have the same constraints, so that what the first has taken is not refused here.
            let _ = member.set_values(&all);
        }
    }
}

impl<K: fmt::Display + Parameterized + Clone> fmt::Display for Batched<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("batched([")?;
        for (index, member) in self.members.iter().enumerate() {
            write!(f, "{}{member}", if index == 0 { "" } else { ", " })?;
        }
        f.write_str("], shared=[")?;
        // One path for a parameter of many elements.
        let entries = self.members[0].parameters();
        let mut last = String::new();
        for (entry, _) in entries.iter().zip(&self.shared).filter(|(_, shared)| **shared) {
            let path = if entry.path.ends_with(']') {
                entry.path.rsplit_once('[').map_or("", |(path, _)| path)
            } else {
                &entry.path
            };
            if path != last {
                write!(f, "{}\"{path}\"", if last.is_empty() { "" } else { ", " })?;
                path.clone_into(&mut last);
            }
        }
        f.write_str("])")
    }
}

impl<K: FromArgument + Parameterized + Clone> FromArgument for Batched<K> {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        let Some(("batched", mut arguments)) = argument.call() else { return Ok(None) };
        arguments.check_names(&["members", "shared"])?;
        let members: Vec<K> = arguments.take("members")?;
        let shared: Vec<String> = arguments.take_optional("shared")?.unwrap_or_default();
        arguments.finish()?;
        let paths: Vec<&str> = shared.iter().map(String::as_str).collect();
        Self::of(members, &paths).map(Some).map_err(|error| argument.error(error.to_string()))
    }

    fn describe() -> String {
        "a batch: `batched([…], shared=[…])`".to_owned()
    }
}

/// Reads what `Display` prints.
///
/// # Errors
///
/// [`Error::Parse`].
///
/// # Examples
///
/// ```
/// use mercer::batch::Batched;
/// use mercer::prelude::*;
///
/// let batch = Periodic::new(0.8, 1.7).batched(2)?.per_batch("periodic.lengthscale", &[0.5, 1.1])?;
/// let written = batch.to_string();
/// assert_eq!(
///     written,
///     "batched([periodic(lengthscale=0.5, period=1.7), periodic(lengthscale=1.1, period=1.7)], \
///      shared=[\"periodic.period\"])",
/// );
/// let read: Batched<DynKernel> = written.parse()?;
/// assert_eq!(read.to_string(), written);
/// assert_eq!(read.num_params(), 3);
/// # Ok::<(), mercer::Error>(())
/// ```
impl<K: FromArgument + Parameterized + Clone> FromStr for Batched<K> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        from_text(text, Limits::default())
    }
}
/// Batches from a kernel: the method form of [`Batched::new`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// assert_eq!(Rbf::new(0.5).batched(3)?.members().len(), 3);
/// assert!(Rbf::new(0.5).batched(0).is_err());
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait IntoBatch: Parameterized + Clone {
    /// So many copies of the kernel as one batch, all hyperparameters shared at first.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if there are to be none.
    fn batched(self, size: usize) -> Result<Batched<Self>> {
        Batched::new(self, size)
    }
}

impl<K: AnyKernel + Clone> IntoBatch for K {}
