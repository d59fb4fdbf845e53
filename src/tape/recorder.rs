//! What a tape is to its variables.

use std::cell::{Ref, RefCell};

use faer::{Accum, Mat, MatRef, Par};

use super::rounding::{Slip, Slips};
use super::{Node, Pool, Pullback, Value, Var, columns};
use crate::{Error, Result, Scalar};

/// A tape but for the lifetime of what it borrows, which variables need not name. Variables are at positions.
pub(super) trait Recorder<T: Scalar> {
    fn core(&self) -> &Core<T>;

    fn nodes(&self) -> Ref<'_, [Node<'_, T>]>;

    /// The position of a new value.
    fn push(&self, node: Node<'static, T>) -> usize;
}

/// The part of a tape that borrows nothing.
pub(super) struct Core<T: Scalar> {
    pub(super) id: u64,
    pub(super) pool: RefCell<Pool<T>>,
    /// `None` unless rounding errors are watched.
    pub(super) slips: RefCell<Option<Slips>>,
    /// The first of the errors that are kept.
    failure: RefCell<Option<Error>>,
    pub(super) par: Par,
}

/// Of the variable that stands for what failed. None other is at it, and none is read after a failure.
const FAILED: usize = usize::MAX;

impl<T: Scalar> Core<T> {
    pub(super) fn new(id: u64, pool: Pool<T>, par: Par) -> Self {
        Self { id, pool: RefCell::new(pool), slips: RefCell::default(), failure: RefCell::default(), par }
    }

    /// The error that is kept, if there is one.
    pub(super) fn check(&self) -> Result<()> {
        self.failure.borrow().clone().map_or(Ok(()), Err)
    }

    /// The position of a result, or that of a failure, whose error is kept if it is the first.
    pub(super) fn keep(&self, result: Result<usize>) -> usize {
        result.unwrap_or_else(|error| {
            self.failure.borrow_mut().get_or_insert(error);
            FAILED
        })
    }

    /// A matrix to be overwritten: its elements are arbitrary.
    pub(super) fn take(&self, nrows: usize, ncols: usize) -> Mat<T> {
        self.pool.borrow_mut().take(nrows, ncols)
    }

    /// A copy, in a matrix of the pool.
    pub(super) fn copy(&self, matrix: MatRef<'_, T>) -> Mat<T> {
        let mut copy = self.take(matrix.nrows(), matrix.ncols());
        columns::map_into(copy.as_mut(), Accum::Replace, matrix, |value| value);
        copy
    }

    pub(super) fn slips_at(&self, index: usize, slip: impl FnOnce() -> Slip) {
        if let Some(slips) = &mut *self.slips.borrow_mut() {
            slips.push(index, slip());
        }
    }
}

impl<'a, T: Scalar> Node<'a, T> {
    /// The result of a primitive on operands among these nodes.
    pub(super) fn result(
        nodes: &[Node<'_, T>],
        value: Mat<T>,
        operands: &[usize],
        reverse: impl Fn(Mat<T>, &mut Pullback<'_, T>) -> Result<()> + 'a,
    ) -> Self {
        let needs_gradient = operands.iter().any(|&operand| nodes[operand].needs_gradient);
        let reverse = needs_gradient.then(|| Box::new(reverse) as super::Reverse<'a, T>);
        // Wide ones are covered by the factors, solves and products that they go into.
        let rounded = value.ncols() == 1;
        Self { value: Value::owned(value), needs_gradient, reverse, rounded, takes_half: false }
    }
}

impl<T: Scalar> dyn Recorder<T> + '_ {
    pub(super) fn value(&self, index: usize) -> Value<'_, T> {
        self.nodes()[index].value.clone()
    }

    pub(super) fn par(&self) -> Par {
        self.core().par
    }

    pub(super) fn take(&self, nrows: usize, ncols: usize) -> Mat<T> {
        self.core().take(nrows, ncols)
    }

    /// Keeps a matrix for the reverse of a primitive.
    pub(super) fn constant(&self, value: Mat<T>) -> usize {
        self.push(Node {
            value: Value::owned(value),
            needs_gradient: false,
            reverse: None,
            rounded: false,
            takes_half: false,
        })
    }

    /// Records the result of a primitive.
    pub(super) fn record(
        &self,
        value: Mat<T>,
        operands: &[usize],
        reverse: impl Fn(Mat<T>, &mut Pullback<'_, T>) -> Result<()> + 'static,
    ) -> usize {
        let node = Node::result(&self.nodes(), value, operands, reverse);
        self.push(node)
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The position on this tape, if the variable is of it and nothing has failed there.
    pub(super) fn on(self, tape: &dyn Recorder<T>) -> Result<usize> {
        tape.core().check()?;
        if self.tape.core().id == tape.core().id {
            return Ok(self.index);
        }
        Err(Error::setting("an operand", "a variable of another tape", "a tape works with its own variables"))
    }

    /// Records a primitive, or keeps its error.
    pub(super) fn unary(self, primitive: impl FnOnce(&(dyn Recorder<T> + 't), usize) -> Result<usize>) -> Self {
        let result = self.on(self.tape).and_then(|a| primitive(self.tape, a));
        Self { index: self.tape.core().keep(result), ..self }
    }

    /// The same of one with two operands.
    pub(super) fn binary(
        self,
        other: Self,
        primitive: impl FnOnce(&(dyn Recorder<T> + 't), usize, usize) -> Result<usize>,
    ) -> Self {
        self.unary(|tape, a| primitive(tape, a, other.on(tape)?))
    }
}
