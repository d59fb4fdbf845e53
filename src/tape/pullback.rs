//! Cotangents: on their way back, and those that arrived.

use std::cell::RefCell;

use faer::{Accum, Mat, MatMut, MatRef, Par};

use super::rounding::Slips;
use super::{Node, Pool, Var, columns};
use crate::linalg::mirror_lower;
use crate::{Result, Scalar};

/// The gradients that [`Tape::backward`](super::Tape::backward) found, one for each parameter that
/// the result depends on.
#[derive(Clone, Debug)]
pub struct Adjoints<T: Scalar> {
    tape: u64,
    cotangents: Vec<Option<Mat<T>>>,
    squared_rounding: f64,
}

impl<T: Scalar> Adjoints<T> {
    pub(super) fn new(tape: u64, cotangents: Vec<Option<Mat<T>>>, squared_rounding: f64) -> Self {
        Self { tape, cotangents, squared_rounding }
    }

    /// The square of the rounding error of the result, in units of its own; infinite on a tape that does not watch it.
    pub(crate) fn squared_rounding(&self) -> f64 {
        self.squared_rounding
    }

    /// The gradient in a parameter, in its shape; `None` if the result does not depend on it, or for
    /// a variable that is no parameter of the tape.
    pub fn get(&self, var: Var<'_, T>) -> Option<MatRef<'_, T>> {
        if var.tape.core().id != self.tape {
            return None;
        }
        self.cotangents.get(var.index)?.as_ref().map(|matrix| matrix.as_ref())
    }

    /// The gradient in a 1 × 1 parameter.
    pub fn scalar(&self, var: Var<'_, T>) -> Option<f64> {
        let matrix = self.get(var)?;
        (super::shape(matrix) == (1, 1)).then(|| matrix[(0, 0)].as_f64())
    }

    /// As [`get`](Self::get), but hands the matrix over.
    pub fn take(&mut self, var: Var<'_, T>) -> Option<Mat<T>> {
        if var.tape.core().id != self.tape {
            return None;
        }
        self.cotangents.get_mut(var.index)?.take()
    }
}

impl<T: Scalar> Pool<T> {
    /// Takes back the matrices of a gradient.
    pub fn recycle(&mut self, adjoints: Adjoints<T>) {
        self.give_cotangents(adjoints.cotangents);
    }
}

/// The state of a backward pass: what the reverse of a primitive reads and adds to.
pub(super) struct Pullback<'r, T: Scalar> {
    nodes: &'r [Node<'r, T>],
    pool: &'r RefCell<Pool<T>>,
    slips: Option<&'r Slips>,
    cotangents: Vec<Option<Mat<T>>>,
    /// The nodes of whose cotangents there is the lower triangle alone.
    halves: Vec<usize>,
    /// The node whose reverse runs.
    current: usize,
    /// The parallelism of the tape.
    pub(super) par: Par,
}

impl<'r, T: Scalar> Pullback<'r, T> {
    pub(super) fn new(
        nodes: &'r [Node<'r, T>],
        pool: &'r RefCell<Pool<T>>,
        slips: Option<&'r Slips>,
        par: Par,
    ) -> Self {
        let cotangents = pool.borrow_mut().take_cotangents(nodes.len());
        Self { nodes, pool, slips, cotangents, halves: Vec::new(), current: 0, par }
    }

    /// Runs the reverses from the last node to the first. Inputs keep what arrived. With them comes the square of what
    /// rounding does to the result.
    pub(super) fn run(mut self) -> Result<(Vec<Option<Mat<T>>>, f64)> {
        let nodes = self.nodes;
        let mut squared_rounding = if self.slips.is_some() { 0.0 } else { f64::INFINITY };
        for (index, node) in nodes.iter().enumerate().rev() {
            if let (Some(slips), Some(cotangent)) = (self.slips, &self.cotangents[index]) {
                squared_rounding += slips.squared_error(index, cotangent.as_ref(), nodes);
            }
            if let Some(reverse) = &node.reverse
                && let Some(cotangent) = self.cotangents[index].take()
            {
                self.current = index;
                reverse(cotangent, &mut self)?;
            }
        }
        Ok((self.cotangents, squared_rounding))
    }

    /// The value of an operand.
    pub(super) fn value(&self, operand: usize) -> MatRef<'r, T> {
        self.nodes[operand].value.as_mat()
    }

    /// The value that the primitive made.
    pub(super) fn result(&self) -> MatRef<'r, T> {
        self.nodes[self.current].value.as_mat()
    }

    /// Whether the cotangent of an operand is of use.
    pub(super) fn wants(&self, operand: usize) -> bool {
        self.nodes[operand].needs_gradient
    }

    /// Lets `write` replace or add to the cotangent of an operand, if it is of use.
    pub(super) fn add(&mut self, operand: usize, write: impl FnOnce(MatMut<'_, T>, Accum)) {
        if let Some((out, accum)) = self.slot(operand) {
            write(out, accum);
        }
    }

    /// The cotangent of an operand, to be replaced or added to, if it is of use.
    fn slot(&mut self, operand: usize) -> Option<(MatMut<'_, T>, Accum)> {
        if !self.wants(operand) {
            return None;
        }
        self.complete(operand);
        let accum = if self.cotangents[operand].is_some() { Accum::Add } else { Accum::Replace };
        let (nrows, ncols) = super::shape(self.value(operand));
        let pool = self.pool;
        let cotangent = self.cotangents[operand].get_or_insert_with(|| pool.borrow_mut().take(nrows, ncols));
        Some((cotangent.as_mut(), accum))
    }

    /// Adds a matrix to the cotangent of an operand, and takes it over.
    pub(super) fn give(&mut self, operand: usize, amount: Mat<T>) {
        self.complete(operand);
        match &mut self.cotangents[operand] {
            Some(cotangent) => {
                columns::update(cotangent.as_mut(), amount.as_ref(), |sum, amount| sum + amount);
                self.recycle(amount);
            }
            slot if self.nodes[operand].needs_gradient => *slot = Some(amount),
            _ => self.recycle(amount),
        }
    }

    /// Adds a symmetric matrix, of which the lower triangle is there, and takes it over.
    pub(super) fn give_half(&mut self, operand: usize, mut amount: Mat<T>) {
        // What watches rounding reads all of a cotangent.
        if self.nodes[operand].takes_half && self.cotangents[operand].is_none() && self.slips.is_none() {
            self.halves.push(operand);
            self.cotangents[operand] = Some(amount);
        } else {
            mirror_lower(amount.as_mut());
            self.give(operand, amount);
        }
    }

    /// Whether there is the lower triangle of the cotangent alone, for a node that takes it.
    pub(super) fn has_half(&self) -> bool {
        self.halves.contains(&self.current)
    }

    /// Makes a cotangent whole.
    fn complete(&mut self, operand: usize) {
        let Some(at) = self.halves.iter().position(|&half| half == operand) else { return };
        self.halves.swap_remove(at);
        if let Some(cotangent) = &mut self.cotangents[operand] {
            mirror_lower(cotangent.as_mut());
        }
    }

    /// Adds a matrix to the cotangent of an operand.
    pub(super) fn give_ref(&mut self, operand: usize, amount: MatRef<'_, T>) {
        self.add(operand, |out, accum| columns::map_into(out, accum, amount, |amount| amount));
    }

    /// Adds a number to the cotangent of a 1 × 1 operand.
    pub(super) fn give_scalar(&mut self, operand: usize, amount: f64) {
        self.add(operand, |mut out, accum| {
            let before = if accum == Accum::Add { out[(0, 0)].as_f64() } else { 0.0 };
            out[(0, 0)] = T::from_f64(before + amount);
        });
    }

    pub(super) fn pool(&self) -> &'r RefCell<Pool<T>> {
        self.pool
    }

    /// A matrix to be overwritten: its elements are arbitrary.
    pub(super) fn take(&self, nrows: usize, ncols: usize) -> Mat<T> {
        self.pool.borrow_mut().take(nrows, ncols)
    }

    /// Returns a matrix that is no longer needed.
    pub(super) fn recycle(&self, matrix: Mat<T>) {
        self.pool.borrow_mut().give(matrix);
    }
}
